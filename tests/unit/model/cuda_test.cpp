// Whole models on the CUDA backend, on an emulated device: near the CPU's logits, and one bit
// pattern per token however a sequence is cut, packed with others, recorded or not.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "cuda/cuda_backend.h"
#include "golden_model.h"
#include "model_test.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

TestModel::MakeBackend on_device(bool record = true, bool tp_invariant = false) {
    return [=](const Communicator& group) {
        CudaOptions options;
        options.memory_bytes = std::uint64_t{32} << 20;
        options.transport = DeviceTransport::staged;
        options.record_steps = record;
        options.tp_invariant = tp_invariant;
        return cuda::make_backend(options, group);
    };
}

/// The largest distance; NaN counts as large.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        if (!(d <= largest)) largest = d;
    }
    return largest;
}
/// The median over `rows` of a row's mean distance: where two experts are nearly as likely, one
/// rounding takes this and another that, and all logits of the row are far apart.
double typical_distance(const std::vector<float>& a, const std::vector<float>& b,
                        std::size_t rows) {
    REQUIRE(a.size() == b.size());
    REQUIRE(a.size() % rows == 0);
    const std::size_t vocab = a.size() / rows;
    std::vector<double> means(rows);
    for (std::size_t i = 0; i < a.size(); ++i)
        means[i / vocab] += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])) /
                            static_cast<double>(vocab);
    // NaNs count as large.
    std::sort(means.begin(), means.end(),
              [](double x, double y) { return x < y || (std::isnan(y) && !std::isnan(x)); });
    return means[rows / 2];
}

const std::vector<std::string> kNames = {
    "llama-bf16-sharded",   "llama-f16",         "llama-gqa-tied",
    "llama-rope-dynamic",   "mistral-window",    "qwen2-bf16",
    "qwen3-listed-windows", "qwen3-bf16-biases", "mixtral",
    "mixtral-stacked",      "qwen3-moe-bf16"};
const std::vector<std::int32_t> kPages = {5, 2, 9};

}  // namespace

TEST_CASE("logits on a device agree with the CPU's") {
    const std::vector<std::vector<std::int32_t>> sequences = {random_tokens(13), random_tokens(70),
                                                              random_tokens(1)};
    for (const std::string& name : kNames) {
        for (const bool tp_invariant : {false, true}) {
            CAPTURE(name);
            CAPTURE(tp_invariant);
            const auto device = on_device(true, tp_invariant);
            const std::vector<float> exact =
                TestModel(golden_model(name), "float32").logits(sequences);
            // Logits reach about 10; issue 4 asks for 1e-4.
            CHECK(distance(TestModel(golden_model(name), "float32", device).logits(sequences),
                           exact) < 1e-4);
            // In 16 bits both round at the same places, each in its own order of additions.
            constexpr std::size_t kRows = 13 + 70 + 1;
            const double cpu =
                typical_distance(TestModel(golden_model(name)).logits(sequences), exact, kRows);
            const double cuda = typical_distance(
                TestModel(golden_model(name), "", device).logits(sequences), exact, kRows);
            MESSAGE(name, ": typical distance from f32 on the device ", cuda, ", on the CPU ", cpu);
            CHECK(cuda <= 1.5 * cpu + 1e-4);
        }
    }
}

TEST_CASE("on a device prefill, decode and chunked prefill give the same bits, recorded or not") {
    const std::vector<std::int32_t> ids = random_tokens(150);
    for (const std::string& name : kNames) {
        CAPTURE(name);
        const bool tp_invariant = name == "qwen2-bf16";  // virtual shards, folded before the norms
        const std::vector<float> whole =
            TestModel(golden_model(name), "", on_device(true, tp_invariant))
                .step(ids, 0, ids.size(), kPages);
        for (const bool record : {true, false}) {
            for (const std::size_t chunk : {1, 7, 64}) {
                CAPTURE(record);
                CAPTURE(chunk);
                TestModel model(golden_model(name), "", on_device(record, tp_invariant));
                std::vector<float> pieces;
                for (std::size_t begin = 0; begin < ids.size(); begin += chunk) {
                    const std::vector<float> piece =
                        model.step(ids, begin, std::min(begin + chunk, ids.size()), kPages);
                    pieces.insert(pieces.end(), piece.begin(), piece.end());
                }
                CHECK(same_bits(whole, pieces));
                const auto& backend = dynamic_cast<cuda::CudaBackend&>(*model.backend);
                // All single rows but the first are replayed.
                CHECK(backend.recordings().replays() == (record && chunk == 1 ? 149 : 0));
            }
        }
    }
}

TEST_CASE("on a device a sequence alone and among others gives the same bits") {
    std::vector<std::vector<std::int32_t>> sequences = {random_tokens(13), random_tokens(70),
                                                        random_tokens(1), random_tokens(30)};
    for (const std::string& name : kNames) {
        CAPTURE(name);
        TestModel model(golden_model(name), "", on_device());
        const std::vector<float> together = model.logits(sequences);
        std::vector<float> alone;
        for (const auto& sequence : sequences) {
            const std::vector<float> one = model.logits({sequence});
            alone.insert(alone.end(), one.begin(), one.end());
        }
        CHECK(same_bits(together, alone));
    }
}

TEST_CASE("a recorded step ends with the memory that it used") {
    TestModel model(golden_model("llama-gqa-tied"), "", on_device());
    const auto& backend = dynamic_cast<cuda::CudaBackend&>(*model.backend);
    const std::vector<std::int32_t> ids = random_tokens(20);
    std::vector<float> first, second;
    const auto decode = [&](std::vector<float>& out) {
        out.clear();
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const std::vector<float> row = model.step(ids, i, i + 1, kPages);
            out.insert(out.end(), row.begin(), row.end());
        }
    };
    decode(first);
    CHECK(backend.recordings().size() == 1);
    model.kv = KvCache();
    CHECK(backend.recordings().size() == 0);
    model.kv = model.model->make_kv_cache(32);
    decode(second);
    CHECK(same_bits(first, second));
    CHECK(backend.recordings().size() == 1);
}

TEST_CASE("a head size without kernels is refused when the model is loaded") {
    CHECK_THROWS_WITH_AS(TestModel(golden_model("llama-biases"), "", on_device()),
                         doctest::Contains("head_dim is 10; on a device expected"), UserError);
}
