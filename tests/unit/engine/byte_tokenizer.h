#pragma once
// A tokenizer without a file: one token per byte, and two special ones.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/text/tokenizer.h"

namespace muster::test {

inline constexpr std::int32_t kEos = 256, kImEnd = 257;

/// Bytes as tokens 0…255, then the special tokens "<eos>" and "<|im_end|>".
Tokenizer byte_tokenizer();
std::vector<std::int32_t> bytes_as_tokens(const std::string& text);

}  // namespace muster::test
