// Replicas on one node keep one packed copy of the weights and compute the same bits as with a copy
// each.

#include <fstream>
#include <numeric>

#include "mpi_test.h"
#include "muster/base/text.h"
#include "unit/model/model_test.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;

namespace {

/// Memory of this process alone (RssAnon), in bytes.
std::int64_t private_bytes() {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("RssAnon:")) return 1024 * std::stoll(line.substr(8));
    FAIL("no RssAnon in /proc/self/status");
    return 0;
}

struct Loaded {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Model> model;
    std::int64_t private_growth = 0;
};

/// Loads with all ranks of `sharers` as replicas of the group `group`.
Loaded load(const std::string& directory, const ModelConfig& config, const Communicator& group,
            const Communicator& sharers, bool share) {
    CpuOptions options;
    options.threads = 2;
    options.sharers = &sharers;
    options.shared_weight_bytes = plan_memory(config, group.size(), 0, 1).matrices;
    options.share_memory = share;
    Loaded loaded;
    loaded.backend = make_cpu_backend(options, group);
    const std::int64_t before = private_bytes();
    loaded.model = Model::load(Checkpoint::open(directory), config, *loaded.backend, 8, {});
    loaded.private_growth = private_bytes() - before;
    test_world().barrier();  // nobody computes before all have packed their parts
    return loaded;
}

std::vector<float> logits(Model& model) {
    KvCache kv = model.make_kv_cache(1);
    const std::vector<std::int32_t> pages = {0};
    StepBatch batch;
    batch.tokens = {5, 6, 7, 8, 9};
    batch.sequences.push_back({0, 5, 0, pages});
    batch.lengths = {5};
    batch.output_rows = {0, 4};
    std::vector<float> out;
    model.logits(model.forward(batch, kv), std::vector<std::int32_t>{0, 1}, out);
    return out;
}

void check_sharing(RandomCheckpoint& checkpoint, const Communicator& group,
                   const Communicator& sharers) {
    if (test_world().is_root()) checkpoint.write();
    std::string directory = checkpoint.directory;
    test_world().broadcast(directory);
    const ModelConfig config = ModelConfig::load(directory, "");
    const auto packed = static_cast<std::int64_t>(plan_memory(config, group.size(), 0, 1).matrices);
    const Loaded own = load(directory, config, group, sharers, false);
    const Loaded shared = load(directory, config, group, sharers, true);
    CHECK(logits(*own.model) == logits(*shared.model));
    CHECK(own.model->weight_bytes() == shared.model->weight_bytes());
    CHECK(own.private_growth > packed * 3 / 4);
    if (sharers.size() > 1) CHECK(shared.private_growth < packed / 4);
    test_world().barrier();  // before the checkpoint goes
}

/// Most matrices are so large that their memory is fresh, not left over from something freed.
RandomCheckpoint large() {
    RandomCheckpoint checkpoint;
    checkpoint.hidden = 512;
    checkpoint.intermediate = 4096;
    checkpoint.layers = 1;
    checkpoint.head_dim = 32;
    checkpoint.vocab = 9000;
    return checkpoint;
}

}  // namespace

TEST_CASE("replicas share one packed copy") {
    for (const DType dtype : {DType::f32, DType::bf16}) {
        RandomCheckpoint checkpoint = large();
        checkpoint.dtype = dtype;
        check_sharing(checkpoint, Communicator::self(), test_world());
    }
}

TEST_CASE("replicas of two ranks share by tensor-parallel rank") {
    if (test_world().size() != 4) return;
    const int rank = test_world().rank();
    const auto group = test_world().split(rank / 2, rank),
               sharers = test_world().split(rank % 2, rank);
    RandomCheckpoint checkpoint = large();
    check_sharing(checkpoint, *group, *sharers);
}
