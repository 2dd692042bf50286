#include "muster/results/table.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

std::int64_t Column::rows() const {
    const auto values =
        static_cast<std::int64_t>(std::visit([](const auto& v) { return v.size(); }, data));
    if (width < 0 || (width > 0 && values % width != 0)) {
        throw InternalError(cat("column ", name, ": ", values, " values in rows of ", width));
    }
    return width > 0 ? values / width : values;
}

bool is_storable_text(std::string_view text) {
    return text.find('\0') == std::string_view::npos && is_valid_utf8(text);
}

std::string storable_text(std::string_view text) {
    std::string result = replace_invalid_utf8(text);
    const std::string symbol_for_null = "\xe2\x90\x80";  // U+2400
    for (std::size_t at = 0; (at = result.find('\0', at)) != std::string::npos;) {
        result.replace(at, 1, symbol_for_null);
        at += symbol_for_null.size();
    }
    return result;
}

}  // namespace muster
