#include "muster/engine/request.h"

#include <doctest/doctest.h>

#include <cstring>

#include "muster/base/error.h"

using namespace muster;

namespace {

std::vector<Request> some_requests() {
    Request score;
    score.id = 0xfedcba9876543210u;
    score.tokens = {1, 2, 30000};
    score.first_scored = 2;
    Request generate;
    generate.id = 7;
    generate.kind = Request::Kind::generate;
    generate.tokens = {5};
    generate.max_new_tokens = 256;
    generate.stop_strings = {"\n\n", "", std::string("a\0b", 3), "é"};
    generate.stop_ids = {2, 151645};
    generate.sampling = {.temperature = 0.7,
                         .top_k = 50,
                         .top_p = 0.9,
                         .min_p = 0.01,
                         .repetition_penalty = 1.1,
                         .seed = 42};
    generate.sample_key = 99;
    generate.repeat = 3;
    return {score, generate};
}

std::vector<Completion> some_completions() {
    Completion scored;
    scored.id = 11;
    scored.token_logprobs = {-0.5f, -1e-8f};
    scored.log_likelihood = -0.50000001;
    scored.is_greedy = true;
    Completion generated;
    generated.id = 12;
    generated.tokens = {3, 4};
    generated.text = std::string("a\0é", 4);
    generated.finish = FinishReason::stop_string;
    return {scored, generated};
}

}  // namespace

TEST_CASE("requests survive packing") {
    const auto before = some_requests();
    const auto after = unpack_requests(pack_requests(before));
    REQUIRE(after.size() == before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(after[i].id == before[i].id);
        CHECK(after[i].kind == before[i].kind);
        CHECK(after[i].tokens == before[i].tokens);
        CHECK(after[i].first_scored == before[i].first_scored);
        CHECK(after[i].max_new_tokens == before[i].max_new_tokens);
        CHECK(after[i].stop_strings == before[i].stop_strings);
        CHECK(after[i].stop_ids == before[i].stop_ids);
        CHECK(after[i].sampling == before[i].sampling);
        CHECK(after[i].sample_key == before[i].sample_key);
        CHECK(after[i].repeat == before[i].repeat);
    }
    CHECK(unpack_requests(pack_requests({})).empty());
}

TEST_CASE("completions survive packing") {
    const auto before = some_completions();
    const auto after = unpack_completions(pack_completions(before));
    REQUIRE(after.size() == before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(after[i].id == before[i].id);
        CHECK(after[i].token_logprobs == before[i].token_logprobs);
        CHECK(after[i].log_likelihood == before[i].log_likelihood);
        CHECK(after[i].is_greedy == before[i].is_greedy);
        CHECK(after[i].tokens == before[i].tokens);
        CHECK(after[i].text == before[i].text);
        CHECK(after[i].finish == before[i].finish);
    }
}

TEST_CASE("a shortened, lengthened or exchanged message is refused") {
    const std::string requests = pack_requests(some_requests());
    for (std::size_t size = 0; size < requests.size(); ++size) {
        CHECK_THROWS_AS(unpack_requests(requests.substr(0, size)), InternalError);
    }
    CHECK_THROWS_AS(unpack_requests(requests + '\0'), InternalError);
    const std::string completions = pack_completions(some_completions());
    for (std::size_t size = 0; size < completions.size(); ++size) {
        CHECK_THROWS_AS(unpack_completions(completions.substr(0, size)), InternalError);
    }
    CHECK_THROWS_AS(unpack_completions(requests), InternalError);
    CHECK_THROWS_AS(unpack_requests(completions), InternalError);
}

TEST_CASE("absurd counts and enumerators are refused before anything is allocated") {
    std::string bytes = pack_requests(some_requests());
    const std::uint64_t huge = ~std::uint64_t{0} / 2;
    std::string many = bytes;
    std::memcpy(many.data() + 4, &huge, sizeof huge);  // number of requests
    CHECK_THROWS_AS(unpack_requests(many), InternalError);
    many = bytes;
    std::memcpy(many.data() + 4 + 8 + 8 + 1, &huge, sizeof huge);  // tokens of the first
    CHECK_THROWS_AS(unpack_requests(many), InternalError);
    bytes[4 + 8 + 8] = 2;  // kind of the first
    CHECK_THROWS_AS(unpack_requests(bytes), InternalError);
}
