// Weights that no file holds. A value is the sum of four uniform 16-bit numbers (Irwin-Hall), near
// enough to a normal one and made in a nanosecond, so that a model of billions is there in seconds.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

namespace {

constexpr const char* kPlace = "random weights";

/// What all tensors of one such checkpoint point into.
struct MadeUp {
    std::vector<std::byte> numbers;  ///< the largest matrix
    std::vector<std::byte> ones;     ///< the longest vector
    std::vector<StoredTensor> tensors;
};

/// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t next_random(std::uint64_t& state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/// A number of mean 0 and deviation `deviation`.
float nearly_normal(std::uint64_t& state, float deviation) {
    const std::uint64_t bits = next_random(state);
    const auto part = [bits](int i) { return static_cast<int>(bits >> 16 * i & 0xffffu); };
    // Each part has variance (2^32 - 1) / 12.
    constexpr float kUnit = 1.7320508f / 65536.0f;
    const int sum = part(0) + part(1) + part(2) + part(3) - 2 * 65535;
    return static_cast<float>(sum) * (kUnit * deviation);
}

void put(std::vector<std::byte>& bytes, std::int64_t index, float value, DType dtype) {
    std::byte* to = bytes.data() + static_cast<std::size_t>(index) * size_of(dtype);
    const std::uint16_t half = dtype == DType::bf16 ? to_bf16(value) : to_f16(value);
    if (dtype == DType::f32)
        std::memcpy(to, &value, sizeof value);
    else
        std::memcpy(to, &half, sizeof half);
}

const char* stored_name(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return "F32";
        case DType::f16:
            return "F16";
        case DType::bf16:
            return "BF16";
        case DType::i32:
            break;
    }
    throw InternalError("random weights: expected a float type");
}

}  // namespace

Checkpoint Checkpoint::random(const std::vector<TensorSpec>& tensors, DType dtype,
                              std::uint64_t seed) {
    const char* type = stored_name(dtype);
    const Shape *largest = nullptr, *longest = nullptr;
    for (const TensorSpec& tensor : tensors) {
        const Shape*& most = tensor.shape.size() < 2 ? longest : largest;
        if (!most || num_elements(tensor.shape) > num_elements(*most)) most = &tensor.shape;
    }
    auto made_up = std::make_shared<MadeUp>();
    const auto bytes_of = [&](const Shape& shape) {
        return static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
    };
    if (largest) {
        const float deviation = 1.0f / std::sqrt(static_cast<float>(largest->back()));
        made_up->numbers.resize(bytes_of(*largest));
        for (std::int64_t i = 0; i < num_elements(*largest); ++i)
            put(made_up->numbers, i, nearly_normal(seed, deviation), dtype);
    }
    if (longest) {
        made_up->ones.resize(bytes_of(*longest));
        for (std::int64_t i = 0; i < num_elements(*longest); ++i)
            put(made_up->ones, i, 1.0f, dtype);
    }
    for (const TensorSpec& tensor : tensors) {
        const std::span<const std::byte> source =
            tensor.shape.size() < 2 ? made_up->ones : made_up->numbers;
        made_up->tensors.push_back(
            {tensor.name, type, tensor.shape, source.first(bytes_of(tensor.shape)), kPlace});
    }
    Checkpoint checkpoint;
    checkpoint.directory_ = kPlace;
    for (const StoredTensor& tensor : made_up->tensors)
        if (!checkpoint.by_name_.emplace(tensor.name, &tensor).second)
            throw InternalError(cat(kPlace, ": tensor \"", tensor.name, "\" twice"));
    checkpoint.made_up_ = made_up;
    return checkpoint;
}

}  // namespace muster
