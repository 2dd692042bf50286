// Completions on the CUDA backend, on an emulated device: the same bytes however the work is cut,
// recorded or not, and near the CPU's.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "byte_tokenizer.h"
#include "checkpoint_run.h"
#include "cuda/cuda_backend.h"

using namespace muster;
using namespace muster::test;

namespace {

std::vector<Completion> run_on_device(const std::string& directory, const EngineOptions& options,
                                      bool record, const std::vector<Request>& requests) {
    static const Tokenizer tokenizer = byte_tokenizer();
    const Communicator self = Communicator::self();
    CudaOptions device;
    device.memory_bytes = std::uint64_t{64} << 20;
    device.record_steps = record;
    LoadedModel model(directory, cuda::make_backend(device, self), options.max_step_rows);
    std::vector<Completion> completions = Engine(*model, tokenizer, options).run(requests, {});
    std::sort(completions.begin(), completions.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    return completions;
}

}  // namespace

TEST_CASE("completions on a device have the same bits however the work is cut") {
    const Tokenizer tokenizer = byte_tokenizer();
    const Communicator self = Communicator::self();
    int compared = 0;
    for (const std::string& directory : golden_models()) {
        const ModelConfig config = ModelConfig::load(directory, "");
        if (config.head_dim != 8) continue;  // no kernels for the other sizes of these models
        if (config.num_layers == 1) continue;
        CAPTURE(directory);
        ++compared;
        std::vector<Request> requests = sample_requests(config.vocab_size, config.max_positions);
        const std::vector<Completion> whole =
            run_on_device(directory, {.max_step_rows = 512, .kv_tokens = 4000}, true, requests);
        const std::string expected = pack_completions(whole);
        CHECK(expected == pack_completions(run_on_device(
                              directory, {.max_step_rows = 7, .kv_tokens = 192}, true, requests)));
        CHECK(expected ==
              pack_completions(run_on_device(
                  directory, {.max_step_rows = 64, .kv_tokens = 4000, .prefix_reuse = false}, false,
                  requests)));
        const std::vector<Completion> cpu = run_checkpoint(
            directory, 1, self, tokenizer, {.max_step_rows = 512, .kv_tokens = 4000}, requests);
        if (config.dtype != DType::f32) continue;
        for (std::size_t i = 0; i < whole.size(); ++i) {
            REQUIRE(whole[i].id == cpu[i].id);
            REQUIRE(whole[i].token_logprobs.size() == cpu[i].token_logprobs.size());
            for (std::size_t t = 0; t < whole[i].token_logprobs.size(); ++t)
                CHECK(std::abs(whole[i].token_logprobs[t] - cpu[i].token_logprobs[t]) < 1e-4f);
            CHECK(whole[i].is_greedy == cpu[i].is_greedy);
        }
    }
    CHECK(compared == 8);
}
