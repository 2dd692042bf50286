// One bit pattern per token, however its sequence is cut into steps, packed with others, or spread
// over threads. The same over ranks: tests/mpi/model_test.cpp.

#include <doctest/doctest.h>

#include "golden_model.h"
#include "model_test.h"

using namespace muster;

namespace {

const std::vector<std::string> kNames = {
    "llama-biases",       "llama-bf16-sharded", "llama-f16",        "llama-one-kv-head",
    "llama-rope-dynamic", "mistral-window",     "mixtral",          "mixtral-stacked",
    "qwen3-moe-bf16",     "qwen2-upper-window", "qwen3-bf16-biases"};
const std::vector<std::int32_t> kPages = {5, 2, 9};

}  // namespace

TEST_CASE("prefill, decode and chunked prefill give the same bits") {
    const std::vector<std::int32_t> ids = random_tokens(150);
    for (const std::string& name : kNames) {
        CAPTURE(name);
        TestModel model(golden_model(name));
        const std::vector<float> whole = model.step(ids, 0, ids.size(), kPages);
        for (const std::size_t chunk : {1, 7, 64, 100}) {
            CAPTURE(chunk);
            TestModel other(golden_model(name));
            std::vector<float> pieces;
            for (std::size_t begin = 0; begin < ids.size(); begin += chunk) {
                const std::vector<float> piece =
                    other.step(ids, begin, std::min(begin + chunk, ids.size()), kPages);
                pieces.insert(pieces.end(), piece.begin(), piece.end());
            }
            CHECK(same_bits(whole, pieces));
        }
    }
}

TEST_CASE("a sequence alone and among others gives the same bits") {
    const std::vector<std::vector<std::int32_t>> sequences = {random_tokens(13), random_tokens(70),
                                                              random_tokens(1), random_tokens(30)};
    for (const std::string& name : kNames) {
        CAPTURE(name);
        TestModel model(golden_model(name));
        const std::vector<float> together = model.logits(sequences);
        std::vector<float> alone;
        for (const auto& sequence : sequences) {
            const std::vector<float> one = model.logits({sequence});
            alone.insert(alone.end(), one.begin(), one.end());
        }
        CHECK(same_bits(together, alone));
    }
}

TEST_CASE("any number of threads gives the same bits") {
    const std::vector<std::int32_t> ids = random_tokens(150);
    for (const std::string& name : kNames) {
        CAPTURE(name);
        const std::vector<float> one =
            TestModel(golden_model(name), "", 1).step(ids, 0, ids.size(), kPages);
        for (const int threads : {2, 3, 5}) {
            CHECK(same_bits(
                one, TestModel(golden_model(name), "", threads).step(ids, 0, ids.size(), kPages)));
        }
    }
}

TEST_CASE("a logit changes with every token that it may see and with no other") {
    // Guards the tests above against comparing constants.
    const std::vector<std::int32_t> ids = random_tokens(20);
    TestModel model(golden_model("mistral-window"));
    const std::vector<float> before = model.step(ids, 0, ids.size(), kPages);
    std::vector<std::int32_t> changed = ids;
    changed[5] = (changed[5] + 1) % 61;
    const std::vector<float> after = model.step(changed, 0, ids.size(), kPages);
    const auto row_changed = [&](std::size_t row) {
        return std::memcmp(&before[row * 61], &after[row * 61], 61 * sizeof(float)) != 0;
    };
    // Two layers with a window of five keys see 2 · 4 tokens back.
    for (std::size_t row = 0; row < ids.size(); ++row) {
        CAPTURE(row);
        CHECK(row_changed(row) == (row >= 5 && row <= 13));
    }
}
