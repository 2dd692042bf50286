#pragma once
// Writes small random checkpoints of any shape, Llama's or with a mixture of experts Mixtral's:
// config.json and one safetensors file.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "muster/base/text.h"
#include "muster/tensor/dtype.h"

struct RandomCheckpoint {
    std::int64_t hidden = 72, intermediate = 88, layers = 2, heads = 8, kv_heads = 4, head_dim = 12,
                 vocab = 301;
    std::int64_t experts = 0,
                 experts_per_token = 2;  ///< 0 experts: none, and then no biases either
    bool biases = false, tied = false;
    bool useless_head = false;  ///< a head although the embeddings are tied
    std::string embeddings_name = "model.embed_tokens.weight";
    muster::DType dtype = muster::DType::f32;
    unsigned seed = 1;
    std::string extra_tensor;    ///< name of one more tensor of one element
    std::string missing_tensor;  ///< name of a tensor to leave out

    std::string directory;

    ~RandomCheckpoint() {
        if (!directory.empty()) std::filesystem::remove_all(directory);
    }

    /// Writes the checkpoint to a fresh directory of this process.
    void write() {
        static int count = 0;
        directory = (std::filesystem::temp_directory_path() /
                     muster::cat("muster-random-", getpid(), "-", count++))
                        .string();
        std::filesystem::create_directories(directory);
        write_config();
        random_.seed(seed);
        entries_.clear();
        data_.clear();
        tensor(embeddings_name, {vocab, hidden}, 1.0f);
        for (std::int64_t i = 0; i < layers; ++i) {
            const std::string layer = muster::cat("model.layers.", i, ".");
            tensor(layer + "input_layernorm.weight", {hidden}, 1.0f);
            tensor(layer + "post_attention_layernorm.weight", {hidden}, 1.0f);
            linear(layer + "self_attn.q_proj", heads * head_dim, hidden);
            linear(layer + "self_attn.k_proj", kv_heads * head_dim, hidden);
            linear(layer + "self_attn.v_proj", kv_heads * head_dim, hidden);
            linear(layer + "self_attn.o_proj", hidden, heads * head_dim);
            if (experts > 0) {
                mixture(layer + "block_sparse_moe.");
                continue;
            }
            linear(layer + "mlp.gate_proj", intermediate, hidden);
            linear(layer + "mlp.up_proj", intermediate, hidden);
            linear(layer + "mlp.down_proj", hidden, intermediate);
        }
        tensor("model.norm.weight", {hidden}, 1.0f);
        if (!tied || useless_head) tensor("lm_head.weight", {vocab, hidden}, 0.1f);
        if (!extra_tensor.empty()) tensor(extra_tensor, {1}, 1.0f);
        std::string header = muster::cat("{", muster::join(entries_, ","), "}");
        header.resize((header.size() + 7) / 8 * 8, ' ');
        std::ofstream file(directory + "/model.safetensors", std::ios::binary);
        const std::uint64_t length = header.size();
        file.write(reinterpret_cast<const char*>(&length), 8);
        file << header << data_;
    }

 private:
    void write_config() const {
        std::ofstream(directory + "/config.json")
            << "{\"architectures\": [\"" << (experts > 0 ? "Mixtral" : "Llama")
            << "ForCausalLM\"], \"num_local_experts\": " << std::max<std::int64_t>(1, experts)
            << ", \"num_experts_per_tok\": " << experts_per_token << ", \"vocab_size\": " << vocab
            << ", \"hidden_size\": " << hidden << ", \"intermediate_size\": " << intermediate
            << ", \"num_hidden_layers\": " << layers << ", \"num_attention_heads\": " << heads
            << ", \"num_key_value_heads\": " << kv_heads << ", \"head_dim\": " << head_dim
            << ", \"attention_bias\": " << (biases ? "true" : "false")
            << ", \"mlp_bias\": " << (biases ? "true" : "false")
            << ", \"tie_word_embeddings\": " << (tied ? "true" : "false") << ", \"torch_dtype\": \""
            << muster::name_of(dtype) << "\"}";
    }

    void mixture(const std::string& block) {
        linear(block + "gate", experts, hidden);
        for (std::int64_t e = 0; e < experts; ++e) {
            const std::string expert = muster::cat(block, "experts.", e, ".");
            linear(expert + "w1", intermediate, hidden);
            linear(expert + "w2", hidden, intermediate);
            linear(expert + "w3", intermediate, hidden);
        }
    }

    void linear(const std::string& name, std::int64_t rows, std::int64_t columns) {
        tensor(name + ".weight", {rows, columns}, 0.2f);
        if (biases) tensor(name + ".bias", {rows}, 0.2f);
    }

    void tensor(const std::string& name, const std::vector<std::int64_t>& shape, float deviation) {
        if (name == missing_tensor) return;
        const std::size_t begin = data_.size();
        std::normal_distribution<float> normal(0.0f, deviation);
        std::int64_t count = 1;
        for (const std::int64_t size : shape) count *= size;
        for (std::int64_t i = 0; i < count; ++i) {
            const float value = normal(random_);
            const std::uint16_t half =
                dtype == muster::DType::bf16 ? muster::to_bf16(value) : muster::to_f16(value);
            if (dtype == muster::DType::f32) {
                data_.append(reinterpret_cast<const char*>(&value), sizeof value);
            } else {
                data_.append(reinterpret_cast<const char*>(&half), sizeof half);
            }
        }
        const char* type = dtype == muster::DType::f32   ? "F32"
                           : dtype == muster::DType::f16 ? "F16"
                                                         : "BF16";
        const std::string sizes =
            shape.size() == 1 ? muster::cat(shape[0]) : muster::cat(shape[0], ",", shape[1]);
        entries_.push_back(muster::cat("\"", name, "\":{\"dtype\":\"", type, "\",\"shape\":[",
                                       sizes, "],\"data_offsets\":[", begin, ",", data_.size(),
                                       "]}"));
    }

    std::mt19937 random_;
    std::vector<std::string> entries_;
    std::string data_;
};
