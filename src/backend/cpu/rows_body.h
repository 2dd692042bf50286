// Row operations and what is done with the tiles of a product, for one instruction set: see
// kernels.h for what they compute and kernels_body.h for the rules of this file.

namespace {

// --- RMSNorm -------------------------------------------------------------------------------------

/// a rounded to the type and back.
template <DType type>
inline Vec round_as(Vec a) {
    if constexpr (type == DType::f32) return a;
    alignas(64) std::byte rounded[64];
    store_as<type>(rounded, a);
    return load_as<type>(rounded);
}

template <DType type>
void rms_norm_as(const float* x, const float* weight, float eps, std::int64_t n, std::byte* out) {
    Vec squares = zero();
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Vec value = load(x + i);
        squares = fma(value, value, squares);
    }
    if (i < n) {
        const Vec value = load_some<DType::f32>(x + i, n - i);
        squares = fma(value, value, squares);
    }
    const float mean = sum_of_lanes(squares) / static_cast<float>(n);
    const Vec inverse = broadcast(1.0f / __builtin_sqrtf(mean + eps));
    for (i = 0; i < n; i += kLanes) {
        const std::int64_t m = n - i < kLanes ? n - i : kLanes;
        const Vec scaled = round_as<type>(load_some<DType::f32>(x + i, m) * inverse);
        const Vec factor = round_as<type>(load_some<DType::f32>(weight + i, m));
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
    return bias ? sum + load_some<DType::f32>(bias, n) : sum;
}

template <bool add_to_out>
void end_rows(std::int64_t rows, std::int64_t columns, const float* tile, const float* bias,
              float* out, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; c += kLanes) {
            const std::int64_t n = columns - c < kLanes ? columns - c : kLanes;
            float* to = out + r * stride + c;
            Vec sum = with_bias(load(tile + r * kPanel + c), bias ? bias + c : nullptr, n);
            if (add_to_out) sum = load_some<DType::f32>(to, n) + sum;
            store_some<DType::f32>(to, sum, n);
        }
    }
}

void add_scaled_rows(std::int64_t count, const std::int32_t* rows, const float* factors,
                     const float* tile, float* sums) {
    for (std::int64_t r = 0; r < count; ++r) {
        const Vec factor = broadcast(factors[r]);
        for (std::int64_t c = 0; c < kPanel; c += kLanes) {
            float* to = sums + rows[r] * kPanel + c;
            store(to, fma(factor, load(tile + r * kPanel + c), load(to)));
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

}  // namespace
