// Checkpoints that do not fit their config, and the bytes that a loaded model takes.

#include <doctest/doctest.h>

#include <cmath>

#include "golden_model.h"
#include "model_test.h"
#include "muster/base/error.h"
#include "random_checkpoint.h"

using namespace muster;

namespace {

std::string load_error(RandomCheckpoint& checkpoint,
                       const std::function<void(ModelConfig&)>& change = {}) {
    checkpoint.write();
    const Communicator group = Communicator::self();
    const auto backend = make_cpu_backend(1, group);
    ModelConfig config = ModelConfig::load(checkpoint.directory, "");
    if (change) change(config);
    try {
        Model::load(Checkpoint::open(checkpoint.directory), config, *backend, 16, {});
    } catch (const UserError& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("missing and ill-shaped tensors are all named, before anything is loaded") {
    RandomCheckpoint missing;
    missing.missing_tensor = "model.layers.1.mlp.up_proj.weight";
    const std::string error =
        load_error(missing, [](ModelConfig& config) { config.vocab_size = 400; });
    CHECK(error.find("missing tensor model.layers.1.mlp.up_proj.weight [88, 72]") !=
          std::string::npos);
    CHECK(error.find("tensor model.embed_tokens.weight has shape [301, 72]; config.json implies "
                     "[400, 72]") != std::string::npos);
    CHECK(error.find("tensor lm_head.weight has shape [301, 72]; config.json implies [400, 72]") !=
          std::string::npos);
    CHECK(error.find("q_proj") == std::string::npos);
    RandomCheckpoint no_biases;
    CHECK(load_error(no_biases, [](ModelConfig& c) {
              c.qkv_bias = c.output_bias = true;
          }).find("missing tensor model.layers.0.self_attn.o_proj.bias [72]") != std::string::npos);
    RandomCheckpoint whole;
    CHECK(load_error(whole) == "no error");
}

TEST_CASE("tied embeddings under either name, and with a head that is ignored") {
    for (const bool biases : {false, true}) {
        RandomCheckpoint tied;
        tied.tied = true;
        tied.biases = biases;
        tied.write();
        TestModel model(tied.directory);
        const std::vector<float> expected = model.logits({{1, 2, 3}});
        RandomCheckpoint both = tied;
        both.useless_head = true;
        both.extra_tensor = "model.layers.0.self_attn.rotary_emb.inv_freq";
        both.write();
        CHECK(TestModel(both.directory).logits({{1, 2, 3}}) == expected);
        RandomCheckpoint head_only = tied;
        head_only.embeddings_name = "lm_head.weight";
        head_only.write();
        CHECK(TestModel(head_only.directory).logits({{1, 2, 3}}) == expected);
    }
}

TEST_CASE("plan_memory is what loading takes") {
    for (const DType dtype : {DType::f32, DType::bf16}) {
        for (const bool biases : {false, true}) {
            RandomCheckpoint checkpoint;
            checkpoint.dtype = dtype;
            checkpoint.biases = biases;
            checkpoint.write();
            TestModel test(checkpoint.directory);
            const ModelConfig& config = test.model->config();
            const MemoryPlan plan = plan_memory(config, 1, 64 * 64 - 5, 1024);
            CHECK(plan.weights == test.model->weight_bytes());
            std::uint64_t kv = 0;
            for (const auto* tensors : {&test.kv.keys, &test.kv.values}) {
                for (const Tensor& tensor : *tensors)
                    kv += static_cast<std::uint64_t>(num_elements(tensor.shape())) *
                          size_of(tensor.dtype());
            }
            CHECK(plan.kv_cache == kv);
            CHECK(plan.kv_cache == 64 * 64 * kv_bytes_per_token(config, 1));
            CHECK(plan.total() == plan.weights + plan.kv_cache + plan.workspace);
            CHECK(kv_bytes_per_token(config, 8) * 4 ==
                  kv_bytes_per_token(config, 1));  // 4 kv heads, one per rank
        }
    }
}

TEST_CASE("plan_memory knows the families' biases and norms") {
    for (const char* name : {"qwen2-upper-window", "qwen3-listed-windows", "qwen3-bf16-biases"}) {
        CAPTURE(name);
        TestModel test(golden_model(name));
        const ModelConfig& config = test.model->config();
        CHECK(plan_memory(config, 1, 64, 1024).weights == test.model->weight_bytes());
    }
}

TEST_CASE("a mixture's memory is planned, its tensors are known and its missing ones are named") {
    for (const char* name : {"mixtral", "mixtral-stacked", "qwen3-moe", "qwen3-moe-bf16"}) {
        CAPTURE(name);
        TestModel test(golden_model(name));
        const ModelConfig& config = test.model->config();
        CHECK(plan_memory(config, 1, 64, 1024).weights == test.model->weight_bytes());
        const Checkpoint stored = Checkpoint::open(golden_model(name));
        const std::vector<TensorSpec> tensors = Model::tensors(config, *test.backend);
        std::int64_t elements = 0, stored_elements = 0;
        for (const TensorSpec& tensor : tensors) elements += num_elements(tensor.shape);
        for (const std::string& tensor : stored.names())
            stored_elements += num_elements(stored.find(tensor)->shape);
        CHECK(elements == stored_elements);
        const Checkpoint random = Checkpoint::random(tensors, DType::bf16, 1);
        CHECK_NOTHROW((void)Model::load(random, config, *test.backend, 16, {}));
    }
    RandomCheckpoint mixture;
    mixture.experts = 3;
    mixture.missing_tensor = "model.layers.1.block_sparse_moe.experts.2.w3.weight";
    CHECK(load_error(mixture).find(
              "missing tensor model.layers.1.block_sparse_moe.experts.2.w3.weight [88, 72]") !=
          std::string::npos);
    RandomCheckpoint more;
    more.experts = 3;
    CHECK(
        load_error(more, [](ModelConfig& c) { c.num_experts = 4; })
            .find("block_sparse_moe.gate.weight has shape [3, 72]; config.json implies [4, 72]") !=
        std::string::npos);
}

TEST_CASE("a mixture's flops are those of the experts that a token goes to") {
    ModelConfig c = ModelConfig::parse(R"({"architectures": ["MixtralForCausalLM"]})", "c", "");
    // 46.7 and 12.9 billion parameters, of which 262 million in the embeddings and the head.
    CHECK(layer_elements(c, 8) == doctest::Approx(46.70e9 - 0.262e9).epsilon(1e-3));
    CHECK(flops_per_token(c, 0) / 2 == doctest::Approx(12.88e9 - 0.262e9).epsilon(1e-3));
    c.num_experts = c.experts_per_token = 0;
    CHECK(layer_elements(c, 5) == flops_per_token(c, 0) / 2);
}

TEST_CASE("progress reaches the bytes that this rank reads") {
    RandomCheckpoint checkpoint;
    checkpoint.write();
    const Communicator group = Communicator::self();
    const auto backend = make_cpu_backend(1, group);
    std::uint64_t last = 0, total = 0;
    Model::load(Checkpoint::open(checkpoint.directory), ModelConfig::load(checkpoint.directory, ""),
                *backend, 16, [&](std::uint64_t done, std::uint64_t all) {
                    CHECK(done > last);
                    last = done;
                    total = all;
                });
    CHECK(last == total);
    // One rank reads everything, the f32 tensors behind the header.
    CHECK(last == Checkpoint::open(checkpoint.directory).total_bytes());
}

TEST_CASE("a step that makes no sense is a bug of the caller") {
    RandomCheckpoint checkpoint;
    checkpoint.write();
    TestModel test(checkpoint.directory);
    const std::vector<std::int32_t> pages = {0}, wild = {64};
    const auto step = [&](std::int32_t rows, std::int32_t first,
                          const std::vector<std::int32_t>& owned, std::int32_t token) {
        StepBatch batch;
        batch.tokens.assign(3, token);
        batch.sequences.push_back({0, rows, first, owned});
        return test.model->forward(batch, test.kv);
    };
    CHECK_NOTHROW(step(3, 0, pages, 5));
    CHECK_THROWS_AS(step(2, 0, pages, 5), InternalError);    // rows not covered
    CHECK_THROWS_AS(step(3, 62, pages, 5), InternalError);   // beyond the page
    CHECK_THROWS_AS(step(3, 0, wild, 5), InternalError);     // no such page
    CHECK_THROWS_AS(step(3, -1, pages, 5), InternalError);   // before the start
    CHECK_THROWS_AS(step(3, 0, pages, 301), InternalError);  // no such token
    CHECK_THROWS_AS(step(3, 0, pages, -1), InternalError);
}

TEST_CASE("flops_per_token") {
    ModelConfig c;
    c.hidden_size = 4096;
    c.intermediate_size = 14336;
    c.num_layers = 32;
    c.num_heads = 32;
    c.num_kv_heads = 8;
    c.head_dim = 128;
    // Llama-3-8B: 6.98 G weights in its layers.
    CHECK(flops_per_token(c, 0) == doctest::Approx(2 * 6.979e9).epsilon(1e-3));
    CHECK(flops_per_token(c, 1000) - flops_per_token(c, 0) ==
          doctest::Approx(4.0 * 32 * 4096 * 1000));
    c.sliding_window = 100;
    CHECK(flops_per_token(c, 1000) - flops_per_token(c, 0) ==
          doctest::Approx(4.0 * 32 * 4096 * 100));
}

TEST_CASE("the tensors that a config implies are those of a checkpoint, and random ones load") {
    for (const bool tied : {false, true}) {
        RandomCheckpoint files;
        files.tied = tied;
        files.biases = !tied;
        files.write();
        const Communicator group = Communicator::self();
        const auto backend = make_cpu_backend(1, group);
        const ModelConfig config = ModelConfig::load(files.directory, "");
        const Checkpoint stored = Checkpoint::open(files.directory);
        const std::vector<TensorSpec> tensors = Model::tensors(config, *backend);
        CHECK(tensors.size() == stored.names().size());
        for (const TensorSpec& tensor : tensors) {
            REQUIRE(stored.find(tensor.name) != nullptr);
            CHECK(stored.find(tensor.name)->shape == tensor.shape);
        }
        const Checkpoint random = Checkpoint::random(tensors, DType::bf16, 1);
        const auto model = Model::load(random, config, *backend, 16, {});
        KvCache kv = model->make_kv_cache(1);
        const std::vector<std::int32_t> pages = {0};
        const Tensor hidden = model->forward({{1, 2, 3}, {{0, 3, 0, pages}}, {3}, {0, 1, 2}}, kv);
        std::vector<RowScore> rows;
        std::vector<float> logits;
        model->score(hidden, {}, rows, logits);
        REQUIRE(rows.size() == 3);
        for (const RowScore& row : rows) CHECK(std::isfinite(row.log_sum_exp));
    }
}
