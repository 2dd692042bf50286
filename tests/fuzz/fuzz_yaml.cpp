// Any bytes are either refused with a UserError or give a value that JSON can write and read.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "muster/base/error.h"
#include "muster/config/parse.h"

using namespace muster;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    Value value;
    try {
        value = parse_yaml(text, "fuzz");
    } catch (const UserError&) {
        return 0;
    }
    std::string once = to_json(value);
    if (to_json(parse_json(once, "again", DuplicateKeys::error)) != once) std::abort();
    return 0;
}
