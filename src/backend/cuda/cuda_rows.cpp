// Operations that treat every row by itself.

#include <algorithm>
#include <unordered_set>

#include "cuda/cuda_backend.h"
#include "cuda/heads.h"
#include "cuda/norm.h"
#include "cuda/rows.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

void check_ids(std::span<const std::int32_t> ids, std::int64_t rows, const char* operation) {
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= rows) throw InternalError(cat(operation, ": row ", id, " of ", rows));
    }
}

/// How many copies from the first on may be done at once: none writes a page that another one reads
/// or writes.
std::size_t independent_copies(std::span<const PageCopy> copies) {
    std::unordered_set<std::int32_t> read, written;
    std::size_t count = 0;
    for (const auto& [from, to] : copies.first(std::min(copies.size(), kMostPageCopies))) {
        if (written.count(from) > 0 || written.count(to) > 0 || read.count(to) > 0) break;
        read.insert(from);
        written.insert(to);
        ++count;
    }
    return count;
}

}  // namespace

void CudaBackend::embed(const Tensor& table, std::span<const std::int32_t> ids, const Tensor& out) {
    check_ids(ids, table.rows(), "embed");
    const auto rows = static_cast<std::int64_t>(ids.size());
    cuda::embed(table.dtype(), table.data(), device_ids(ids), rows, table.row_size(),
                out.as<float>(), out.row_stride(), stream_);
}

void CudaBackend::rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) {
    norm_into({}, nullptr, x, {weight, eps}, out);
}

void CudaBackend::norm_into(const Fold& parts, const float* bias, const Tensor& x,
                            const RmsNorm& norm, const Tensor& out) {
    if (x.shape() != out.shape() || norm.weight.rows() != x.row_size())
        throw InternalError(cat("rms_norm: x ", to_string(x.shape()), ", weight ",
                                to_string(norm.weight.shape()), ", out ", to_string(out.shape())));
    NormCall call{};
    call.type = out.dtype();
    call.x = x.as<float>();
    call.x_stride = x.row_stride();
    call.weight = norm.weight.as<float>();
    call.eps = norm.eps;
    call.out = out.data();
    call.out_stride = out.row_stride();
    call.rows = x.rows();
    call.n = x.row_size();
    call.fold = parts;
    call.bias = bias;
    cuda::norm(call, stream_);
}

void CudaBackend::norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) {
    cuda::norm_heads(x.as<float>(), x.row_stride(), norm.weight.as<float>(), norm.eps, x.rows(),
                     x.row_size() / head_dim, head_dim, stream_);
}

void CudaBackend::rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) {
    cuda::rope(x.as<float>(), x.row_stride(), cos_sin.as<float>(), cos_sin.row_stride(), x.rows(),
               x.row_size() / head_dim, head_dim, stream_);
}

void CudaBackend::gather_rows(const Tensor& x, std::span<const std::int32_t> ids,
                              const Tensor& out) {
    check_ids(ids, x.rows(), "gather_rows");
    const auto rows = static_cast<std::int64_t>(ids.size());
    cuda::gather_rows(x.dtype(), x.data(), x.row_stride(), device_ids(ids), rows, x.row_size(),
                      out.data(), out.row_stride(), stream_);
}

void CudaBackend::copy_kv_pages(std::span<const Tensor> caches, std::span<const PageCopy> copies) {
    for (const Tensor& cache : caches) {
        for (const auto& [from, to] : copies) {
            const std::int32_t ids[] = {from, to};
            check_ids(ids, cache.size(0), "copy_kv_pages");
        }
    }
    while (!copies.empty()) {
        const std::span<const PageCopy> run = copies.first(independent_copies(copies));
        for (const Tensor& cache : caches)
            copy_pages(
                run,
                cache.size(1) * cache.size(2) * static_cast<std::int64_t>(size_of(cache.dtype())),
                cache.data(), stream_);
        copies = copies.subspan(run.size());
    }
}

}  // namespace muster::cuda
