// Any bytes are either refused with a UserError or give a value that survives writing and reading.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "muster/base/error.h"
#include "muster/config/parse.h"

using namespace muster;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        std::string once = to_json(parse_json(text, "fuzz"));
        if (to_json(parse_json(once, "again")) != once) std::abort();
        if (to_json(parse_json(to_json(parse_json(once, "again"), 2), "indented")) != once)
            std::abort();
        parse_json(text, "strict", DuplicateKeys::error);
    } catch (const UserError&) {
    }
    return 0;
}
