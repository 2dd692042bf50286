// Real vocabularies against ids made by other projects: llama.cpp's vocabulary tests,
// transformers 4.57 (through swift-transformers), and benchmark texts encoded with reference
// implementations. The material is not part of this repository; see docs of the folder that
// MUSTER_SHARED names.

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/text/tokenizer.h"

using namespace muster;

namespace {

/// The folder of shared test data, "" if there is none.
std::string shared_data() {
    const char* set = std::getenv("MUSTER_SHARED");
    const std::string folder =
        set != nullptr ? cat(set, "/data") : std::string(MUSTER_SOURCE_DIR "/../shared/data");
    return std::filesystem::is_directory(folder + "/tokenizers") ? folder : "";
}

std::string unpack(const std::string& path) {
    FILE* pipe = popen(cat("gzip -dc '", path, "'").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    char buffer[1 << 16];
    for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
    REQUIRE(pclose(pipe) == 0);
    return text;
}

const Tokenizer& tokenizer(const std::string& name) {
    static std::map<std::string, Tokenizer> loaded;
    const auto found = loaded.find(name);
    if (found != loaded.end()) return found->second;
    const std::string folder = shared_data() + "/tokenizers/";
    const std::string path = name == "gpt2"      ? folder + "gpt2/gpt2_tokenizer.json"
                             : name == "qwen2.5" ? folder + "rebuilt/qwen2.5_tokenizer.json.gz"
                             : name == "llama3"  ? folder + "rebuilt/llama3_tokenizer.json.gz"
                                                 : "";
    if (path.empty()) {
        return loaded.emplace(name, Tokenizer::load(folder + name)).first->second;
    }
    const std::string json = path.ends_with(".gz") ? unpack(path) : read_file(path);
    return loaded.emplace(name, Tokenizer::from_json(json, "", path)).first->second;
}

std::vector<TokenId> ids_of(const Value& array) {
    std::vector<TokenId> ids;
    for (const Value& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_integer()));
    return ids;
}

std::string incremental(const Tokenizer& tok, const std::vector<TokenId>& ids, bool skip) {
    IncrementalDecoder decoder(tok, skip);
    std::string text;
    for (const TokenId id : ids) text += decoder.push(id);
    return text + decoder.finish();
}

/// Encoding, and decoding in both ways.
void check(const Tokenizer& tok, const std::string& text, const std::vector<TokenId>& ids,
           bool special) {
    CAPTURE(text);
    CHECK(tok.encode(text, special) == ids);
    CHECK(incremental(tok, ids, true) == tok.decode(ids, true));
    CHECK(incremental(tok, ids, false) == tok.decode(ids, false));
}

bool available() {
    if (!shared_data().empty()) return true;
    MESSAGE("did not run: no shared test data (set MUSTER_SHARED)");
    return false;
}

}  // namespace

TEST_CASE("benchmark texts in four vocabularies") {
    if (!available()) return;
    int texts = 0;
    for (const std::string& line :
         split(read_file(shared_data() + "/golden/tokens/tokens.jsonl"), '\n')) {
        if (line.empty()) continue;
        const Value row = parse_json(line, "tokens.jsonl");
        const std::string& text = row.find("text")->as_string();
        for (const char* name : {"gpt2", "qwen2.5", "llama3", "llama2"}) {
            check(tokenizer(name), text, ids_of(*row.find(name)), false);
            CHECK(tokenizer(name).decode(ids_of(*row.find(name)), false) == text);
        }
        texts++;
    }
    CHECK(texts == 219);
}

TEST_CASE("llama.cpp's vocabulary tests") {
    if (!available()) return;
    const std::map<std::string, std::string> names = {
        {"gpt-2", "gpt2"}, {"llama-bpe", "llama3"}, {"llama-spm", "llama2"}, {"qwen2", "qwen2.5"}};
    for (const auto& [file, name] : names) {
        CAPTURE(name);
        const std::string base =
            cat(shared_data(), "/golden/tokenizers-llama.cpp/ggml-vocab-", file, ".gguf");
        const std::string inputs = read_file(base + ".inp");
        const std::vector<std::string> outputs = split(read_file(base + ".out"), '\n');
        const std::string separator = "\n__ggml_vocab_test__\n";
        std::size_t begin = 0, count = 0;
        for (std::size_t end = inputs.find(separator); end != inputs.npos;
             end = inputs.find(separator, begin)) {
            std::vector<TokenId> ids;
            for (const std::string& id : split(outputs.at(count), ' ')) {
                if (!id.empty()) ids.push_back(std::stoi(id));
            }
            check(tokenizer(name), inputs.substr(begin, end - begin), ids, false);
            begin = end + separator.size();
            count++;
        }
        CHECK(count >= 46);
    }
}

TEST_CASE("transformers' multilingual texts") {
    if (!available()) return;
    const std::string folder = shared_data() + "/golden/tokenizers-transformers/multilingual/";
    const auto check_entry = [](const Tokenizer& tok, const std::string& text, const Value& entry,
                                bool bos) {
        const std::vector<TokenId> ids = ids_of(*entry.find("input_ids"));
        check(tok, text, ids, bos);
        CHECK(tok.decode(ids, false) == entry.find("decoded_with_special")->as_string());
        CHECK(tok.decode(ids, true) == entry.find("decoded_skip_special")->as_string());
    };
    const Value inputs = parse_json(read_file(folder + "inputs__vb5eda9.json"), "inputs");
    const std::map<std::string, std::string> names = {
        {"Qwen__Qwen2.5-0.5B", "qwen2.5"},
        {"openai-community__gpt2", "gpt2"},
        {"TinyLlama__TinyLlama-1.1B-Chat-v1.0", "llama2"}};
    for (const auto& [file, name] : names) {
        CAPTURE(name);
        const Value baseline =
            parse_json(read_file(cat(folder, "baselines/", file, ".json")), file);
        for (const Value& input : inputs.find("inputs")->as_array()) {
            const Value* entry = baseline.find("entries")->find(input.find("id")->as_string());
            REQUIRE(entry != nullptr);
            check_entry(tokenizer(name), input.find("text")->as_string(), *entry, true);
        }
    }
    const Value many = parse_json(read_file(folder + "inputs.json"), "inputs");
    const Value qwen =
        parse_json(read_file(folder + "baselines/qwen2_5_multilingual.json"), "qwen");
    REQUIRE(many.as_array().size() == 83);
    for (std::size_t i = 0; i < 83; i++) {
        check_entry(tokenizer("qwen2.5"), many.as_array()[i].find("text")->as_string(),
                    qwen.find("entries")->as_array()[i], true);
    }
}

TEST_CASE("transformers' short and long texts") {
    if (!available()) return;
    const std::string folder = shared_data() + "/golden/tokenizers-transformers/";
    const Value tests = parse_json(read_file(folder + "tokenizer_tests.json"), "tests");
    const std::map<std::string, std::string> names = {
        {"distilgpt2", "gpt2"},
        {"coreml-projects/Llama-2-7b-chat-coreml", "llama2"},
        {"pcuenq/Llama-3.2-1B-Instruct-tokenizer", "llama3"}};
    for (const auto& [model, name] : names) {
        CAPTURE(model);
        for (const Value& test : tests.find(model)->as_array()) {
            const std::vector<TokenId> ids = ids_of(*test.find("encoded")->find("input_ids"));
            const std::string& text = test.find("input")->as_string();
            // The stored copy of Llama 2's vocabulary has blanks where the original has U+00A0.
            if (name == "llama2" && text.find("\xC2\xA0") != text.npos) continue;
            check(tokenizer(name), text, ids, true);
        }
    }
    for (const auto& [file, name] :
         std::map<std::string, std::string>{{"gpt2_encoded_tokens", "gpt2"},
                                            {"llama_encoded", "llama2"},
                                            {"llama_3.2_encoded", "llama3"}}) {
        const Value test = parse_json(read_file(cat(folder, file, ".json")), file);
        const std::vector<TokenId> ids = ids_of(*test.find("token_ids"));
        check(tokenizer(name), test.find("text")->as_string(), ids, true);
        CHECK(tokenizer(name).decode(ids, false) == test.find("decoded_text")->as_string());
    }
}

TEST_CASE("what the real files say about themselves") {
    if (!available()) return;
    CHECK(tokenizer("llama2").adds_bos());
    CHECK(tokenizer("llama2").bos_id() == 1);
    CHECK(tokenizer("llama2").eos_id() == 2);
    CHECK(tokenizer("llama2").vocab_size() == 32000);
    CHECK_FALSE(tokenizer("llama2").model_max_length());
    CHECK(tokenizer("llama3").vocab_size() == 128256);
    CHECK(tokenizer("llama3").id_to_token(128009) == "<|eot_id|>");
    CHECK(tokenizer("llama3").is_special(128009));
    CHECK(tokenizer("clip").encode("a  Photo", true) ==
          std::vector<TokenId>{49406, 320, 1125, 49407});
    const Tokenizer stories = Tokenizer::load(shared_data() + "/models/tinystories-656k");
    CHECK(stories.adds_bos());
    CHECK(stories.id_to_token(stories.eos_id().value()) == "<|end_story|>");
}
