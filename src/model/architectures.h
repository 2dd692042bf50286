#pragma once
// The table of model families: what `architectures[0]` of a config.json may be, and who reads the
// rest.

#include <string>
#include <vector>

#include "muster/config/reader.h"
#include "muster/model/model_config.h"

namespace muster {

/// Fills `config` from a config.json; problems are recorded in the reader.
using ReadArchitecture = void (*)(ConfigReader& reader, ModelConfig& config);

struct Architecture {
    const char* name;
    ReadArchitecture read;
};

const std::vector<Architecture>& architectures();

// One function per family, each in arch/<family>.cpp.
void read_llama_config(ConfigReader& reader, ModelConfig& config);
void read_mistral_config(ConfigReader& reader, ModelConfig& config);
void read_mixtral_config(ConfigReader& reader, ModelConfig& config);
void read_qwen2_config(ConfigReader& reader, ModelConfig& config);
void read_qwen3_config(ConfigReader& reader, ModelConfig& config);
void read_qwen3_moe_config(ConfigReader& reader, ModelConfig& config);

}  // namespace muster
