#include "muster/text/tokenizer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include <filesystem>
#include <thread>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"

using namespace muster;
using Ids = std::vector<TokenId>;

namespace {

/// A byte-fallback-free BPE: a=0 b=1 c=2 ab=3 abc=4 " "=5, and whatever `extra` adds at the top
/// level.
std::string tiny(const std::string& extra = "", const std::string& model_extra = "") {
    return cat(R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4," ":5},)",
               R"("merges":["a b",["ab","c"]])", model_extra, "}", extra, "}");
}

Tokenizer make(const std::string& json, const std::string& config = "") {
    return Tokenizer::from_json(json, config, "tokenizer.json");
}

/// The message of the UserError that `work` throws.
std::string error_of(const std::string& json, const std::string& config = "") {
    try {
        make(json, config).encode("abc ab", true);
    } catch (const UserError& error) {
        return error.what();
    }
    return "no error";
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

std::string added(const std::string& content, int id, const std::string& flags = "") {
    return cat(R"({"id":)", id, R"(,"content":")", content, R"(","special":true)", flags, "}");
}

}  // namespace

TEST_CASE("merges by rank, in both spellings, and what is unknown") {
    const Tokenizer plain = make(tiny());
    CHECK(plain.encode("abcab", false) == Ids{4, 3});
    CHECK(plain.encode("", true).empty());
    CHECK(plain.encode("axb", false) == Ids{3});  // no unk_token: unknown characters vanish
    CHECK(plain.vocab_size() == 6);
    CHECK(plain.token_to_id("abc") == 4);
    CHECK_FALSE(plain.token_to_id("x"));
    CHECK(plain.id_to_token(4) == "abc");
    CHECK(plain.id_to_token(-1) == "");
    CHECK(plain.id_to_token(99) == "");
    CHECK(plain.decode({4, -7, 1000000, 3}, false) == "abc ab");  // no decoder: joined by blanks
    CHECK_FALSE(plain.adds_bos());
    CHECK(has(plain.description(), "6 tokens"));
    CHECK(make(tiny("", R"(,"unk_token":"c","fuse_unk":true)")).encode("axyb", false) ==
          Ids{0, 2, 1});
    CHECK(make(tiny("", R"(,"unk_token":"c","fuse_unk":false)")).encode("axyb", false) ==
          Ids{0, 2, 2, 1});
    CHECK(make(tiny("", R"(,"dropout":0.0,"ignore_merges":true)")).encode("abc", false) == Ids{4});
}

TEST_CASE("invalid UTF-8 is read as U+FFFD") {
    const std::string json = R"({"model":{"type":"BPE","vocab":{"a":0,"�":1},"merges":[]}})";
    CHECK(make(json).encode("a\xff\xc3(a\xe2\x82", false) == Ids{0, 1, 1, 0, 1});
}

TEST_CASE("long words equal the naive merge loop") {
    const std::string json =
        R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"aa":2,"ab":3,"aab":4,"ba":5,"aaaa":6},)"
        R"("merges":["a a","a b","aa b","b a","aa aa"]}})";
    const Tokenizer tokenizer = make(json);
    const std::vector<std::string> tokens = {"a", "b", "aa", "ab", "aab", "ba", "aaaa"};
    const std::vector<std::pair<std::string, std::string>> merges = {
        {"a", "a"}, {"a", "b"}, {"aa", "b"}, {"b", "a"}, {"aa", "aa"}};
    std::uint32_t state = 1;
    for (const std::size_t length : {2, 10, 24, 25, 39, 100, 400}) {
        std::vector<std::string> parts;
        std::string text;
        for (std::size_t i = 0; i < length; i++) {
            state = state * 1664525 + 1013904223;
            parts.emplace_back(state >> 30 == 0 ? "b" : "a");
            text += parts.back();
        }
        for (bool changed = true; changed;) {  // the lowest rank anywhere, leftmost first
            changed = false;
            for (const auto& [left, right] : merges) {
                for (std::size_t i = 0; i + 1 < parts.size() && !changed; i++) {
                    if (parts[i] != left || parts[i + 1] != right) continue;
                    parts[i] += right;
                    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                    changed = true;
                }
                if (changed) break;
            }
        }
        Ids expected;
        for (const std::string& part : parts) {
            expected.push_back(static_cast<TokenId>(std::find(tokens.begin(), tokens.end(), part) -
                                                    tokens.begin()));
        }
        CHECK(tokenizer.encode(text, false) == expected);
    }
}

TEST_CASE("tokenizer_config.json: BOS and EOS, strings and objects") {
    const std::string json =
        tiny(cat(R"(,"added_tokens":[)", added("<s>", 6), ",", added("</s>", 7), "]"));
    const Tokenizer both = make(json, R"({"bos_token":"<s>","eos_token":{"content":"</s>"},
        "add_bos_token":true,"add_eos_token":true,"model_max_length":4096})");
    CHECK(both.encode("ab", true) == Ids{6, 3, 7});
    CHECK(both.encode("ab", false) == Ids{3});
    CHECK(both.adds_bos());
    CHECK(both.bos_id() == 6);
    CHECK(both.eos_id() == 7);
    CHECK(both.model_max_length() == 4096);
    CHECK(both.is_special(7));
    CHECK(both.decode({6, 3, 7}, true) == "ab");
    const Tokenizer none = make(json, R"({"model_max_length":1e30,"add_bos_token":false})");
    CHECK_FALSE(none.bos_id());
    CHECK_FALSE(none.model_max_length());
    // A class brings its own special tokens where the vocabulary has them; null means none.
    CHECK(make(json, R"({"tokenizer_class":"LlamaTokenizerFast"})").bos_id() == 6);
    CHECK_FALSE(make(json, R"({"tokenizer_class":"LlamaTokenizer","bos_token":null})").bos_id());
    CHECK_FALSE(make(json, R"({"tokenizer_class":"GPT2Tokenizer"})").eos_id());
}

TEST_CASE("a template stands unless the config has flags") {
    const std::string json = tiny(cat(
        R"(,"added_tokens":[)", added("<s>", 6),
        R"(],"post_processor":{"type":"TemplateProcessing","single":[)",
        R"({"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<s>"}}],)",
        R"("special_tokens":{"<s>":{"id":"<s>","ids":[6,5]}}})"));
    CHECK(make(json).encode("a", true) == Ids{6, 5, 0, 6, 5});
    CHECK(make(json, R"({"bos_token":"<s>"})").adds_bos());
    CHECK(make(json, R"({"bos_token":"<s>","add_bos_token":false})").encode("a", true) == Ids{0});
}

TEST_CASE("added_tokens_decoder changes flags and adds tokens") {
    const std::string json = tiny(R"(,"added_tokens":[{"id":6,"content":"<x>"}])");
    CHECK_FALSE(make(json).is_special(6));
    const Tokenizer changed =
        make(json, R"({"added_tokens_decoder":{"6":{"content":"<x>","special":true,
        "lstrip":true},"9":{"content":"<y>","special":false}}})");
    CHECK(changed.is_special(6));
    CHECK(changed.encode("a <x>b<y>", false) == Ids{0, 6, 1, 9});
    CHECK(changed.vocab_size() == 10);
    // A named special token that nobody else knows gets the next id.
    CHECK(make(json, R"({"pad_token":"<p>"})").token_to_id("<p>") == 7);
}

TEST_CASE("clean_up_tokenization_spaces") {
    const Tokenizer clean =
        make(R"({"model":{"type":"BPE","vocab":{"I":0," '":1,"m":2," ":3,".":4},"merges":[]}})",
             R"({"clean_up_tokenization_spaces":true})");
    CHECK(clean.decode({0, 1, 2, 4}, false) == "I'm.");
    CHECK(make(R"({"model":{"vocab":{"a":0,"!":1},"merges":[]}})").decode({0, 1}, false) == "a !");
}

TEST_CASE("what is not supported is named with what is") {
    CHECK(has(error_of(R"({"model":{"type":"Unigram","vocab":[]}})"),
              "/model: tokenizer model \"Unigram\""));
    CHECK(has(error_of(tiny(R"(,"normalizer":{"type":"Precompiled"})")),
              "/normalizer: normalizer \"Precompiled\""));
    CHECK(has(
        error_of(tiny(R"(,"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Splt"}]})")),
        "/pre_tokenizer/pretokenizers/0: pre_tokenizer \"Splt\" is not supported; did you mean "
        "\"Split\""));
    CHECK(has(error_of(tiny(R"(,"decoder":{"type":"CTC"})")), "/decoder: decoder \"CTC\""));
    CHECK(has(error_of(tiny(R"(,"post_processor":{"type":"X"})")), "TemplateProcessing"));
    CHECK(has(error_of(tiny("", R"(,"dropout":0.1)")), "/model/dropout"));
}

TEST_CASE("broken files name the place") {
    CHECK(has(error_of("{"), "tokenizer.json:"));
    CHECK(has(error_of("[]"), "expected an object"));
    CHECK(has(error_of("{}"), "\"model\" is missing"));
    CHECK(
        has(error_of(R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})"), "/model/vocab"));
    CHECK(has(error_of(R"({"model":{"type":"BPE","vocab":{"a":99999999},"merges":[]}})"),
              "/model/vocab"));
    CHECK(
        has(error_of(R"({"model":{"type":"BPE","vocab":{"a":1.5},"merges":[]}})"), "/model/vocab"));
    CHECK(has(error_of(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a a"]}})"),
              "/model/merges/0: "));
    CHECK(has(error_of(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}})"),
              "/model/merges/0: "));
    CHECK(has(error_of(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}})"),
              "/model/merges/0: "));
    CHECK(has(error_of(tiny("", R"(,"unk_token":"x")")), "/model/unk_token: \"x\""));
    CHECK(has(error_of(tiny(cat(R"(,"added_tokens":[)", added("<s>", 2), "]"))),
              "/added_tokens/0: id 2"));
    CHECK(has(error_of(tiny(R"(,"added_tokens":[{"id":-1,"content":"x"}])")),
              "/added_tokens/0/id: "));
    CHECK(has(
        error_of(tiny(R"(,"normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""})")),
        "/normalizer/pattern/Regex: "));
    CHECK(has(error_of(tiny(R"(,"post_processor":{"type":"TemplateProcessing","single":[]})")),
              "no sequence A"));
    CHECK(has(error_of(tiny(), R"({"added_tokens_decoder":{"x":{"content":"y"}}})"),
              "(config): /added_tokens_decoder"));
    CHECK(has(error_of(tiny(), R"({"bos_token":7})"), "/bos_token: expected a string"));
    CHECK(has(error_of(tiny(), "7"), "expected an object"));
}

TEST_CASE("patterns that backtrack for ever and texts that explode") {
    const std::string split = tiny(
        R"(,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"})");
    CHECK_THROWS_AS(make(split).encode(std::string(60, 'a') + "b", false), UserError);
    std::string steps;
    for (int i = 0; i < 4; i++) {
        steps += cat(i == 0 ? "" : ",", R"({"type":"Replace","pattern":{"String":"a"},"content":")",
                     std::string(1000, 'a'), R"("})");
    }
    const std::string grow =
        tiny(cat(R"(,"normalizer":{"type":"Sequence","normalizers":[)", steps, "]}"));
    CHECK_THROWS_AS(make(grow).encode("aaaaaaaaaaaaaaaa", false), UserError);
}

TEST_CASE("load reads the neighbours of tokenizer.json") {
    const auto folder =
        std::filesystem::temp_directory_path() / cat("muster_tokenizer_test_", getpid());
    std::filesystem::create_directory(folder);
    write_file_atomically(folder / "tokenizer.json",
                          tiny(cat(R"(,"added_tokens":[)", added("<|endoftext|>", 6), "]")));
    CHECK_FALSE(Tokenizer::load(folder).eos_id());
    write_file_atomically(folder / "config.json", R"({"model_type":"gpt2"})");
    CHECK(Tokenizer::load(folder).eos_id() == 6);
    write_file_atomically(folder / "special_tokens_map.json", R"({"eos_token":{"content":"c"}})");
    CHECK(Tokenizer::load(folder).eos_id() == 2);
    CHECK(Tokenizer::load(folder).is_special(2));
    std::filesystem::remove_all(folder);
    CHECK_THROWS_AS(Tokenizer::load(folder), UserError);
}

TEST_CASE("encoding from several threads") {
    const Tokenizer tokenizer =
        Tokenizer::load(MUSTER_SOURCE_DIR "/tests/golden/tokenizers/llama3");
    const std::string text = "It's 12345 o'clock, and every soldier answers naïvely. ";
    const Ids expected = tokenizer.encode(text, true);
    std::vector<std::thread> threads;
    std::vector<int> equal(4, 0);
    for (std::size_t i = 0; i < equal.size(); i++) {
        threads.emplace_back([&, i] {
            for (int k = 0; k < 50; k++) equal[i] += tokenizer.encode(text, true) == expected;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(equal == std::vector<int>(4, 50));
}

TEST_CASE("incremental decoding holds back unfinished characters") {
    const Tokenizer tokenizer =
        Tokenizer::load(MUSTER_SOURCE_DIR "/tests/golden/tokenizers/llama2");
    const auto byte = [&](const char* name) { return tokenizer.token_to_id(name).value(); };
    IncrementalDecoder decoder(tokenizer, true);
    CHECK(decoder.push(byte("<0xC3>")) == "");
    CHECK(decoder.push(byte("<0xA9>")) == "é");
    CHECK(decoder.push(byte("<0xF0>")) == "");
    CHECK(decoder.finish() != "");
    std::string text;
    IncrementalDecoder again(tokenizer, true);
    Ids ids;
    for (int i = 0; i < 200; i++) {  // many windows, with blanks at their edges and skipped tokens
        for (const TokenId id : tokenizer.encode(i % 3 == 0 ? "the answers" : "é  ñ", true)) {
            ids.push_back(id);
            text += again.push(id);
        }
    }
    text += again.finish();
    CHECK(text == tokenizer.decode(ids, true));
}
