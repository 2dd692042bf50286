// Tokens per second of the engine on one checkpoint: scoring (long inputs, few scored rows),
// scoring of whole inputs (every row goes to the output head), greedy generation and sampled
// generation.
//
//     engine_bench <checkpoint directory> [runs] [threads] [input tokens] [dtype]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/engine/engine.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"

namespace {

using namespace muster;

constexpr std::int64_t kStepRows = 512;
constexpr std::int32_t kNewTokens = 32;

std::vector<Request> random_requests(int count, std::int64_t input_tokens,
                                     std::int64_t vocab_size) {
    std::uint64_t state = 1;
    std::vector<Request> requests(static_cast<std::size_t>(count));
    for (Request& request : requests) {
        request.id = static_cast<std::uint64_t>(&request - requests.data());
        for (std::int64_t t = 0; t <= input_tokens; ++t) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            request.tokens.push_back(
                static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(vocab_size)));
        }
        request.first_scored = static_cast<std::int32_t>(input_tokens);
    }
    return requests;
}

/// Prints min, median and max of `runs` runs; the rate counts `count(counters)`.
template <typename Count>
void measure(const char* name, const char* unit, int runs, Engine& engine,
             const std::vector<Request>& requests, const Count& count) {
    std::vector<double> rates;
    engine.run(requests, {});  // pages in weights
    for (int run = 0; run < runs; ++run) {
        const EngineCounters before = engine.counters();
        engine.run(requests, {});
        const EngineCounters& after = engine.counters();
        rates.push_back((count(after) - count(before)) / (after.seconds - before.seconds));
    }
    std::sort(rates.begin(), rates.end());
    std::printf("%-22s %10.1f %10.1f %10.1f  %s\n", name, rates.front(), rates[rates.size() / 2],
                rates.back(), unit);
    std::fflush(stdout);
}

void bench(const std::string& directory, int runs, int threads, std::int64_t input_tokens,
           const std::string& dtype) {
    const Communicator self = Communicator::self();
    const Checkpoint checkpoint = Checkpoint::open(directory);
    const ModelConfig config = ModelConfig::load(directory, dtype);
    const auto backend = make_cpu_backend(threads, self);
    const auto model =
        Model::load(checkpoint, config, *backend, kStepRows, [](std::uint64_t, std::uint64_t) {});
    const Tokenizer tokenizer = Tokenizer::load(directory);
    Engine engine(*model, tokenizer,
                  {.max_step_rows = kStepRows, .kv_tokens = 16 * (input_tokens + kNewTokens)});
    std::printf(
        "%s, %s, inputs of %lld tokens, steps of %lld rows, %d runs\n%-22s %10s %10s %10s\n",
        backend->description().c_str(), std::string(name_of(config.dtype)).c_str(),
        static_cast<long long>(input_tokens), static_cast<long long>(kStepRows), runs, "", "min",
        "median", "max");

    const auto computed = [](const EngineCounters& c) {
        return static_cast<double>(c.tokens_computed);
    };
    const auto generated = [](const EngineCounters& c) {
        return static_cast<double>(c.tokens_generated);
    };
    auto requests = random_requests(16, input_tokens, config.vocab_size);
    measure("score last token", "input tokens/s", runs, engine, requests, computed);
    for (Request& request : requests) request.first_scored = 1;
    measure("score every token", "input tokens/s", runs, engine, requests, computed);
    for (const int batch : {1, 16}) {
        for (const double temperature : {0.0, 1.0}) {
            auto prompts = random_requests(batch, 8, config.vocab_size);
            for (Request& request : prompts) {
                request.kind = Request::Kind::generate;
                request.max_new_tokens = kNewTokens;
                request.sampling = {.temperature = temperature, .top_k = 50, .top_p = 0.95};
            }
            const std::string name =
                cat(temperature > 0 ? "sample" : "greedy", ", batch of ", batch);
            measure(name.c_str(), "new tokens/s", runs, engine, prompts, generated);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 6) {
        std::fputs(
            "usage: engine_bench <checkpoint directory> [runs] [threads] [input tokens] [dtype]\n",
            stderr);
        return 2;
    }
    try {
        bench(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 5,
              argc > 3 ? std::max(1, std::atoi(argv[3])) : muster::default_threads(1),
              argc > 4 ? std::max(1, std::atoi(argv[4])) : 256, argc > 5 ? argv[5] : "");
    } catch (const muster::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    }
    return 0;
}
