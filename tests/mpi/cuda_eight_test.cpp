// --tp-invariant on emulated devices: a group of eight has the bits of one rank, by both ways that
// copies travel, for prompts and for recorded steps.

#include <cstdlib>
#include <cstring>
#include <random>

#include "cuda/cuda_backend.h"
#include "mpi_test.h"
#include "unit/model/model_test.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;

namespace {

TestModel::MakeBackend on_device(DeviceTransport transport) {
    // The ranks share a device, which NCCL allows to those that say they are on different nodes.
    setenv("NCCL_HOSTID", std::to_string(test_world().rank()).c_str(), 1);
    return [transport](const Communicator& group) {
        CudaOptions options;
        options.memory_bytes = std::uint64_t{64} << 20;
        options.transport = transport;
        options.tp_invariant = true;
        options.deadline_seconds = 200;
        return cuda::make_backend(options, group);
    };
}

/// Logits of a prompt of 70 tokens, then of three steps of one token each.
std::vector<float> logits_of(TestModel model, unsigned seed, std::uint64_t& replays) {
    std::mt19937 random(seed);
    std::vector<std::int32_t> ids(73);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 301);
    const std::vector<std::int32_t> pages = {5, 2};
    std::vector<float> all = model.step(ids, 0, 70, pages);
    for (std::size_t at = 70; at < ids.size(); ++at) {
        const std::vector<float> one = model.step(ids, at, at + 1, pages);
        all.insert(all.end(), one.begin(), one.end());
    }
    replays = dynamic_cast<cuda::CudaBackend&>(*model.backend).recordings().replays();
    return all;
}

}  // namespace

TEST_CASE("a group of eight with virtual shards has the bits of one rank") {
    const auto seed =
        static_cast<unsigned>(test_world().max(static_cast<std::int64_t>(std::random_device{}())));
    MESSAGE("seed ", seed);
    RandomCheckpoint checkpoint;
    checkpoint.head_dim = 8;
    checkpoint.kv_heads = 8;
    checkpoint.layers = 1;
    checkpoint.dtype = DType::bf16;
    checkpoint.seed = seed;
    checkpoint.write();
    std::uint64_t replays = 0;
    const std::vector<float> alone = logits_of(
        TestModel(checkpoint.directory, "", on_device(DeviceTransport::staged)), seed, replays);
    CHECK(replays == 2);
    for (const DeviceTransport transport : {DeviceTransport::staged, DeviceTransport::nccl}) {
        const std::vector<float> eight = logits_of(
            TestModel(checkpoint.directory, "", on_device(transport), test_world().duplicate()),
            seed, replays);
        CHECK(replays == (transport == DeviceTransport::nccl ? 2 : 0));
        REQUIRE(eight.size() == alone.size());
        CHECK(std::memcmp(eight.data(), alone.data(), alone.size() * sizeof(float)) == 0);
    }
    test_world().barrier();
}
