#pragma once
// Sequences with random queries, keys and values, computed by the device's attention in any way
// that gives the same, and in double as it is written in books.

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "cuda/attention.h"
#include "cuda/attention_plan.h"
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

/// How a scene is computed; none of it may show in the result.
struct Way {
    std::int64_t chunk = 100000;  ///< rows of a sequence in one step
    bool together = true;         ///< all sequences in each step, or one after the other
    bool backwards = false;       ///< threads of a block in descending order
    bool padded = false;          ///< the call is sized for more than there is, as a recorded one
    bool never_split = false;     ///< blocks walk over all runs, however few there are
    float garbage = std::numeric_limits<float>::quiet_NaN();  ///< what the cache holds before
    unsigned page_seed = 1;
};

struct Scene {
    DType dtype = DType::bf16;
    std::int64_t kv_heads = 1, group = 1, d = 64, window = 0;
    float soft_cap = 0;
    bool bidirectional = false;
    std::vector<std::int64_t> lengths, first_rows;  ///< rows before first_rows are not asked for
    std::vector<std::vector<float>> q, k, v;        ///< per sequence [length, heads · d]

    void add(RandomInput& input, std::int64_t length, std::int64_t first_row = 0) {
        lengths.push_back(length);
        first_rows.push_back(first_row);
        q.push_back(input.floats(length * q_width()));
        k.push_back(input.floats(length * kv_width()));
        v.push_back(input.floats(length * kv_width()));
    }
    std::int64_t heads() const { return kv_heads * group; }
    std::int64_t q_width() const { return heads() * d; }
    std::int64_t kv_width() const { return kv_heads * d; }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }

    /// The rows asked for, per sequence [rows, heads · d].
    std::vector<std::vector<float>> run(const Way& way) const;

    struct Exact {
        double value = 0;
        double mean_size = 0;  ///< mean of |value| by the same weights
        double spread = 0;     ///< Σ |value| / Σ weight
    };
    /// One row and head in double, from inputs as they are rounded.
    std::vector<Exact> exact(std::size_t s, std::int64_t t, std::int64_t head) const;
    /// The largest error of `got` in units of what rounding explains; looks at one head of a row.
    double worst_error(RandomInput& input, const std::vector<std::vector<float>>& got) const;
};

/// The order in which threads of a block go on, where that can be chosen.
void set_thread_order(bool backwards);

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b);

}  // namespace muster::test
