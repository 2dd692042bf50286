// Semantics read in huggingface/tokenizers 0.21: src/decoders/.

#include "decoder.h"

#include "byte_level.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "pattern.h"

namespace muster {
namespace {

using Tokens = std::vector<std::string>;

class SequenceDecoder : public TokenDecoder {
 public:
    explicit SequenceDecoder(const JsonNode& node) {
        for (const JsonNode& step : node.at("decoders").elements()) {
            steps_.push_back(make_decoder(step));
        }
    }
    void apply(Tokens& tokens) const override {
        for (const auto& step : steps_) step->apply(tokens);
    }

 private:
    std::vector<std::unique_ptr<TokenDecoder>> steps_;
};

class ByteLevelDecoder : public TokenDecoder {
    void apply(Tokens& tokens) const override {
        std::string bytes;
        for (const std::string& token : tokens) append_byte_level_decoded(bytes, token);
        tokens = {replace_invalid_utf8(bytes)};
    }
};

/// Runs of <0xXX> become text if the run as a whole is valid UTF-8, else one U+FFFD per byte.
class ByteFallbackDecoder : public TokenDecoder {
    void apply(Tokens& tokens) const override {
        Tokens out;
        std::string run;
        const auto flush = [&] {
            if (run.empty()) return;
            if (is_valid_utf8(run)) {
                out.push_back(run);
            } else {
                for (std::size_t i = 0; i < run.size(); i++) out.emplace_back("\xEF\xBF\xBD");
            }
            run.clear();
        };
        for (std::string& token : tokens) {
            const int byte = byte_of(token);
            if (byte >= 0) {
                run += static_cast<char>(byte);
            } else {
                flush();
                out.push_back(std::move(token));
            }
        }
        flush();
        tokens = std::move(out);
    }

    static int hex(char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
        return -1;
    }
    static int byte_of(const std::string& token) {
        if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
        const int high = hex(token[3]), low = hex(token[4]);
        if (token[3] == '+' && low >= 0) return low;  // Rust's from_str_radix takes a sign
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
};

class FuseDecoder : public TokenDecoder {
    void apply(Tokens& tokens) const override { tokens = {join(tokens, "")}; }
};

/// Removes up to `start` and `stop` times one character at the ends of every token.
class StripDecoder : public TokenDecoder {
 public:
    explicit StripDecoder(const JsonNode& node)
        : content_(node.character_or("content", " ")),
          start_(node.integer_or("start", 0, 0, 1 << 20)),
          stop_(node.integer_or("stop", 0, 0, 1 << 20)) {}
    void apply(Tokens& tokens) const override {
        for (std::string& token : tokens) {
            std::string_view text = token;
            for (auto i = start_; i > 0 && text.starts_with(content_); i--) {
                text.remove_prefix(content_.size());
            }
            for (auto i = stop_; i > 0 && text.ends_with(content_); i--) {
                text.remove_suffix(content_.size());
            }
            token = std::string(text);
        }
    }

 private:
    std::string content_;
    std::int64_t start_, stop_;
};

class ReplaceDecoder : public TokenDecoder {
 public:
    explicit ReplaceDecoder(const JsonNode& node)
        : pattern_(Pattern::from_json(node.at("pattern"))), content_(node.at("content").string()) {}
    void apply(Tokens& tokens) const override {
        for (std::string& token : tokens) token = replace_pattern(token, pattern_, content_);
    }

 private:
    Pattern pattern_;
    std::string content_;
};

class MetaspaceDecoder : public TokenDecoder {
 public:
    explicit MetaspaceDecoder(const JsonNode& node)
        : mark_(Pattern::literal(node.character_or("replacement", "▁"))),
          prepends_(node.string_or("prepend_scheme", node.boolean_or("add_prefix_space", true)
                                                         ? "always"
                                                         : "never") != "never") {}
    void apply(Tokens& tokens) const override {
        for (std::size_t i = 0; i < tokens.size(); i++) {
            tokens[i] = replace_pattern(tokens[i], mark_, i == 0 && prepends_ ? "" : " ");
        }
    }

 private:
    Pattern mark_;
    bool prepends_;
};

/// Words end in a suffix, which becomes a blank except at the end of the text.
class BpeDecoder : public TokenDecoder {
 public:
    explicit BpeDecoder(const JsonNode& node)
        : suffix_(Pattern::literal(node.string_or("suffix", "</w>"))) {}
    void apply(Tokens& tokens) const override {
        for (std::size_t i = 0; i < tokens.size(); i++) {
            tokens[i] = replace_pattern(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
        }
    }

 private:
    Pattern suffix_;
};

}  // namespace

std::unique_ptr<TokenDecoder> make_decoder(const JsonNode& node) {
    const std::string& type = node.type();
    if (type == "Sequence") return std::make_unique<SequenceDecoder>(node);
    if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
    if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
    if (type == "Fuse") return std::make_unique<FuseDecoder>();
    if (type == "Strip") return std::make_unique<StripDecoder>(node);
    if (type == "Replace") return std::make_unique<ReplaceDecoder>(node);
    if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(node);
    if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(node);
    node.fail_type("decoder", {"Sequence", "ByteLevel", "ByteFallback", "Fuse", "Strip", "Replace",
                               "Metaspace", "BPEDecoder"});
}

}  // namespace muster
