// tokenizer.json up to the first zero byte, then a text: loading, encoding and decoding must either
// work or throw a muster::Error.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "muster/base/error.h"
#include "muster/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(input.find('\0'), size);
    const std::string_view text = input.substr(std::min(end + 1, size));
    try {
        const muster::Tokenizer tokenizer =
            muster::Tokenizer::from_json(input.substr(0, end), "", "tokenizer.json");
        const auto ids = tokenizer.encode(text.substr(0, 4096), true);
        muster::IncrementalDecoder decoder(tokenizer, false);
        for (const muster::TokenId id : ids) {
            if (id < 0) std::abort();
            decoder.push(id);
        }
        decoder.finish();
        tokenizer.decode(ids, true);
    } catch (const muster::Error&) {
    }
    return 0;
}
