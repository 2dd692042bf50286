// --tp auto, and how much of a device a run takes: a model of known size on made-up devices.

#include "muster/eval/degree.h"

#include <doctest/doctest.h>

#include "muster/backend/cuda.h"
#include "muster/base/error.h"
#include "muster/eval/setup.h"

using namespace muster;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

/// Llama-3-8B: about 15 GiB of weights; degrees 1, 2, 4, 8.
ModelConfig model() {
    ModelConfig config;
    config.architecture = "LlamaForCausalLM";
    config.vocab_size = 128256, config.hidden_size = 4096, config.intermediate_size = 14336;
    config.num_layers = 32, config.num_heads = 32, config.num_kv_heads = 8, config.head_dim = 128;
    config.dtype = DType::bf16;
    return config;
}

RunConfig run_of(std::int64_t step_tokens = 2048) {
    RunConfig run;
    run.step_tokens = step_tokens;
    return run;
}

const DeviceNeeds kNeeds{2000, DType::bf16};

JobShape job_of(const std::vector<int>& nodes, std::uint64_t node_memory = 0) {
    JobShape job{nodes, {}, node_memory, 1};
    for (const int node : nodes) job.hosts.push_back("n" + std::to_string(node));
    return job;
}

/// The degree for `ranks` ranks of one node with `bytes` each; 0 if none can be taken.
int degree(int ranks, std::uint64_t bytes) {
    const auto options =
        degree_options(run_of(), model(), kNeeds, planned_devices(ranks, bytes),
                       job_of(std::vector<int>(static_cast<std::size_t>(ranks), 0)));
    try {
        return choose_degree(options);
    } catch (const UserError&) {
        return 0;
    }
}

}  // namespace

TEST_CASE("the smallest degree that fits is taken") {
    CHECK(degree(8, 141 * kGiB) == 1);
    CHECK(degree(8, 24 * kGiB) == 1);
    CHECK(degree(8, 16 * kGiB) == 2);
    CHECK(degree(8, 8 * kGiB) == 4);
    CHECK(degree(8, 4 * kGiB) == 8);
    CHECK(degree(8, 1 * kGiB) == 0);
    CHECK(degree(1, 16 * kGiB) == 0);  // it would take two
}

TEST_CASE("ranks that would be left over are named") {
    const auto options = degree_options(run_of(), model(), kNeeds, planned_devices(6, 16 * kGiB),
                                        job_of({0, 0, 0, 1, 1, 1}));
    REQUIRE(options.size() == 4);
    CHECK(options[0].problem == "does not fit");
    CHECK(options[1].problem == "leaves over rank 2 on n0, rank 5 on n1");
    CHECK(options[3].problem == "more than the 6 ranks of the job");
    try {
        choose_degree(options);
        FAIL("a degree was taken");
    } catch (const UserError& e) {
        CHECK(std::string(e.what()).find("rank 2 on n0") != std::string::npos);
    }
    // Across nodes the six make three pairs.
    RunConfig across = run_of();
    across.tp_across_nodes = true;
    CHECK(choose_degree(degree_options(across, model(), kNeeds, planned_devices(6, 16 * kGiB),
                                       job_of({0, 0, 0, 1, 1, 1}))) == 2);
}

TEST_CASE("the device with the least memory decides") {
    JobDevices devices = planned_devices(4, 141 * kGiB);
    devices.bound[3].free_bytes = 16 * kGiB;
    CHECK(choose_degree(degree_options(run_of(), model(), kNeeds, devices, job_of({0, 0, 0, 0}))) ==
          2);
}

TEST_CASE("on CPUs, what the ranks of a node need together decides") {
    const auto options = [&](std::uint64_t memory) {
        return degree_options(run_of(512), model(), kNeeds, {}, job_of({0, 0, 0, 0}, memory));
    };
    CHECK(choose_degree(options(64 * kGiB)) == 1);
    const std::vector<DegreeOption> few = options(options(0)[1].needed);
    CHECK(few[0].needed > few[1].needed);  // fewer keys and values in all
    CHECK(choose_degree(few) == 2);
    CHECK_THROWS_AS(choose_degree(options(kGiB)), UserError);
}

TEST_CASE("the table says what was taken") {
    const std::string table = format_degrees(degree_options(
        run_of(), model(), kNeeds, planned_devices(4, 16 * kGiB), job_of({0, 0, 0, 0})));
    CHECK(table.find("does not fit") < table.find("taken"));
    CHECK(table.find("taken") < table.find("fits"));
    CHECK(table.find("more than the 4 ranks") != std::string::npos);
}

TEST_CASE("keys and values take what is left of the device") {
    RunConfig run = run_of();
    const std::uint64_t room = 20 * kGiB;
    const std::int64_t tokens = choose_device_kv_tokens(run, model(), kNeeds, room);
    CHECK(tokens % 64 == 0);
    CHECK(plan_device(run, model(), kNeeds, 1, tokens).total() <= room);
    CHECK(plan_device(run, model(), kNeeds, 1, tokens + 64).total() > room);

    run.kv_tokens = 5000;
    CHECK(choose_device_kv_tokens(run, model(), kNeeds, room) == 5056);
    run.kv_tokens = 0;
    run.kv_memory = kGiB;
    CHECK(choose_device_kv_tokens(run, model(), kNeeds, room) == 8192);  // 128 KiB each
    run.kv_memory = 1000 * kGiB;
    CHECK_THROWS_AS(choose_device_kv_tokens(run, model(), kNeeds, room), UserError);
}

TEST_CASE("too little memory on a device is refused with every part and what to change") {
    try {
        choose_device_kv_tokens(run_of(), model(), kNeeds, 10 * kGiB);
        FAIL("it fits");
    } catch (const UserError& e) {
        const std::string message = e.what();
        for (const char* part :
             {"weights 15.", "workspace", "keys and values 256.0 MiB for 2,048 tokens", "10.0 GiB",
              "--tp", "--step-tokens", "--max-length", "--gpu-memory-fraction (now 0.92)"})
            CHECK_MESSAGE(message.find(part) != std::string::npos, part, " in ", message);
    }
}

TEST_CASE("heads without kernels on a device are refused by every plan for one") {
    ModelConfig odd = model();
    for (const std::int64_t size : kCudaHeadDims) {
        odd.head_dim = size;
        CHECK_NOTHROW(plan_device(run_of(), odd, kNeeds, 1, 4096));
    }
    odd.head_dim = 112;
    const char* message =
        "head_dim is 112; on a device expected one of 8, 16, 32, 64, 80, 96, 128, 256: take "
        "--device cpu";
    CHECK_THROWS_WITH_AS(plan_device(run_of(), odd, kNeeds, 1, 4096), message, UserError);
    CHECK_THROWS_WITH_AS(choose_device_kv_tokens(run_of(), odd, kNeeds, 80 * kGiB), message,
                         UserError);
    const JobShape job = job_of({0, 0}, 800 * kGiB);
    const JobDevices devices = planned_devices(2, 80 * kGiB);
    CHECK_THROWS_WITH_AS(degree_options(run_of(), odd, kNeeds, devices, job), message, UserError);
    CHECK_NOTHROW(degree_options(run_of(), odd, kNeeds, {}, job));  // CPUs compute it
}

TEST_CASE("the plan of a device follows what it depends on") {
    const auto total = [](const RunConfig& run, const DeviceNeeds& needs, int tp) {
        return plan_device(run, model(), needs, tp, 4096);
    };
    const MemoryPlan base = total(run_of(), kNeeds, 1);
    CHECK(base.on_device);
    CHECK(base.weights == doctest::Approx(16.06e9).epsilon(0.01));
    CHECK(base.kv_cache == std::uint64_t{4096} * 128 * 1024);
    CHECK(base.resident() == base.process);
    // The embeddings stay as the checkpoint has them.
    CHECK(total(run_of(), {2000, DType::f32}, 1).weights - base.weights ==
          std::uint64_t{128256} * 4096 * 2);
    CHECK(total(run_of(4096), kNeeds, 1).workspace > base.workspace);
    CHECK(total(run_of(), kNeeds, 2).kv_cache == base.kv_cache / 2);
}
