// Logits of tiny random checkpoints against Hugging Face transformers
// (scripts/golden/tiny_models.py).

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "model_test.h"
#include "muster/base/file.h"
#include "muster/config/parse.h"

using namespace muster;

namespace {

const std::string kModels = std::string(MUSTER_SOURCE_DIR) + "/tests/golden/models/";

std::vector<float> read_floats(const std::string& path) {
    const std::string bytes = read_file(path);
    std::vector<float> floats(bytes.size() / sizeof(float));
    std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
    return floats;
}

std::vector<std::vector<std::int32_t>> golden_sequences(const std::string& name) {
    const Value golden = parse_json(read_file(kModels + name + "/golden.json"), name);
    std::vector<std::vector<std::int32_t>> sequences;
    for (const Value& sequence : golden.find("sequences")->as_array()) {
        std::vector<std::int32_t> ids;
        for (const Value& id : sequence.as_array())
            ids.push_back(static_cast<std::int32_t>(id.as_integer()));
        sequences.push_back(ids);
    }
    return sequences;
}

/// Logits of every token of every sequence, all sequences packed into one step.
std::vector<float> our_logits(const std::string& name, const std::string& dtype) {
    TestModel model(kModels + name, dtype);
    return model.logits(golden_sequences(name));
}

double mean_distance(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    return sum / static_cast<double>(a.size());
}

double largest_distance(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double distance = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        if (!(distance <= largest)) largest = distance;  // NaN counts as large
    }
    return largest;
}

std::vector<std::string> golden_models() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kModels))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

TEST_CASE("f32 logits agree with transformers") {
    const std::vector<std::string> names = golden_models();
    CHECK(names.size() == 20);
    for (const std::string& name : names) {
        CAPTURE(name);
        const double distance = largest_distance(our_logits(name, "float32"),
                                                 read_floats(kModels + name + "/logits.bin"));
        MESSAGE(name, ": largest distance ", distance);
        // Logits reach about 10, where f32 has a spacing of 1e-6; a sum of some dozens of terms
        // differs by a few of them.
        CHECK(distance < 2e-5);
    }
}

TEST_CASE("half-precision logits are nearer to f32 than those of transformers") {
    int models = 0;
    for (const std::string& name : golden_models()) {
        const std::string half_path = kModels + name + "/logits_half.bin";
        if (!std::filesystem::exists(half_path)) continue;
        ++models;
        CAPTURE(name);
        const std::vector<float> exact = read_floats(kModels + name + "/logits.bin");
        const double theirs = mean_distance(read_floats(half_path), exact),
                     ours = mean_distance(our_logits(name, ""), exact);
        MESSAGE(name, ": mean distance from f32 ", ours, ", transformers ", theirs);
        CHECK(ours > 0);  // products are rounded, else the type was ignored
        // We keep the residual stream in f32 and round less often.
        CHECK(ours < theirs);
    }
    CHECK(models == 7);
}
