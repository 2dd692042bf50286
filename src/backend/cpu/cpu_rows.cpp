// Operations that treat every row by itself.

#include <algorithm>
#include <cstring>

#include "cpu/cpu_backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

std::byte* row_of(const Tensor& tensor, std::int64_t row) {
    return static_cast<std::byte*>(tensor.data()) +
           static_cast<std::size_t>(row * tensor.row_stride()) * size_of(tensor.dtype());
}
float* f32_row(const Tensor& tensor, std::int64_t row) {
    return tensor.as<float>() + row * tensor.row_stride();
}

void check_ids(std::span<const std::int32_t> ids, std::int64_t rows, const char* operation) {
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= rows) throw InternalError(cat(operation, ": row ", id, " of ", rows));
    }
}

}  // namespace

void CpuBackend::embed(const Tensor& table, std::span<const std::int32_t> ids, const Tensor& out) {
    check_ids(ids, table.rows(), "embed");
    const std::int64_t hidden = table.row_size();
    pool_.run(threads_for(static_cast<double>(ids.size()) * hidden),
              static_cast<std::int64_t>(ids.size()), [&](std::int64_t r, int) {
                  kernels_.to_f32(row_of(table, ids[static_cast<std::size_t>(r)]), table.dtype(),
                                  hidden, f32_row(out, r));
              });
}

void CpuBackend::rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) {
    const std::int64_t hidden = x.row_size();
    const float* factors = weight.as<float>();
    pool_.run(threads_for(16.0 * x.rows() * hidden), x.rows(), [&](std::int64_t r, int) {
        kernels_.rms_norm(f32_row(x, r), factors, eps, hidden, out.dtype(), row_of(out, r));
    });
}

void CpuBackend::norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) {
    const std::int64_t heads = x.row_size() / head_dim;
    const float* factors = norm.weight.as<float>();
    pool_.run(threads_for(16.0 * x.rows() * x.row_size()), x.rows(), [&](std::int64_t r, int) {
        for (std::int64_t h = 0; h < heads; ++h) {
            float* head = f32_row(x, r) + h * head_dim;
            kernels_.rms_norm(head, factors, norm.eps, head_dim, DType::f32, head);
        }
    });
}

void CpuBackend::rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) {
    const std::int64_t heads = x.row_size() / head_dim;
    pool_.run(threads_for(2.0 * x.rows() * x.row_size()), x.rows(), [&](std::int64_t r, int) {
        kernels_.rope(f32_row(x, r), f32_row(cos_sin, r), heads, head_dim);
    });
}

void CpuBackend::gather_rows(const Tensor& x, std::span<const std::int32_t> ids,
                             const Tensor& out) {
    check_ids(ids, x.rows(), "gather_rows");
    const std::size_t bytes = static_cast<std::size_t>(x.row_size()) * size_of(x.dtype());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        std::memcpy(row_of(out, static_cast<std::int64_t>(i)), row_of(x, ids[i]), bytes);
    }
}

void CpuBackend::copy_kv_pages(std::span<const Tensor> caches, std::span<const PageCopy> copies) {
    for (const Tensor& cache : caches) {
        const std::size_t bytes =
            static_cast<std::size_t>(cache.size(1) * cache.size(2)) * size_of(cache.dtype());
        auto* pages = static_cast<std::byte*>(cache.data());
        for (const auto& [from, to] : copies) {
            const std::int32_t ids[] = {from, to};
            check_ids(ids, cache.size(0), "copy_kv_pages");
            std::memcpy(pages + static_cast<std::size_t>(to) * bytes,
                        pages + static_cast<std::size_t>(from) * bytes, bytes);
        }
    }
}

}  // namespace muster::cpu
