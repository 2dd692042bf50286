#pragma once
// Runs a program once. Statements write into the current output; expressions give an Any.

#include <optional>
#include <string>

#include "arguments.h"
#include "ast.h"

namespace muster::jinja {

/// Variables of a body, in front of those around it.
class Scope {
 public:
    Scope(Scope* parent, std::pmr::memory_resource* memory) : parent_(parent), variables_(memory) {}

    Scope* parent() const { return parent_; }
    const Any* find(Symbol symbol) const;
    void set(Symbol symbol, const Any& value);
    void clear() { variables_.clear(); }
    /// A macro refers to this scope and those around it: they must keep their variables.
    void capture();
    bool captured() const { return captured_; }

 private:
    Scope* parent_;
    bool captured_ = false;
    std::pmr::vector<std::pair<Symbol, Any>> variables_;
};

class Loop;

class Evaluator {
 public:
    /// Both must outlive the evaluator.
    Evaluator(const Program& program, const Object& context);

    /// The output. Throws UserError with place, line and column.
    std::string run();

    // For filters, tests, methods and functions.
    Arena& arena() { return arena_; }
    const TemplateOptions& options() const { return program_.options; }
    /// An undefined that says `message` when it is used.
    Any undefined(std::string_view message);
    /// object.name: methods first, then members.
    Any attribute(const Any& object, std::string_view name, Method method);
    /// object[index]: members first, then methods.
    Any item(const Any& object, const Any& index);
    Any call(const Any& callee, const Arguments& arguments);
    /// Throw UserError for an unknown name.
    Any apply_filter(std::string_view name, const Any& input, const Arguments& arguments);
    bool apply_test(std::string_view name, const Any& input, const Arguments& arguments);

    // For macros and loops.
    Any call_macro(const MacroStatement& macro, Scope* closure, const Arguments& arguments);
    /// Runs a loop over `iterable` and writes its output.
    void run_loop(const ForStatement& node, const Any& iterable, Scope* outer, std::int64_t depth0);
    /// True if `item` passes the loop's filter.
    bool passes_filter(const ForStatement& node, const Any& item, Scope* outer);
    /// What `write` outputs, as a text.
    template <typename Write>
    Any capture(Write write) {
        std::string captured;
        std::string* const outer = std::exchange(out_, &captured);
        write();
        out_ = outer;
        return arena_.text(captured);
    }

 private:
    enum class Flow { next, leave, again };  ///< after a statement: go on, break, continue

    // Statements
    Flow run_body(const Body& body);
    Flow run_in_scope(const Body& body, Scope* scope);
    Flow run(const DataStatement& node);
    Flow run(const PrintStatement& node);
    Flow run(const IfStatement& node);
    Flow run(const ForStatement& node);
    Flow run(const SetStatement& node);
    Flow run(const SetBlockStatement& node);
    Flow run(const WithStatement& node);
    Flow run(const MacroStatement& node);
    Flow run(const CallBlockStatement& node);
    Flow run(const FilterBlockStatement& node);
    Flow run(const BreakStatement&) { return Flow::leave; }
    Flow run(const ContinueStatement&) { return Flow::again; }
    void assign(const Target& target, const Any& value);
    void assign_parts(const Target& target, const Any& value);
    void write(std::string_view text);
    Scope* new_scope(Scope* parent) { return arena_.make<Scope>(parent, arena_.memory()); }

    // Expressions
    Any evaluate(const Expr& expr);
    Any evaluate_or_none(const ExprPtr& expr) { return expr ? evaluate(*expr) : Any(); }
    Any eval(const ConstantExpr& node) { return node.value; }
    Any eval(const TextExpr& node) { return Any(std::string_view(node.text)); }
    Any eval(const NameExpr& node);
    Any eval(const AttributeExpr& node);
    Any eval(const SubscriptExpr& node);
    Any eval(const SliceExpr& node);
    Any eval(const CallExpr& node) { return eval_call(node, nullptr); }
    Any eval(const FilterExpr& node);
    Any eval(const TestExpr& node);
    Any eval(const UnaryExpr& node);
    Any eval(const BinaryExpr& node);
    Any eval(const LogicExpr& node);
    Any eval(const NotExpr& node);
    Any eval(const CompareExpr& node);
    Any eval(const ConcatExpr& node);
    Any eval(const ConditionalExpr& node);
    Any eval(const ListExpr& node);
    Any eval(const DictExpr& node);
    Any eval_call(const CallExpr& node, const Any* caller);
    Arguments eval_arguments(const CallArguments& source);
    bool compare(Compare op, const Any& a, const Any& b);
    Any lookup_global(Symbol symbol);

    /// Counts nesting, so that no macro can exhaust the stack.
    class Depth {
     public:
        explicit Depth(Evaluator& evaluator);
        ~Depth() { --evaluator_.depth_; }

     private:
        Evaluator& evaluator_;
    };

    const Program& program_;
    const Object& context_;
    Arena arena_;
    Scope* scope_ = nullptr;
    std::string* out_ = nullptr;
    Any filter_input_;  ///< what a filter chain without an input applies to
    Position position_;
    int depth_ = 0;
    std::pmr::vector<std::optional<Any>>
        globals_;  ///< by symbol: what the context or the functions have
};

}  // namespace muster::jinja
