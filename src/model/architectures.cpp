#include "architectures.h"

namespace muster {

const std::vector<Architecture>& architectures() {
    static const std::vector<Architecture> table = {
        {"LlamaForCausalLM", read_llama_config},     {"MistralForCausalLM", read_mistral_config},
        {"MixtralForCausalLM", read_mixtral_config}, {"Qwen2ForCausalLM", read_qwen2_config},
        {"Qwen3ForCausalLM", read_qwen3_config},     {"Qwen3MoeForCausalLM", read_qwen3_moe_config},
    };
    return table;
}

std::vector<std::string> known_architectures() {
    std::vector<std::string> names;
    for (const Architecture& architecture : architectures()) names.push_back(architecture.name);
    return names;
}

}  // namespace muster
