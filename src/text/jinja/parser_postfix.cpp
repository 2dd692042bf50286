#include "muster/base/text.h"
#include "parser_base.h"

// What follows a primary expression: .name, [index], calls, |filters and `is` tests; and targets of
// assignments.

namespace muster::jinja {

int ExpressionParser::height_of(const std::vector<ExprPtr>& exprs) {
    int height = 0;
    for (const ExprPtr& expr : exprs) height = std::max(height, expr->height);
    return height;
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
    for (;;) {
        if (peek().is_op(".") || peek().is_op("[")) {
            node = parse_subscript(std::move(node));
        } else if (peek().is_op("(")) {
            node = parse_call(std::move(node));
        } else {
            return node;
        }
    }
}

ExprPtr ExpressionParser::parse_postfilters(ExprPtr node) {
    for (;;) {
        if (peek().is_op("|")) {
            node = parse_filters(std::move(node), false);
        } else if (peek().is_name("is")) {
            node = parse_test(std::move(node));
        } else if (peek().is_op("(")) {
            node = parse_call(std::move(node));
        } else {
            return node;
        }
    }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
    const Position position = peek().position;
    const int height = object->height;
    if (skip_op(".")) {
        const Token& token = take();
        if (token.kind == TokenKind::name) {
            return make(position, height,
                        AttributeExpr{std::move(object), token.value, find_method(token.value)});
        }
        if (token.kind != TokenKind::integer) fail_unexpected(token, "a name or number");
        ExprPtr index = make(token.position, 0, ConstantExpr{Any(token.integer)});
        return make(position, height, SubscriptExpr{std::move(object), std::move(index)});
    }
    expect_op("[");
    ExprPtr start, stop, step;
    bool is_slice = peek().is_op(":");
    const auto at_bound = [&] { return !peek().is_op(":") && !peek().is_op("]"); };
    if (!is_slice) start = parse_expression();
    if (skip_op(":")) {
        is_slice = true;
        if (at_bound()) stop = parse_expression();
        if (skip_op(":") && at_bound()) step = parse_expression();
    }
    if (!is_slice && peek().is_op(",")) {  // d[1, 2] looks a tuple up
        std::vector<ExprPtr> items;
        items.push_back(std::move(start));
        while (skip_op(",")) items.push_back(parse_expression());
        const int tuple_height = height_of(items);
        start = make(position, tuple_height, ListExpr{true, std::move(items)});
    }
    expect_op("]");
    const int total = std::max({height, height_of(start), height_of(stop), height_of(step)});
    if (!is_slice) return make(position, total, SubscriptExpr{std::move(object), std::move(start)});
    return make(position, total,
                SliceExpr{std::move(object), std::move(start), std::move(stop), std::move(step)});
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
    const Position position = peek().position;
    int height = callee->height;
    CallArguments arguments = parse_arguments(height);
    return make(position, height, CallExpr{std::move(callee), std::move(arguments)});
}

CallArguments ExpressionParser::parse_arguments(int& height) {
    CallArguments arguments;
    const Position position = peek().position;
    const auto require = [&](bool valid) {
        if (!valid)
            fail(position, "invalid order of call arguments; expected values, then name=value");
    };
    const auto note = [&](const ExprPtr& expr) { height = std::max(height, expr->height); };
    expect_op("(");
    while (!peek().is_op(")")) {
        if (skip_op("*")) {
            require(!arguments.star && !arguments.double_star);
            note(arguments.star = parse_expression());
        } else if (skip_op("**")) {
            require(!arguments.double_star);
            note(arguments.double_star = parse_expression());
        } else if (peek().kind == TokenKind::name && peek(1).is_op("=")) {
            require(!arguments.double_star);
            std::string name = take().value;
            take();
            arguments.named.emplace_back(std::move(name), parse_expression());
            note(arguments.named.back().second);
        } else {
            require(!arguments.star && !arguments.double_star && arguments.named.empty());
            arguments.positional.push_back(parse_expression());
            note(arguments.positional.back());
        }
        if (!skip_op(",")) break;
    }
    expect_op(")");
    return arguments;
}

std::string ExpressionParser::parse_dotted_name() {
    std::string name = expect_any_name();
    while (skip_op(".")) name += cat(".", expect_any_name());
    return name;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr input, bool inline_start) {
    while (inline_start || skip_op("|")) {
        inline_start = false;
        const Position position = peek().position;
        std::string name = parse_dotted_name();
        int height = height_of(input);
        CallArguments arguments;
        if (peek().is_op("(")) arguments = parse_arguments(height);
        const Filter* filter = find_filter(name);
        if (!filter) {
            unknown_.push_back(
                {position, cat("no filter named '", name, "'", did_you_mean(name, filter_names())),
                 scope_});
        }
        input = make(position, height,
                     FilterExpr{std::move(input), std::move(name), filter, std::move(arguments)});
    }
    return input;
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
    const Position position = take().position;
    const bool negated = skip_name("not");
    std::string name = parse_dotted_name();
    int height = input->height;
    CallArguments arguments;
    const Token& next = peek();
    const bool starts_value = next.kind == TokenKind::name || next.kind == TokenKind::text ||
                              next.kind == TokenKind::integer || next.kind == TokenKind::real ||
                              next.is_op("[") || next.is_op("{");
    if (next.is_op("(")) {
        arguments = parse_arguments(height);
    } else if (starts_value && !next.is_name("else") && !next.is_name("or") &&
               !next.is_name("and")) {
        if (next.is_name("is")) fail(next.position, "tests cannot be chained with is; use and");
        arguments.positional.push_back(parse_postfix(parse_primary()));
        height = std::max(height, arguments.positional.back()->height);
    }
    const Test* test = find_test(name);
    if (!test) {
        unknown_.push_back({position,
                            cat("no test named '", name, "'", did_you_mean(name, test_names())),
                            scope_});
    }
    ExprPtr node = make(position, height,
                        TestExpr{std::move(input), std::move(name), test, std::move(arguments)});
    const int test_height = node->height;
    return negated ? make(position, test_height, NotExpr{std::move(node)}) : std::move(node);
}

Target ExpressionParser::parse_single_target(bool namespaces) {
    const Nesting nesting(*this);
    Target target;
    target.position = peek().position;
    if (skip_op("(")) {
        target = parse_target(namespaces);
        expect_op(")");
        return target;
    }
    if (peek().kind != TokenKind::name) fail_unexpected(peek(), "a name to assign to");
    const std::string name = take().value;
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
        if (name == constant) fail(target.position, cat("cannot assign to '", name, "'"));
    }
    target.symbol = symbol(name);
    if (namespaces && skip_op(".")) target.attribute = expect_any_name();
    return target;
}

Target ExpressionParser::parse_target(bool namespaces, std::string_view stop) {
    Target first = parse_single_target(namespaces);
    if (!peek().is_op(",")) return first;
    Target tuple;
    tuple.position = first.position;
    tuple.is_tuple = true;
    tuple.parts.push_back(std::move(first));
    while (skip_op(",")) {
        if (peek().is_op("=") || peek().is_op(")") || (!stop.empty() && peek().is_name(stop)))
            break;
        tuple.parts.push_back(parse_single_target(namespaces));
    }
    return tuple;
}

}  // namespace muster::jinja
