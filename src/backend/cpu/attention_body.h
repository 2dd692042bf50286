// Attention's own loops for one instruction set: see kernels.h for what they compute and
// kernels_body.h for the rules of this file.

namespace {

constexpr int kPageTokens = 2 * kPanel;
static_assert(kTileRows <= kLanes);

// --- products ------------------------------------------------------------------------------------

/// Steps whose x are weights, row after row: kRow X from one row to the next. Widened pairs have
/// their odd element first, as widen() puts the values.
struct WeightF32 : StepF32 {
    static constexpr int kX = 1, kRow = kPageTokens;
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        return fma(broadcast(x[row * kRow]), w.w, sum);
    }
};
struct WeightF16 : WeightF32 {
    using W = std::uint16_t;
    static Load load_w(const W* w) { return {load_f16(w)}; }
};
#ifdef MUSTER_DOT_BF16
struct WeightPair : StepDot {
    static constexpr int kX = 1, kRow = kPageTokens / 2;
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        return dot_pairs(sum, broadcast_pair(x[row * kRow]), w.w);
    }
};
constexpr std::int64_t kPairWeightBytes = 2;
#else
struct WeightPair : StepBf16 {
    static constexpr int kX = 2, kRow = kPageTokens;
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        sum = fma(broadcast(x[row * kRow]), w.odd, sum);
        return fma(broadcast(x[row * kRow + 1]), w.even, sum);
    }
};
constexpr std::int64_t kPairWeightBytes = 4;
#endif

// --- softmax -------------------------------------------------------------------------------------

/// 2^x for x below 1, relative error below 2^-22, and 2^0 is 1; x < −125 gives 0, NaN stays NaN.
/// x = n + r, |r| ≤ 1/2; the polynomial interpolates (2^r − 1)/r at the six Chebyshev nodes, which
/// alone is good to 2^-26.
inline Vec exp2_weight(Vec x) {
    const Vec magic = broadcast(12582912.0f);  // 1.5·2^23: n in the low bits
    const Vec shifted = x + magic;
    const Vec r = x - (shifted - magic);
    Vec p = broadcast(1.5453163e-4f);
    p = fma(p, r, broadcast(1.3390863e-3f));
    p = fma(p, r, broadcast(9.6180830e-3f));
    p = fma(p, r, broadcast(5.5503570e-2f));
    p = fma(p, r, broadcast(2.4022651e-1f));
    p = fma(p, r, broadcast(6.9314718e-1f));
    p = fma(p, r, broadcast(1.0f));
    return zero_below(p * power_of_two(shifted), x, -125.0f);
}

/// Where keys [16c, 16c + 16) of row 0 are in scores [2, kTileRows, kPanel].
constexpr int kChunkAt[] = {0, kLanes, kTileRows* kPanel, kTileRows* kPanel + kLanes};

/// Bytes of a row of weights, and of one key's weight in it.
template <DType Type>
constexpr std::int64_t kWeightBytes = Type == DType::bf16 ? kPairWeightBytes : 4;

/// Weights of chunk c of a row, rounded, as the steps of multiply_values take them.
template <DType Type>
void store_weights(Vec weight, int c, std::byte* row) {
    row += c * kLanes * kWeightBytes<Type>;
    if constexpr (Type == DType::f16) weight = round_f16(weight);
    if constexpr (Type == DType::bf16) weight = round_bf16(weight);
#ifdef MUSTER_DOT_BF16
    if constexpr (Type == DType::bf16) return store_high_halves(row, weight);
#endif
    if constexpr (Type == DType::bf16) weight = swap_pairs(weight);
    store_bits(row, weight);
}

/// Makes scores outside of ranges −infinity, in chunks [first, end).
void hide_keys(int rows, const KeyRange* ranges, int first, int end, float* scores) {
    for (int r = 0; r < rows; ++r, scores += kPanel) {
        for (int c = first; c < end; ++c) {
            const int from = ranges[r].begin - c * kLanes, to = ranges[r].end - c * kLanes;
            if (from <= 0 && to >= kLanes) continue;
            float* chunk = scores + kChunkAt[c];
            if (to <= 0 || from >= kLanes)
                store(chunk, broadcast(-kInfinity));
            else
                store(chunk,
                      keep_lanes(load(chunk), from < 0 ? 0 : from, to > kLanes ? kLanes : to));
        }
    }
}

/// softmax_page for chunks [First, End) or, if there are none, [first, end).
template <DType Type, int First, int End>
void softmax_chunks(int rows, int first, int end, float scale, const float* scores,
                    SoftmaxState* state, void* weights) {
    if constexpr (First < End) {
        first = First;
        end = End;
    }
    Vec folded[kLanes];
    for (int r = rows; r < kLanes; ++r) folded[r] = broadcast(-kInfinity);
    for (int r = 0; r < rows; ++r) {
        Vec most = broadcast(-kInfinity);
#pragma GCC unroll 4
        for (int c = first; c < end; ++c)
            most = larger(load(scores + r * kPanel + kChunkAt[c]), most);
        folded[r] = most;
    }
    const Vec largest = fold_rows(folded, [](Vec a, Vec b) { return larger(a, b); });

    const Vec scales = broadcast(scale), old_max = load(state->max);
    const Vec new_max = larger(largest * scales, old_max);
    // Before the first key the maximum is −infinity, which must not be subtracted from itself.
    const Vec base = zero() - larger(new_max, broadcast(-3e38f));
    const Vec factor = exp2_weight(old_max + base);
    store(state->max, new_max);
    store(state->factor, factor);
    alignas(64) float bases[kLanes];
    store(bases, base);

    auto* row = static_cast<std::byte*>(weights);
    for (int r = rows; r < kLanes; ++r) folded[r] = zero();
    for (int r = 0; r < rows; ++r, row += kPageTokens * kWeightBytes<Type>) {
        const Vec row_base = broadcast(bases[r]);
        Vec sum = zero();
#pragma GCC unroll 4
        for (int c = first; c < end; ++c) {
            const Vec score = load(scores + r * kPanel + kChunkAt[c]);
            const Vec weight = exp2_weight(fma(score, scales, row_base));
            sum = sum + weight;
            store_weights<Type>(weight, c, row);
        }
        folded[r] = sum;
    }
    const Vec sums = fold_rows(folded, [](Vec a, Vec b) { return a + b; });
    store(state->sum, fma(load(state->sum), factor, sums));
}

template <DType Type>
void softmax_page_of(int rows, const KeyRange* ranges, float scale, float* scores,
                     SoftmaxState* state, void* weights) {
    constexpr int kChunks = kPageTokens / kLanes;
    const KeyRange first = ranges[0], last = ranges[rows - 1];
    if (last.begin == 0 && first.end == kPageTokens)
        return softmax_chunks<Type, 0, kChunks>(rows, 0, 0, scale, scores, state, weights);
    const int begin = first.begin / kLanes, end = (last.end + kLanes - 1) / kLanes;
    hide_keys(rows, ranges, begin, end, scores);
    softmax_chunks<Type, 0, 0>(rows, begin, end, scale, scores, state, weights);
}

void softmax_page(DType type, int rows, const KeyRange* ranges, float scale, float* scores,
                  SoftmaxState* state, void* weights) {
    if (type == DType::f32)
        softmax_page_of<DType::f32>(rows, ranges, scale, scores, state, weights);
    else if (type == DType::f16)
        softmax_page_of<DType::f16>(rows, ranges, scale, scores, state, weights);
    else
        softmax_page_of<DType::bf16>(rows, ranges, scale, scores, state, weights);
}

// --- sums of values ------------------------------------------------------------------------------

void scale_rows(int rows, const float* factors, std::int64_t panels, float* sums) {
    for (int r = 0; r < rows; ++r) {
        if (factors[r] == 1.0f) continue;
        const Vec factor = broadcast(factors[r]);
        for (std::int64_t panel = 0; panel < panels; ++panel) {
            float* row = sums + (panel * kTileRows + r) * kPanel;
            store(row, load(row) * factor);
            store(row + kLanes, load(row + kLanes) * factor);
        }
    }
}

void finish_row(const float* sums, std::int64_t row, std::int64_t d, float inverse, DType type,
                void* out) {
    auto* bytes = static_cast<std::byte*>(out);
    const std::int64_t item = type == DType::f32 ? 4 : 2;
    const Vec factor = broadcast(inverse);
    for (std::int64_t i = 0; i < d; i += kPanel) {
        const float* from = sums + (i / kPanel * kTileRows + row) * kPanel;
        float result[kPanel];
        store(result, (load(from) + zero()) * factor);
        store(result + kLanes, (load(from + kLanes) + zero()) * factor);
        from_f32(result, d - i < kPanel ? d - i : kPanel, type, bytes + i * item);
    }
}

// --- storing -------------------------------------------------------------------------------------

/// Tokens [first, first + tokens), up to 16 that start at a multiple of 16 when they are 16, and
/// the `count` steps (elements, in bf16 pairs) from `step` on. `keys` is the first token's row.
void store_key_block(DType type, std::int64_t first, std::int64_t tokens, std::int64_t step,
                     std::int64_t count, const float* keys, std::int64_t stride, std::byte* out) {
    const std::int64_t per_step = type == DType::bf16 ? 2 : 1;
    const std::int64_t step_bytes = type == DType::f16 ? 2 : 4;
    std::byte* panel = out + (step * kPanel + first % kPanel) * step_bytes;
    if (tokens == kLanes && count == kLanes) {
        Vec lanes[kLanes];
#pragma GCC unroll 16
        for (int t = 0; t < kLanes; ++t) {
            const float* key = keys + t * stride + step * per_step;
            std::uint16_t pairs[2 * kLanes];
            if (type == DType::bf16) from_f32(key, 2 * kLanes, type, pairs);
            lanes[t] = type == DType::bf16 ? load_bits(pairs) : load(key);
        }
        transpose(lanes);
        for (int i = 0; i < kLanes; ++i, panel += kPanel * step_bytes) {
            if (type == DType::f16)
                store_f16(reinterpret_cast<std::uint16_t*>(panel), lanes[i]);
            else
                store_bits(panel, lanes[i]);
        }
        return;
    }
    for (std::int64_t t = 0; t < tokens; ++t) {
        alignas(64) std::byte key[64];
        from_f32(keys + t * stride + step * per_step, count * per_step, type, key);
        std::byte* to = panel + t * step_bytes;
        for (std::int64_t i = 0; i < count; ++i, to += kPanel * step_bytes) {
            for (std::int64_t b = 0; b < step_bytes; ++b) to[b] = key[i * step_bytes + b];
        }
    }
}

void store_keys(DType type, std::int64_t tokens, std::int64_t d, const float* keys,
                std::int64_t stride, std::int64_t first, void* page) {
    const std::int64_t item = type == DType::f32 ? 4 : 2;
    const std::int64_t steps = type == DType::bf16 ? d / 2 : d, end = first + tokens;
    for (std::int64_t begin = first / kLanes * kLanes; begin < end; begin += kLanes) {
        const std::int64_t from = begin < first ? first : begin;
        const std::int64_t to = begin + kLanes < end ? begin + kLanes : end;
        std::byte* out = static_cast<std::byte*>(page) + begin / kPanel * kPanel * d * item;
        for (std::int64_t step = 0; step < steps; step += kLanes) {
            const std::int64_t count = steps - step < kLanes ? steps - step : kLanes;
            store_key_block(type, from, to - from, step, count, keys + (from - first) * stride,
                            stride, out);
        }
    }
}

void store_values(DType type, std::int64_t tokens, std::int64_t d, const float* values,
                  std::int64_t stride, std::int64_t first, void* page) {
    const std::int64_t item = type == DType::f32 ? 4 : 2;
    auto* panel = static_cast<std::byte*>(page);
    for (std::int64_t column = 0; column < d; column += kPanel) {
        const std::int64_t columns = d - column < kPanel ? d - column : kPanel;
        for (std::int64_t t = first; t < first + tokens; ++t) {
            const float* value = values + (t - first) * stride + column;
            if (type != DType::bf16) {
                from_f32(value, columns, type, panel + t * columns * item);
                continue;
            }
            std::uint16_t rounded[2][kPanel];
            from_f32(value, columns, type, rounded[0]);
            auto* pairs = reinterpret_cast<std::uint16_t*>(panel) + t / 2 * columns * 2;
            if (t % 2 == 0 && t + 1 < first + tokens) {
                from_f32(value + stride, columns, type, rounded[1]);
                for (std::int64_t i = 0; i < columns; ++i) {
                    pairs[2 * i] = rounded[0][i];
                    pairs[2 * i + 1] = rounded[1][i];
                }
                ++t;
            } else {
                for (std::int64_t i = 0; i < columns; ++i) pairs[2 * i + t % 2] = rounded[0][i];
            }
        }
        panel += kPageTokens * columns * item;
    }
}

bool all_finite(DType type, std::int64_t n, const void* values) {
    unsigned infinite = 0;
    if (type == DType::f32) {
        const auto* x = static_cast<const float*>(values);
        for (std::int64_t i = 0; i < n; ++i)
            infinite |= (__builtin_bit_cast(std::uint32_t, x[i]) & 0x7f800000u) == 0x7f800000u;
        return infinite == 0;
    }
    const unsigned exponent = type == DType::f16 ? 0x7c00u : 0x7f80u;
    const auto* x = static_cast<const std::uint16_t*>(values);
    for (std::int64_t i = 0; i < n; ++i) infinite |= (x[i] & exponent) == exponent;
    return infinite == 0;
}

}  // namespace
