#pragma once
// Random numbers and memory of the device, for tests of kernels by themselves.

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster::test {

inline float rounded(float value, DType dtype) {
    if (dtype == DType::bf16) return from_bf16(to_bf16(value));
    if (dtype == DType::f16) return from_f16(to_f16(value));
    return value;
}
inline void append_as(DType dtype, float value, std::vector<std::byte>& bytes) {
    const auto append = [&](auto element) {
        const auto* from = reinterpret_cast<const std::byte*>(&element);
        bytes.insert(bytes.end(), from, from + sizeof(element));
    };
    if (dtype == DType::f32) return append(value);
    append(dtype == DType::bf16 ? to_bf16(value) : to_f16(value));
}

struct RandomInput {
    std::mt19937 random;
    RandomInput() {
        const unsigned seed = std::random_device{}();
        MESSAGE("seed ", seed);
        random.seed(seed);
    }
    std::int64_t integer(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(random);
    }
    std::vector<float> floats(std::int64_t n) {
        std::vector<float> values(static_cast<std::size_t>(n));
        std::normal_distribution<float> normal;
        for (float& value : values) value = normal(random);
        return values;
    }
};

/// Memory of the device, with a copy of `host` in it.
class DeviceBytes {
 public:
    explicit DeviceBytes(std::size_t bytes) : bytes_(bytes) {
        REQUIRE(cudaMalloc(&data_, bytes) == cudaSuccess);
    }
    template <typename T>
    explicit DeviceBytes(const std::vector<T>& host) : DeviceBytes(host.size() * sizeof(T)) {
        set(host);
    }
    ~DeviceBytes() { cudaFree(data_); }
    DeviceBytes(const DeviceBytes&) = delete;
    DeviceBytes& operator=(const DeviceBytes&) = delete;

    template <typename T>
    T* as() const {
        return static_cast<T*>(data_);
    }
    template <typename T>
    void set(const std::vector<T>& host) {
        REQUIRE(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice) ==
                cudaSuccess);
    }
    std::vector<float> values(DType dtype) const {
        std::vector<std::byte> host(bytes_);
        cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost);
        std::vector<float> out(bytes_ / size_of(dtype));
        for (std::size_t i = 0; i < out.size(); ++i) {
            std::uint16_t half = 0;
            std::memcpy(&half, &host[i * size_of(dtype)], 2);
            if (dtype == DType::f32) std::memcpy(&out[i], &host[i * 4], 4);
            if (dtype == DType::bf16) out[i] = from_bf16(half);
            if (dtype == DType::f16) out[i] = from_f16(half);
        }
        return out;
    }

 private:
    void* data_ = nullptr;
    std::size_t bytes_;
};

/// The order in which threads of a block go on, where that can be chosen.
void set_thread_order(bool backwards);

}  // namespace muster::test
