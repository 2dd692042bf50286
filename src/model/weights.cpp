#include "weights.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// The first names of a list and how many more there are.
std::string abbreviate(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 10;
    const std::vector<std::string> shown(
        names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, names.size())));
    return join(shown, ", ") +
           (names.size() > kShown ? cat(" and ", names.size() - kShown, " more") : "");
}

/// Buffers that old checkpoints saved and that every model computes for itself.
bool is_leftover_buffer(const std::string& name) {
    return matches_glob("*rotary_emb.inv_freq", name);
}

}  // namespace

WeightSlice WeightSlice::row_range(std::string name, std::int64_t rows, std::int64_t columns,
                                   std::int64_t begin, std::int64_t end) {
    return {std::move(name), {rows, columns}, begin, end, 0, columns};
}
WeightSlice WeightSlice::column_range(std::string name, std::int64_t rows, std::int64_t columns,
                                      std::int64_t begin, std::int64_t end) {
    return {std::move(name), {rows, columns}, 0, rows, begin, end};
}
WeightSlice WeightSlice::vector(std::string name, std::int64_t size, std::int64_t begin,
                                std::int64_t end) {
    return {std::move(name), {size}, begin, end, 0, 1};
}

Weights::Weights(const Checkpoint& checkpoint, Backend& backend, DType compute)
    : checkpoint_(checkpoint), backend_(backend), compute_(compute), check_only_(true) {}

Weights::Weights(const Checkpoint& checkpoint, Backend& backend, DType compute,
                 std::uint64_t total_bytes, ProgressCallback progress)
    : checkpoint_(checkpoint),
      backend_(backend),
      compute_(compute),
      check_only_(false),
      total_bytes_(total_bytes),
      progress_(std::move(progress)) {}

void Weights::problem(const std::string& message) {
    if (std::find(problems_.begin(), problems_.end(), message) == problems_.end())
        problems_.push_back(message);
}

const StoredTensor* Weights::find(const WeightSlice& slice) {
    asked_[slice.name] = slice.shape;
    const StoredTensor* tensor = checkpoint_.find(slice.name);
    if (!tensor) {
        problem(cat("missing tensor ", slice.name, " ", to_string(slice.shape)));
        return nullptr;
    }
    if (tensor->shape != slice.shape) {
        problem(cat(tensor->file, ": tensor ", slice.name, " has shape ", to_string(tensor->shape),
                    "; config.json implies ", to_string(slice.shape)));
        return nullptr;
    }
    try {
        (void)float_dtype_of(*tensor);
    } catch (const UserError& error) {
        problem(error.what());
        return nullptr;
    }
    return flattened(slice.name);
}

const StoredTensor* Weights::flattened(const std::string& name) {
    const StoredTensor* tensor = checkpoint_.find(name);
    if (!tensor || tensor->shape.size() != 3) return tensor;
    StoredTensor& flat = flattened_[name];
    if (flat.name.empty()) {
        flat = *tensor;
        flat.shape = {tensor->shape[0] * tensor->shape[1], tensor->shape[2]};
    }
    return &flat;
}

void Weights::count(const StoredTensor& tensor, const WeightSlice& slice) {
    const std::int64_t elements =
        (slice.row_end - slice.row_begin) * (slice.column_end - slice.column_begin);
    bytes_ += static_cast<std::uint64_t>(elements) * size_of(float_dtype_of(tensor));
    if (progress_) progress_(bytes_, total_bytes_);
}

void Weights::read_ahead(const WeightSlice& slice) {
    if (const StoredTensor* tensor = flattened(slice.name))
        checkpoint_.read_ahead(*tensor, slice.row_begin, slice.row_end);
}

void Weights::forget(const WeightSlice& slice) const {
    if (const StoredTensor* tensor = checkpoint_.find(slice.name)) checkpoint_.forget(*tensor);
}

std::unique_ptr<Matrix> Weights::matrix(const std::vector<WeightSlice>& slices, int k_shards,
                                        std::int64_t padding_rows) {
    std::vector<MatrixPart> parts;
    std::int64_t columns = 0;
    for (const WeightSlice& slice : slices) {
        columns = slice.column_end - slice.column_begin;
        const StoredTensor* tensor = find(slice);
        if (tensor)
            parts.push_back(
                {tensor, slice.row_begin, slice.row_end, slice.column_begin, slice.column_end});
    }
    if (padding_rows > 0) parts.push_back({nullptr, 0, padding_rows, 0, columns});
    std::unique_ptr<Matrix> matrix;
    if (!check_only_) {
        for (const WeightSlice& slice : slices) read_ahead(slice);
        matrix = backend_.load_matrix(compute_, parts, k_shards);
        for (const WeightSlice& slice : slices) forget(slice);
    }
    for (const WeightSlice& slice : slices) {
        if (const StoredTensor* tensor = checkpoint_.find(slice.name)) count(*tensor, slice);
    }
    return matrix;
}

std::unique_ptr<Matrix> Weights::gate_up(const WeightSlice& gate, const WeightSlice& up) {
    const auto part = [this](const WeightSlice& slice) {
        return MatrixPart{find(slice), slice.row_begin, slice.row_end, slice.column_begin,
                          slice.column_end};
    };
    const MatrixPart gate_part = part(gate), up_part = part(up);
    std::unique_ptr<Matrix> matrix;
    if (!check_only_) {
        for (const WeightSlice* slice : {&gate, &up}) read_ahead(*slice);
        matrix = backend_.load_gate_up(compute_, gate_part, up_part);
        for (const WeightSlice* slice : {&gate, &up}) forget(*slice);
    }
    if (gate_part.tensor) count(*gate_part.tensor, gate);
    if (up_part.tensor) count(*up_part.tensor, up);
    return matrix;
}

Tensor Weights::vector(const std::vector<WeightSlice>& slices) {
    std::vector<float> values;
    for (const WeightSlice& slice : slices) {
        const StoredTensor* tensor = find(slice);
        if (!tensor) continue;
        if (!check_only_) {
            const Tensor piece = backend_.load_vector(*tensor, slice.row_begin, slice.row_end);
            values.resize(values.size() + static_cast<std::size_t>(piece.rows()));
            backend_.copy_to_host(values.data() + values.size() - piece.rows(), piece);
        }
        count(*tensor, slice);
    }
    if (check_only_) return {};
    Tensor vector = backend_.allocate(DType::f32, {static_cast<std::int64_t>(values.size())});
    backend_.copy_from_host(vector, values.data());
    return vector;
}

Tensor Weights::table(const std::string& name, std::int64_t rows, std::int64_t columns) {
    const WeightSlice slice = WeightSlice::row_range(name, rows, columns, 0, rows);
    const StoredTensor* tensor = find(slice);
    if (!tensor) return {};
    Tensor table = check_only_ ? Tensor() : backend_.load_table(*tensor);
    count(*tensor, slice);
    return table;
}

std::vector<TensorSpec> Weights::asked() const {
    std::vector<TensorSpec> tensors;
    for (const auto& [name, shape] : asked_)
        if (!shape.empty()) tensors.push_back({name, shape});
    return tensors;
}

void Weights::finish() {
    if (!problems_.empty()) {
        throw UserError(cat(checkpoint_.directory(), ": the tensors do not fit config.json:\n  ",
                            join(problems_, "\n  ")));
    }
    std::vector<std::string> unused;
    for (const std::string& name : checkpoint_.names()) {
        if (!asked_.contains(name) && !is_leftover_buffer(name)) unused.push_back(name);
    }
    if (unused.empty()) return;
    warn(cat(checkpoint_.directory(), ": ", unused.size(),
             unused.size() == 1 ? " tensor is" : " tensors are",
             " not used by this architecture: ", abbreviate(unused)));
}

}  // namespace muster
