#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend_test.h"

using namespace muster;

namespace {

/// Keys, values and queries of some sequences, their pages dealt out at random from a poisoned
/// cache.
struct Scene {
    std::int64_t kv_heads, group, d, window;
    DType dtype;
    std::vector<std::vector<std::int32_t>> pages;
    std::vector<std::int64_t> lengths;
    std::vector<std::vector<float>> q, k, v;  ///< per sequence [length, heads · d]

    Scene(RandomInput& input, DType type)
        : kv_heads(input.integer(1, 3)),
          group(input.integer(1, 5)),
          d(2 * input.integer(1, 40)),
          window(input.integer(0, 2) == 0 ? input.integer(1, 90) : 0),
          dtype(type) {
        std::vector<std::int32_t> ids(32);
        std::iota(ids.begin(), ids.end(), 0);
        std::shuffle(ids.begin(), ids.end(), input.random);
        for (std::size_t s = 0; s < 4; ++s) {
            lengths.push_back(input.integer(1, 200));
            pages.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(s * 4),
                               ids.begin() + static_cast<std::ptrdiff_t>(s * 4 + 4));
            q.push_back(input.floats(lengths[s] * kv_heads * group * d));
            k.push_back(input.floats(lengths[s] * kv_heads * d));
            v.push_back(input.floats(lengths[s] * kv_heads * d));
        }
    }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }

    /// Attention of every row in steps of at most `chunk` rows per sequence, all sequences in each
    /// step.
    std::vector<std::vector<float>> run(cpu::Isa isa, int threads, std::int64_t chunk) const {
        TestBackend backend(isa, threads);
        const std::int64_t q_width = kv_heads * group * d, kv_width = kv_heads * d;
        const Tensor keys = backend.poisoned({32, kKvPageTokens, kv_width}, dtype);
        const Tensor values = backend.poisoned({32, kKvPageTokens, kv_width}, dtype);
        std::vector<std::vector<float>> out(4);
        for (std::int64_t begin = 0; begin < 200; begin += chunk) {
            std::vector<AttentionSequence> sequences;
            std::vector<float> qkv;
            for (std::size_t s = 0; s < 4; ++s) {
                const std::int64_t end = std::min(begin + chunk, lengths[s]);
                if (begin >= end) continue;
                sequences.push_back(
                    {static_cast<std::int32_t>(qkv.size() /
                                               static_cast<std::size_t>(q_width + 2 * kv_width)),
                     static_cast<std::int32_t>(end - begin), static_cast<std::int32_t>(begin),
                     pages[s]});
                for (std::int64_t t = begin; t < end; ++t) {
                    qkv.insert(qkv.end(), q[s].begin() + t * q_width,
                               q[s].begin() + (t + 1) * q_width);
                    qkv.insert(qkv.end(), k[s].begin() + t * kv_width,
                               k[s].begin() + (t + 1) * kv_width);
                    qkv.insert(qkv.end(), v[s].begin() + t * kv_width,
                               v[s].begin() + (t + 1) * kv_width);
                }
            }
            if (sequences.empty()) break;
            const std::int64_t width = q_width + 2 * kv_width,
                               rows = static_cast<std::int64_t>(qkv.size()) / width;
            const Tensor fused = backend.tensor(qkv, {rows, width}),
                         attended = backend.poisoned({rows, q_width}, dtype);
            backend->store_kv(fused.column_range(q_width, q_width + kv_width),
                              fused.column_range(q_width + kv_width, width), sequences, d,
                              keys, values);
            backend->attention(fused.column_range(0, q_width), keys, values, sequences, d, scale(),
                               window, attended);
            const std::vector<float> got = backend.values(attended);
            std::size_t next = 0, present = 0;
            for (std::size_t s = 0; s < 4; ++s) {
                if (begin >= std::min(begin + chunk, lengths[s])) continue;
                const auto count =
                    static_cast<std::size_t>(sequences[present++].num_rows * q_width);
                out[s].insert(out[s].end(), got.begin() + static_cast<std::ptrdiff_t>(next),
                              got.begin() + static_cast<std::ptrdiff_t>(next + count));
                next += count;
            }
        }
        return out;
    }

    /// One output row and head in double.
    std::vector<double> exact(std::size_t s, std::int64_t t, std::int64_t head) const {
        const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, t - window + 1) : 0,
                           kv_head = head / group;
        const auto kv = [&](const std::vector<float>& x, std::int64_t at, std::int64_t i) {
            return static_cast<double>(
                rounded(x[static_cast<std::size_t>((at * kv_heads + kv_head) * d + i)], dtype));
        };
        std::vector<double> weights, result(static_cast<std::size_t>(d));
        double max = -1e300, sum = 0;
        for (std::int64_t at = first; at <= t; ++at) {
            double dot = 0;
            for (std::int64_t i = 0; i < d; ++i)
                dot += static_cast<double>(
                           q[s][static_cast<std::size_t>((t * kv_heads * group + head) * d + i)]) *
                       kv(k[s], at, i);
            weights.push_back(dot * static_cast<double>(scale()));
            max = std::max(max, weights.back());
        }
        for (double& weight : weights) sum += weight = std::exp(weight - max);
        for (std::int64_t at = first; at <= t; ++at) {
            for (std::int64_t i = 0; i < d; ++i)
                result[static_cast<std::size_t>(i)] +=
                    weights[static_cast<std::size_t>(at - first)] / sum * kv(v[s], at, i);
        }
        return result;
    }
};

}  // namespace

TEST_CASE("attention agrees with softmax in double") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        for (int round = 0; round < 3; ++round) {
            const Scene scene(input, dtype);
            const auto got = scene.run(cpu::available_isas().back(), 2, 1000);
            const double unit = dtype == DType::f32 ? 1e-6 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
            double worst = 0;
            for (std::size_t s = 0; s < 4; ++s) {
                for (std::int64_t t = 0; t < scene.lengths[s]; ++t) {
                    const std::int64_t head = input.integer(0, scene.kv_heads * scene.group - 1);
                    const std::vector<double> exact = scene.exact(s, t, head);
                    for (std::int64_t i = 0; i < scene.d; ++i) {
                        const double value = got[s][static_cast<std::size_t>(
                            (t * scene.kv_heads * scene.group + head) * scene.d + i)];
                        const double error = std::abs(value - exact[static_cast<std::size_t>(i)]) /
                                             (1.0 + std::abs(exact[static_cast<std::size_t>(i)]));
                        if (!(error <= worst)) worst = error;
                    }
                }
            }
            CHECK(worst < 2 * unit);
        }
    }
}

TEST_CASE("attention gives the same bits in any chunks, on any threads, with any kernel set") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        const Scene scene(input, dtype);
        CAPTURE(scene.window);
        CAPTURE(scene.d);
        CAPTURE(scene.group);
        const auto whole = scene.run(cpu::available_isas().back(), 1, 1000);
        for (const std::int64_t chunk : {1, 5, 64, 77})
            CHECK(scene.run(cpu::available_isas().back(), 2, chunk) == whole);
        for (const cpu::Isa isa : cpu::available_isas()) CHECK(scene.run(isa, 3, 1000) == whole);
    }
}
