#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "evaluator.h"
#include "filter_functions.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "operators.h"

namespace muster::jinja {

namespace {

/// The digits of a Python number without the underscores between them; nothing if one stands
/// elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '_') {
            out += text[i];
            continue;
        }
        const auto is_alnum = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0;
        };
        if (i == 0 || i + 1 == text.size() || !is_alnum(text[i - 1]) || !is_alnum(text[i + 1]))
            return std::nullopt;
    }
    return out;
}

/// int(text, base) of Python.
std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base) {
    if (base != 0 && (base < 2 || base > 36)) throw UserError("int: the base must be 0 or 2 to 36");
    std::optional<std::string> digits = without_underscores(python_strip(text));
    if (!digits || digits->empty()) return std::nullopt;
    const bool negative = digits->front() == '-';
    if (negative || digits->front() == '+') digits->erase(0, 1);
    if (digits->size() > 2 && digits->front() == '0') {
        const char mark = static_cast<char>((*digits)[1] | 0x20);
        const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
        if (marked != 0 && (base == marked || base == 0)) {
            base = marked;
            digits->erase(0, 2);
        }
    }
    if (base == 0) base = 10;
    if (digits->empty() || !std::isalnum(static_cast<unsigned char>(digits->front())))
        return std::nullopt;
    if (negative) digits = cat("-", *digits);
    std::int64_t value = 0;
    const char* const end = digits->data() + digits->size();
    const auto result = std::from_chars(digits->data(), end, value, static_cast<int>(base));
    if (result.ec == std::errc::result_out_of_range)
        throw UserError("int: a number beyond 64 bits");
    if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
    return value;
}

/// float(text) of Python.
std::optional<double> parse_real(std::string_view text) {
    const std::optional<std::string> digits = without_underscores(python_lower(python_strip(text)));
    if (!digits || digits->empty()) return std::nullopt;
    std::string_view unsigned_digits = *digits;
    if (unsigned_digits.front() == '+' || unsigned_digits.front() == '-')
        unsigned_digits.remove_prefix(1);
    const bool word =
        unsigned_digits == "inf" || unsigned_digits == "infinity" || unsigned_digits == "nan";
    if (!word && (unsigned_digits.empty() ||
                  unsigned_digits.find_first_not_of("0123456789.e+-") != std::string_view::npos)) {
        return std::nullopt;
    }
    char* end = nullptr;
    const double value = std::strtod(digits->c_str(), &end);
    if (end != digits->c_str() + digits->size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> truncate(double value) {
    if (!(std::fabs(value) < 9.2233720368547748e18)) return std::nullopt;
    return static_cast<std::int64_t>(value);
}

/// Rounds half to even at 10^-precision, precision < 0.
std::int64_t round_integer(std::int64_t value, std::int64_t precision) {
    if (precision < -18) return 0;
    std::int64_t unit = 1;
    for (std::int64_t i = 0; i > precision; --i) unit *= 10;
    std::int64_t quotient = value / unit, rest = value % unit;
    if (rest < 0) {
        rest += unit;
        --quotient;
    }
    if (rest > unit - rest || (rest == unit - rest && quotient % 2 != 0)) ++quotient;
    if (__builtin_mul_overflow(quotient, unit, &quotient))
        throw UserError("round: a number beyond 64 bits");
    return quotient;
}

/// round(value, precision) of Python: half to even on the exact decimal value.
double round_real(double value, std::int64_t precision) {
    if (!std::isfinite(value) || precision > 323) return value;
    if (precision < -308) return std::copysign(0.0, value);
    if (precision < 0) {
        const double unit = std::pow(10.0, static_cast<double>(-precision));
        return std::nearbyint(value / unit) * unit;
    }
    char buffer[700];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value);
    return std::strtod(buffer, nullptr);
}

void require_number(std::string_view filter, const Any& input) {
    require_defined(input);
    if (!input.is_number())
        throw UserError(cat(filter, ": expected a number, got '", type_name(input), "'"));
}

}  // namespace

Any filter_abs(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("abs", arguments, {});
    require_number("abs", input);
    if (input.is_real()) return Any(std::fabs(input.real()));
    return input.integer() < 0 ? negate(input) : Any(input.integer());
}

Any filter_int(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("int", arguments, {"default", "base"});
    require_defined(input);
    std::optional<std::int64_t> value;
    if (input.is_integral()) {
        value = input.integer();
    } else if (input.is_real()) {
        if (std::isinf(input.real())) throw UserError("int: cannot convert infinity to an integer");
        if (!std::isnan(input.real())) {
            value = truncate(input.real());
            if (!value) throw UserError("int: a number beyond 64 bits");
        }
    } else if (input.is_text()) {
        value = parse_integer(input.text(), bound.integer(1, 10));
        if (!value) {  // "42.23" gives 42
            if (const std::optional<double> real = parse_real(input.text()))
                value = truncate(*real);
        }
    }
    return value ? Any(*value) : bound.any(0, Any(std::int64_t{0}));
}

Any filter_float(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("float", arguments, {"default"});
    require_defined(input);
    if (input.is_number()) return Any(input.real());
    if (input.is_text()) {
        if (const std::optional<double> value = parse_real(input.text())) return Any(*value);
    }
    return bound.any(0, Any(0.0));
}

Any filter_round(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("round", arguments, {"precision", "method"});
    require_number("round", input);
    const std::int64_t precision = bound.integer(0, 0);
    const std::string_view method = bound.text(1, "common");
    if (method == "common") {
        if (input.is_real()) return Any(round_real(input.real(), precision));
        return Any(precision >= 0 ? input.integer() : round_integer(input.integer(), precision));
    }
    if (method != "ceil" && method != "floor")
        throw UserError("round: the method must be common, ceil or floor");
    const double unit = std::pow(10.0, static_cast<double>(precision));
    const double scaled = input.real() * unit;
    return Any((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

}  // namespace muster::jinja
