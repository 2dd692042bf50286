// The large products of src/backend/cuda/ceilings.h on the emulated device, by obvious loops.

#include "cuda/ceilings.h"
#include "muster/tensor/dtype.h"

namespace muster::cuda {

namespace {

float element(DType type, const void* data, std::int64_t i) {
    if (type == DType::f32) return static_cast<const float*>(data)[i];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
    return type == DType::f16 ? from_f16(bits) : from_bf16(bits);
}
void store(DType type, void* data, std::int64_t i, float value) {
    if (type == DType::f32)
        static_cast<float*>(data)[i] = value;
    else
        static_cast<std::uint16_t*>(data)[i] = type == DType::f16 ? to_f16(value) : to_bf16(value);
}

class EmulatedProduct : public LargeProduct {
 public:
    std::string description() const override { return "emulated products"; }
    void multiply(DType type, std::int64_t n, const void* x, const void* w, void* y,
                  cudaStream_t stream) override {
        emulator::enqueue(stream, [=] {
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < n; ++j) {
                    float sum = 0;
                    for (std::int64_t k = 0; k < n; ++k)
                        sum += element(type, x, i * n + k) * element(type, w, j * n + k);
                    store(type, y, i * n + j, sum);
                }
        });
    }
};

}  // namespace

std::unique_ptr<LargeProduct> make_large_product() {
    return std::make_unique<EmulatedProduct>();
}

}  // namespace muster::cuda
