// cuBLASLt's place on the emulated device. 16-bit products are added as its kernels without a cut
// of k add them on tensor cores, 16 along k after 16; f32 by fused multiply-add in ascending k.

#include <cuda_runtime.h>
#include <tensor_core.h>

#include <algorithm>
#include <vector>

#include "cuda/multiplier.h"

namespace muster::cuda {

namespace {

float element(const void* base, DType type, std::int64_t at) {
    if (type == DType::f32) return static_cast<const float*>(base)[at];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[at];
    return type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}

/// A sum into its place.
void store(const Product& p, std::int64_t row, std::int64_t column, float sum) {
    const std::int64_t at = row * p.y_stride + column;
    if (p.accumulate) sum += element(p.y, p.y_type, at);
    if (p.y_type == DType::f32)
        static_cast<float*>(p.y)[at] = sum;
    else
        static_cast<std::uint16_t*>(p.y)[at] = p.y_type == DType::bf16 ? to_bf16(sum) : to_f16(sum);
}

void multiply_f32(const Product& p) {
    for (std::int64_t r = 0; r < p.m; ++r) {
        const float* x = static_cast<const float*>(p.x) + r * p.x_stride;
        for (std::int64_t j = 0; j < p.n; ++j) {
            const float* w = static_cast<const float*>(p.w) + j * p.w_stride;
            float sum = 0;
            for (std::int64_t i = 0; i < p.k; ++i) sum = __builtin_fmaf(x[i], w[i], sum);
            store(p, r, j, sum);
        }
    }
}

void multiply_16_bit(const Product& p) {
    const float least =
        p.type == DType::bf16 ? emulator::kLeastPowerBf16 : emulator::kLeastPowerF16;
    const auto steps = static_cast<std::size_t>((p.k + 15) / 16);
    std::vector<emulator::RowFactors> rows(static_cast<std::size_t>(p.m) * steps);
    for (std::int64_t r = 0; r < p.m; ++r) {
        emulator::RowFactors* row = &rows[static_cast<std::size_t>(r) * steps];
        for (std::int64_t i = 0; i < p.k; ++i)
            row[i / 16].set(static_cast<std::size_t>(i % 16),
                            element(p.x, p.type, r * p.x_stride + i), least);
    }
    for (std::int64_t first = 0; first < p.n; first += 8) {
        const std::int64_t count = std::min<std::int64_t>(8, p.n - first);
        std::vector<emulator::ColumnFactors> columns(steps);
        for (std::int64_t j = 0; j < count; ++j)
            for (std::int64_t i = 0; i < p.k; ++i)
                columns[static_cast<std::size_t>(i / 16)].set(
                    static_cast<std::size_t>(i % 16), static_cast<std::size_t>(j),
                    element(p.w, p.type, (first + j) * p.w_stride + i), least);
        for (std::int64_t r = 0; r < p.m; ++r) {
            float sums[8] = {};
            for (std::size_t s = 0; s < steps; ++s)
                emulator::add_products(emulator::tensor_core(),
                                       rows[static_cast<std::size_t>(r) * steps + s], columns[s],
                                       sums);
            for (std::int64_t j = 0; j < count; ++j) store(p, r, first + j, sums[j]);
        }
    }
}

class EmulatedMultiplier : public Multiplier {
 public:
    std::string description() const override { return "emulated library"; }
    void multiply(const Product& product, cudaStream_t stream) override {
        if (product.m == 0 || product.n == 0) return;
        emulator::enqueue(stream, [product] {
            for (int i = 0; i < product.shards; ++i)
                product.type == DType::f32 ? multiply_f32(product.shard(i))
                                           : multiply_16_bit(product.shard(i));
        });
    }
    void prepare(const Product&, std::int64_t, std::int64_t, void*, std::size_t,
                 cudaStream_t) override {}
};

}  // namespace

std::unique_ptr<Multiplier> make_multiplier() {
    return std::make_unique<EmulatedMultiplier>();
}

}  // namespace muster::cuda
