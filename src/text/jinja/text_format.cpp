#include "text_format.h"

#include <cmath>
#include <cstdio>

#include "any_text.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "operators.h"

namespace muster::jinja {

namespace {

constexpr std::size_t kMaxWidth = 10'000;

/// What both notations can say about one field.
struct Spec {
    std::string_view fill = " ";
    char align = 0;  ///< < > ^ = or 0 for the default of the kind
    char sign = '-';
    bool alternate = false, thousands = false, zero = false;
    std::size_t width = 0;
    int precision = -1;
    char type = 0;
};

[[noreturn]] void fail_spec(std::string_view spec, std::string_view why) {
    throw UserError(cat("format \"", spec, "\": ", why));
}

std::size_t read_number(std::string_view text, std::size_t& pos) {
    std::size_t number = 0;
    for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
        number = number * 10 + static_cast<std::size_t>(text[pos] - '0');
        if (number > kMaxWidth) fail_spec(text, cat("a width or precision above ", kMaxWidth));
    }
    return number;
}

std::string pad(std::string body, const Spec& spec, char default_align) {
    const std::size_t size = count_code_points(body);
    if (size >= spec.width) return body;
    const std::size_t missing = spec.width - size;
    const char align = spec.align ? spec.align : default_align;
    const auto fill = [&](std::size_t n) {
        std::string out;
        for (std::size_t i = 0; i < n; ++i) out += spec.fill;
        return out;
    };
    if (align == '<') return body + fill(missing);
    if (align == '^') return fill(missing / 2) + body + fill(missing - missing / 2);
    if (align == '=') {
        const std::size_t sign =
            !body.empty() && (body[0] == '-' || body[0] == '+' || body[0] == ' ') ? 1 : 0;
        return body.substr(0, sign) + fill(missing) + body.substr(sign);
    }
    return fill(missing) + body;
}

std::string with_sign(bool negative, std::string digits, const Spec& spec) {
    if (negative) return cat("-", digits);
    if (spec.sign == '+' || spec.sign == ' ') return cat(spec.sign, digits);
    return digits;
}

/// Puts commas between groups of three digits before the point.
std::string group_thousands(const std::string& digits) {
    std::size_t end = digits.find_first_not_of("0123456789");
    if (end == std::string::npos) end = digits.size();
    std::string out;
    for (std::size_t i = 0; i < end; ++i) {
        if (i > 0 && (end - i) % 3 == 0) out += ',';
        out += digits[i];
    }
    return out + digits.substr(end);
}

std::string format_integer(std::int64_t value, const Spec& spec) {
    const std::uint64_t magnitude =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    std::string digits;
    if (spec.type == 'x' || spec.type == 'X' || spec.type == 'o') {
        char buffer[32];
        const char* format = spec.type == 'x' ? "%llx" : spec.type == 'X' ? "%llX" : "%llo";
        std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned long long>(magnitude));
        digits = buffer;
        if (spec.alternate) digits = cat('0', spec.type, digits);
    } else {
        digits = std::to_string(magnitude);
    }
    if (spec.precision > static_cast<int>(digits.size())) {  // "%.3d" only
        digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
    }
    if (spec.thousands) digits = group_thousands(digits);
    return with_sign(value < 0, digits, spec);
}

std::string format_real(double value, const Spec& spec) {
    const bool percent = spec.type == '%';
    const char type = percent ? 'f' : spec.type == 0 ? 'g' : spec.type;
    const double magnitude = std::fabs(value) * (percent ? 100 : 1);
    std::string digits;
    if (!std::isfinite(value)) {
        digits = std::isnan(value) ? "nan" : "inf";
    } else {
        const std::string format = cat("%.*", type);
        const int precision = spec.precision < 0 ? 6 : spec.precision;
        const int size = std::snprintf(nullptr, 0, format.c_str(), precision, magnitude);
        digits.resize(static_cast<std::size_t>(size) + 1);
        std::snprintf(digits.data(), digits.size(), format.c_str(), precision, magnitude);
        digits.pop_back();
    }
    if (spec.thousands) digits = group_thousands(digits);
    if (percent) digits += '%';
    return with_sign(std::signbit(value) && !std::isnan(value), digits, spec);
}

bool is_real_type(char type) {
    return type == 'f' || type == 'F' || type == 'e' || type == 'E' || type == 'g' || type == 'G' ||
           type == '%';
}

/// Formats `value` as format(value, spec) does.
std::string format_value(Arena& arena, const Any& value, const Spec& spec,
                         std::string_view source) {
    if (value.is_number() && !(value.is_boolean() && spec.type == 0)) {
        if (is_real_type(spec.type)) return pad(format_real(value.real(), spec), spec, '>');
        if (value.is_integral() && spec.type != 's')
            return pad(format_integer(value.integer(), spec), spec, '>');
        if (value.is_real() && spec.type == 0) {
            if (spec.precision >= 0)
                fail_spec(source, "a precision of a float needs a type: f, e or g");
            std::string text = to_text(arena, value);
            const bool negative = text[0] == '-';
            if (negative) text.erase(0, 1);
            return pad(with_sign(negative, spec.thousands ? group_thousands(text) : text, spec),
                       spec, '>');
        }
    }
    if (spec.type != 0 && spec.type != 's') {
        fail_spec(source,
                  cat("'", spec.type, "' does not fit a value of type '", type_name(value), "'"));
    }
    std::string text = to_text(arena, value);
    if (spec.precision >= 0) {
        std::size_t pos = 0;
        for (int i = 0; i < spec.precision && pos < text.size(); ++i) next_code_point(text, pos);
        text.resize(pos);
    }
    return pad(std::move(text), spec, '<');
}

/// [[fill]align][sign][#][0][width][,][.precision][type]
Spec parse_brace_spec(std::string_view source) {
    Spec spec;
    std::size_t pos = 0;
    const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
    std::size_t after_fill = 0;
    if (!source.empty()) next_code_point(source, after_fill);
    if (after_fill < source.size() && is_align(source[after_fill])) {
        spec.fill = source.substr(0, after_fill);
        spec.align = source[after_fill];
        pos = after_fill + 1;
    } else if (!source.empty() && is_align(source[0])) {
        spec.align = source[pos++];
    }
    const auto peek = [&] { return pos < source.size() ? source[pos] : '\0'; };
    if (peek() == '+' || peek() == '-' || peek() == ' ') spec.sign = source[pos++];
    if (peek() == '#') spec.alternate = ++pos > 0;
    if (peek() == '0') {
        ++pos;
        if (!spec.align) {
            spec.fill = "0";
            spec.align = '=';
        }
    }
    spec.width = read_number(source, pos);
    if (peek() == ',') spec.thousands = ++pos > 0;
    if (peek() == '.') {
        ++pos;
        if (peek() < '0' || peek() > '9') fail_spec(source, "no precision after the point");
        spec.precision = static_cast<int>(read_number(source, pos));
    }
    if (pos < source.size()) spec.type = source[pos++];
    if (pos < source.size() ||
        (spec.type && std::string_view("sdxXofFeEgG%").find(spec.type) == std::string_view::npos)) {
        fail_spec(source, "not a format specification that is supported here");
    }
    return spec;
}

}  // namespace

std::string percent_format(Arena& arena, std::string_view format, const Any& values) {
    require_defined(values);
    const bool is_tuple = values.is_sequence() && values.sequence().is_tuple();
    std::size_t used = 0;
    const auto next_value = [&]() -> Any {
        if (is_tuple ? used >= values.sequence().size() : used > 0) {
            throw UserError("not enough values for the % format");
        }
        ++used;
        return is_tuple ? values.sequence().at(arena, used - 1) : values;
    };
    bool by_name = false;
    std::string out;
    for (std::size_t pos = 0; pos < format.size();) {
        Arena::require_room(out.size(), 1);
        if (format[pos] != '%') {
            out += format[pos++];
            continue;
        }
        ++pos;
        Spec spec;
        spec.align = '>';
        Any named;
        bool has_name = false;
        if (pos < format.size() && format[pos] == '(') {
            const std::size_t close = format.find(')', pos);
            if (close == std::string_view::npos || !values.is_mapping()) {
                throw UserError("%(name)s in a format needs a dict of values");
            }
            const std::string_view name = format.substr(pos + 1, close - pos - 1);
            if (!values.mapping().find(arena, Any(name), named))
                throw UserError(cat("no value '", name, "' for the % format"));
            pos = close + 1;
            has_name = by_name = true;
        }
        for (; pos < format.size() &&
               std::string_view("-+ #0").find(format[pos]) != std::string_view::npos;
             ++pos) {
            switch (format[pos]) {
                case '-':
                    spec.align = '<';
                    break;
                case '+':
                    spec.sign = '+';
                    break;
                case ' ':
                    if (spec.sign != '+') spec.sign = ' ';
                    break;
                case '#':
                    spec.alternate = true;
                    break;
                default:
                    spec.zero = true;
            }
        }
        spec.width = read_number(format, pos);
        if (pos < format.size() && format[pos] == '.') {
            ++pos;
            spec.precision = static_cast<int>(read_number(format, pos));
        }
        if (pos >= format.size()) throw UserError("incomplete % format");
        spec.type = format[pos++];
        if (spec.type == '%') {
            out += '%';
            continue;
        }
        const Any value = has_name ? named : next_value();
        if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
        const bool numeric = spec.type == 'd' || spec.type == 'x' || spec.type == 'X' ||
                             spec.type == 'o' || is_real_type(spec.type);
        if (spec.zero && numeric && spec.align != '<') {
            spec.fill = "0";
            spec.align = '=';
        }
        if (spec.type == 'r') {
            std::string text;
            append_repr(arena, text, value);
            out += pad(std::move(text), spec, '>');
        } else if (spec.type == 's') {
            out += format_value(arena, arena.text(to_text(arena, value)), spec, format);
        } else if (numeric && value.is_number()) {
            const bool truncate = spec.type == 'd' && value.is_real();
            if (truncate && !(std::fabs(value.real()) < 9e18))
                throw UserError("% format: a number beyond 64 bits");
            out +=
                format_value(arena, truncate ? Any(static_cast<std::int64_t>(value.real())) : value,
                             spec, format);
        } else {
            throw UserError(cat("% format: '%", spec.type, "' does not fit a value of type '",
                                type_name(value), "'"));
        }
    }
    const std::size_t given = is_tuple ? values.sequence().size() : 1;
    if (!by_name && used < given && !values.is_mapping())
        throw UserError("not all values were used by the % format");
    return out;
}

std::string brace_format(Arena& arena, std::string_view format, const Arguments& arguments) {
    std::string out;
    std::size_t automatic = 0;
    for (std::size_t pos = 0; pos < format.size();) {
        Arena::require_room(out.size(), 1);
        const char c = format[pos++];
        if (c != '{' && c != '}') {
            out += c;
            continue;
        }
        if (pos < format.size() && format[pos] == c) {
            out += c;
            ++pos;
            continue;
        }
        const std::size_t close = c == '{' ? format.find('}', pos) : std::string_view::npos;
        if (close == std::string_view::npos)
            throw UserError("format(): a single '{' or '}'; write it twice");
        std::string_view field = format.substr(pos, close - pos), spec_text;
        pos = close + 1;
        if (const std::size_t colon = field.find(':'); colon != std::string_view::npos) {
            spec_text = field.substr(colon + 1);
            field = field.substr(0, colon);
        }
        char conversion = 0;
        if (field.size() >= 2 && field[field.size() - 2] == '!') {
            conversion = field.back();
            field.remove_suffix(2);
        }
        if (field.find_first_of(".[{!") != std::string_view::npos ||
            spec_text.find('{') != std::string_view::npos) {
            throw UserError("format(): only {}, {0} and {name} are supported");
        }
        Any value;
        if (field.empty() || (field[0] >= '0' && field[0] <= '9')) {
            std::size_t digits = 0;
            const std::size_t index = field.empty() ? automatic++ : read_number(field, digits);
            if (index >= arguments.positional.size())
                throw UserError(cat("format(): no value number ", index));
            value = arguments.positional[index];
        } else {
            const Any* named = arguments.find_named(field);
            if (!named) throw UserError(cat("format(): no value '", field, "'"));
            value = *named;
        }
        if (conversion == 'r') {
            std::string text;
            append_repr(arena, text, value);
            value = arena.text(text);
        } else if (conversion == 's') {
            value = arena.text(to_text(arena, value));
        } else if (conversion) {
            throw UserError("format(): only !r and !s are supported");
        }
        out += spec_text.empty()
                   ? to_text(arena, value)
                   : format_value(arena, value, parse_brace_spec(spec_text), spec_text);
    }
    return out;
}

}  // namespace muster::jinja
