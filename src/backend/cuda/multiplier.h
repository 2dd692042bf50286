#pragma once
// Dense products on the device. A row of the result never depends on the number of rows: one
// algorithm per (n, k, types, strides), no split along k; a self-test holds the library to it.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// y [m, n] ← x [m, k] · w[n, k]ᵀ (+ y if `accumulate`), products added in f32. Shard s of several
/// does so with x and w from element s · k on, and with y + s · y_shard.
struct Product {
    DType type = DType::bf16;   ///< of x and w
    DType y_type = DType::f32;  ///< f32 or `type`
    std::int64_t m = 0, n = 0, k = 0;
    const void* x = nullptr;  ///< rows x_stride elements apart
    std::int64_t x_stride = 0;
    const void* w = nullptr;  ///< rows w_stride elements apart
    std::int64_t w_stride = 0;
    void* y = nullptr;  ///< rows y_stride elements apart
    std::int64_t y_stride = 0;
    bool accumulate = false;
    int shards = 1;
    std::int64_t y_shard = 0;  ///< elements

    /// One shard by itself.
    Product shard(int s) const {
        const auto moved = [](const void* base, std::int64_t elements, DType of) {
            return static_cast<const std::byte*>(base) +
                   elements * static_cast<std::int64_t>(size_of(of));
        };
        Product one = *this;
        one.shards = 1;
        one.x = moved(x, s * k, type);
        one.w = moved(w, s * k, type);
        one.y = const_cast<std::byte*>(moved(y, s * y_shard, y_type));
        return one;
    }
};

class Multiplier {
 public:
    virtual ~Multiplier() = default;
    /// "cuBLASLt 13.1.0".
    virtual std::string description() const = 0;
    virtual void multiply(const Product& product, cudaStream_t stream) = 0;
    /// Chooses the algorithm for products with these weights and strides, one that is good for
    /// calls of `usual_rows`, and tries on random numbers whether rows keep their bits in calls of
    /// 1 to `max_rows` rows; takes another one if not. Outside of recording, and not while the
    /// stream must not be waited for. Uses `scratch` (`scratch_bytes`, aligned to 256): with little
    /// of it, fewer rows are tried.
    virtual void prepare(const Product& shape, std::int64_t usual_rows, std::int64_t max_rows,
                         void* scratch, std::size_t scratch_bytes, cudaStream_t stream) = 0;
};

std::unique_ptr<Multiplier> make_multiplier();

}  // namespace muster::cuda
