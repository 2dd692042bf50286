#pragma once
// The safetensors files of a Hugging Face checkpoint directory, memory-mapped and never trusted:
// header length, JSON, dtypes, shapes, offsets, overlaps and gaps are checked when a file is
// opened, tensor data is only touched when somebody reads it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "muster/tensor/dtype.h"
#include "muster/tensor/tensor.h"

namespace muster {

class MappedFile;

/// One tensor as a file stores it: a view into the mapped file, row-major, little-endian. The bytes
/// need not be aligned to the type: copy them out with memcpy.
struct StoredTensor {
    std::string name;
    std::string dtype_name;  ///< as in the file: "BF16", "I64", …
    Shape shape;
    std::span<const std::byte> bytes;
    std::string file;
};

/// Opens `path` as one safetensors file. Throws UserError "<path>: …" for anything malformed.
class SafeTensorsFile {
 public:
    explicit SafeTensorsFile(const std::string& path);
    const std::vector<StoredTensor>& tensors() const { return tensors_; }
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const MappedFile& mapping() const { return *mapping_; }

 private:
    std::shared_ptr<const MappedFile> mapping_;
    std::vector<StoredTensor> tensors_;
    std::map<std::string, std::string> metadata_;
};

/// A tensor that a model wants, before there is one.
struct TensorSpec {
    std::string name;
    Shape shape;
};

/// All tensors of a directory: `model.safetensors`, or the shards of
/// `model.safetensors.index.json`.
class Checkpoint {
 public:
    /// Throws UserError: no such directory; no safetensors (with a word on converting
    /// pytorch_model.bin); an index that names missing files or tensors; a name in two shards.
    static Checkpoint open(const std::string& directory);

    /// Made-up weights without a file, for benchmarks; the same for the same seed everywhere.
    /// Vectors hold ones. All matrices share one block of nearly normal numbers of deviation
    /// 1/√columns of the largest, which is as large as that, so that activations stay finite.
    static Checkpoint random(const std::vector<TensorSpec>& tensors, DType dtype,
                             std::uint64_t seed);

    /// The tensor, or nullptr.
    const StoredTensor* find(const std::string& name) const;
    std::vector<std::string> names() const;
    const std::string& directory() const { return directory_; }
    /// The safetensors files, sorted.
    const std::vector<std::string>& files() const { return files_; }
    std::uint64_t total_bytes() const;
    /// Has rows [begin, end) of the tensor's first dimension at hand before they are read.
    void read_ahead(const StoredTensor& tensor, std::int64_t begin, std::int64_t end) const;
    /// The tensor was read: its pages need not be resident any longer.
    void forget(const StoredTensor& tensor) const;

 private:
    std::string directory_;
    std::vector<std::string> files_;
    std::vector<std::shared_ptr<SafeTensorsFile>> open_files_;
    std::shared_ptr<const void> made_up_;
    std::map<std::string, const StoredTensor*> by_name_;
};

/// F32, F16 or BF16 for a stored dtype name, or UserError naming tensor, file and the types that
/// are read.
DType float_dtype_of(const StoredTensor& tensor);

}  // namespace muster
