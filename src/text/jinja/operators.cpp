#include "operators.h"

#include <cmath>
#include <string>

#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "text_format.h"

namespace muster::jinja {

namespace {

constexpr int kMaxDepth = 100;

std::string_view symbol(Arithmetic op) {
    switch (op) {
        case Arithmetic::add:
            return "+";
        case Arithmetic::subtract:
            return "-";
        case Arithmetic::multiply:
            return "*";
        case Arithmetic::divide:
            return "/";
        case Arithmetic::floor_divide:
            return "//";
        case Arithmetic::modulo:
            return "%";
        case Arithmetic::power:
            return "**";
    }
    return "?";
}

[[noreturn]] void fail_operands(Arithmetic op, const Any& a, const Any& b) {
    throw UserError(cat("unsupported operand types for ", symbol(op), ": '", type_name(a),
                        "' and '", type_name(b), "'; ~ joins values as text"));
}

[[noreturn]] void fail_overflow() {
    throw UserError("integer overflow; integers have 64 bits here");
}
[[noreturn]] void fail_zero() {
    throw UserError("division by zero");
}

bool equal_within(Arena& arena, const Any& a, const Any& b, int depth);

bool equal_sequences(Arena& arena, const Sequence& a, const Sequence& b, int depth) {
    if (a.same_as(b)) return true;
    if (a.kind() != b.kind() || a.kind() == Sequence::Kind::generator || a.size() != b.size())
        return false;
    arena.charge(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!equal_within(arena, a.at(arena, i), b.at(arena, i), depth)) return false;
    }
    return true;
}

bool equal_mappings(Arena& arena, const Mapping& a, const Mapping& b, int depth) {
    if (a.same_as(b)) return true;
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        Any other;
        arena.charge(1);
        if (!b.find(arena, a.key(i), other)) return false;
        if (!equal_within(arena, a.value(arena, i), other, depth)) return false;
    }
    return true;
}

bool equal_within(Arena& arena, const Any& a, const Any& b, int depth) {
    if (depth > kMaxDepth) throw UserError(cat("values nested deeper than ", kMaxDepth, " levels"));
    require_lenient(a);
    require_lenient(b);
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
        return a.real() == b.real();
    }
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
        case Any::Kind::text:
            return a.text() == b.text();
        case Any::Kind::sequence:
            return equal_sequences(arena, a.sequence(), b.sequence(), depth + 1);
        case Any::Kind::mapping:
            return equal_mappings(arena, a.mapping(), b.mapping(), depth + 1);
        case Any::Kind::thing:
            return &a.thing() == &b.thing();
        default:
            return true;  // none, and two lenient undefined values
    }
}

bool less_within(Arena& arena, const Any& a, const Any& b, int depth) {
    require_defined(a);
    require_defined(b);
    if (depth > kMaxDepth) throw UserError(cat("values nested deeper than ", kMaxDepth, " levels"));
    if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
    if (a.is_number() && b.is_number()) return a.real() < b.real();
    // UTF-8 keeps the order of code points.
    if (a.is_text() && b.is_text()) return a.text() < b.text();
    if (a.is_sequence() && b.is_sequence()) {
        const Sequence &left = a.sequence(), &right = b.sequence();
        if (left.kind() == right.kind() && (left.is_list() || left.is_tuple())) {
            for (std::size_t i = 0; i < left.size() && i < right.size(); ++i) {
                arena.charge(1);
                const Any x = left.at(arena, i), y = right.at(arena, i);
                if (!equal(arena, x, y)) return less_within(arena, x, y, depth + 1);
            }
            return left.size() < right.size();
        }
    }
    throw UserError(cat("'<' not supported between '", type_name(a), "' and '", type_name(b), "'"));
}

Any repeat_text(Arena& arena, std::string_view text, std::int64_t count) {
    if (count <= 0 || text.empty()) return Any(std::string_view());
    Arena::require_room(text.size(), static_cast<std::size_t>(count));
    std::string out;
    out.reserve(text.size() * static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) out += text;
    arena.charge(out.size() / 64);
    return arena.text(out);
}

Any repeat_sequence(Arena& arena, const Sequence& sequence, std::int64_t count) {
    std::pmr::vector<Any> items = arena.items();
    const std::size_t size = sequence.size();
    for (std::int64_t i = 0; size > 0 && i < count; ++i) {
        arena.charge(size);
        for (std::size_t k = 0; k < size; ++k) items.push_back(sequence.at(arena, k));
    }
    return sequence.is_tuple() ? arena.tuple(std::move(items)) : arena.list(std::move(items));
}

bool is_plain(const Any& value) {
    return value.is_sequence() && (value.sequence().is_list() || value.sequence().is_tuple());
}

Any join_sequences(Arena& arena, const Sequence& a, const Sequence& b) {
    std::pmr::vector<Any> items = arena.items();
    arena.charge(a.size() + b.size());
    items.reserve(a.size() + b.size());
    for (std::size_t i = 0; i < a.size(); ++i) items.push_back(a.at(arena, i));
    for (std::size_t i = 0; i < b.size(); ++i) items.push_back(b.at(arena, i));
    return a.is_tuple() ? arena.tuple(std::move(items)) : arena.list(std::move(items));
}

std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
    std::int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) fail_overflow();
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
            if (result != 0) fail_overflow();
        }
    }
    return result;
}

Any calculate_integers(Arithmetic op, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    switch (op) {
        case Arithmetic::add:
            if (__builtin_add_overflow(a, b, &result)) fail_overflow();
            return Any(result);
        case Arithmetic::subtract:
            if (__builtin_sub_overflow(a, b, &result)) fail_overflow();
            return Any(result);
        case Arithmetic::multiply:
            if (__builtin_mul_overflow(a, b, &result)) fail_overflow();
            return Any(result);
        case Arithmetic::divide:
            if (b == 0) fail_zero();
            return Any(static_cast<double>(a) / static_cast<double>(b));
        case Arithmetic::floor_divide:
            if (b == 0) fail_zero();
            if (b == -1) return calculate_integers(Arithmetic::subtract, 0, a);
            return Any(a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0));
        case Arithmetic::modulo:
            if (b == 0) fail_zero();
            if (b == -1) return Any(std::int64_t{0});
            result = a % b;
            return Any(result != 0 && (result < 0) != (b < 0) ? result + b : result);
        case Arithmetic::power:
            if (b >= 0) return Any(integer_power(a, b));
            if (a == 0) fail_zero();
            return Any(std::pow(static_cast<double>(a), static_cast<double>(b)));
    }
    return Any();
}

Any calculate_reals(Arithmetic op, double a, double b) {
    switch (op) {
        case Arithmetic::add:
            return Any(a + b);
        case Arithmetic::subtract:
            return Any(a - b);
        case Arithmetic::multiply:
            return Any(a * b);
        case Arithmetic::divide:
            if (b == 0) fail_zero();
            return Any(a / b);
        // Python's float_divmod: the remainder has the sign of the divisor.
        case Arithmetic::floor_divide:
        case Arithmetic::modulo: {
            if (b == 0) fail_zero();
            double remainder = std::fmod(a, b);
            double quotient = (a - remainder) / b;
            if (remainder != 0) {
                if ((b < 0) != (remainder < 0)) {
                    remainder += b;
                    quotient -= 1;
                }
            } else {
                remainder = std::copysign(0.0, b);
            }
            if (op == Arithmetic::modulo) return Any(remainder);
            if (quotient == 0) return Any(std::copysign(0.0, a / b));
            const double floored = std::floor(quotient);
            return Any(quotient - floored > 0.5 ? floored + 1 : floored);
        }
        case Arithmetic::power:
            if (a == 0 && b < 0) fail_zero();
            if (a < 0 && std::floor(b) != b)
                throw UserError("a negative number to a fractional power");
            return Any(std::pow(a, b));
    }
    return Any();
}

}  // namespace

void require_defined(const Any& value) {
    if (value.is_undefined()) throw UserError(value.undefined_message());
}

bool truth(const Any& value) {
    switch (value.kind()) {
        case Any::Kind::undefined:
            require_lenient(value);
            return false;
        case Any::Kind::none:
            return false;
        case Any::Kind::boolean:
            return value.boolean();
        case Any::Kind::integer:
            return value.integer() != 0;
        case Any::Kind::real:
            return value.real() != 0;
        case Any::Kind::text:
            return !value.text().empty();
        case Any::Kind::sequence:
            return value.sequence().kind() == Sequence::Kind::generator ||
                   value.sequence().size() > 0;
        case Any::Kind::mapping:
            return value.mapping().size() > 0;
        case Any::Kind::thing:
            return true;
    }
    return false;
}

bool equal(Arena& arena, const Any& a, const Any& b) {
    return equal_within(arena, a, b, 0);
}

bool less(Arena& arena, const Any& a, const Any& b) {
    return less_within(arena, a, b, 0);
}

bool less_equal(Arena& arena, const Any& a, const Any& b) {
    // NaN is neither, so numbers compare directly.
    if (a.is_integral() && b.is_integral()) return a.integer() <= b.integer();
    if (a.is_number() && b.is_number()) return a.real() <= b.real();
    return !less(arena, b, a);
}

bool contains(Arena& arena, const Any& container, const Any& item) {
    if (container.is_text()) {
        if (!item.is_text()) {
            require_defined(item);
            throw UserError(cat("'in <string>' requires a string as left operand, got '",
                                type_name(item), "'"));
        }
        arena.charge(container.text().size() / 64);
        return container.text().find(item.text()) != std::string_view::npos;
    }
    if (container.is_mapping()) {
        Any ignored;
        return container.mapping().find(arena, item, ignored);
    }
    Cursor cursor(arena, container);
    for (Any candidate; cursor.next(candidate);) {
        arena.charge(1);
        if (candidate.same_as(item) || equal(arena, candidate, item)) return true;
    }
    return false;
}

Any calculate(Arena& arena, Arithmetic op, const Any& a, const Any& b) {
    if (a.is_integral() && b.is_integral()) return calculate_integers(op, a.integer(), b.integer());
    if (a.is_number() && b.is_number()) return calculate_reals(op, a.real(), b.real());
    if (op == Arithmetic::modulo && a.is_text())
        return arena.text(percent_format(arena, a.text(), b));
    require_defined(a);
    require_defined(b);
    if (op == Arithmetic::add) {
        if (a.is_text() && b.is_text()) {
            std::string joined(a.text());
            joined += b.text();
            arena.charge(joined.size() / 64);
            return arena.text(joined);
        }
        if (is_plain(a) && is_plain(b) && a.sequence().kind() == b.sequence().kind()) {
            return join_sequences(arena, a.sequence(), b.sequence());
        }
    }
    if (op == Arithmetic::multiply) {
        if (a.is_text() && b.is_integral()) return repeat_text(arena, a.text(), b.integer());
        if (b.is_text() && a.is_integral()) return repeat_text(arena, b.text(), a.integer());
        if (is_plain(a) && b.is_integral())
            return repeat_sequence(arena, a.sequence(), b.integer());
        if (is_plain(b) && a.is_integral())
            return repeat_sequence(arena, b.sequence(), a.integer());
    }
    fail_operands(op, a, b);
}

Any negate(const Any& value) {
    require_defined(value);
    if (value.is_integral()) return calculate_integers(Arithmetic::subtract, 0, value.integer());
    if (value.is_real()) return Any(-value.real());
    throw UserError(cat("bad operand type for unary -: '", type_name(value), "'"));
}

}  // namespace muster::jinja
