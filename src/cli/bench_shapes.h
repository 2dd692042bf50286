#pragma once
// Models without a file: published shapes by name, and a vocabulary for any size.

#include <string>

#include "muster/model/model_config.h"
#include "muster/text/tokenizer.h"

namespace muster {

inline constexpr const char* kDefaultShape = "llama-1.1b";

/// `shape` is a name or the path of a config.json; `dtype` is "auto" or a type. Throws UserError.
ModelConfig shape_config(const std::string& shape, const std::string& dtype);

/// Tokens "t0 ", "t1 ", …: what decoding needs, and nothing else.
Tokenizer made_up_tokenizer(std::int64_t vocab_size);

}  // namespace muster
