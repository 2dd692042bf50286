#include "muster/tensor/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/pages.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

namespace muster {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

using WeightMap = std::vector<std::pair<std::string, std::string>>;  // tensor, file name

// The index of a sharded checkpoint. File names must be plain names in the same directory.
WeightMap read_index(const std::string& path) {
    Value index = parse_json(read_file(path), path, DuplicateKeys::error);
    const Value* map = index.find("weight_map");
    if (map == nullptr || !map->is_object())
        throw UserError(path + ": /weight_map: missing or not an object");
    WeightMap weight_map;
    for (const auto& [tensor, file] : map->as_object().members()) {
        std::string name = file.is_string() ? file.as_string() : "";
        bool plain = !name.empty() && name.find('/') == name.npos && name != "." && name != ".." &&
                     name.find('\0') == name.npos;
        if (!plain)
            throw UserError(cat(path, ": /weight_map/", tensor, ": ", to_json(file),
                                " is not the name of a file in this directory"));
        weight_map.emplace_back(tensor, name);
    }
    if (weight_map.empty()) throw UserError(path + ": /weight_map: names no tensor");
    return weight_map;
}

[[noreturn]] void fail_without_safetensors(const std::string& directory) {
    std::string message = directory + ": no " + kSingleFile + " and no " + kIndexFile;
    for (const char* pickled : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
        if (exists(directory + "/" + pickled))
            message +=
                cat("; it has ", pickled,
                    ", which runs code when it is read. Convert it once: "
                    "model.save_pretrained(folder, safe_serialization=True) of transformers, "
                    "or save_file of safetensors");
    }
    throw UserError(message);
}

}  // namespace

Checkpoint Checkpoint::open(const std::string& directory) {
    std::error_code error;
    if (!fs::is_directory(directory, error))
        throw UserError(directory + ": no such directory; expected a Hugging Face checkpoint");
    Checkpoint checkpoint;
    checkpoint.directory_ = directory;
    std::string index_path = directory + "/" + kIndexFile;
    WeightMap weight_map;
    if (exists(directory + "/" + kSingleFile)) {
        checkpoint.files_.push_back(directory + "/" + kSingleFile);
    } else if (exists(index_path)) {
        weight_map = read_index(index_path);
        std::set<std::string> names;
        for (const auto& [tensor, file] : weight_map) names.insert(file);
        for (const std::string& name : names) {
            checkpoint.files_.push_back(directory + "/" + name);
            if (!exists(checkpoint.files_.back()))
                throw UserError(cat(index_path, ": /weight_map names ", name,
                                    ", which is not there; was the download interrupted?"));
        }
    } else {
        fail_without_safetensors(directory);
    }

    for (const std::string& path : checkpoint.files_) {
        auto file = std::make_shared<SafeTensorsFile>(path);
        for (const StoredTensor& tensor : file->tensors()) {
            auto [place, is_new] = checkpoint.by_name_.emplace(tensor.name, &tensor);
            if (!is_new)
                throw UserError(
                    cat(path, ": tensor \"", tensor.name, "\" is also in ", place->second->file));
        }
        checkpoint.open_files_.push_back(std::move(file));
    }
    for (const auto& [tensor, file] : weight_map) {
        const StoredTensor* found = checkpoint.find(tensor);
        if (found == nullptr || found->file != directory + "/" + file)
            throw UserError(cat(index_path, ": /weight_map/", tensor, ": ", file,
                                " has no such tensor",
                                found == nullptr ? "" : "; it is in " + found->file));
    }
    return checkpoint;
}

const StoredTensor* Checkpoint::find(const std::string& name) const {
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

std::vector<std::string> Checkpoint::names() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : by_name_) names.push_back(name);
    return names;
}

std::uint64_t Checkpoint::total_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [name, tensor] : by_name_) bytes += tensor->bytes.size();
    return bytes;
}

void Checkpoint::read_ahead(const StoredTensor& tensor, std::int64_t begin,
                            std::int64_t end) const {
    const std::int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
    if (rows == 0) return;
    const std::size_t row_bytes = tensor.bytes.size() / static_cast<std::size_t>(rows);
    const auto part = tensor.bytes.subspan(static_cast<std::size_t>(begin) * row_bytes,
                                           static_cast<std::size_t>(end - begin) * row_bytes);
    for (std::size_t i = 0; i < open_files_.size(); ++i)
        if (files_[i] == tensor.file) muster::read_ahead(open_files_[i]->mapping(), part);
}

void Checkpoint::forget(const StoredTensor& tensor) const {
    if (!made_up_) forget_pages(tensor.bytes);
}

DType float_dtype_of(const StoredTensor& tensor) {
    if (tensor.dtype_name == "F32") return DType::f32;
    if (tensor.dtype_name == "F16") return DType::f16;
    if (tensor.dtype_name == "BF16") return DType::bf16;
    throw UserError(cat(tensor.file, ": tensor \"", tensor.name, "\" has dtype ", tensor.dtype_name,
                        "; weights are read in F32, F16 and BF16"));
}

}  // namespace muster
