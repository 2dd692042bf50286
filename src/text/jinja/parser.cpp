#include "parser.h"

#include <algorithm>
#include <array>

#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "parser_base.h"

namespace muster::jinja {

namespace {

constexpr int kMaxDepth = 150;

std::string describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::end:
            return "the end of the template";
        case TokenKind::data:
            return "text";
        case TokenKind::variable_begin:
            return "'{{'";
        case TokenKind::variable_end:
            return "'}}'";
        case TokenKind::block_begin:
            return "'{%'";
        case TokenKind::block_end:
            return "'%}'";
        case TokenKind::text:
            return cat("the string ", python_string_repr(token.value));
        case TokenKind::integer:
            return cat("the number ", token.integer);
        case TokenKind::real:
            return cat("the number ", token.real);
        case TokenKind::name:
        case TokenKind::op:
            return cat("'", token.value, "'");
    }
    return "?";
}

class TemplateParser : private ExpressionParser {
 public:
    TemplateParser(std::vector<Token> tokens, Program& program)
        : ExpressionParser(std::move(tokens), program), program_body_(program.body) {}

    void parse() {
        program_body_ = parse_body({});
        if (!unknown_.empty()) fail(unknown_.front().position, unknown_.front().message);
    }

 private:
    using Words = std::vector<std::string_view>;

    /// Statements up to one of the tags `ends`, which is left for the caller; up to the end if
    /// there are none.
    Body parse_body(const Words& ends) {
        const Nesting nesting(*this);
        Body body;
        for (;;) {
            const Token& token = peek();
            if (token.kind == TokenKind::end) {
                if (!ends.empty())
                    fail(token.position,
                         cat("the template ends too early; expected ", expected_tags(ends)));
                return body;
            }
            take();
            if (token.kind == TokenKind::data) {
                body.push_back({token.position, DataStatement{token.value}});
            } else if (token.kind == TokenKind::variable_begin) {
                body.push_back({token.position, PrintStatement{parse_tuple()}});
                expect(TokenKind::variable_end, "'}}'");
            } else {
                if (std::any_of(ends.begin(), ends.end(),
                                [&](std::string_view end) { return peek().is_name(end); })) {
                    return body;
                }
                parse_statement(body, ends);
                expect(TokenKind::block_end, "'%}'");
            }
        }
    }

    static std::string expected_tags(const Words& ends) {
        std::string text;
        for (const std::string_view end : ends)
            text += cat(text.empty() ? "" : " or ", "{% ", end, " %}");
        return text;
    }

    /// The body between the end of a tag and its closing tag, whose name is consumed.
    Body parse_block(std::string_view end) {
        Body body = parse_rest({end});
        take();
        return body;
    }

    Body parse_rest(const Words& ends) {
        skip_op(":");
        expect(TokenKind::block_end, "'%}'");
        return parse_body(ends);
    }

    /// Bodies with a scope of their own, where an if around them no longer forgives.
    Body parse_scoped_block(std::string_view end) {
        ++scope_;
        Body body = parse_block(end);
        --scope_;
        return body;
    }

    void parse_statement(Body& body, const Words& ends) {
        const Token& token = peek();
        const Position position = token.position;
        if (token.kind != TokenKind::name) fail_unexpected(token, "the name of a tag");
        const std::string& name = take().value;
        const auto add = [&](Statement::Node node) { body.push_back({position, std::move(node)}); };
        if (name == "if") {
            add(parse_if());
        } else if (name == "for") {
            add(parse_for());
        } else if (name == "set") {
            parse_set(body, position);
        } else if (name == "macro") {
            add(parse_macro());
        } else if (name == "call") {
            add(parse_call_block());
        } else if (name == "filter") {
            ExprPtr filter = parse_filters(nullptr, true);
            add(FilterBlockStatement{std::move(filter), parse_scoped_block("endfilter")});
        } else if (name == "with") {
            add(parse_with());
        } else if (name == "generation") {
            add(WithStatement{{}, parse_scoped_block("endgeneration")});
        } else if (name == "print") {
            parse_print(body, position);
        } else if (name == "break" || name == "continue") {
            if (loops_ == 0) fail(position, cat("'", name, "' outside of a loop"));
            if (name == "break")
                add(BreakStatement{});
            else
                add(ContinueStatement{});
        } else {
            fail_unknown_tag(name, position, ends);
        }
    }

    [[noreturn]] void fail_unknown_tag(const std::string& name, Position position,
                                       const Words& ends) {
        for (const std::string_view tag :
             {"include", "import", "from", "extends", "block", "autoescape"}) {
            if (name == tag) {
                fail(position,
                     cat("the tag '", name, "' is not supported; a template must stand alone"));
            }
        }
        if (!ends.empty())
            fail(position, cat("unknown tag '", name, "'; expected ", expected_tags(ends)));
        fail(position,
             cat("unknown tag '", name, "'",
                 did_you_mean(name, {"if", "for", "set", "macro", "call", "filter", "with", "raw",
                                     "generation", "print", "break", "continue"})));
    }

    IfStatement parse_if() {
        IfStatement node;
        const std::size_t unknown = unknown_.size();
        for (;;) {
            ExprPtr test = parse_tuple(false);
            Body branch = parse_rest({"elif", "else", "endif"});
            node.branches.emplace_back(std::move(test), std::move(branch));
            const std::string& word = take().value;
            if (word == "elif") continue;
            if (word == "else") node.otherwise = parse_block("endif");
            forgive_unknown(unknown);
            return node;
        }
    }

    ForStatement parse_for() {
        ForStatement node;
        node.target = parse_target(false, "in");
        expect_name("in");
        node.iterable = parse_tuple(false, false, "recursive");
        ++scope_;
        if (skip_name("if")) node.filter = parse_expression();
        node.recursive = skip_name("recursive");
        ++loops_;
        node.body = parse_rest({"endfor", "else"});
        --loops_;
        if (take().value == "else") node.otherwise = parse_block("endfor");
        --scope_;
        return node;
    }

    void parse_set(Body& body, Position position) {
        Target target = parse_target(true);
        if (skip_op("=")) {
            body.push_back({position, SetStatement{std::move(target), parse_tuple()}});
            return;
        }
        ExprPtr filter = parse_filters(nullptr, false);
        Body content = parse_scoped_block("endset");
        body.push_back({position, SetBlockStatement{std::move(target), std::move(filter),
                                                    std::move(content)}});
    }

    WithStatement parse_with() {
        WithStatement node;
        while (peek().kind != TokenKind::block_end) {
            if (!node.assignments.empty()) expect_op(",");
            Target target = parse_target(false);
            expect_op("=");
            node.assignments.emplace_back(std::move(target), parse_expression());
        }
        node.body = parse_scoped_block("endwith");
        return node;
    }

    void parse_print(Body& body, Position position) {
        bool first = true;
        while (peek().kind != TokenKind::block_end) {
            if (!std::exchange(first, false)) expect_op(",");
            body.push_back({position, PrintStatement{parse_expression()}});
        }
    }

    Parameters parse_parameters() {
        Parameters parameters;
        expect_op("(");
        while (!peek().is_op(")")) {
            if (!parameters.names.empty()) expect_op(",");
            const Position position = peek().position;
            std::string name = expect_any_name();
            const Symbol number = symbol(name);
            if (skip_op("=")) {
                parameters.defaults.push_back(parse_expression());
            } else if (!parameters.defaults.empty()) {
                fail(position,
                     cat("parameter '", name, "' has no default but follows one that has"));
            }
            parameters.names.emplace_back(std::move(name), number);
        }
        expect_op(")");
        return parameters;
    }

    /// The body of a macro. Loops around it do not reach into it.
    void parse_macro_body(MacroStatement& node, std::string_view end) {
        const int loops = std::exchange(loops_, 0);
        const bool caller = std::exchange(uses_caller_, false),
                   kwargs = std::exchange(uses_kwargs_, false),
                   varargs = std::exchange(uses_varargs_, false);
        node.body = parse_scoped_block(end);
        const auto is_parameter = [&](Symbol number) {
            return std::any_of(node.parameters.names.begin(), node.parameters.names.end(),
                               [&](const auto& parameter) { return parameter.second == number; });
        };
        node.uses_caller = uses_caller_ && !is_parameter(kCallerSymbol);
        node.uses_kwargs = uses_kwargs_ && !is_parameter(kKwargsSymbol);
        node.uses_varargs = uses_varargs_ && !is_parameter(kVarargsSymbol);
        uses_caller_ |= caller;
        uses_kwargs_ |= kwargs;
        uses_varargs_ |= varargs;
        loops_ = loops;
    }

    MacroStatement parse_macro() {
        MacroStatement node;
        node.name = expect_any_name();
        node.symbol = symbol(node.name);
        ++scope_;
        node.parameters = parse_parameters();
        --scope_;
        parse_macro_body(node, "endmacro");
        return node;
    }

    CallBlockStatement parse_call_block() {
        CallBlockStatement node;
        node.caller.name = "caller";
        node.caller.symbol = kCallerSymbol;
        if (peek().is_op("(")) node.caller.parameters = parse_parameters();
        const Position position = peek().position;
        node.call = parse_expression();
        if (!std::holds_alternative<CallExpr>(node.call->node))
            fail(position, "expected the call of a macro");
        parse_macro_body(node.caller, "endcall");
        return node;
    }

    Body& program_body_;
    int loops_ = 0;
};

}  // namespace

TokenReader::TokenReader(std::vector<Token> tokens, Program& program)
    : tokens_(std::move(tokens)), program_(program) {
    for (const char* name : {"loop", "caller", "kwargs", "varargs"}) symbol(name);
}

bool TokenReader::skip_op(std::string_view op) {
    if (!peek().is_op(op)) return false;
    take();
    return true;
}

bool TokenReader::skip_name(std::string_view name) {
    if (!peek().is_name(name)) return false;
    take();
    return true;
}

void TokenReader::expect_op(std::string_view op) {
    if (!skip_op(op)) fail_unexpected(peek(), cat("'", op, "'"));
}

void TokenReader::expect_name(std::string_view name) {
    if (!skip_name(name)) fail_unexpected(peek(), cat("'", name, "'"));
}

std::string TokenReader::expect_any_name() {
    if (peek().kind != TokenKind::name) fail_unexpected(peek(), "a name");
    return take().value;
}

void TokenReader::expect(TokenKind kind, std::string_view what) {
    if (peek().kind != kind) fail_unexpected(peek(), what);
    take();
}

void TokenReader::fail(Position position, std::string_view message) const {
    fail_at(program_.place, position, message);
}

void TokenReader::fail_unexpected(const Token& token, std::string_view expected) const {
    fail(token.position, cat("unexpected ", describe(token), "; expected ", expected));
}

Symbol TokenReader::symbol(const std::string& name) {
    const auto [entry, added] =
        symbols_.emplace(name, static_cast<Symbol>(program_.symbols.size()));
    if (added) program_.symbols.push_back(name);
    return entry->second;
}

void TokenReader::forgive_unknown(std::size_t since) {
    const auto forgiven = [&](const Unknown& unknown) { return unknown.scope == scope_; };
    unknown_.erase(std::remove_if(unknown_.begin() + static_cast<std::ptrdiff_t>(since),
                                  unknown_.end(), forgiven),
                   unknown_.end());
}

TokenReader::Nesting::Nesting(TokenReader& reader) : reader_(reader) {
    if (++reader.depth_ > kMaxDepth)
        reader.fail(reader.peek().position, cat("nested deeper than ", kMaxDepth, " levels"));
}

std::unique_ptr<Program> parse_template(std::string_view source, const std::string& place,
                                        const TemplateOptions& options) {
    auto program = std::make_unique<Program>();
    program->place = place;
    program->options = options;
    TemplateParser(tokenize(source, place, options), *program).parse();
    return program;
}

}  // namespace muster::jinja
