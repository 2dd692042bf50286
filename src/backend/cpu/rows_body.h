// Row operations and what is done with the tiles of a product, for one instruction set: see
// kernels.h for what they compute and kernels_body.h for the rules of this file.

namespace {

// --- sixteen elements of a type ------------------------------------------------------------------

template <DType type>
constexpr std::int64_t kItem = type == DType::f32 ? 4 : 2;

template <DType type>
inline void store_as(void* out, Vec a) {
    if constexpr (type == DType::f32) {
        store(static_cast<float*>(out), a);
    } else if constexpr (type == DType::f16) {
        store_f16(static_cast<std::uint16_t*>(out), a);
    } else {
        float values[kLanes];
        store(values, a);
        auto* halves = static_cast<std::uint16_t*>(out);
        for (int i = 0; i < kLanes; ++i) halves[i] = narrow_bf16(values[i]);
    }
}
/// a rounded to the type and back.
template <DType type>
inline Vec round_as(Vec a) {
    if constexpr (type == DType::f32) {
        return a;
    } else if constexpr (type == DType::f16) {
        return round_f16(a);
    } else {
        float values[kLanes];
        store(values, a);
        for (int i = 0; i < kLanes; ++i) values[i] = widen_bf16_bits(narrow_bf16(values[i]));
        return load(values);
    }
}
/// The first n ≤ 16 floats, the other lanes zero.
inline Vec load_some(const float* p, std::int64_t n) {
    if (n == kLanes) return load(p);
    float padded[kLanes] = {};
    __builtin_memcpy(padded, p, static_cast<std::size_t>(n) * sizeof(float));
    return load(padded);
}
template <DType type>
inline void store_some(void* out, Vec a, std::int64_t n) {
    if (n == kLanes) return store_as<type>(out, a);
    alignas(64) std::byte all[64];
    store_as<type>(all, a);
    __builtin_memcpy(out, all, static_cast<std::size_t>(n * kItem<type>));
}

/// Calls of<type>() for a type that is known when the program runs.
#define MUSTER_BY_TYPE(type, call, ...)                   \
    (type == DType::f32   ? call<DType::f32>(__VA_ARGS__) \
     : type == DType::f16 ? call<DType::f16>(__VA_ARGS__) \
                          : call<DType::bf16>(__VA_ARGS__))

// --- RMSNorm -------------------------------------------------------------------------------------

template <DType type>
void rms_norm_as(const float* x, const float* weight, float eps, std::int64_t n, std::byte* out) {
    Vec squares = zero();
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Vec value = load(x + i);
        squares = fma(value, value, squares);
    }
    if (i < n) {
        const Vec value = load_some(x + i, n - i);
        squares = fma(value, value, squares);
    }
    const float mean = sum_of_lanes(squares) / static_cast<float>(n);
    const Vec inverse = broadcast(1.0f / __builtin_sqrtf(mean + eps));
    for (i = 0; i < n; i += kLanes) {
        const std::int64_t m = n - i < kLanes ? n - i : kLanes;
        const Vec scaled = round_as<type>(load_some(x + i, m) * inverse);
        const Vec factor = round_as<type>(load_some(weight + i, m));
        store_some<type>(out + i * kItem<type>, scaled * factor, m);
    }
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t n, DType type,
              void* out) {
    auto* bytes = static_cast<std::byte*>(out);
    MUSTER_BY_TYPE(type, rms_norm_as, x, weight, eps, n, bytes);
}

// --- the ends of tiles ---------------------------------------------------------------------------

inline Vec with_bias(Vec sum, const float* bias, std::int64_t n) {
    return bias ? sum + load_some(bias, n) : sum;
}

template <bool add_to_out>
void end_rows(std::int64_t rows, std::int64_t columns, const float* tile, const float* bias,
              float* out, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; c += kLanes) {
            const std::int64_t n = columns - c < kLanes ? columns - c : kLanes;
            float* to = out + r * stride + c;
            Vec sum = with_bias(load(tile + r * kPanel + c), bias ? bias + c : nullptr, n);
            if (add_to_out) sum = load_some(to, n) + sum;
            store_some<DType::f32>(to, sum, n);
        }
    }
}

/// silu(gate) · up of sixteen elements.
inline Vec silu_times(Vec gate, Vec up) {
    float g[kLanes], quotient[kLanes];
    store(g, gate);
    for (int i = 0; i < kLanes; ++i) quotient[i] = g[i] / (1.0f + exp_f32(-g[i]));
    return load(quotient) * up;
}

template <DType type>
void silu_rows_as(std::int64_t rows, std::int64_t columns, const float* tile,
                  const float* gate_bias, const float* up_bias, std::byte* out,
                  std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const Vec gate = with_bias(load(tile + r * kPanel), gate_bias, columns);
        const Vec up = with_bias(load(tile + r * kPanel + kLanes), up_bias, columns);
        store_some<type>(out + r * stride * kItem<type>, silu_times(gate, up), columns);
    }
}

void silu_rows(std::int64_t rows, std::int64_t columns, const float* tile, const float* gate_bias,
               const float* up_bias, DType type, void* out, std::int64_t stride) {
    auto* bytes = static_cast<std::byte*>(out);
    MUSTER_BY_TYPE(type, silu_rows_as, rows, columns, tile, gate_bias, up_bias, bytes, stride);
}

#undef MUSTER_BY_TYPE

}  // namespace
