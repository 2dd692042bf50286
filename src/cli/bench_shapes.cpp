#include "cli/bench_shapes.h"

#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"

namespace muster {

namespace {

struct NamedShape {
    const char* name;
    const char* config;  ///< what its config.json would say
};

constexpr NamedShape kShapes[] = {
    // The decoder of SmolLM-135M.
    {"llama-135m",
     R"({"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "hidden_size": 576,
         "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
         "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true,
         "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 10000.0})"},
    // The decoder of TinyLlama-1.1B, with more positions.
    {"llama-1.1b",
     R"({"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "hidden_size": 2048,
         "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
         "num_key_value_heads": 4, "vocab_size": 32000, "tie_word_embeddings": false,
         "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 10000.0})"},
    // Qwen2.5-7B as published.
    {"qwen2.5-7b",
     R"({"architectures": ["Qwen2ForCausalLM"], "dtype": "bfloat16", "hidden_size": 3584,
         "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
         "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": false,
         "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0})"},
    // Meta-Llama-3-8B as published.
    {"llama-3-8b",
     R"({"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "hidden_size": 4096,
         "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false,
         "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
         "bos_token_id": 128000, "eos_token_id": 128001})"},
    // Meta-Llama-3-70B as published, but with 16 of its 80 layers: 15.8 billion parameters, 32 GB.
    {"llama-3-70b-slice",
     R"({"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "hidden_size": 8192,
         "intermediate_size": 28672, "num_hidden_layers": 16, "num_attention_heads": 64,
         "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false,
         "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
         "bos_token_id": 128000, "eos_token_id": 128001})"},
    // Mixtral-8x7B-v0.1 as published: 46.7 billion parameters, 93 GB, of which a token uses 12.9.
    {"mixtral-8x7b",
     R"({"architectures": ["MixtralForCausalLM"], "dtype": "bfloat16", "hidden_size": 4096,
         "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "vocab_size": 32000, "tie_word_embeddings": false,
         "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 32768,
         "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "sliding_window": null})"},
};

}  // namespace

ModelConfig shape_config(const std::string& shape, const std::string& dtype) {
    const std::string type = dtype == "auto" ? "" : dtype;
    std::vector<std::string> names;
    for (const NamedShape& known : kShapes) {
        if (shape == known.name) return ModelConfig::parse(known.config, known.name, type);
        names.emplace_back(known.name);
    }
    if (std::filesystem::exists(shape)) return ModelConfig::parse(read_file(shape), shape, type);
    throw UserError(cat("--shape: unknown shape \"", shape, "\"", did_you_mean(shape, names),
                        "; expected ", join(names, ", "), " or the path of a config.json"));
}

Tokenizer made_up_tokenizer(std::int64_t vocab_size) {
    std::string json = R"({"model": {"type": "BPE", "merges": [], "vocab": {)";
    for (std::int64_t id = 0; id < vocab_size; ++id)
        json += cat(id > 0 ? "," : "", "\"t", id, " \":", id);
    return Tokenizer::from_json(json + "}}}", "", "made-up tokenizer");
}

}  // namespace muster
