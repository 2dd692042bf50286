#pragma once
// Matrix products that know about shards. Nothing else in a decoder does.

#include <memory>
#include <vector>

#include "muster/backend/backend.h"
#include "shard_plan.h"
#include "weights.h"

namespace muster {

/// One projection of a fused column-parallel product: `rows` outputs in all, of which [begin, end)
/// are this rank's.
struct Projection {
    std::string name;  ///< without ".weight"
    std::int64_t rows, begin, end;
};

/// y = x · Wᵀ + b with the outputs split over ranks; several projections of one input fused into
/// one product.
class ColumnParallelLinear {
 public:
    ColumnParallelLinear(Weights& weights, const std::vector<Projection>& projections,
                         std::int64_t k, bool bias);
    /// y [rows, local outputs] f32 ← x [rows, k] compute.
    void forward(Backend& backend, const Tensor& x, const Tensor& y) const;
    std::uint64_t bytes() const;

 private:
    std::unique_ptr<Matrix> matrix_;
    Tensor bias_;
};

/// silu(x · Gᵀ) · (x · Uᵀ), gate and up fused into one product, with the outputs split over ranks.
class GatedLinear {
 public:
    GatedLinear(Weights& weights, const Projection& gate, const Projection& up, std::int64_t k,
                bool bias);
    /// out [rows, local outputs] ← x [rows, k], both of compute type.
    void forward(Backend& backend, const Tensor& x, const Tensor& out) const;
    std::uint64_t bytes() const;

 private:
    std::unique_ptr<Matrix> matrix_;
    Tensor bias_;
};

/// residual += x · Wᵀ + b with the inputs split over ranks; see Backend::matmul_add.
class RowParallelLinear {
 public:
    /// W [n, k]; this rank's inputs are [k_begin, k_end).
    RowParallelLinear(Weights& weights, const std::string& name, std::int64_t n, std::int64_t k,
                      std::int64_t k_begin, std::int64_t k_end, int k_shards, bool bias);
    /// residual [rows, n] f32 += …, x [rows, local k] compute; then normed [rows, n] compute ← the
    /// residual by `norm`, unless that is null. Collective over the group.
    void forward(Backend& backend, const Tensor& x, const Tensor& residual, const RmsNorm* norm,
                 const Tensor& normed) const;
    std::uint64_t bytes() const;

 private:
    std::unique_ptr<Matrix> matrix_;
    Tensor bias_;
};

/// Bytes of memory that a vector holds.
std::uint64_t vector_bytes(const Tensor& vector);

}  // namespace muster
