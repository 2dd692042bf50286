#include "byte_level.h"

#include "muster/base/utf8.h"

namespace muster {
namespace {

struct Table {
    std::array<std::string, 256> spelling;
    std::array<int, 512> byte_of;  // by code point, -1 for none

    Table() {
        byte_of.fill(-1);
        char32_t next = 256;
        for (int byte = 0; byte < 256; byte++) {
            const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                                   (byte >= 0xAE && byte <= 0xFF);
            const char32_t character = printable ? static_cast<char32_t>(byte) : next++;
            append_utf8(spelling[static_cast<std::size_t>(byte)], character);
            byte_of[character] = byte;
        }
    }
};

const Table& table() {
    static const Table instance;
    return instance;
}

}  // namespace

void append_byte_level(std::string& out, std::string_view bytes) {
    const Table& known = table();
    for (const char c : bytes) out += known.spelling[static_cast<unsigned char>(c)];
}

void append_byte_level_decoded(std::string& out, std::string_view token) {
    const Table& known = table();
    const std::size_t begin = out.size();
    for (std::size_t pos = 0; pos < token.size();) {
        const char32_t character = next_code_point(token, pos);
        const int byte = character < known.byte_of.size() ? known.byte_of[character] : -1;
        if (byte < 0) {
            out.resize(begin);
            out += token;
            return;
        }
        out += static_cast<char>(byte);
    }
}

}  // namespace muster
