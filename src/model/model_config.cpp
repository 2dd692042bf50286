#include "muster/model/model_config.h"

#include <filesystem>
#include <functional>

#include "architectures.h"
#include "decoder_config.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/config/reader.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

namespace {

/// The member `key` of an object value as a string, or "".
std::string string_member(const Value& value, const char* key) {
    const Value* member = value.find(key);
    return member && member->is_string() ? member->as_string() : "";
}

const Architecture& find_architecture(ConfigReader& reader) {
    const Value names = reader.value("architectures");
    const std::string known = join(known_architectures(), ", ");
    if (!names.is_array() || names.as_array().empty() || !names.as_array()[0].is_string()) {
        throw UserError(
            cat(reader.source(), ": /architectures: expected a list with one of ", known));
    }
    const std::string& name = names.as_array()[0].as_string();
    for (const Architecture& architecture : architectures()) {
        if (name == architecture.name) return architecture;
    }
    throw UserError(cat(reader.source(), ": /architectures/0: \"", name, "\" is not supported",
                        did_you_mean(name, known_architectures()), " (known: ", known, ")"));
}

void refuse_quantization(ConfigReader& reader) {
    const Value quantization = reader.value("quantization_config");
    if (quantization.is_null()) return;
    const std::string method = string_member(quantization, "quant_method");
    reader.problem(
        "quantization_config",
        cat("quantised checkpoints", method.empty() ? "" : " (quant_method \"" + method + "\")",
            " are not supported; use the original in bfloat16, float16 or float32"));
}

/// The type of the embeddings as stored; f32 if there is no checkpoint to look at.
DType stored_dtype(const std::string& directory) {
    const Checkpoint checkpoint = Checkpoint::open(directory);
    const StoredTensor* embeddings = checkpoint.find("model.embed_tokens.weight");
    if (!embeddings)
        embeddings = checkpoint.find("lm_head.weight");  // tied and stored under that name
    return embeddings ? float_dtype_of(*embeddings) : DType::f32;
}

/// `stored` says what the checkpoint holds, in case nothing is said otherwise.
DType compute_dtype(ConfigReader& reader, const std::function<DType()>& stored,
                    const std::string& dtype_override) {
    const auto floating = [](std::string_view name) -> std::optional<DType> {
        const std::optional<DType> dtype = parse_dtype(name);
        return dtype && *dtype != DType::i32 ? dtype : std::nullopt;
    };
    const std::string expected = "expected float32, float16 or bfloat16";
    const std::string key = reader.value("dtype").is_null() ? "torch_dtype" : "dtype";
    const std::string named = reader.string_or(key, "");
    if (!dtype_override.empty()) {
        const std::optional<DType> dtype = floating(dtype_override);
        if (!dtype) throw UserError(cat("dtype \"", dtype_override, "\": ", expected));
        return *dtype;
    }
    if (named.empty() || named == "auto") return stored();
    const std::optional<DType> dtype = floating(named);
    if (!dtype) reader.problem(key, cat("\"", named, "\": ", expected));
    return dtype.value_or(DType::f32);
}

/// eos_token_id of generation_config.json takes precedence, since generation follows that file.
void read_generation_config(const std::string& directory, ModelConfig& config) {
    const std::string path = directory + "/generation_config.json";
    if (!std::filesystem::exists(path)) return;
    ConfigReader reader(parse_json(read_file(path), path), path);
    std::vector<std::int32_t> ids;
    if (read_token_ids(reader, "eos_token_id", config.vocab_size, ids)) config.eos_ids = ids;
    reader.ignore_rest();
    reader.finish();
}

ModelConfig read_config(const std::string& text, const std::string& place,
                        const std::function<DType()>& stored, const std::string& dtype_override) {
    ConfigReader reader(parse_json(text, place), place);
    ModelConfig config;
    const Architecture& architecture = find_architecture(reader);
    config.architecture = architecture.name;
    refuse_quantization(reader);
    architecture.read(reader, config);
    config.dtype = compute_dtype(reader, stored, dtype_override);
    reader.ignore_rest();  // config.json says much that inference does not need
    reader.finish();
    return config;
}

}  // namespace

ModelConfig ModelConfig::parse(const std::string& text, const std::string& place,
                               const std::string& dtype_override) {
    return read_config(
        text, place, [] { return DType::f32; }, dtype_override);
}

ModelConfig ModelConfig::load(const std::string& directory, const std::string& dtype_override) {
    const std::string path = directory + "/config.json";
    if (!std::filesystem::exists(path)) {
        throw UserError(cat(path, ": no such file; expected a Hugging Face checkpoint directory"));
    }
    ModelConfig config = read_config(
        read_file(path), path, [&] { return stored_dtype(directory); }, dtype_override);
    read_generation_config(directory, config);
    return config;
}

}  // namespace muster
