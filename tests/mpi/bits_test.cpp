// The promise of docs/determinism.md on shapes made to be awkward: completions have the same bytes
// for every tensor-parallel degree, kernel set, number of threads, step size, KV budget, prefix
// reuse and cutting of the requests into calls.

#include <algorithm>

#include "cpu/cpu_backend.h"
#include "mpi_test.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/engine/engine.h"
#include "unit/engine/byte_tokenizer.h"
#include "unit/engine/checkpoint_run.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;
using namespace muster::test;

namespace {

struct TestShape {
    const char* name;
    void (*set)(RandomCheckpoint& checkpoint);
};

const TestShape kShapes[] = {
    {"8 heads of 12 over 4, f32, 11 inputs per shard of the MLP", [](RandomCheckpoint&) {}},
    {"the same in bf16: odd pairs", [](RandomCheckpoint& c) { c.dtype = DType::bf16; }},
    {"16 heads of 16 over 2, bf16, biases",
     [](RandomCheckpoint& c) {
         c.hidden = 40, c.intermediate = 352, c.heads = 16, c.kv_heads = 2, c.head_dim = 16;
         c.vocab = 777, c.biases = true, c.dtype = DType::bf16;
     }},
    {"8 heads of 64 over 8, f16, tied",
     [](RandomCheckpoint& c) {
         c.hidden = 130, c.intermediate = 104, c.layers = 1, c.kv_heads = 8, c.head_dim = 64;
         c.vocab = 97, c.tied = true, c.dtype = DType::f16;
     }},
    {"a mixture of 2 of 6 experts, bf16, 13 inputs per shard of an expert",
     [](RandomCheckpoint& c) {
         c.experts = 6, c.experts_per_token = 2, c.intermediate = 104, c.layers = 1;
         c.dtype = DType::bf16;
     }},
    {"9 heads of 8 over 3, bf16: one shard",
     [](RandomCheckpoint& c) {
         c.intermediate = 100, c.heads = 9, c.kv_heads = 3, c.head_dim = 8, c.vocab = 300;
         c.dtype = DType::bf16;
     }},
};

/// One way to compute.
struct Way {
    cpu::Isa isa;
    int threads;
    EngineOptions options;
    std::size_t requests_per_call;
};

std::vector<Way> ways(const std::vector<Request>& requests) {
    std::int64_t longest = 0;
    for (const Request& request : requests) longest = std::max(longest, kv_tokens_needed(request));
    constexpr std::size_t kAll = 1000;
    std::vector<Way> all;
    for (const cpu::Isa isa : cpu::available_isas()) {
        all.push_back({isa, 1, {.max_step_rows = 4096, .kv_tokens = 20000}, kAll});
        all.push_back({isa, 2, {.max_step_rows = 61, .kv_tokens = longest}, 5});
    }
    const cpu::Isa isa = cpu::fastest_isa();
    all.push_back(
        {isa, 3, {.max_step_rows = 512, .kv_tokens = 20000, .prefix_reuse = false}, kAll});
    all.push_back({isa, 2, {.max_step_rows = 13, .kv_tokens = longest, .prefix_reuse = false}, 3});
    // Every row by itself: prefill as decode.
    all.push_back({isa, 1, {.max_step_rows = 1, .kv_tokens = 1000}, kAll});
    return all;
}

std::string run(const std::string& directory, const Way& way, const Communicator& group,
                const std::vector<Request>& requests) {
    static const Tokenizer tokenizer = byte_tokenizer();
    const Checkpoint checkpoint = Checkpoint::open(directory);
    const auto backend = cpu::make_cpu_backend_with(way.isa, way.threads, group);
    const auto model = Model::load(checkpoint, ModelConfig::load(directory, ""), *backend,
                                   way.options.max_step_rows, [](std::uint64_t, std::uint64_t) {});
    Engine engine(*model, tokenizer, way.options);
    std::vector<Completion> completions;
    for (std::size_t begin = 0; begin < requests.size(); begin += way.requests_per_call) {
        const auto from = requests.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto count = std::min(way.requests_per_call, requests.size() - begin);
        const std::vector<Request> call(from, from + static_cast<std::ptrdiff_t>(count));
        for (Completion& completion : engine.run(call, {}))
            completions.push_back(std::move(completion));
    }
    return pack_completions(completions);
}

std::string kernel_sets() {
    std::vector<std::string> names;
    for (const cpu::Isa isa : cpu::available_isas()) names.emplace_back(cpu::kernels_for(isa).name);
    return join(names, ", ");
}

}  // namespace

TEST_CASE("the bytes of all completions are the same however they are computed") {
    const Communicator self = Communicator::self();
    const Communicator& world = test_world();
    for (const TestShape& shape : kShapes) {
        CAPTURE(shape.name);
        RandomCheckpoint checkpoint;
        shape.set(checkpoint);
        checkpoint.write();
        const std::string& directory = checkpoint.directory;
        const ModelConfig config = ModelConfig::load(directory, "");
        const std::vector<Request> requests = sample_requests(config.vocab_size, 100);
        // Alone, without sharing, with the plainest kernels.
        const std::string expected =
            run(directory,
                {cpu::Isa::generic,
                 1,
                 {.max_step_rows = 4096, .kv_tokens = 20000, .prefix_reuse = false},
                 1},
                self, requests);
        const std::vector<int> legal = legal_tp_degrees(config);
        for (const int tp : {1, 2, 4, 8}) {
            if (world.size() % tp != 0) continue;
            if (std::find(legal.begin(), legal.end(), tp) == legal.end()) {
                CHECK_THROWS_AS(check_tp_degree(config, tp), UserError);
                continue;
            }
            const auto group = world.split(world.rank() / tp, world.rank());
            int same = 0, count = 0;
            for (const Way& way : ways(requests)) {
                CAPTURE(cpu::kernels_for(way.isa).name);
                CAPTURE(tp);
                CAPTURE(count);
                const bool equal = run(directory, way, *group, requests) == expected;
                CHECK(equal);
                same += equal;
                ++count;
            }
            if (world.is_root()) {
                MESSAGE(std::string(shape.name), ": tp ", tp, ", ", same, " of ", count,
                        " ways alike, with ", kernel_sets());
            }
        }
        world.barrier();
    }
}
