#include "generation.h"

#include <doctest/doctest.h>

#include "byte_tokenizer.h"

using namespace muster;
using namespace muster::test;

namespace {

Request generate_request(std::int32_t max_new_tokens, std::vector<std::string> stops) {
    Request request;
    request.id = 5;
    request.kind = Request::Kind::generate;
    request.tokens = {65};
    request.max_new_tokens = max_new_tokens;
    request.stop_strings = std::move(stops);
    request.stop_ids = {kEos};
    return request;
}

/// Feeds the bytes of `text` until the generation finishes.
Completion generate(const Request& request, const std::vector<std::int32_t>& tokens) {
    const Tokenizer tokenizer = byte_tokenizer();
    Generation generation(request, tokenizer);
    for (const std::int32_t token : tokens) {
        if (!generation.finished()) generation.accept(token);
    }
    REQUIRE(generation.finished());
    return generation.completion();
}

}  // namespace

TEST_CASE("a stop string ends a generation at the token that completes it") {
    const auto completion =
        generate(generate_request(99, {"\n\n", "zw"}), bytes_as_tokens("Antwort: zwölf\n\n"));
    CHECK(completion.text == "Antwort: ");
    CHECK(completion.tokens == bytes_as_tokens("Antwort: zw"));
    CHECK(completion.finish == FinishReason::stop_string);
    CHECK(completion.id == 5);
}

TEST_CASE("a stop string of several bytes per character is found across tokens") {
    const auto completion = generate(generate_request(99, {"€"}), bytes_as_tokens("5 é€ or"));
    CHECK(completion.text == "5 é");
    CHECK(completion.tokens == bytes_as_tokens("5 é€"));
    CHECK(completion.finish == FinishReason::stop_string);
}

TEST_CASE("a stop id ends a generation and leaves no trace") {
    auto tokens = bytes_as_tokens("yes");
    tokens.push_back(kEos);
    const auto completion = generate(generate_request(99, {"\n"}), tokens);
    CHECK(completion.text == "yes");
    CHECK(completion.tokens == bytes_as_tokens("yes"));
    CHECK(completion.finish == FinishReason::stop_id);
}

TEST_CASE("a stop string that spells a special token stops at that token") {
    auto tokens = bytes_as_tokens("yes");
    tokens.push_back(kImEnd);
    tokens.push_back('!');
    auto completion = generate(generate_request(99, {"<|im_end|>"}), tokens);
    CHECK(completion.text == "yes");
    CHECK(completion.finish == FinishReason::stop_id);
    // Not asked to stop there, it is skipped in the text but kept among the tokens.
    tokens.push_back(kEos);
    completion = generate(generate_request(99, {}), tokens);
    CHECK(completion.text == "yes!");
    CHECK(completion.tokens.size() == 5);
}

TEST_CASE("a generation ends at its largest number of tokens, and a stop may still be its last") {
    auto completion = generate(generate_request(3, {"\n"}), bytes_as_tokens("yes\n"));
    CHECK(completion.text == "yes");
    CHECK(completion.finish == FinishReason::length);
    completion = generate(generate_request(4, {"\n"}), bytes_as_tokens("yes\nno"));
    CHECK(completion.text == "yes");
    CHECK(completion.finish == FinishReason::stop_string);
    // Half a character at the end becomes U+FFFD.
    completion = generate(generate_request(2, {}), bytes_as_tokens("aé"));
    CHECK(completion.text == "a\uFFFD");
    CHECK(completion.finish == FinishReason::length);
}

TEST_CASE("a generation of no tokens is finished at once") {
    const Tokenizer tokenizer = byte_tokenizer();
    const Request request = generate_request(0, {"\n"});
    const Generation generation(request, tokenizer);
    CHECK(generation.finished());
    CHECK(generation.completion().text.empty());
    CHECK(generation.completion().finish == FinishReason::length);
}

TEST_CASE("the repetition penalty covers prompt and output, each token once") {
    const Tokenizer tokenizer = byte_tokenizer();
    Request request = generate_request(99, {});
    request.tokens = {65, 65, 66};
    request.sampling.repetition_penalty = 2;
    Generation generation(request, tokenizer);
    generation.accept(67);
    generation.accept(67);
    std::vector<float> logits(258, 1.0f);
    logits[65] = -3;
    logits[67] = 1.5f;
    generation.choose(logits, std::nullopt);
    CHECK(logits[65] == -6);
    CHECK(logits[66] == 0.5f);
    CHECK(logits[67] == 0.75f);
    CHECK(logits[68] == 1);
}
