// Products on the emulated device by obvious loops: fused multiply-add in ascending k.

#include <cuda_runtime.h>

#include <vector>

#include "cuda/multiplier.h"

namespace muster::cuda {

namespace {

float element(const void* base, DType type, std::int64_t at) {
    if (type == DType::f32) return static_cast<const float*>(base)[at];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[at];
    return type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}

void multiply_now(const Product& p) {
    std::vector<float> row(static_cast<std::size_t>(p.k));
    std::vector<float> weights(static_cast<std::size_t>(p.n * p.k));
    for (std::int64_t j = 0; j < p.n; ++j)
        for (std::int64_t i = 0; i < p.k; ++i)
            weights[static_cast<std::size_t>(j * p.k + i)] =
                element(p.w, p.type, j * p.w_stride + i);
    for (std::int64_t r = 0; r < p.m; ++r) {
        for (std::int64_t i = 0; i < p.k; ++i)
            row[static_cast<std::size_t>(i)] = element(p.x, p.type, r * p.x_stride + i);
        for (std::int64_t j = 0; j < p.n; ++j) {
            float sum = 0;
            const float* w = weights.data() + j * p.k;
            for (std::int64_t i = 0; i < p.k; ++i)
                sum = __builtin_fmaf(row[static_cast<std::size_t>(i)], w[i], sum);
            const std::int64_t at = r * p.y_stride + j;
            if (p.y_type == DType::f32) {
                float& y = static_cast<float*>(p.y)[at];
                y = p.accumulate ? y + sum : sum;
            } else {
                auto& y = static_cast<std::uint16_t*>(p.y)[at];
                if (p.accumulate) sum += element(p.y, p.y_type, at);
                y = p.y_type == DType::bf16 ? to_bf16(sum) : to_f16(sum);
            }
        }
    }
}

class EmulatedMultiplier : public Multiplier {
 public:
    std::string description() const override { return "obvious loops"; }
    void multiply(const Product& product, cudaStream_t stream) override {
        if (product.m == 0 || product.n == 0) return;
        emulator::enqueue(stream, [product] {
            for (int i = 0; i < product.shards; ++i) multiply_now(product.shard(i));
        });
    }
    void prepare(const Product&, std::int64_t, void*, std::size_t, cudaStream_t) override {}
};

}  // namespace

std::unique_ptr<Multiplier> make_multiplier() {
    return std::make_unique<EmulatedMultiplier>();
}

}  // namespace muster::cuda
