// Semantics read in huggingface/tokenizers 0.21: src/normalizers/.

#include "normalizer.h"

#include <vector>

#include "byte_level.h"
#include "pattern.h"
#include "unicode.h"

namespace muster {
namespace {

class SequenceNormalizer : public Normalizer {
 public:
    explicit SequenceNormalizer(const JsonNode& node) {
        for (const JsonNode& step : node.at("normalizers").elements()) {
            steps_.push_back(make_normalizer(step));
        }
    }
    void apply(std::string& text) const override {
        for (const auto& step : steps_) step->apply(text);
    }

 private:
    std::vector<std::unique_ptr<Normalizer>> steps_;
};

class FormNormalizer : public Normalizer {
 public:
    explicit FormNormalizer(NormalForm form) : form_(form) {}
    void apply(std::string& text) const override { normalize_unicode(text, form_); }

 private:
    NormalForm form_;
};

class PrependNormalizer : public Normalizer {
 public:
    explicit PrependNormalizer(const JsonNode& node) : prefix_(node.at("prepend").string()) {}
    void apply(std::string& text) const override {
        if (!text.empty()) text.insert(0, prefix_);
    }

 private:
    std::string prefix_;
};

class ReplaceNormalizer : public Normalizer {
 public:
    explicit ReplaceNormalizer(const JsonNode& node)
        : pattern_(Pattern::from_json(node.at("pattern"))), content_(node.at("content").string()) {}
    void apply(std::string& text) const override {
        text = replace_pattern(text, pattern_, content_);
    }

 private:
    Pattern pattern_;
    std::string content_;
};

class StripNormalizer : public Normalizer {
 public:
    explicit StripNormalizer(const JsonNode& node)
        : left_(node.boolean_or("strip_left", true)),
          right_(node.boolean_or("strip_right", true)) {}
    void apply(std::string& text) const override {
        text = std::string(strip_white_space(text, left_, right_));
    }

 private:
    bool left_, right_;
};

class LowercaseNormalizer : public Normalizer {
    void apply(std::string& text) const override { lowercase(text); }
};

class StripAccentsNormalizer : public Normalizer {
    void apply(std::string& text) const override { strip_accents(text); }
};

class ByteLevelNormalizer : public Normalizer {
    void apply(std::string& text) const override {
        std::string out;
        append_byte_level(out, text);
        text = std::move(out);
    }
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node) {
    const std::string& type = node.type();
    if (type == "Sequence") return std::make_unique<SequenceNormalizer>(node);
    if (type == "NFC") return std::make_unique<FormNormalizer>(NormalForm::nfc);
    if (type == "NFD") return std::make_unique<FormNormalizer>(NormalForm::nfd);
    if (type == "NFKC") return std::make_unique<FormNormalizer>(NormalForm::nfkc);
    if (type == "NFKD") return std::make_unique<FormNormalizer>(NormalForm::nfkd);
    if (type == "Prepend") return std::make_unique<PrependNormalizer>(node);
    if (type == "Replace") return std::make_unique<ReplaceNormalizer>(node);
    if (type == "Strip") return std::make_unique<StripNormalizer>(node);
    if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
    if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
    if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
    node.fail_type("normalizer", {"Sequence", "NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace",
                                  "Strip", "Lowercase", "StripAccents", "ByteLevel"});
}

}  // namespace muster
