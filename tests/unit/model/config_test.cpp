// What config.json and generation_config.json may say, and what they may not.

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/model/model_config.h"

using namespace muster;

namespace {

struct ConfigDirectory {
    std::string path =
        (std::filesystem::temp_directory_path() / cat("muster-config-", getpid())).string();
    ConfigDirectory(const std::string& keys, const std::string& generation) {
        std::filesystem::create_directories(path);
        std::ofstream(path + "/config.json") << keys;
        if (!generation.empty()) std::ofstream(path + "/generation_config.json") << generation;
    }
    ~ConfigDirectory() { std::filesystem::remove_all(path); }
};

/// `keys` is the inside of the object behind architecture and dtype.
ModelConfig load(const std::string& keys, const std::string& architecture = "LlamaForCausalLM",
                 const std::string& generation = "") {
    const ConfigDirectory directory(
        cat("{\"architectures\": [\"", architecture, "\"], \"torch_dtype\": \"bfloat16\"",
            keys.empty() ? "" : ", ", keys, "}"),
        generation);
    return ModelConfig::load(directory.path, "");
}

std::string error_of(const std::string& keys, const std::string& architecture = "LlamaForCausalLM",
                     const std::string& generation = "") {
    try {
        load(keys, architecture, generation);
    } catch (const UserError& error) {
        return error.what();
    }
    return "no error";
}

bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    MESSAGE("expected \"", part, "\" in: ", text);
    return false;
}

}  // namespace

TEST_CASE("defaults of each model type") {
    const ModelConfig llama = load("");
    CHECK(llama.vocab_size == 32000);
    CHECK(llama.intermediate_size == 11008);
    CHECK(llama.num_kv_heads == 32);
    CHECK(llama.head_dim == 128);
    CHECK(llama.max_positions == 2048);
    CHECK(llama.sliding_window == 0);
    CHECK(llama.dtype == DType::bf16);
    CHECK(llama.bos_id == 1);
    CHECK(llama.eos_ids == std::vector<std::int32_t>{2});
    CHECK(llama.norm_eps == 1e-6);
    CHECK_FALSE(llama.tie_embeddings);
    CHECK(llama.rope.type == RopeType::standard);
    CHECK(llama.rope.theta == 10000.0);

    const ModelConfig mistral = load("", "MistralForCausalLM");
    CHECK(mistral.intermediate_size == 14336);
    CHECK(mistral.num_kv_heads == 8);
    CHECK(mistral.max_positions == 131072);
    CHECK(mistral.sliding_window == 4096);
    CHECK(mistral.architecture == "MistralForCausalLM");

    for (const char* name : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
        CAPTURE(name);
        const ModelConfig qwen = load("", name);
        CHECK(qwen.vocab_size == 151936);
        CHECK(qwen.hidden_size == 4096);
        CHECK(qwen.intermediate_size == 22016);
        CHECK(qwen.num_kv_heads == 32);
        CHECK(qwen.head_dim == 128);
        CHECK(qwen.max_positions == 32768);
        CHECK(qwen.norm_eps == 1e-6);
        CHECK(qwen.sliding_window == 0);
        CHECK_FALSE(qwen.bos_id.has_value());
        CHECK(qwen.eos_ids.empty());
    }
    // Qwen3's head size does not follow from the others.
    CHECK(load(R"("hidden_size": 1024)", "Qwen2ForCausalLM").head_dim == 32);
    CHECK(load(R"("hidden_size": 1024)", "Qwen3ForCausalLM").head_dim == 128);
    CHECK(load(R"("hidden_size": 1000)", "Qwen3ForCausalLM").head_dim == 128);
    CHECK(load(R"("head_dim": 64)", "Qwen3ForCausalLM").head_dim == 64);
}

TEST_CASE("null is not absent") {
    const ModelConfig mistral = load(
        R"("sliding_window": null, "num_key_value_heads": null, "bos_token_id": null, "eos_token_id": null, "head_dim": null)",
        "MistralForCausalLM");
    CHECK(mistral.sliding_window == 0);
    CHECK(mistral.num_kv_heads == 32);
    CHECK(mistral.head_dim == 128);
    CHECK_FALSE(mistral.bos_id.has_value());
    CHECK(mistral.eos_ids.empty());
}

TEST_CASE("only Llama has biases, only Mistral a window") {
    const std::string keys = R"("attention_bias": true, "mlp_bias": true, "sliding_window": 7)";
    CHECK(load(keys).qkv_bias);
    CHECK(load(keys).output_bias);
    CHECK(load(keys).mlp_bias);
    CHECK(load(keys).sliding_window == 0);
    CHECK_FALSE(load(keys, "MistralForCausalLM").qkv_bias);
    CHECK_FALSE(load(keys, "MistralForCausalLM").output_bias);
    CHECK(load(keys, "MistralForCausalLM").sliding_window == 7);
}

TEST_CASE("Qwen2 has biases of q, k and v, Qwen3 norms of heads and what attention_bias says") {
    const std::string keys = R"("attention_bias": true, "mlp_bias": true)";
    for (const std::string& said : {keys, std::string()}) {
        const ModelConfig qwen2 = load(said, "Qwen2ForCausalLM");
        CHECK(qwen2.qkv_bias);
        CHECK_FALSE(qwen2.output_bias);
        CHECK_FALSE(qwen2.qk_norm);
        const ModelConfig qwen3 = load(said, "Qwen3ForCausalLM");
        CHECK(qwen3.qkv_bias == !said.empty());
        CHECK(qwen3.output_bias == !said.empty());
        CHECK(qwen3.qk_norm);
        for (const ModelConfig& config : {qwen2, qwen3}) CHECK_FALSE(config.mlp_bias);
    }
    CHECK_FALSE(load(keys).qk_norm);
}

TEST_CASE("sliding windows per layer") {
    for (const char* name : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
        CAPTURE(name);
        const auto windows = [&](const std::string& keys) {
            const ModelConfig config = load(R"("num_hidden_layers": 4, )" + keys, name);
            std::vector<std::int64_t> all;
            for (std::int64_t i = 0; i < 4; ++i) all.push_back(config.window_of(i));
            return all;
        };
        const auto error = [&](const std::string& keys) {
            return error_of(R"("num_hidden_layers": 4, )" + keys, name);
        };
        using Windows = std::vector<std::int64_t>;
        const std::string on = R"("use_sliding_window": true, )";
        // As published: a window that is not switched on.
        CHECK(windows(R"("sliding_window": 131072, "max_window_layers": 2)") == Windows(4, 0));
        CHECK(windows(on + R"("sliding_window": 9, "max_window_layers": 3)") ==
              Windows{0, 0, 0, 9});
        CHECK(windows(on + R"("max_window_layers": 0)") == Windows(4, 4096));
        CHECK(windows(on + R"("sliding_window": 9)") == Windows(4, 0));  // from layer 28 on
        CHECK(windows(on + R"("sliding_window": null, "max_window_layers": 0)") == Windows(4, 0));
        const std::string types =
            R"("layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"])";
        CHECK(windows(on + R"("sliding_window": 9, "max_window_layers": 0, )" + types) ==
              Windows{9, 0, 9, 0});
        CHECK(contains(error(types),
                       "/layer_types: layer 0 has sliding_attention, but there is no "
                       "window: see use_sliding_window"));
        CHECK(contains(error(R"("layer_types": ["full_attention"])"),
                       "/layer_types: 1 types for 4 layers"));
        CHECK(contains(error(R"("layer_types": [])"), "/layer_types: 0 types for 4 layers"));
        CHECK(contains(
            error(
                R"("layer_types": ["full_attention", "full_attention", "linear_attention", "full_attention"])"),
            "/layer_types: unknown value \"linear_attention\" for layer 2; expected "
            "full_attention or sliding_attention"));
        CHECK(contains(error(R"("layer_types": 3)"), "/layer_types"));
        CHECK(contains(error(on + R"("sliding_window": 0)"), "/sliding_window: 0 is out of range"));
        CHECK(contains(error(R"("max_window_layers": -1)"), "/max_window_layers"));
    }
    const ModelConfig mixed = load(
        R"("num_hidden_layers": 4, "use_sliding_window": true, "sliding_window": 10, "max_window_layers": 3)",
        "Qwen2ForCausalLM");
    CHECK(keys_seen(mixed, 8) == 8);
    CHECK(keys_seen(mixed, 30) == (3 * 30 + 10) / 4.0);
    // 4 FLOPs per element of the queries, key that is seen, and layer.
    CHECK(flops_per_token(mixed, 30) - flops_per_token(mixed, 10) == 4.0 * 4096 * 3 * 20);
}

TEST_CASE("rope in the spellings of transformers 4 and 5") {
    for (
        const char* keys :
        {R"("rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
         R"("rope_theta": 500000, "rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
         R"("rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})"}) {
        const RopeSpec rope = load(keys).rope;
        CHECK(rope.type == RopeType::llama3);
        CHECK(rope.theta == 500000.0);
        CHECK(rope.factor == 8.0);
        CHECK(rope.low_freq_factor == 1.0);
        CHECK(rope.high_freq_factor == 4.0);
        CHECK(rope.original_max_positions == 8192);
    }
    CHECK(load(R"("rope_scaling": null, "rope_theta": 1e6)").rope.theta == 1e6);
    CHECK(load(R"("rope_parameters": {"rope_type": "default"}, "rope_theta": 1e6)").rope.theta ==
          1e6);
    CHECK(load(R"("rope_scaling": {"type": "linear", "factor": 2})").rope.type == RopeType::linear);
    const RopeSpec dynamic =
        load(R"("rope_scaling": {"type": "dynamic", "factor": 2}, "max_position_embeddings": 77)")
            .rope;
    CHECK(dynamic.type == RopeType::dynamic);
    CHECK(dynamic.original_max_positions == 77);
    const RopeSpec yarn =
        load(
            R"("rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": null, "beta_slow": 2, "mscale": 0.7, "truncate": false, "original_max_position_embeddings": 64})")
            .rope;
    CHECK(yarn.type == RopeType::yarn);
    CHECK(yarn.beta_fast == 32.0);
    CHECK(yarn.beta_slow == 2.0);
    CHECK(yarn.mscale == 0.7);
    CHECK_FALSE(yarn.mscale_all_dim.has_value());
    CHECK_FALSE(yarn.truncate);
    CHECK(yarn.original_max_positions == 64);
}

TEST_CASE("special tokens: generation_config.json takes precedence") {
    CHECK(load(R"("eos_token_id": [5, 6])").eos_ids == std::vector<std::int32_t>{5, 6});
    CHECK(load(R"("eos_token_id": 5)", "LlamaForCausalLM",
               R"({"eos_token_id": [7, 8], "whatever": {}})")
              .eos_ids == std::vector<std::int32_t>{7, 8});
    CHECK(load(R"("eos_token_id": 5)", "LlamaForCausalLM", R"({"bos_token_id": 1})").eos_ids ==
          std::vector<std::int32_t>{5});
    CHECK(contains(error_of(R"("eos_token_id": 32000)"),
                   "/eos_token_id: expected token ids from 0 to 31999"));
    CHECK(contains(error_of("", "LlamaForCausalLM", R"({"eos_token_id": "x"})"),
                   "generation_config.json: /eos_token_id"));
    CHECK(contains(error_of("", "LlamaForCausalLM", "{"), "generation_config.json"));
}

TEST_CASE("the compute type") {
    const ConfigDirectory directory(
        R"({"architectures": ["LlamaForCausalLM"], "dtype": "float16"})", "");
    CHECK(ModelConfig::load(directory.path, "").dtype == DType::f16);
    CHECK(ModelConfig::load(directory.path, "float32").dtype == DType::f32);
    CHECK(ModelConfig::load(directory.path, "bf16").dtype == DType::bf16);
    CHECK_THROWS_WITH_AS(ModelConfig::load(directory.path, "int8"),
                         doctest::Contains("expected float32, float16 or bfloat16"), UserError);
    CHECK_THROWS_AS(ModelConfig::load(directory.path, "int32"), UserError);
    CHECK(contains(error_of(R"("dtype": "float8")"), "/dtype: \"float8\": expected float32"));
    // Absent: as the checkpoint stores it.
    const std::string model =
        std::string(MUSTER_SOURCE_DIR) + "/tests/golden/models/llama-f16/model.safetensors";
    const ConfigDirectory unnamed(R"({"architectures": ["LlamaForCausalLM"]})", "");
    std::filesystem::copy_file(model, unnamed.path + "/model.safetensors");
    CHECK(ModelConfig::load(unnamed.path, "").dtype == DType::f16);
}

TEST_CASE("contradictions and absurd values are refused, all at once") {
    CHECK(contains(error_of(R"("num_attention_heads": 32, "num_key_value_heads": 5)"),
                   "32 heads are not a multiple of 5 key-value heads"));
    CHECK(contains(error_of(R"("num_attention_heads": 30)"),
                   "4096 is not a multiple of 30 attention heads, and there is no head_dim"));
    CHECK(contains(error_of(R"("head_dim": 63)"), "/head_dim: 63 cannot be rotated"));
    CHECK(contains(error_of(R"("hidden_act": "gelu")"), "/hidden_act: unknown value \"gelu\""));
    for (const char* value : {"-1", "0", "99999999999", "1.5", "\"x\"", "[1]", "true"}) {
        for (const char* key :
             {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "vocab_size", "max_position_embeddings", "head_dim"}) {
            CHECK(contains(error_of(cat("\"", key, "\": ", value)), cat("/", key, ": ")));
        }
    }
    CHECK(contains(error_of(R"("sliding_window": 0)", "MistralForCausalLM"),
                   "/sliding_window: 0 is out of range"));
    CHECK(contains(error_of(R"("quantization_config": {"quant_method": "gptq"})"),
                   "quant_method \"gptq\""));
    CHECK(contains(
        error_of(R"("rope_scaling": {"type": "longrope"})"),
        "/rope_scaling/type: unknown value \"longrope\"; expected one of default, linear"));
    CHECK(contains(error_of(R"("rope_scaling": {"type": "linear"})"),
                   "/rope_scaling/factor: required key is missing"));
    CHECK(contains(error_of(R"("rope_parameters": {"full_attention": {"rope_type": "default"}})"),
                   "/rope_parameters: rope parameters per layer type"));
    CHECK(contains(error_of(R"("partial_rotary_factor": 0.5)"),
                   "/partial_rotary_factor: expected 1"));
    CHECK(contains(
        error_of(R"("rope_scaling": {"type": "yarn", "original_max_position_embeddings": 0})"),
        "original_max_position_embeddings: 0 is out of range"));
    const std::string both = error_of(R"("hidden_act": "gelu", "vocab_size": -3)");
    CHECK(contains(both, "/hidden_act"));
    CHECK(contains(both, "/vocab_size"));
}

TEST_CASE("unknown architectures and missing files") {
    CHECK(contains(error_of("", "LlamaForCausalLm"),
                   "\"LlamaForCausalLm\" is not supported; did you mean \"LlamaForCausalLM\"? "
                   "(known: LlamaForCausalLM, MistralForCausalLM, "
                   "MixtralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, "
                   "Qwen3MoeForCausalLM)"));
    const ConfigDirectory none(R"({"model_type": "llama"})", "");
    CHECK_THROWS_WITH_AS(
        ModelConfig::load(none.path, ""),
        doctest::Contains("/architectures: expected a list with one of LlamaForCausalLM"),
        UserError);
    CHECK_THROWS_WITH_AS(ModelConfig::load(none.path + "/nowhere", ""),
                         doctest::Contains("expected a Hugging Face checkpoint directory"),
                         UserError);
    CHECK(known_architectures().size() == 6);
}

TEST_CASE("mixtures of experts") {
    const ModelConfig mixtral = load("", "MixtralForCausalLM");
    CHECK(mixtral.num_experts == 8);
    CHECK(mixtral.experts_per_token == 2);
    CHECK(mixtral.normalize_expert_weights);
    CHECK(mixtral.expert_names == ExpertNames::mixtral);
    CHECK(mixtral.intermediate_size == 14336);
    CHECK(mixtral.norm_eps == 1e-5);
    CHECK(mixtral.rope.theta == 1e6);
    CHECK(mixtral.sliding_window == 0);
    CHECK_FALSE(mixtral.qk_norm);
    CHECK(
        load(R"("sliding_window": 4096, "rope_theta": 5e5)", "MixtralForCausalLM").sliding_window ==
        4096);
    CHECK(load(R"("rope_theta": 5e5)", "MixtralForCausalLM").rope.theta == 5e5);

    const std::string qwen = "Qwen3MoeForCausalLM";
    const ModelConfig moe = load("", qwen);
    CHECK(moe.num_experts == 128);
    CHECK(moe.experts_per_token == 8);
    CHECK_FALSE(moe.normalize_expert_weights);
    CHECK(moe.expert_names == ExpertNames::qwen);
    CHECK(moe.intermediate_size == 768);  // an expert's, not that of dense blocks
    CHECK(moe.head_dim == 64);
    CHECK(moe.num_kv_heads == 4);
    CHECK(moe.rope.theta == 10000.0);
    CHECK(moe.qk_norm);
    CHECK_FALSE(moe.qkv_bias);
    CHECK(moe.eos_ids.empty());
    CHECK(moe.sliding_window == 0);
    CHECK(virtual_shards(moe) == 8);
    const ModelConfig other = load(
        R"("num_local_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 40,
           "intermediate_size": 7, "norm_topk_prob": true, "attention_bias": true, "head_dim": 128,
           "use_sliding_window": true, "mlp_only_layers": [], "decoder_sparse_step": 1)",
        qwen);
    CHECK(other.num_experts == 6);
    CHECK(other.experts_per_token == 3);
    CHECK(other.intermediate_size == 40);
    CHECK(other.normalize_expert_weights);
    CHECK(other.qkv_bias);
    CHECK(other.head_dim == 128);
    CHECK(other.sliding_window == 4096);
    CHECK(load(R"("mlp_only_layers": null)", qwen).num_experts == 128);

    CHECK(contains(error_of(R"("decoder_sparse_step": 2)", qwen),
                   "/decoder_sparse_step: 2: expected 1, a mixture of experts in every block"));
    CHECK(contains(error_of(R"("mlp_only_layers": [0])", qwen),
                   "/mlp_only_layers: expected an empty list"));
    CHECK(contains(error_of(R"("num_experts_per_tok": 9)", "MixtralForCausalLM"),
                   "/num_experts_per_tok: 9 of 8 experts (num_local_experts)"));
    CHECK(contains(error_of(R"("num_local_experts": 4)", qwen),
                   "8 of 4 experts (num_local_experts)"));
    CHECK(contains(error_of(R"("num_local_experts": 2048)", "MixtralForCausalLM"),
                   "2048 experts of size 14336: expected at most 16777216 together"));
    for (const char* value : {"-1", "0", "9999", "1.5", "\"x\""}) {
        CHECK(contains(error_of(cat("\"num_local_experts\": ", value), "MixtralForCausalLM"),
                       "/num_local_experts: "));
        CHECK(contains(error_of(cat("\"num_experts\": ", value), qwen), "/num_experts: "));
        CHECK(contains(error_of(cat("\"num_experts_per_tok\": ", value), qwen),
                       "/num_experts_per_tok: "));
    }
}

TEST_CASE("virtual shards and legal degrees") {
    const auto degrees = [](std::int64_t heads, std::int64_t kv, std::int64_t intermediate) {
        ModelConfig config;
        config.num_heads = heads;
        config.num_kv_heads = kv;
        config.intermediate_size = intermediate;
        return legal_tp_degrees(config);
    };
    CHECK(degrees(32, 8, 14336) == std::vector<int>{1, 2, 4, 8});
    CHECK(degrees(32, 2, 14336) == std::vector<int>{1, 2, 4, 8});
    CHECK(degrees(28, 4, 18944) == std::vector<int>{1, 2, 4});
    CHECK(degrees(14, 2, 4864) == std::vector<int>{1, 2});
    CHECK(degrees(24, 6, 64) == std::vector<int>{1, 2});
    CHECK(degrees(9, 3, 1536) == std::vector<int>{1});
    ModelConfig config;
    config.architecture = "LlamaForCausalLM";
    config.num_heads = 28;
    config.num_kv_heads = 4;
    config.intermediate_size = 18944;
    CHECK_NOTHROW(check_tp_degree(config, 4));
    for (const int tp : {-1, 0, 3, 8, 16}) {
        CHECK_THROWS_WITH_AS(check_tp_degree(config, tp), doctest::Contains("allows 1, 2, 4"),
                             UserError);
    }
}

TEST_CASE("a config from text is read as strictly as one from a directory") {
    const auto parse = [](const std::string& keys, const std::string& dtype = "") {
        return ModelConfig::parse(cat("{\"architectures\": [\"LlamaForCausalLM\"]", keys, "}"),
                                  "shape.json", dtype);
    };
    const ModelConfig config = parse(R"(, "vocab_size": 99, "torch_dtype": "bfloat16")");
    CHECK(config.architecture == "LlamaForCausalLM");
    CHECK(config.vocab_size == 99);
    CHECK(config.intermediate_size == load("").intermediate_size);
    CHECK(config.dtype == DType::bf16);
    CHECK(parse("").dtype == DType::f32);
    CHECK(parse("", "float16").dtype == DType::f16);
    try {
        parse(R"(, "vocab_size": 0, "hidden_size": "wide")");
        FAIL("expected an error");
    } catch (const UserError& error) {
        CHECK(contains(error.what(), "shape.json"));
        CHECK(contains(error.what(), "vocab_size"));
        CHECK(contains(error.what(), "hidden_size"));
    }
    CHECK_THROWS_WITH_AS(ModelConfig::parse("{", "shape.json", ""),
                         doctest::Contains("shape.json:1:"), UserError);
}
