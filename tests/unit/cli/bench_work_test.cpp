// The closed forms against numbers that were counted by others or by hand.

#include <doctest/doctest.h>

#include <vector>

#include "cli/bench_process.h"
#include "cli/bench_report.h"
#include "cli/bench_shapes.h"

using namespace muster;

namespace {

PhaseWork work(const std::string& phase, const BenchConfig& bench, const ModelConfig& model,
               const PhaseRun& run = {}) {
    return work_of(phase, bench, model, run);
}

}  // namespace

TEST_CASE("operations and bytes of the named shapes") {
    const ModelConfig small = shape_config("llama-135m", "auto"),
                      large = shape_config("llama-1.1b", "auto");
    // Parameters without the embeddings: 106.2 and 969 million.
    CHECK(flops_per_token(small, 0) / 2 == doctest::Approx(106.2e6).epsilon(1e-3));
    CHECK(flops_per_token(large, 0) / 2 == doctest::Approx(969e6).epsilon(1e-3));
    // GFLOP per token of a prompt, the head for its last token only, as llama-bench counts.
    const auto per_token = [](const ModelConfig& model, std::int64_t prompt) {
        BenchConfig bench;
        bench.prompt_tokens = prompt;
        bench.step_tokens = prompt;
        return work("prefill", bench, model).flops / static_cast<double>(prompt) / 1e9;
    };
    CHECK(per_token(small, 512) == doctest::Approx(0.230).epsilon(0.005));
    CHECK(per_token(small, 2048) == doctest::Approx(0.283).epsilon(0.005));
    CHECK(per_token(large, 512) == doctest::Approx(1.984).epsilon(0.005));
    CHECK(per_token(large, 2048) == doctest::Approx(2.122).epsilon(0.005));
    // A decode step reads every weight but the embeddings once: 2,069 MB of bfloat16.
    const PhaseWork step =
        work("decode", {}, large, {.tokens_computed = 1, .steps = 1, .keys = 100});
    CHECK(step.bytes == doctest::Approx(2.069e9 + 100.0 * 22 * 2 * 256 * 2).epsilon(1e-3));
    CHECK(step.flops == flops_per_token(large, 100) + 2.0 * 2048 * 32000);
}

TEST_CASE("a step of a mixture reads as many experts as its rows reach at random") {
    const ModelConfig model = shape_config("mixtral-8x7b", "auto");
    const double expert = 32.0 * 3 * 4096 * 14336 * 2, head = 4096.0 * 32000 * 2;
    const double kv = 100.0 * 32 * 2 * 1024 * 2;
    const double rest = layer_elements(model, 0) * 2 + head;
    const auto decode = [&](std::uint64_t rows) {
        return work(
                   "decode", {}, model,
                   {.tokens_computed = rows, .steps = 1, .keys = 100.0 * static_cast<double>(rows)})
            .bytes;
    };
    CHECK(decode(1) == doctest::Approx(rest + kv + 2 * expert));
    CHECK(decode(2) == doctest::Approx(rest + 2 * kv + 3.5 * expert));
    CHECK(decode(1000) == doctest::Approx(rest + 1000 * kv + 8 * expert));
    BenchConfig bench;
    bench.prompt_tokens = 3;
    bench.step_tokens = 2;  // two rows, then one
    CHECK(work("prefill", bench, model).bytes ==
          doctest::Approx(2 * layer_elements(model, 0) * 2 + head + 5.5 * expert + 5 * kv / 100));
}

TEST_CASE("score differs from prefill by the output head; steps read the weights again") {
    const ModelConfig model = shape_config("llama-135m", "float32");
    BenchConfig bench;
    bench.prompt_tokens = 100;
    bench.batch = 3;
    bench.step_tokens = 300;
    const PhaseWork prefill = work("prefill", bench, model), score = work("score", bench, model);
    const double head = 576.0 * 49152, body = flops_per_token(model, 0) / 2;
    CHECK(prefill.tokens == 300);
    CHECK(score.flops - prefill.flops == doctest::Approx(2 * head * 3 * 99));
    const double kv = 3 * 100 * 30 * 2 * 192 * 4;
    CHECK(prefill.bytes == doctest::Approx(4 * (body + head) + kv));
    CHECK(score.bytes == prefill.bytes);

    // Steps of 60 rows: five of them, and every one ends, begins or crosses a sequence.
    bench.step_tokens = 60;
    const PhaseWork cut = work("score", bench, model);
    CHECK(cut.flops == doctest::Approx(score.flops));
    // Pieces 60+40, 20+60+20, 40+60: a later piece reads the earlier keys again.
    const double read_again = (60 + 20 + 80 + 40) * (kv / 300);
    CHECK(cut.bytes == doctest::Approx(5 * 4 * (body + head) + kv + read_again));
    // Only the last row of a sequence is scored: in the second, fourth and fifth step.
    CHECK(work("prefill", bench, model).bytes ==
          doctest::Approx(4 * (5 * body + 3 * head) + kv + read_again));
}

TEST_CASE("a sliding window bounds what is seen and read") {
    ModelConfig model = shape_config("llama-135m", "auto");
    BenchConfig bench;
    bench.prompt_tokens = 200;
    const double whole = work("prefill", bench, model).flops;
    const double step =
        work("decode", bench, model, {.tokens_computed = 1, .steps = 1, .keys = 90}).bytes;
    model.sliding_window = 50;
    // Position p sees min(p + 1, 50) keys; 4 FLOPs per element of 576 and layer.
    double fewer = 0;
    for (int p = 50; p < 200; ++p) fewer += p + 1 - 50;
    CHECK(whole - work("prefill", bench, model).flops == doctest::Approx(fewer * 4 * 576 * 30));
    const PhaseRun run{.tokens_computed = 1, .steps = 1, .keys = 90};
    CHECK(step - work("decode", bench, model, run).bytes ==
          doctest::Approx(40.0 * static_cast<double>(kv_bytes_per_token(model, 1))));
}

TEST_CASE("mmlu-like computes every distinct token once and counts what was asked") {
    const ModelConfig model = shape_config("llama-135m", "auto");
    BenchConfig bench;
    bench.questions = 10;
    const PhaseWork all = work("mmlu-like", bench, model, {.tokens_asked = 24440});
    CHECK(all.tokens == 24440);
    double flops = 10 * 2.0 * 576 * 49152;
    for (int p = 0; p < 506; ++p) flops += flops_per_token(model, p + 1);
    for (int p = 506; p < 611; ++p) flops += 10 * flops_per_token(model, p + 1);
    CHECK(all.flops == doctest::Approx(flops));
}

TEST_CASE("rates of several replicas add up, and the fraction is of the ceiling that binds") {
    BenchResult result;
    result.model = shape_config("llama-135m", "auto");
    result.ceilings.f32_flops = {1e12};
    result.ceilings.read_bytes = {1e9, 3e9};  // median 2e9
    PhaseResult phase{.name = "decode", .work = "", .runs = {}, .profile = {}};
    // One replica at the limit of its half of the bandwidth, one at half of that.
    PhaseRun run{.tokens_computed = 1, .steps = 1, .keys = 10};
    const double bytes = work("decode", {}, result.model, run).bytes;
    PhaseRun fast = run, slow = run;
    fast.seconds = bytes / 1e9;
    slow.seconds = 2 * bytes / 1e9;
    phase.runs = {{fast, slow}};
    PhaseRates rates = rates_of(result, phase);
    CHECK_FALSE(rates.by_compute);
    CHECK(rates.of_limit.at(0) == doctest::Approx(0.75));
    CHECK(rates.bytes.at(0) == doctest::Approx(1.5e9));
    CHECK(rates.tokens.at(0) == doctest::Approx(1 / fast.seconds + 1 / slow.seconds));

    // Dot products that are twice as fast halve the least time of products.
    phase.name = "prefill";
    result.ceilings.read_bytes = {1e15};
    rates = rates_of(result, phase);
    CHECK(rates.by_compute);
    const double before = rates.of_limit.at(0);
    result.ceilings.bf16_flops = {2e12};
    CHECK(rates_of(result, phase).of_limit.at(0) == doctest::Approx(before / 2));
    result.model.dtype = DType::f16;
    CHECK(rates_of(result, phase).of_limit.at(0) == doctest::Approx(before));
}

TEST_CASE("peak memory counts what was touched since, even if it is given back") {
    constexpr std::size_t kBytes = 64 << 20;
    {
        std::vector<char> earlier(2 * kBytes, 1);
        CHECK(earlier.back() == 1);
    }
    const PeakMemory memory;
    const std::uint64_t start = memory.bytes();
    {
        std::vector<char> later(kBytes, 1);
        CHECK(later.back() == 1);
    }
    if (memory.bytes() == 0) {
        MESSAGE("this system does not tell");
        return;
    }
    // Linux counts resident pages in batches per processor.
    CHECK(start < kBytes / 8);
    CHECK(memory.bytes() > kBytes - kBytes / 8);
    CHECK(memory.bytes() < kBytes + kBytes / 4);
}

TEST_CASE("room for the largest of several batches, rates by each one's own work") {
    BenchConfig bench;
    bench.phases = {"prefill", "decode"};
    bench.prompt_tokens = 100;
    bench.batches = {1, 6, 3};
    CHECK(kv_tokens_for(bench) == 6 * 3 * 64);  // decode: 128 + 64 tokens, three pages
    BenchResult result;
    result.bench = bench;
    result.model = shape_config("llama-135m", "auto");
    result.ceilings.f32_flops = {1e12};
    result.ceilings.read_bytes = {1e11};
    PhaseResult one{"prefill", "", 1, {{PhaseRun{.seconds = 1}}}, {}},
        six{"prefill", "", 6, {{PhaseRun{.seconds = 1}}}, {}};
    CHECK(rates_of(result, one).tokens == std::vector<double>{100});
    CHECK(rates_of(result, six).tokens == std::vector<double>{600});
}
