#pragma once
// Element types of tensors and the 16-bit float conversions.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace muster {

enum class DType { f32, f16, bf16, i32 };

/// Bytes of one element.
std::size_t size_of(DType dtype);
/// "float32", "float16", "bfloat16", "int32": the spelling of Hugging Face configs.
std::string_view name_of(DType dtype);
/// Inverse of name_of; also accepts "f32", "fp16", "bf16", "torch.float16", …
std::optional<DType> parse_dtype(std::string_view name);

/// bfloat16 from float, round to nearest even; NaN stays NaN.
inline std::uint16_t to_bf16(float value) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline float from_bf16(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
/// IEEE binary16 from float, round to nearest even, with subnormals and overflow to infinity.
std::uint16_t to_f16(float value);
float from_f16(std::uint16_t bits);

}  // namespace muster
