#include <algorithm>

#include "muster/base/text.h"
#include "parser_base.h"

// The grammar is jinja2 3.1.6's parser.py. Binary operators are climbed by binding power;
// comparisons chain and ~ takes any number of parts, so both have a step of their own.

namespace muster::jinja {

namespace {

struct BinaryOperator {
    std::string_view text;
    int power;
    Arithmetic op;
};

// Jinja binds ~ between + and *, and ** to the left.
constexpr int kNoPower = -1, kOrPower = 0, kAndPower = 1, kNotPower = 2, kSumPower = 3,
              kConcatPower = 4, kProductPower = 5, kPowerPower = 6;
constexpr BinaryOperator kBinaryOperators[] = {
    {"+", kSumPower, Arithmetic::add},
    {"-", kSumPower, Arithmetic::subtract},
    {"*", kProductPower, Arithmetic::multiply},
    {"/", kProductPower, Arithmetic::divide},
    {"//", kProductPower, Arithmetic::floor_divide},
    {"%", kProductPower, Arithmetic::modulo},
    {"**", kPowerPower, Arithmetic::power},
};

constexpr std::pair<std::string_view, Compare> kComparisons[] = {
    {"==", Compare::equal},      {"!=", Compare::not_equal}, {"<", Compare::less},
    {"<=", Compare::less_equal}, {">", Compare::greater},    {">=", Compare::greater_equal},
};

const BinaryOperator* find_binary_operator(const Token& token) {
    if (token.kind != TokenKind::op) return nullptr;
    for (const BinaryOperator& op : kBinaryOperators) {
        if (op.text == token.value) return &op;
    }
    return nullptr;
}

}  // namespace

ExprPtr ExpressionParser::parse_expression(bool conditional) {
    const Nesting nesting(*this);
    return conditional ? parse_conditional() : parse_binary(kOrPower);
}

ExprPtr ExpressionParser::parse_conditional() {
    const Position position = peek().position;
    const std::size_t unknown = unknown_.size();
    ExprPtr value = parse_binary(kOrPower);
    while (skip_name("if")) {
        ExprPtr test = parse_binary(kOrPower);
        ExprPtr otherwise = skip_name("else") ? parse_expression() : nullptr;
        const int height = std::max({value->height, test->height, height_of(otherwise)});
        value = make(position, height,
                     ConditionalExpr{std::move(test), std::move(value), std::move(otherwise)});
        forgive_unknown(unknown);
    }
    return value;
}

ExprPtr ExpressionParser::parse_binary(int min_power) {
    ExprPtr left = parse_operand(min_power);
    for (;;) {
        const Position position = peek().position;
        if (peek().kind == TokenKind::name) {
            const int power = peek().value == "or"    ? kOrPower
                              : peek().value == "and" ? kAndPower
                                                      : kNoPower;
            if (power == kNoPower || power < min_power) return left;
            take();
            ExprPtr right = parse_binary(power + 1);
            const int height = std::max(left->height, right->height);
            left = make(position, height,
                        LogicExpr{power == kAndPower, std::move(left), std::move(right)});
            continue;
        }
        const BinaryOperator* found = find_binary_operator(peek());
        if (!found || found->power < min_power) return left;
        take();
        ExprPtr right = parse_binary(found->power + 1);
        const int height = std::max(left->height, right->height);
        left = make(position, height, BinaryExpr{found->op, std::move(left), std::move(right)});
    }
}

/// The first operand of a chain of operators at least as tight as `min_power`.
ExprPtr ExpressionParser::parse_operand(int min_power) {
    if (min_power <= kNotPower) return parse_not();
    if (min_power <= kConcatPower) return parse_concat();
    return parse_unary(true);
}

ExprPtr ExpressionParser::parse_not() {
    const Position position = peek().position;
    if (!skip_name("not")) return parse_comparison();
    const Nesting nesting(*this);
    ExprPtr operand = parse_not();
    const int height = operand->height;
    return make(position, height, NotExpr{std::move(operand)});
}

ExprPtr ExpressionParser::parse_comparison() {
    const Position position = peek().position;
    ExprPtr first = parse_binary(kSumPower);
    std::vector<std::pair<Compare, ExprPtr>> rest;
    int height = first->height;
    for (;;) {
        Compare op;
        if (!take_comparison(op)) break;
        rest.emplace_back(op, parse_binary(kSumPower));
        height = std::max(height, rest.back().second->height);
    }
    if (rest.empty()) return first;
    return make(position, height, CompareExpr{std::move(first), std::move(rest)});
}

bool ExpressionParser::take_comparison(Compare& op) {
    if (skip_name("in")) {
        op = Compare::in;
        return true;
    }
    if (peek().is_name("not") && peek(1).is_name("in")) {
        take();
        take();
        op = Compare::not_in;
        return true;
    }
    for (const auto& [text, compare] : kComparisons) {
        if (!skip_op(text)) continue;
        op = compare;
        return true;
    }
    return false;
}

ExprPtr ExpressionParser::parse_concat() {
    const Position position = peek().position;
    ExprPtr first = parse_binary(kProductPower);
    if (!peek().is_op("~")) return first;
    std::vector<ExprPtr> parts;
    parts.push_back(std::move(first));
    while (skip_op("~")) parts.push_back(parse_binary(kProductPower));
    const int height = height_of(parts);
    return make(position, height, ConcatExpr{std::move(parts)});
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
    const Position position = peek().position;
    ExprPtr node;
    if (peek().is_op("-") || peek().is_op("+")) {
        const Nesting nesting(*this);
        const bool negative = take().value == "-";
        node = parse_unary(false);
        const int height = node->height;
        node = make(position, height, UnaryExpr{negative, std::move(node)});
    } else {
        node = parse_primary();
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_postfilters(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::parse_primary() {
    const Token& token = peek();
    const Position position = token.position;
    switch (token.kind) {
        case TokenKind::name: {
            const std::string& name = take().value;
            if (name == "true" || name == "True") return make(position, 0, ConstantExpr{Any(true)});
            if (name == "false" || name == "False")
                return make(position, 0, ConstantExpr{Any(false)});
            if (name == "none" || name == "None") return make(position, 0, ConstantExpr{Any()});
            const Symbol number = symbol(name);
            uses_caller_ |= number == kCallerSymbol;
            uses_kwargs_ |= number == kKwargsSymbol;
            uses_varargs_ |= number == kVarargsSymbol;
            return make(position, 0, NameExpr{number});
        }
        case TokenKind::text: {
            std::string text;
            while (peek().kind == TokenKind::text) text += take().value;
            return make(position, 0, TextExpr{std::move(text)});
        }
        case TokenKind::integer:
            return make(position, 0, ConstantExpr{Any(take().integer)});
        case TokenKind::real:
            return make(position, 0, ConstantExpr{Any(take().real)});
        default:
            break;
    }
    if (skip_op("(")) {
        ExprPtr inner = parse_tuple(true, true);
        expect_op(")");
        return inner;
    }
    if (token.is_op("[")) return parse_list();
    if (token.is_op("{")) return parse_dict();
    fail_unexpected(token, "an expression");
}

ExprPtr ExpressionParser::parse_tuple(bool conditional, bool parentheses, std::string_view stop) {
    const Position position = peek().position;
    std::vector<ExprPtr> items;
    bool is_tuple = false;
    const auto at_end = [&] {
        const Token& token = peek();
        return token.kind == TokenKind::variable_end || token.kind == TokenKind::block_end ||
               token.is_op(")") || (!stop.empty() && token.is_name(stop));
    };
    while (!at_end()) {
        items.push_back(parse_expression(conditional));
        if (!skip_op(",")) break;
        is_tuple = true;
    }
    if (!is_tuple && !items.empty()) return std::move(items.front());
    if (items.empty() && !parentheses) fail_unexpected(peek(), "an expression");
    const int height = height_of(items);
    return make(position, height, ListExpr{true, std::move(items)});
}

ExprPtr ExpressionParser::parse_list() {
    const Position position = peek().position;
    expect_op("[");
    std::vector<ExprPtr> items;
    while (!peek().is_op("]")) {
        items.push_back(parse_expression());
        if (!skip_op(",")) break;
    }
    expect_op("]");
    const int height = height_of(items);
    return make(position, height, ListExpr{false, std::move(items)});
}

ExprPtr ExpressionParser::parse_dict() {
    const Position position = peek().position;
    expect_op("{");
    std::vector<std::pair<ExprPtr, ExprPtr>> members;
    int height = 0;
    while (!peek().is_op("}")) {
        ExprPtr key = parse_expression();
        expect_op(":");
        ExprPtr value = parse_expression();
        height = std::max({height, key->height, value->height});
        members.emplace_back(std::move(key), std::move(value));
        if (!skip_op(",")) break;
    }
    expect_op("}");
    return make(position, height, DictExpr{std::move(members)});
}

}  // namespace muster::jinja
