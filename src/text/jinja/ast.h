#pragma once
// The syntax tree of a template. Variables are numbered by a symbol table, so that scopes compare
// integers.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "any.h"
#include "filters.h"
#include "lexer.h"
#include "methods.h"
#include "operators.h"
#include "tests.h"

namespace muster::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
using Symbol = int;

struct CallArguments {
    std::vector<ExprPtr> positional;
    std::vector<std::pair<std::string, ExprPtr>> named;
    ExprPtr star, double_star;  ///< *list and **dict; may be null
};

enum class Compare { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

struct ConstantExpr {
    Any value;  ///< not a text
};
struct TextExpr {
    std::string text;
};
struct NameExpr {
    Symbol symbol;
};
struct AttributeExpr {
    ExprPtr object;
    std::string name;
    Method method;  ///< the method of that name, null if no type has one
};
struct SubscriptExpr {
    ExprPtr object, index;
};
struct SliceExpr {
    ExprPtr object, start, stop, step;  ///< bounds may be null
};
struct CallExpr {
    ExprPtr callee;
    CallArguments arguments;
};
struct FilterExpr {
    ExprPtr input;  ///< null where a block supplies it
    std::string name;
    const Filter* filter;  ///< null: unknown, an error when it is reached
    CallArguments arguments;
};
struct TestExpr {
    ExprPtr input;
    std::string name;
    const Test* test;  ///< null: unknown
    CallArguments arguments;
};
struct UnaryExpr {
    bool negative;
    ExprPtr operand;
};
struct BinaryExpr {
    Arithmetic op;
    ExprPtr left, right;
};
struct LogicExpr {
    bool is_and;
    ExprPtr left, right;
};
struct NotExpr {
    ExprPtr operand;
};
struct CompareExpr {
    ExprPtr first;
    std::vector<std::pair<Compare, ExprPtr>> rest;
};
struct ConcatExpr {
    std::vector<ExprPtr> parts;
};
struct ConditionalExpr {
    ExprPtr test, yes, no;  ///< `no` may be null
};
struct ListExpr {
    bool is_tuple;
    std::vector<ExprPtr> items;
};
struct DictExpr {
    std::vector<std::pair<ExprPtr, ExprPtr>> members;
};

struct Expr {
    using Node =
        std::variant<ConstantExpr, TextExpr, NameExpr, AttributeExpr, SubscriptExpr, SliceExpr,
                     CallExpr, FilterExpr, TestExpr, UnaryExpr, BinaryExpr, LogicExpr, NotExpr,
                     CompareExpr, ConcatExpr, ConditionalExpr, ListExpr, DictExpr>;
    Position position;
    int height;  ///< of the tree below; bounded by the parser
    Node node;
};

/// What a value can be assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
    Position position;
    Symbol symbol = -1;
    std::string attribute;  ///< "" unless `symbol` is a namespace
    std::vector<Target> parts;
    bool is_tuple = false;
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameters {
    std::vector<std::pair<std::string, Symbol>> names;
    std::vector<ExprPtr> defaults;  ///< of the last names
};

struct DataStatement {
    std::string text;
};
struct PrintStatement {
    ExprPtr value;
};
struct IfStatement {
    std::vector<std::pair<ExprPtr, Body>> branches;
    Body otherwise;
};
struct ForStatement {
    Target target;
    ExprPtr iterable, filter;  ///< `filter` may be null
    bool recursive;
    Body body, otherwise;
};
struct SetStatement {
    Target target;
    ExprPtr value;
};
struct SetBlockStatement {
    Target target;
    ExprPtr filter;  ///< chain of FilterExpr whose innermost input is null, or null
    Body body;
};
struct WithStatement {
    std::vector<std::pair<Target, ExprPtr>> assignments;
    Body body;
};
struct MacroStatement {
    std::string name;
    Symbol symbol;
    Parameters parameters;
    Body body;
    bool uses_caller = false, uses_kwargs = false,
         uses_varargs = false;  ///< names that stand for surplus arguments
};
struct CallBlockStatement {
    MacroStatement caller;
    ExprPtr call;  ///< a CallExpr
};
struct FilterBlockStatement {
    ExprPtr filter;
    Body body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
    using Node =
        std::variant<DataStatement, PrintStatement, IfStatement, ForStatement, SetStatement,
                     SetBlockStatement, WithStatement, MacroStatement, CallBlockStatement,
                     FilterBlockStatement, BreakStatement, ContinueStatement>;
    Position position;
    Node node;
};

/// Symbols that every program has.
constexpr Symbol kLoopSymbol = 0, kCallerSymbol = 1, kKwargsSymbol = 2, kVarargsSymbol = 3;

/// A parsed template.
struct Program {
    std::string place;
    TemplateOptions options;
    std::vector<std::string> symbols;
    Body body;
};

}  // namespace muster::jinja
