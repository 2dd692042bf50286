#pragma once
// The two halves of the parser: expressions (a Pratt parser over binding powers) and statements.

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ast.h"
#include "lexer.h"

namespace muster::jinja {

/// The token stream with what both halves need of it.
class TokenReader {
 protected:
    TokenReader(std::vector<Token> tokens, Program& program);

    const Token& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
    }
    const Token& take() { return tokens_[next_ + 1 < tokens_.size() ? next_++ : next_]; }
    bool skip_op(std::string_view op);
    bool skip_name(std::string_view name);
    void expect_op(std::string_view op);
    void expect_name(std::string_view name);
    /// A name that is not a keyword of the place.
    std::string expect_any_name();
    void expect(TokenKind kind, std::string_view what);
    [[noreturn]] void fail(Position position, std::string_view message) const;
    [[noreturn]] void fail_unexpected(const Token& token, std::string_view expected) const;
    Symbol symbol(const std::string& name);

    /// Counts recursion, so that no source can exhaust the stack.
    class Nesting {
     public:
        explicit Nesting(TokenReader& reader);
        ~Nesting() { --reader_.depth_; }

     private:
        TokenReader& reader_;
    };

    // An unknown filter or test is an error, but inside an `if` of the same scope only when it is
    // reached: Jinja's rule, which templates rely on. So the errors are collected, and forgiven
    // where an if closes.
    struct Unknown {
        Position position;
        std::string message;
        int scope;
    };
    void forgive_unknown(std::size_t since);
    std::vector<Unknown> unknown_;
    int scope_ = 0;
    /// Which of caller, kwargs and varargs the macro being parsed has named so far.
    bool uses_caller_ = false, uses_kwargs_ = false, uses_varargs_ = false;

 private:
    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    int depth_ = 0;
    Program& program_;
    std::unordered_map<std::string, Symbol> symbols_;
};

class ExpressionParser : public TokenReader {
 protected:
    using TokenReader::TokenReader;
    static constexpr int kMaxHeight = 200;

    /// An expression; without `conditional`, a following `if` belongs to somebody else.
    ExprPtr parse_expression(bool conditional = true);
    /// Expressions with commas between them are a tuple. `stop` names a keyword that ends it.
    ExprPtr parse_tuple(bool conditional = true, bool parentheses = false,
                        std::string_view stop = {});
    /// Filters `|a|b`, or `a|b` without the first bar if `inline_start`, applied to `input`.
    ExprPtr parse_filters(ExprPtr input, bool inline_start);
    /// A name, name.attribute or a tuple of them.
    Target parse_target(bool namespaces, std::string_view stop = {});
    Target parse_single_target(bool namespaces);
    /// A node above trees of at most `height`.
    template <typename Node>
    ExprPtr make(Position position, int height, Node node) {
        if (height >= kMaxHeight) fail(position, "an expression nested too deeply");
        return std::make_unique<Expr>(Expr{position, height + 1, std::move(node)});
    }
    static int height_of(const ExprPtr& expr) { return expr ? expr->height : 0; }
    static int height_of(const std::vector<ExprPtr>& exprs);

 private:
    ExprPtr parse_conditional();
    ExprPtr parse_binary(int min_power);
    ExprPtr parse_operand(int min_power);
    ExprPtr parse_not();
    ExprPtr parse_comparison();
    bool take_comparison(Compare& op);
    ExprPtr parse_concat();
    ExprPtr parse_unary(bool with_filters);
    ExprPtr parse_primary();
    ExprPtr parse_list();
    ExprPtr parse_dict();
    ExprPtr parse_postfix(ExprPtr node);
    ExprPtr parse_postfilters(ExprPtr node);
    ExprPtr parse_subscript(ExprPtr object);
    ExprPtr parse_test(ExprPtr input);
    ExprPtr parse_call(ExprPtr callee);
    CallArguments parse_arguments(int& height);
    std::string parse_dotted_name();
};

}  // namespace muster::jinja
