#pragma once
// What tokenizer_config.json says on top of tokenizer.json. Which class of Hugging Face reads the
// file matters: it supplies special tokens that the file leaves out. Source: transformers 4.57
// and 5.23, tokenization_utils_base.py, tokenization_utils_tokenizers.py and
// models/*/tokenization_*.py.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "added_tokens.h"
#include "json_node.h"

namespace muster {

struct TokenizerConfig {
    std::optional<std::string> bos, eos;
    /// Present keys mean that the post-processor is built anew from them.
    std::optional<bool> add_bos, add_eos;
    /// Overrides the key of a ByteLevel pre-tokenizer.
    std::optional<bool> add_prefix_space;
    bool clean_up_spaces = false;
    std::optional<std::int64_t> model_max_length;
    /// added_tokens_decoder: tokens that change or extend those of tokenizer.json.
    std::vector<std::pair<TokenId, AddedToken>> added;
    /// bos_token, eos_token, …, additional_special_tokens as the file gives them.
    std::vector<AddedToken> special;
    /// Special tokens that the class would supply; they count only if the vocabulary has them.
    std::optional<std::string> default_bos, default_eos;

    static TokenizerConfig from_json(const JsonNode& node);
};

/// The tokenizer class that Hugging Face picks for a model_type when no file names one; "" if it
/// brings no special tokens of its own.
std::string tokenizer_class_of(const std::string& model_type);

}  // namespace muster
