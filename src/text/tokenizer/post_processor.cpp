// Semantics read in huggingface/tokenizers 0.21: src/processors/.

#include "post_processor.h"

#include "muster/base/text.h"

namespace muster {
namespace {

/// The ids that a template means by one special token.
std::vector<TokenId> template_ids(const JsonNode& processor, const JsonNode& special) {
    const std::string& name = special.at("id").string();
    const JsonNode known = processor.at("special_tokens");
    const auto entry = known.find(name);
    if (!entry) special.fail(cat("\"", name, "\" is not among /post_processor/special_tokens"));
    std::vector<TokenId> ids;
    for (const JsonNode& id : entry->at("ids").elements()) {
        ids.push_back(static_cast<TokenId>(id.integer(0, kMaxTokenId)));
    }
    return ids;
}

PostProcessor read_template(const JsonNode& node) {
    PostProcessor processor;
    bool text_seen = false;
    for (const JsonNode& item : node.at("single").elements()) {
        if (const auto special = item.find("SpecialToken")) {
            auto& side = text_seen ? processor.suffix : processor.prefix;
            for (const TokenId id : template_ids(node, *special)) side.push_back(id);
        } else if (const auto sequence = item.find("Sequence")) {
            if (text_seen || sequence->at("id").string() != "A") {
                sequence->fail("the template of one text must contain sequence A exactly once");
            }
            text_seen = true;
        } else {
            item.fail("expected {\"SpecialToken\": …} or {\"Sequence\": …}");
        }
    }
    if (!text_seen) node.fail("the template \"single\" has no sequence A");
    return processor;
}

TokenId read_pair(const JsonNode& node) {
    const auto pair = node.elements();
    if (pair.size() != 2) node.fail("expected [token, id]");
    return static_cast<TokenId>(pair[1].integer(0, kMaxTokenId));
}

}  // namespace

PostProcessor PostProcessor::from_json(const JsonNode& node) {
    const std::string& type = node.type();
    if (type == "ByteLevel") return {};  // changes offsets only
    if (type == "TemplateProcessing") return read_template(node);
    if (type == "RobertaProcessing" || type == "BertProcessing") {
        return {{read_pair(node.at("cls"))}, {read_pair(node.at("sep"))}};
    }
    if (type == "Sequence") {
        PostProcessor all;
        for (const JsonNode& step : node.at("processors").elements()) {
            const PostProcessor one = from_json(step);
            all.prefix.insert(all.prefix.begin(), one.prefix.begin(), one.prefix.end());
            all.suffix.insert(all.suffix.end(), one.suffix.begin(), one.suffix.end());
        }
        return all;
    }
    node.fail_type("post_processor", {"TemplateProcessing", "ByteLevel", "RobertaProcessing",
                                      "BertProcessing", "Sequence"});
}

}  // namespace muster
