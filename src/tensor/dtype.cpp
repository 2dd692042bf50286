#include "muster/tensor/dtype.h"

#include "muster/base/error.h"

namespace muster {

std::size_t size_of(DType dtype) {
    switch (dtype) {
        case DType::f32:
        case DType::i32:
            return 4;
        case DType::f16:
        case DType::bf16:
            return 2;
    }
    throw InternalError("size_of: not a dtype");
}

std::string_view name_of(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return "float32";
        case DType::f16:
            return "float16";
        case DType::bf16:
            return "bfloat16";
        case DType::i32:
            return "int32";
    }
    throw InternalError("name_of: not a dtype");
}

std::optional<DType> parse_dtype(std::string_view name) {
    if (name.starts_with("torch.")) name.remove_prefix(6);
    if (name == "float32" || name == "f32" || name == "fp32" || name == "float") return DType::f32;
    if (name == "float16" || name == "f16" || name == "fp16" || name == "half") return DType::f16;
    if (name == "bfloat16" || name == "bf16") return DType::bf16;
    if (name == "int32" || name == "i32" || name == "int") return DType::i32;
    return std::nullopt;
}

std::uint16_t to_f16(float value) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)  // NaN: quiet, with what fits of its payload
        return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more round to infinity
    if (magnitude < 0x38800000u) {
        // Below 2^-14: adding 0.5 puts the subnormal's unit, 2^-24, at the last bit of a float, so
        // that the addition itself rounds to nearest even.
        float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<std::uint16_t>(
            sign | (std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f)));
    }
    std::uint32_t even = magnitude >> 13 & 1u;
    std::uint32_t rebiased = magnitude - ((127u - 15u) << 23);
    return static_cast<std::uint16_t>(sign | (rebiased + 0xfffu + even) >> 13);
}

float from_f16(std::uint16_t bits) {
    std::uint32_t sign = (bits & 0x8000u) << 16;
    std::uint32_t exponent = bits >> 10 & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
    }
    return std::bit_cast<float>(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

}  // namespace muster
