// Allocation and loading. A slice of a checkpoint is read once, row by row, converted on the host
// if its type is not the compute type, and copied while the next piece is read.

#include <cstring>

#include "cuda/check.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

std::uint64_t bytes_of(const Tensor& tensor) {
    return static_cast<std::uint64_t>(num_elements(tensor.shape())) * size_of(tensor.dtype());
}

float element(const std::byte* from, DType type) {
    if (type == DType::f32) {
        float value;
        std::memcpy(&value, from, sizeof value);
        return value;
    }
    std::uint16_t bits;
    std::memcpy(&bits, from, sizeof bits);
    return type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}

/// out [n] of `to` ← in [n] of `from`; neither need be aligned.
void convert(const std::byte* in, DType from, std::size_t n, std::byte* out, DType to) {
    if (from == to) {
        std::memcpy(out, in, n * size_of(to));
        return;
    }
    for (std::size_t i = 0; i < n; ++i) {
        const float value = element(in + i * size_of(from), from);
        if (to == DType::f32) {
            std::memcpy(out + i * 4, &value, 4);
        } else {
            const std::uint16_t bits = to == DType::bf16 ? to_bf16(value) : to_f16(value);
            std::memcpy(out + i * 2, &bits, 2);
        }
    }
}

/// Throws unless the part is a slice of its tensor with `k` columns.
void check_part(const MatrixPart& part, std::int64_t k) {
    bool fits = part.row_begin >= 0 && part.row_begin <= part.row_end && part.column_begin >= 0 &&
                part.column_end - part.column_begin == k;
    if (part.tensor != nullptr) {
        fits = fits && part.tensor->shape.size() == 2 && part.row_end <= part.tensor->shape[0] &&
               part.column_end <= part.tensor->shape[1];
        (void)float_dtype_of(*part.tensor);
    }
    if (!fits) {
        throw InternalError(
            cat("load_matrix: rows [", part.row_begin, ", ", part.row_end, ") and columns [",
                part.column_begin, ", ", part.column_end, ") do not fit ",
                part.tensor != nullptr ? part.tensor->name + " " + to_string(part.tensor->shape)
                                       : std::string("a padding part"),
                " or another part's ", k, " columns"));
    }
}

/// Piece [offset, offset + n) bytes of the part as rows of `compute`.
void fill_rows(const MatrixPart& part, DType compute, std::byte* to, std::size_t offset,
               std::size_t n) {
    const DType stored = float_dtype_of(*part.tensor);
    const auto k = static_cast<std::size_t>(part.column_end - part.column_begin),
               width = static_cast<std::size_t>(part.tensor->shape[1]);
    const std::size_t row_bytes = k * size_of(compute), first = offset / row_bytes,
                      rows = n / row_bytes;
    const std::byte* from =
        part.tensor->bytes.data() + ((static_cast<std::size_t>(part.row_begin) + first) * width +
                                     static_cast<std::size_t>(part.column_begin)) *
                                        size_of(stored);
    if (k == width) {
        convert(from, stored, rows * k, to, compute);
        return;
    }
    for (std::size_t row = 0; row < rows; ++row)
        convert(from + row * width * size_of(stored), stored, k, to + row * row_bytes, compute);
}

}  // namespace

Tensor CudaBackend::allocate(DType dtype, const Shape& shape) {
    std::uint64_t bytes = size_of(dtype);
    for (const std::int64_t size : shape) {
        if (size < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes))
            throw InternalError("allocate: impossible shape " + to_string(shape));
    }
    const std::shared_ptr<void> memory = arena_->allocate(bytes);
    return {memory.get(), dtype, shape, memory};
}

void CudaBackend::copy_from_host(const Tensor& to, const void* from) {
    if (recordings_.recording()) throw InternalError("a copy from the host cannot be recorded");
    staging_.upload(to.data(), from, bytes_of(to));
}
void CudaBackend::copy_to_host(void* to, const Tensor& from) {
    staging_.download(to, from.data(), bytes_of(from));
}

std::unique_ptr<Matrix> CudaBackend::load(DType compute, const std::vector<MatrixPart>& parts,
                                          int k_shards, bool gated) {
    if (parts.empty()) throw InternalError("load_matrix: no parts");
    const std::int64_t k = parts[0].column_end - parts[0].column_begin;
    std::int64_t n = 0;
    for (const MatrixPart& part : parts) {
        check_part(part, k);
        n += part.row_end - part.row_begin;
    }
    if (k_shards < 1 || k % k_shards != 0) {
        throw InternalError(
            cat("load_matrix: k = ", k, " cannot be cut into ", k_shards, " virtual shards"));
    }
    auto matrix =
        std::make_unique<CudaMatrix>(compute, n, k, k_shards, gated,
                                     arena_->allocate(cuda_matrix_bytes(compute, n, k, k_shards)));
    auto* to = static_cast<std::byte*>(matrix->data());
    const std::size_t row_bytes = static_cast<std::size_t>(k) * size_of(compute);
    for (const MatrixPart& part : parts) {
        const std::size_t bytes =
            static_cast<std::size_t>(part.row_end - part.row_begin) * row_bytes;
        if (bytes == 0) continue;
        if (part.tensor == nullptr) {
            check(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
        } else {
            staging_.upload(to, bytes, row_bytes,
                            [&](std::byte* memory, std::size_t offset, std::size_t size) {
                                fill_rows(part, compute, memory, offset, size);
                            });
        }
        to += bytes;
    }
    Product shape;
    shape.type = compute;
    shape.n = n;
    shape.k = k / k_shards;
    shape.x_stride = shape.w_stride = k;
    shape.y_stride = n;
    shape.w = matrix->data();
    shapes_.push_back(shape);
    return matrix;
}

std::unique_ptr<Matrix> CudaBackend::load_matrix(DType compute,
                                                 const std::vector<MatrixPart>& parts,
                                                 int k_shards) {
    return load(compute, parts, k_shards, false);
}

std::unique_ptr<Matrix> CudaBackend::load_gate_up(DType compute, const MatrixPart& gate,
                                                  const MatrixPart& up) {
    if (gate.row_end - gate.row_begin != up.row_end - up.row_begin)
        throw InternalError("load_gate_up: gate and up differ in their rows");
    return load(compute, {gate, up}, 1, true);
}

Tensor CudaBackend::load_table(const StoredTensor& tensor) {
    Tensor table = allocate(float_dtype_of(tensor), tensor.shape);
    copy_from_host(table, tensor.bytes.data());
    return table;
}

Tensor CudaBackend::load_vector(const StoredTensor& tensor, std::int64_t begin, std::int64_t end) {
    const DType stored = float_dtype_of(tensor);
    if (tensor.shape.size() != 1 || begin < 0 || begin > end || end > tensor.shape[0]) {
        throw InternalError(cat("load_vector: elements [", begin, ", ", end, ") of ", tensor.name,
                                " ", to_string(tensor.shape)));
    }
    Tensor vector = allocate(DType::f32, {end - begin});
    staging_.upload(vector.data(), bytes_of(vector), sizeof(float),
                    [&](std::byte* to, std::size_t offset, std::size_t n) {
                        const std::size_t first = static_cast<std::size_t>(begin) + offset / 4;
                        convert(tensor.bytes.data() + first * size_of(stored), stored, n / 4, to,
                                DType::f32);
                    });
    return vector;
}

}  // namespace muster::cuda
