#include "muster/eval/request_builder.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"

namespace muster {

RequestBuilder::RequestBuilder(const Tokenizer& tokenizer, std::int64_t max_length,
                               std::optional<bool> add_bos)
    : tokenizer_(&tokenizer), max_length_(max_length), add_bos_(add_bos) {
    const std::optional<TokenId> prefix =
        tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
    if (!prefix)
        throw UserError(
            "tokenizer: neither a BOS nor an EOS token; expected one of them in "
            "tokenizer_config.json, since "
            "a text without context is scored after it");
    prefix_token_ = *prefix;
    prefix_text_ = tokenizer.decode({prefix_token_}, false);
}

std::vector<TokenId> RequestBuilder::encode(std::string_view text,
                                            const TextBeginning& beginning) const {
    const bool has_prefix = !prefix_text_.empty() && text.starts_with(prefix_text_);
    if (has_prefix || !add_bos_) return tokenizer_->encode(text, !has_prefix, beginning);
    std::vector<TokenId> ids = tokenizer_->encode(text, false, beginning);
    if (*add_bos_) ids.insert(ids.begin(), prefix_token_);
    return ids;
}

ScoreInput RequestBuilder::truncate(std::vector<TokenId> context,
                                    const std::vector<TokenId>& continuation) const {
    ScoreInput input;
    const auto scored = static_cast<std::int64_t>(continuation.size());
    if (scored > max_length_) {
        input.too_long = true;
        return input;
    }
    context.insert(context.end(), continuation.begin(), continuation.end());
    // The last token is scored but never fed, so max_length + 1 tokens fit.
    const auto size = static_cast<std::int64_t>(context.size());
    if (size > max_length_ + 1) {
        context.erase(context.begin(), context.begin() + (size - max_length_ - 1));
        context.shrink_to_fit();
        input.truncated = true;
    }
    input.first_scored =
        static_cast<std::int32_t>(static_cast<std::int64_t>(context.size()) - scored);
    input.tokens = std::move(context);
    return input;
}

std::vector<ScoreInput> RequestBuilder::continuations(std::string_view context,
                                                      const std::vector<std::string>& continuations,
                                                      const TextBeginning& beginning) const {
    std::vector<ScoreInput> inputs;
    if (context.empty()) {
        for (const std::string& continuation : continuations) {
            std::vector<TokenId> ids = tokenizer_->encode(continuation, false);
            // A continuation that brings its own prefix token keeps it as the context.
            if (!ids.empty() && ids.front() == prefix_token_) ids.erase(ids.begin());
            inputs.push_back(truncate({prefix_token_}, ids));
        }
        return inputs;
    }
    // Trailing white space belongs to the continuation, where the tokenizer would put it.
    const std::string_view stripped = python_rstrip(context);
    const std::string moved(context.substr(stripped.size()));
    const TextBeginning shared = tokenizer_->begin(stripped, beginning);
    std::vector<TokenId> context_ids = encode(stripped, shared);
    const std::size_t context_size = context_ids.size();
    if (context_ids.empty()) context_ids.push_back(prefix_token_);  // white space only, and no BOS
    for (const std::string& continuation : continuations) {
        const std::vector<TokenId> whole = encode(cat(stripped, moved, continuation), shared);
        // The context keeps its own encoding even where the tokenizer would merge across the
        // border.
        const std::size_t cut = std::min(whole.size(), context_size);
        inputs.push_back(
            truncate(context_ids, {whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end()}));
    }
    return inputs;
}

std::vector<ScoreInput> RequestBuilder::rolling(std::string_view text) const {
    const std::vector<TokenId> tokens = encode(text);
    std::vector<ScoreInput> windows;
    const auto size = static_cast<std::int64_t>(tokens.size());
    for (std::int64_t done = 0; done < size;) {
        const std::int64_t predicted = std::min(size - done, max_length_);
        const std::int64_t end = done + predicted;
        // The first window starts after the prefix token; the last one reaches back for a full
        // context.
        ScoreInput window;
        if (done == 0)
            window.tokens.push_back(prefix_token_);
        else
            window.tokens.assign(tokens.begin() + std::max<std::int64_t>(0, end - max_length_ - 1),
                                 tokens.begin() + done);
        window.first_scored = static_cast<std::int32_t>(window.tokens.size());
        window.tokens.insert(window.tokens.end(), tokens.begin() + done, tokens.begin() + end);
        windows.push_back(std::move(window));
        done = end;
    }
    return windows;
}

PromptInput RequestBuilder::prompt(std::string_view text, std::int64_t max_new_tokens,
                                   const TextBeginning& beginning) const {
    const std::int64_t room = max_length_ - max_new_tokens;
    if (room < 1)
        throw UserError(
            cat("max_gen_toks is ", max_new_tokens, " but the model sees ", max_length_,
                " tokens; expected fewer, so that a prompt fits: lower --max-gen-toks"));
    PromptInput input{encode(text, beginning), false};
    const auto size = static_cast<std::int64_t>(input.tokens.size());
    if (size > room) {
        input.tokens.erase(input.tokens.begin(), input.tokens.begin() + (size - room));
        input.truncated = true;
    }
    return input;
}

}  // namespace muster
