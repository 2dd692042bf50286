// Matrix tiles of one instruction set: see kernels.h for what they compute and kernels_body.h for
// the rules of this file.

namespace {

// --- what one step takes from x and w ------------------------------------------------------------

struct StepF32 {
    using X = float;
    using W = float;
    static constexpr int kX = kTileRows;  // X of one step
    static constexpr int kRow = 1;        // X from one row to the next
    static constexpr int kW = 1;          // W of one column
    struct Load {
        Vec w;
    };
    static Load load_w(const W* w) { return {load(w)}; }
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        return fma(broadcast(x[row]), w.w, sum);
    }
};

struct StepF16 : StepF32 {
    using W = std::uint16_t;
    static Load load_w(const W* w) { return {load_f16(w)}; }
};

/// A pair, widened: the odd element first. x holds the odd rows, then the even ones.
struct StepBf16 {
    using X = float;
    using W = std::uint16_t;
    static constexpr int kX = 2 * kTileRows;
    static constexpr int kRow = 1;
    static constexpr int kW = 2;
    struct Load {
        Vec odd, even;
    };
    static Load load_w(const W* w) {
        const Vec pair = load_bits(w);
        return {odd_of_pairs(pair), even_of_pairs(pair)};
    }
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        sum = fma(broadcast(x[row]), w.odd, sum);
        return fma(broadcast(x[kTileRows + row]), w.even, sum);
    }
};

#ifdef MUSTER_DOT_BF16
/// A pair by one instruction. x holds pairs.
struct StepDot {
    using X = std::uint32_t;
    using W = std::uint16_t;
    static constexpr int kX = kTileRows;
    static constexpr int kRow = 1;
    static constexpr int kW = 2;
    struct Load {
        Vec w;
    };
    static Load load_w(const W* w) { return {load_bits(w)}; }
    static Vec add(Vec sum, const X* x, int row, const Load& w) {
        return dot_pairs(sum, broadcast_pair(x[row]), w.w);
    }
};
using StepPair = StepDot;
#else
using StepPair = StepBf16;
#endif

// --- tiles ---------------------------------------------------------------------------------------

/// `Rows` rows × `Vecs` vectors of columns, sums in registers. Each step asks for the next two
/// cache lines from `ahead` on.
template <typename Step, int Rows, int Vecs>
void tile_block(std::int64_t steps, const typename Step::X* x, const typename Step::W* w,
                std::int64_t w_stride, float* c, bool add, Ahead ahead) {
    Vec sum[Rows][Vecs];
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < Vecs; ++v) sum[r][v] = add ? load(c + r * kPanel + v * kLanes) : zero();
    }
    for (std::int64_t i = 0; i < steps; ++i) {
        typename Step::Load weights[Vecs];
#pragma GCC unroll 2
        for (int v = 0; v < Vecs; ++v) weights[v] = Step::load_w(w + v * kLanes * Step::kW);
#pragma GCC unroll 12
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
            for (int v = 0; v < Vecs; ++v) sum[r][v] = Step::add(sum[r][v], x, r, weights[v]);
        }
        x += Step::kX;
        w += w_stride * Step::kW;
        // Into the second-level cache: it is for a later call.
        __builtin_prefetch(ahead.next, 0, 2);
        __builtin_prefetch(ahead.next + 64, 0, 2);
        ahead.next += ahead.per_step;
    }
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < Vecs; ++v) store(c + r * kPanel + v * kLanes, sum[r][v]);
    }
}

/// Any number of rows, cut into blocks that the registers of this set hold.
template <typename Step, int Rows>
void tile_rows(std::int64_t steps, const typename Step::X* x, const typename Step::W* w,
               std::int64_t w_stride, float* c, bool add, Ahead ahead) {
    if constexpr (Rows <= kRegisterRows) {
        tile_block<Step, Rows, 2>(steps, x, w, w_stride, c, add, ahead);
    } else if constexpr (Rows <= 2 * kRegisterRows) {
        tile_block<Step, Rows, 1>(steps, x, w, w_stride, c, add, ahead);
        tile_block<Step, Rows, 1>(steps, x, w + kLanes * Step::kW, w_stride, c + kLanes, add,
                                  {reinterpret_cast<const char*>(w), 0});
    } else {
        constexpr int kHead = 2 * kRegisterRows;
        tile_rows<Step, kHead>(steps, x, w, w_stride, c, add, ahead);
        tile_rows<Step, Rows - kHead>(steps, x + kHead * Step::kRow, w, w_stride,
                                      c + kHead * kPanel, add,
                                      {reinterpret_cast<const char*>(w), 0});
    }
}

/// Calls call.operator()<Rows>() for a number of rows that is known only when the program runs.
template <int Rows = kTileRows, typename Call>
inline void with_rows(int rows, const Call& call) {
    if constexpr (Rows > 1) {
        if (rows < Rows) return with_rows<Rows - 1>(rows, call);
    }
    call.template operator()<Rows>();
}

template <typename Step>
void tile(int rows, std::int64_t steps, const void* x_block, const void* weights,
          std::int64_t w_stride, float* c, bool add, Ahead ahead) {
    const auto* x = static_cast<const typename Step::X*>(x_block);
    const auto* w = static_cast<const typename Step::W*>(weights);
    with_rows(rows,
              [&]<int Rows>() { tile_rows<Step, Rows>(steps, x, w, w_stride, c, add, ahead); });
}

// --- panels side by side -------------------------------------------------------------------------

/// How near the multipliers memory is fetched: the second argument of __builtin_prefetch.
enum Cache { kSecondLevel = 2, kFirstLevel = 3 };

/// For rows too few to keep the multipliers busy with one panel, and to read memory in several
/// streams: one is slower, however far ahead it is fetched.
template <typename Step, int Rows, int Panels, Cache Into>
void side_by_side(std::int64_t steps, const typename Step::X* x, const void* const* panels,
                  float* c, bool add, Ahead ahead) {
    constexpr int kVecs = kPanel / kLanes;
    constexpr std::int64_t kTile = kTileRows * kPanel;
    const typename Step::W* w[Panels];
    Vec sum[Panels][Rows][kVecs];
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
        w[p] = static_cast<const typename Step::W*>(panels[p]);
#pragma GCC unroll 6
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
            for (int v = 0; v < kVecs; ++v)
                sum[p][r][v] = add ? load(c + p * kTile + r * kPanel + v * kLanes) : zero();
        }
    }
    for (std::int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 2
            for (int v = 0; v < kVecs; ++v) {
                const typename Step::Load weights = Step::load_w(w[p] + v * kLanes * Step::kW);
#pragma GCC unroll 6
                for (int r = 0; r < Rows; ++r)
                    sum[p][r][v] = Step::add(sum[p][r][v], x, r, weights);
            }
            w[p] += kPanel * Step::kW;
            const char* next = ahead.next + p * ahead.per_panel;
            __builtin_prefetch(next, 0, Into);
            __builtin_prefetch(next + 64, 0, Into);
        }
        x += Step::kX;
        ahead.next += ahead.per_step;
    }
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 6
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
            for (int v = 0; v < kVecs; ++v)
                store(c + p * kTile + r * kPanel + v * kLanes, sum[p][r][v]);
        }
    }
}

/// Any number of panels, as many at once as the registers of this set hold.
template <typename Step, Cache Into>
void panels(int rows, int count, std::int64_t steps, const void* x_block, const void* const* w,
            float* c, bool add, Ahead ahead) {
    const auto* x = static_cast<const typename Step::X*>(x_block);
    const auto after = [&](int done) {
        w += done;
        c += done * kTileRows * kPanel;
        ahead.next += done * ahead.per_panel;
        count -= done;
    };
    with_rows(rows, [&]<int Rows>() {
        if constexpr (4 * Rows <= kRegisterRows) {
            for (; count >= 4; after(4))
                side_by_side<Step, Rows, 4, Into>(steps, x, w, c, add, ahead);
        }
        if constexpr (2 * Rows <= kRegisterRows) {
            for (; count >= 2; after(2))
                side_by_side<Step, Rows, 2, Into>(steps, x, w, c, add, ahead);
        }
        for (; count > 0; after(1)) {
            tile_rows<Step, Rows>(steps, x, static_cast<const typename Step::W*>(*w), kPanel, c,
                                  add, ahead);
        }
    });
}

// --- packing x -----------------------------------------------------------------------------------

/// One packed step from a column of transposed lanes.
inline void store_step(Vec column, float* out) {
    store_first_12(out, column);
}
inline void store_pair_step(Vec pairs, void* out) {
#ifdef MUSTER_DOT_BF16
    store_first_12(static_cast<float*>(out), pairs);
#else
    store_first_12(static_cast<float*>(out), odd_of_pairs(pairs));
    store_first_12(static_cast<float*>(out) + kTileRows, even_of_pairs(pairs));
#endif
}
constexpr std::int64_t kPairStepBytes =
    static_cast<std::int64_t>(StepPair::kX * sizeof(StepPair::X));

/// Sixteen steps of a row: sixteen f32, f16 as f32, or pairs of bf16.
inline Vec load_steps(DType type, const void* row) {
    if (type == DType::f32) return load(static_cast<const float*>(row));
    if (type == DType::f16) return load_f16(static_cast<const std::uint16_t*>(row));
    return load_bits(row);
}

void pack_x(DType type, int rows, std::int64_t k, const void* x, std::int64_t stride, void* block) {
    const std::int64_t item = type == DType::f32 ? 4 : 2, per_step = type == DType::bf16 ? 2 : 1;
    const std::int64_t steps = (k + per_step - 1) / per_step;
    const std::int64_t step_bytes =
        type == DType::bf16 ? kPairStepBytes : static_cast<std::int64_t>(kTileRows * sizeof(float));
    const auto* from = static_cast<const std::byte*>(x);
    auto* out = static_cast<std::byte*>(block);
    for (std::int64_t begin = 0; begin < steps; begin += kLanes) {
        const std::int64_t n = steps - begin < kLanes ? steps - begin : kLanes;
        const std::int64_t first = begin * per_step, elements = k - first;
        Vec lanes[kLanes];
#pragma GCC unroll 16
        for (int r = 0; r < kLanes; ++r) {
            lanes[r] = zero();
            if (r >= rows) continue;
            const std::byte* row = from + (r * stride + first) * item;
            if (elements >= kLanes * per_step) {
                lanes[r] = load_steps(type, row);
            } else {
                alignas(64) std::byte padded[64] = {};
                __builtin_memcpy(padded, row, static_cast<std::size_t>(elements * item));
                lanes[r] = load_steps(type, padded);
            }
        }
        transpose(lanes);
        for (std::int64_t i = 0; i < n; ++i) {
            std::byte* to = out + (begin + i) * step_bytes;
            if (type == DType::bf16)
                store_pair_step(lanes[i], to);
            else
                store_step(lanes[i], reinterpret_cast<float*>(to));
        }
    }
}

void widen(DType type, std::int64_t steps, const void* w, float* out) {
    if (type == DType::bf16) {
        const auto* pairs = static_cast<const std::uint16_t*>(w);
        for (std::int64_t i = 0; i < steps; ++i, pairs += 2 * kPanel, out += 2 * kPanel) {
            const Vec left = load_bits(pairs), right = load_bits(pairs + 2 * kLanes);
            store(out, odd_of_pairs(left));
            store(out + kLanes, odd_of_pairs(right));
            store(out + kPanel, even_of_pairs(left));
            store(out + kPanel + kLanes, even_of_pairs(right));
        }
        return;
    }
    const auto* halves = static_cast<const std::uint16_t*>(w);
    for (std::int64_t i = 0; i < steps * kPanel; i += kLanes) store(out + i, load_f16(halves + i));
}

}  // namespace
