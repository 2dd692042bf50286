#pragma once
// A checkpoint's tensors by name, for one rank: every tensor is checked against the shape that the
// config implies, and only the asked slice is read. A model is built twice from the same code: once
// with a checking Weights, which loads nothing, collects every missing and ill-shaped tensor and
// counts bytes, then for good.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

/// Rows [row_begin, row_end) × columns [column_begin, column_end) of the tensor `name`, whose whole
/// shape must be `shape`. A vector has one column; the rows of stacked matrices [count, rows,
/// columns] are counted through all of them.
struct WeightSlice {
    std::string name;
    Shape shape;
    std::int64_t row_begin = 0, row_end = 0;
    std::int64_t column_begin = 0, column_end = 0;

    /// Rows [begin, end) of a [rows, columns] matrix.
    static WeightSlice row_range(std::string name, std::int64_t rows, std::int64_t columns,
                                 std::int64_t begin, std::int64_t end);
    static WeightSlice column_range(std::string name, std::int64_t rows, std::int64_t columns,
                                    std::int64_t begin, std::int64_t end);
    /// Elements [begin, end) of a vector.
    static WeightSlice vector(std::string name, std::int64_t size, std::int64_t begin,
                              std::int64_t end);
};

class Weights {
 public:
    using ProgressCallback = std::function<void(std::uint64_t done, std::uint64_t total)>;

    /// Checks only.
    Weights(const Checkpoint& checkpoint, Backend& backend, DType compute);
    /// Loads; `total_bytes` is what the checking pass counted.
    Weights(const Checkpoint& checkpoint, Backend& backend, DType compute,
            std::uint64_t total_bytes, ProgressCallback progress);

    // While checking, these return empty results.
    /// The slices stacked by rows, then `padding_rows` rows of zeros.
    std::unique_ptr<Matrix> matrix(const std::vector<WeightSlice>& slices, int k_shards,
                                   std::int64_t padding_rows = 0);
    /// See Backend::load_gate_up.
    std::unique_ptr<Matrix> gate_up(const WeightSlice& gate, const WeightSlice& up);
    /// The slices one after another as f32.
    Tensor vector(const std::vector<WeightSlice>& slices);
    /// A whole [rows, columns] look-up table.
    Tensor table(const std::string& name, std::int64_t rows, std::int64_t columns);

    bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
    /// A tensor that may be there and is not used.
    void ignore(const std::string& name) { asked_.emplace(name, Shape()); }
    /// Every tensor asked for so far, with its whole shape.
    std::vector<TensorSpec> asked() const;
    /// Stored bytes asked for so far.
    std::uint64_t bytes() const { return bytes_; }
    /// Throws UserError listing every missing and ill-shaped tensor; warns of tensors that nobody
    /// asked for.
    void finish();

 private:
    /// Records a problem once.
    void problem(const std::string& message);
    /// The tensor if its shape is right, stacked matrices as one; else nullptr and a problem.
    const StoredTensor* find(const WeightSlice& slice);
    /// The tensor of that name with stacked matrices as one, or nullptr.
    const StoredTensor* flattened(const std::string& name);
    /// Around the packing of a slice: its file pages come in order and do not stay resident.
    void read_ahead(const WeightSlice& slice);
    void forget(const WeightSlice& slice) const;
    /// Counts a slice as read.
    void count(const StoredTensor& tensor, const WeightSlice& slice);

    const Checkpoint& checkpoint_;
    Backend& backend_;
    DType compute_;
    bool check_only_;
    std::uint64_t bytes_ = 0, total_bytes_ = 0;
    ProgressCallback progress_;
    std::map<std::string, Shape> asked_;             ///< an empty shape if it is only ignored
    std::map<std::string, StoredTensor> flattened_;  ///< stacked matrices as one
    std::vector<std::string> problems_;
};

}  // namespace muster
