// Small tokenizers of our own against Hugging Face's tokenizers 0.22.1; made by
// scripts/golden/make_tokenizers.py.

#include <doctest/doctest.h>

#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/text/tokenizer.h"

using namespace muster;

namespace {

std::vector<TokenId> ids_of(const Value& array) {
    std::vector<TokenId> ids;
    for (const Value& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_integer()));
    return ids;
}

std::string incremental(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip) {
    IncrementalDecoder decoder(tokenizer, skip);
    std::string text;
    for (const TokenId id : ids) text += decoder.push(id);
    return text + decoder.finish();
}

}  // namespace

TEST_CASE("ids and texts of small tokenizers in the styles of real ones") {
    for (const std::string name : {"gpt2", "llama3", "llama2", "metaspace", "added"}) {
        CAPTURE(name);
        const std::string folder = cat(MUSTER_SOURCE_DIR "/tests/golden/tokenizers/", name);
        const Tokenizer tokenizer = Tokenizer::load(folder);
        const Value expected = parse_json(read_file(folder + "/expected.json"), "expected.json");
        REQUIRE(expected.as_array().size() == 45);
        for (const Value& entry : expected.as_array()) {
            const std::string& text = entry.find("text")->as_string();
            CAPTURE(text);
            const std::vector<TokenId> ids = ids_of(*entry.find("ids"));
            CHECK(tokenizer.encode(text, false) == ids);
            std::vector<TokenId> whole = ids_of(*entry.find("before"));
            whole.insert(whole.end(), ids.begin(), ids.end());
            for (const TokenId id : ids_of(*entry.find("after"))) whole.push_back(id);
            CHECK(tokenizer.encode(text, true) == whole);
            CHECK(tokenizer.decode(whole, false) == entry.find("decoded")->as_string());
            CHECK(tokenizer.decode(whole, true) == entry.find("skipped")->as_string());
            CHECK(incremental(tokenizer, whole, false) == entry.find("decoded")->as_string());
            CHECK(incremental(tokenizer, whole, true) == entry.find("skipped")->as_string());
        }
    }
}
