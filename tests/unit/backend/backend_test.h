#pragma once
// Fresh random inputs, poisoned outputs and every backend, for tests of the backend.

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "muster/mpi/communicator.h"

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
    std::vector<float> floats(std::int64_t n, float deviation = 1.0f) {
        std::vector<float> values(static_cast<std::size_t>(n));
        std::normal_distribution<float> normal(0.0f, deviation);
        for (float& value : values) value = normal(random);
        return values;
    }
};

/// A stored [rows, columns] or [n] tensor that owns its bytes.
struct OwnedTensor {
    std::vector<std::byte> bytes;
    muster::StoredTensor stored;
    OwnedTensor(const std::vector<float>& values, muster::DType dtype, muster::Shape shape)
        : bytes(values.size() * muster::size_of(dtype)) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::uint16_t half = dtype == muster::DType::bf16 ? muster::to_bf16(values[i])
                                                                    : muster::to_f16(values[i]);
            if (dtype == muster::DType::f32)
                std::memcpy(&bytes[i * 4], &values[i], 4);
            else
                std::memcpy(&bytes[i * 2], &half, 2);
        }
        const char* name = dtype == muster::DType::f32   ? "F32"
                           : dtype == muster::DType::f16 ? "F16"
                                                         : "BF16";
        stored = {"w", name, std::move(shape), bytes, "test.safetensors"};
    }
};

inline float rounded(float value, muster::DType dtype) {
    if (dtype == muster::DType::bf16) return muster::from_bf16(muster::to_bf16(value));
    if (dtype == muster::DType::f16) return muster::from_f16(muster::to_f16(value));
    return value;
}

/// The backends that this program has: "cpu", and "cuda" on a device, emulated or not.
std::vector<std::string> backend_names();
/// One of backend_names(), with room for tests, on its fastest kernels.
std::unique_ptr<muster::Backend> make_named_backend(const std::string& name,
                                                    const muster::Communicator& group);

struct TestBackend {
    muster::Communicator group = muster::Communicator::self();
    std::unique_ptr<muster::Backend> backend;
    explicit TestBackend(const std::string& name) : backend(make_named_backend(name, group)) {}
    explicit TestBackend(muster::cpu::Isa isa = muster::cpu::available_isas().back(),
                         int threads = 2)
        : backend(muster::cpu::make_cpu_backend_with(isa, threads, group)) {}
    muster::Backend* operator->() { return backend.get(); }

    muster::Tensor tensor(const std::vector<float>& values, muster::Shape shape,
                          muster::DType dtype = muster::DType::f32) {
        muster::Tensor out = backend->allocate(dtype, shape);
        const OwnedTensor source(values, dtype, shape);
        backend->copy_from_host(out, source.bytes.data());
        return out;
    }
    /// Filled with NaN, so that an element that is not written shows.
    muster::Tensor poisoned(muster::Shape shape, muster::DType dtype = muster::DType::f32) {
        return tensor(std::vector<float>(static_cast<std::size_t>(muster::num_elements(shape)),
                                         std::numeric_limits<float>::quiet_NaN()),
                      shape, dtype);
    }
    /// Contiguous contents as f32.
    std::vector<float> values(const muster::Tensor& tensor) {
        const auto n = static_cast<std::size_t>(muster::num_elements(tensor.shape()));
        std::vector<float> out(n);
        if (tensor.dtype() == muster::DType::f32) {
            backend->copy_to_host(out.data(), tensor);
            return out;
        }
        std::vector<std::uint16_t> halves(n);
        backend->copy_to_host(halves.data(), tensor);
        for (std::size_t i = 0; i < n; ++i) {
            out[i] = tensor.dtype() == muster::DType::bf16 ? muster::from_bf16(halves[i])
                                                           : muster::from_f16(halves[i]);
        }
        return out;
    }
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline const std::vector<muster::DType> kFloatTypes = {muster::DType::f32, muster::DType::f16,
                                                       muster::DType::bf16};
