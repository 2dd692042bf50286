#include "place.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

std::string position_prefix(std::string_view text, std::size_t offset, const std::string& place) {
    std::string_view before = text.substr(0, std::min(offset, text.size()));
    auto line = std::count(before.begin(), before.end(), '\n') + 1;
    std::size_t begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    return cat(place, ":", line, ":", count_code_points(before.substr(begin)) + 1, ": ");
}

void require_utf8(std::string_view text, const std::string& place) {
    if (is_valid_utf8(text)) return;
    for (std::size_t pos = 0; pos < text.size();) {
        std::size_t begin = pos;
        // A malformed byte and a genuine U+FFFD decode alike; the latter is three bytes long.
        if (next_code_point(text, pos) == 0xFFFD && pos - begin == 1) {
            auto byte = static_cast<unsigned>(static_cast<unsigned char>(text[begin]));
            throw UserError(cat(position_prefix(text, begin, place), "byte 0x", std::hex, byte,
                                " is not UTF-8; text files must be UTF-8"));
        }
    }
}

}  // namespace muster
