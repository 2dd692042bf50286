#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend_test.h"
#include "cpu/attention_layout.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

constexpr std::int32_t kPages = 24;

/// How a scene is computed; none of it may show in the result.
struct Way {
    std::string backend = "cpu";
    cpu::Isa isa = cpu::available_isas().back();
    int threads = 1;
    std::int64_t chunk = 1000;  ///< rows of a sequence in one step
    bool together = true;       ///< all sequences in each step, or one after the other
    float garbage = std::numeric_limits<float>::quiet_NaN();  ///< what the cache holds before
    unsigned page_seed = 1;
};

/// Keys, values and queries of some sequences.
struct Scene {
    std::int64_t kv_heads, group, d, window;
    DType dtype;
    std::vector<std::int64_t> lengths;
    std::vector<std::vector<float>> q, k, v;  ///< per sequence [length, heads · d]

    Scene(RandomInput& input, const std::string& backend, DType type, std::int64_t group_size,
          std::int64_t head_dim)
        : kv_heads(input.integer(1, 2)),
          group(group_size),
          d(head_dim),
          window(input.integer(0, 1) == 0 ? input.integer(1, 90) : 0),
          dtype(type) {
        // Long enough for several pages, but the portable kernels and a device of fibers have to be
        // done, too.
        const double budget = backend == "cpu" ? 1.6e7 : 4e6;
        const auto most = static_cast<std::int64_t>(
            std::sqrt(budget / static_cast<double>(kv_heads * group * d)));
        const std::int64_t longest = std::clamp<std::int64_t>(most, 70, 200);
        for (const std::int64_t length :
             {longest, input.integer(1, longest / 2), std::int64_t{1}}) {
            lengths.push_back(length);
            q.push_back(input.floats(length * kv_heads * group * d));
            k.push_back(input.floats(length * kv_heads * d));
            v.push_back(input.floats(length * kv_heads * d));
        }
    }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }
    std::int64_t q_width() const { return kv_heads * group * d; }
    std::int64_t kv_width() const { return kv_heads * d; }

    std::vector<std::vector<std::int32_t>> deal_pages(unsigned seed) const {
        std::vector<std::int32_t> ids(kPages);
        std::iota(ids.begin(), ids.end(), 0);
        std::shuffle(ids.begin(), ids.end(), std::mt19937(seed));
        std::vector<std::vector<std::int32_t>> pages;
        std::ptrdiff_t next = 0;
        for (const std::int64_t length : lengths) {
            const std::ptrdiff_t count = (length + kKvPageTokens - 1) / kKvPageTokens;
            pages.emplace_back(ids.begin() + next, ids.begin() + next + count);
            next += count;
        }
        return pages;
    }
    /// Rows [begin, end) of sequence s as they come out of the fused projection.
    void append_rows(std::size_t s, std::int64_t begin, std::int64_t end,
                     std::vector<float>& qkv) const {
        for (std::int64_t t = begin; t < end; ++t) {
            const auto append = [&](const std::vector<float>& from, std::int64_t width) {
                qkv.insert(qkv.end(), from.begin() + t * width, from.begin() + (t + 1) * width);
            };
            append(q[s], q_width());
            append(k[s], kv_width());
            append(v[s], kv_width());
        }
    }
    std::vector<float> step(TestBackend& backend, const std::vector<float>& qkv,
                            std::span<const AttentionSequence> sequences, const Tensor& keys,
                            const Tensor& values) const {
        const std::int64_t width = q_width() + 2 * kv_width(), at = q_width() + kv_width();
        const std::int64_t rows = static_cast<std::int64_t>(qkv.size()) / width;
        const Tensor fused = backend.tensor(qkv, {rows, width});
        const Tensor out = backend.poisoned({rows, q_width()}, dtype);
        backend->store_kv(fused.column_range(q_width(), at), fused.column_range(at, width),
                          sequences, d, keys, values);
        backend->attention(fused.column_range(0, q_width()), keys, values, sequences, d, scale(),
                           window, out);
        return backend.values(out);
    }
    Tensor cache(TestBackend& backend, float garbage) const {
        const Shape shape{kPages, kKvPageTokens, kv_width()};
        return backend.tensor(
            std::vector<float>(static_cast<std::size_t>(num_elements(shape)), garbage), shape,
            dtype);
    }

    /// Attention of every row, per sequence [length, heads · d].
    std::vector<std::vector<float>> run(const Way& way) const {
        TestBackend backend =
            way.backend == "cpu" ? TestBackend(way.isa, way.threads) : TestBackend(way.backend);
        const Tensor keys = cache(backend, way.garbage), values = cache(backend, way.garbage);
        const auto pages = deal_pages(way.page_seed);
        std::vector<std::vector<float>> out(lengths.size());
        const auto run_step = [&](std::int64_t begin, std::size_t first, std::size_t last) {
            std::vector<AttentionSequence> sequences;
            std::vector<float> qkv;
            std::int32_t rows = 0;
            for (std::size_t s = first; s <= last; ++s) {
                const std::int64_t end = std::min(begin + way.chunk, lengths[s]);
                if (begin >= end) continue;
                const auto count = static_cast<std::int32_t>(end - begin);
                sequences.push_back({rows, count, static_cast<std::int32_t>(begin), pages[s]});
                rows += count;
                append_rows(s, begin, end, qkv);
            }
            if (sequences.empty()) return;
            const std::vector<float> got = step(backend, qkv, sequences, keys, values);
            auto next = got.begin();
            for (std::size_t s = first; s <= last; ++s) {
                const std::int64_t n = std::min(begin + way.chunk, lengths[s]) - begin;
                if (n <= 0) continue;
                out[s].insert(out[s].end(), next, next + n * q_width());
                next += n * q_width();
            }
        };
        for (std::int64_t begin = 0; begin < lengths[0]; begin += way.chunk) {
            if (way.together) run_step(begin, 0, lengths.size() - 1);
            for (std::size_t s = 0; !way.together && s < lengths.size(); ++s) run_step(begin, s, s);
        }
        return out;
    }

    struct Exact {
        double value = 0;
        double mean_size = 0;  ///< mean of |value| by the same weights
        double spread = 0;     ///< Σ |value| / Σ weight
    };
    /// One output row and head in double, from inputs as they are rounded.
    std::vector<Exact> exact(std::size_t s, std::int64_t t, std::int64_t head) const {
        const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, t - window + 1) : 0;
        const auto element = [&](const std::vector<float>& x, std::int64_t row, std::int64_t width,
                                 std::int64_t at_head, std::int64_t i) {
            return static_cast<double>(
                rounded(x[static_cast<std::size_t>(row * width + at_head * d + i)], dtype));
        };
        std::vector<double> weights;
        double max = -1e300, sum = 0;
        for (std::int64_t at = first; at <= t; ++at) {
            double dot = 0;
            for (std::int64_t i = 0; i < d; ++i)
                dot += element(q[s], t, q_width(), head, i) *
                       element(k[s], at, kv_width(), head / group, i);
            weights.push_back(dot * static_cast<double>(scale()));
            max = std::max(max, weights.back());
        }
        for (double& weight : weights) sum += weight = std::exp(weight - max);
        std::vector<Exact> result(static_cast<std::size_t>(d));
        for (std::int64_t at = first; at <= t; ++at) {
            const double weight = weights[static_cast<std::size_t>(at - first)] / sum;
            for (std::int64_t i = 0; i < d; ++i) {
                const double value = element(v[s], at, kv_width(), head / group, i);
                Exact& e = result[static_cast<std::size_t>(i)];
                e.value += weight * value;
                e.mean_size += weight * std::abs(value);
                e.spread += std::abs(value) / sum;
            }
        }
        return result;
    }
    /// The largest distance from the exact result in a row's random head, in units of what rounding
    /// allows.
    double worst_error(RandomInput& input, const std::vector<std::vector<float>>& got) const {
        // The weights and the result are rounded to the type, weights of f16 below 2^-14 to a
        // multiple of 2^-24. Scores of f32 are good to some units of their last place, and so
        // are the logarithms of the weights.
        const double unit = dtype == DType::f32 ? 0 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
        const double step = dtype == DType::f16 ? 0x1p-25 : 0;
        double worst = 0;
        for (std::size_t s = 0; s < lengths.size(); ++s) {
            for (std::int64_t t = 0; t < lengths[s]; ++t) {
                const std::int64_t heads = kv_heads * group;
                const std::int64_t head = input.integer(0, heads - 1);
                const std::vector<Exact> truth = exact(s, t, head);
                for (std::int64_t i = 0; i < d; ++i) {
                    const auto at = static_cast<std::size_t>((t * heads + head) * d + i);
                    const Exact& e = truth[static_cast<std::size_t>(i)];
                    const double allowed = unit * (e.mean_size + std::abs(e.value)) +
                                           step * (e.spread + 1) + 4e-6 * (e.mean_size + 0.01);
                    const double error = std::abs(got[s][at] - e.value) / allowed;
                    if (!(error <= worst)) worst = error;
                }
            }
        }
        return worst;
    }
    /// Steps of any size, page numbers and unseen memory make no difference to `whole`.
    void check_ways(const std::string& name, const std::vector<std::vector<float>>& whole) const;
    /// One sequence stores what two others begin with.
    void check_shared_pages(const std::string& name) const;
};

bool same(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits);
}

void Scene::check_ways(const std::string& name,
                       const std::vector<std::vector<float>>& whole) const {
    for (const std::int64_t chunk : {1, 5, 64, 77})
        CHECK(same(run({.backend = name, .threads = 2, .chunk = chunk}), whole));
    CHECK(same(run({.backend = name, .threads = 3, .together = false, .page_seed = 2}), whole));
    // Unseen memory: values that would show if they were multiplied, even by zero.
    for (const float garbage : {0.0f, -1e30f, std::numeric_limits<float>::infinity()})
        CHECK(same(run({.backend = name, .chunk = 7, .garbage = garbage}), whole));
}

void Scene::check_shared_pages(const std::string& name) const {
    const std::int64_t shared = 2 * kKvPageTokens, length = lengths[0];
    REQUIRE(length > shared + 2);
    const std::vector<float> whole = run({.backend = name})[0];
    TestBackend backend(name);
    const Tensor keys = cache(backend, std::numeric_limits<float>::quiet_NaN());
    const Tensor values = cache(backend, std::numeric_limits<float>::quiet_NaN());
    // One sequence stores the shared part and stays; two others read it and go on for
    // themselves, the last of them on copies of half-filled pages.
    const std::vector<std::int32_t> first = {5, 3, 9, 11}, second = {5, 3, 7, 8},
                                    third = {5, 3, 2, 1};
    std::vector<float> qkv;
    const std::int64_t begin = shared + 1;
    append_rows(0, 0, begin, qkv);
    const AttentionSequence prefix{0, static_cast<std::int32_t>(begin), 0, second};
    step(backend, qkv, {&prefix, 1}, keys, values);
    const PageCopy copies[] = {{7, 9}, {7, 2}};
    backend->copy_kv_pages(std::vector<Tensor>{keys, values}, copies);
    qkv.clear();
    std::vector<AttentionSequence> sequences;
    const auto rows = static_cast<std::int32_t>(length - begin);
    for (const std::vector<std::int32_t>* pages : {&first, &second, &third}) {
        sequences.push_back({rows * static_cast<std::int32_t>(sequences.size()), rows,
                             static_cast<std::int32_t>(begin), *pages});
        append_rows(0, begin, length, qkv);
    }
    const std::vector<float> got = step(backend, qkv, sequences, keys, values);
    const std::int64_t width = q_width();
    const std::vector<float> expected(whole.begin() + begin * width, whole.end());
    for (std::ptrdiff_t s = 0; s < 3; ++s) {
        const auto from = got.begin() + s * rows * width;
        CHECK(same_bits(std::vector<float>(from, from + rows * width), expected));
    }
}

constexpr std::int64_t kGroups[] = {1, 3, 7, 8, 16};
/// Head sizes that a backend computes; the CPU's may be any even number.
std::vector<std::int64_t> head_dims(const std::string& backend) {
    if (backend == "cpu") return {2, 8, 16, 40, 64, 80, 96, 128, 256};
    return {8, 16, 32, 64, 80, 96, 128, 256};
}
std::int64_t any_head_dim(RandomInput& input, const std::string& backend) {
    const std::vector<std::int64_t> dims = head_dims(backend);
    return dims[static_cast<std::size_t>(
        input.integer(0, static_cast<std::int64_t>(dims.size()) - 1))];
}

}  // namespace

TEST_CASE("attention agrees with softmax in double") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        for (const DType dtype : kFloatTypes) {
            for (const std::int64_t d : head_dims(name)) {
                const Scene scene(input, name, dtype, kGroups[input.integer(0, 4)], d);
                CAPTURE(name);
                CAPTURE(name_of(dtype));
                CAPTURE(d);
                CAPTURE(scene.group);
                CAPTURE(scene.window);
                CHECK(scene.worst_error(input, scene.run({.backend = name, .threads = 2})) < 1.05);
            }
        }
    }
}

TEST_CASE("attention gives the same bits in any way") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        for (const std::int64_t group : kGroups) {
            const Scene scene(input, "cpu", dtype, group, any_head_dim(input, "cpu"));
            CAPTURE(scene.window);
            CAPTURE(scene.d);
            CAPTURE(group);
            const auto whole = scene.run({});
            scene.check_ways("cpu", whole);
            for (const cpu::Isa isa : cpu::available_isas())
                CHECK(same(scene.run({.isa = isa, .threads = 3}), whole));
        }
        for (const std::string& name : backend_names()) {
            if (name == "cpu") continue;
            const Scene scene(input, name, dtype, kGroups[input.integer(0, 4)],
                              any_head_dim(input, name));
            CAPTURE(scene.window);
            CAPTURE(scene.d);
            CAPTURE(scene.group);
            scene.check_ways(name, scene.run({.backend = name}));
        }
    }
}

TEST_CASE("what is not finite shows only where it is seen") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        std::vector<cpu::Isa> isas = cpu::available_isas();
        if (name != "cpu") isas.resize(1);  // that backend has no choice
        for (const DType dtype : kFloatTypes) {
            for (const float strange : {std::numeric_limits<float>::infinity(),
                                        std::numeric_limits<float>::quiet_NaN()}) {
                Scene scene(input, name, dtype, kGroups[input.integer(0, 4)],
                            any_head_dim(input, name));
                scene.window = input.integer(1, 60);
                CAPTURE(name);
                CAPTURE(scene.group);
                CAPTURE(scene.d);
                CAPTURE(scene.window);
                const auto before = scene.run({.backend = name});
                const std::int64_t at = input.integer(0, scene.lengths[0] - 1);
                for (std::int64_t i = 0; i < scene.kv_width(); ++i)
                    scene.v[0][static_cast<std::size_t>(at * scene.kv_width() + i)] = strange;
                for (const cpu::Isa isa : isas) {
                    const auto after = scene.run({.backend = name, .isa = isa, .threads = 2});
                    int wrong = 0;
                    for (std::int64_t t = 0; t < scene.lengths[0]; ++t) {
                        const bool seen = at <= t && t < at + scene.window;
                        for (std::int64_t i = 0; i < scene.q_width(); ++i) {
                            const auto e = static_cast<std::size_t>(t * scene.q_width() + i);
                            wrong += seen ? std::isfinite(after[0][e])
                                          : std::memcmp(&after[0][e], &before[0][e], 4) != 0;
                        }
                    }
                    CHECK(wrong == 0);
                }
            }
        }
    }
}

TEST_CASE("sequences may share pages") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        for (const DType dtype : kFloatTypes) {
            CAPTURE(name);
            Scene scene(input, name, dtype, 2, 32);  // small enough for three pages
            scene.window = 0;
            scene.check_shared_pages(name);
        }
    }
}

TEST_CASE("weights are accurate powers of two, zero where nothing is seen") {
    RandomInput input;
    std::vector<float> first;
    for (const cpu::Isa isa : cpu::available_isas()) {
        alignas(64) float scores[2 * cpu::kTileRows * cpu::kPanel];
        alignas(64) float weights[cpu::kTileRows * kKvPageTokens];
        std::mt19937 same_for_all(1);
        double worst = 0;
        std::vector<float> all;
        for (int round = 0; round < 200; ++round) {
            std::uniform_real_distribution<float> uniform(round % 2 ? -2.0f : -130.0f, 0.0f);
            for (float& score : scores) score = uniform(same_for_all);
            cpu::KeyRange ranges[cpu::kTileRows];
            for (int r = 0; r < cpu::kTileRows; ++r) {
                ranges[r] = round % 4 < 2 ? cpu::KeyRange{0, 64} : cpu::KeyRange{3 * r, 20 + 4 * r};
                scores[(ranges[r].begin / 32 * cpu::kTileRows + r) * 32 + ranges[r].begin % 32] = 0;
            }
            cpu::SoftmaxState state{};
            std::fill_n(state.max, 16, -std::numeric_limits<float>::infinity());
            std::vector<float> copy(scores, scores + std::size(scores));
            cpu::kernels_for(isa).softmax_page(DType::f32, cpu::kTileRows, ranges, 1.0f, scores,
                                               &state, weights);
            for (int r = 0; r < cpu::kTileRows; ++r) {
                double sum = 0;
                for (int key = 0; key < kKvPageTokens; ++key) {
                    const float weight = weights[r * kKvPageTokens + key];
                    if (key < ranges[r].begin || key >= ranges[r].end) {
                        CHECK(weight == 0.0f);
                        continue;
                    }
                    const float x = copy[static_cast<std::size_t>(
                        (key / 32 * cpu::kTileRows + r) * 32 + key % 32)];
                    const double exact = x < -125.0f ? 0.0 : std::exp2(static_cast<double>(x));
                    worst = std::max(worst, std::abs(weight - exact) / std::max(exact, 0x1p-125));
                    sum += exact;
                    all.push_back(weight);
                }
                worst = std::max(worst, std::abs(state.sum[r] - sum) / sum);
                CHECK(state.max[r] == 0.0f);
                all.push_back(state.sum[r]);
            }
        }
        CHECK(worst < 0x1p-22);
        if (first.empty()) first = all;
        CHECK(same_bits(first, all));
    }
}

TEST_CASE("a cache that does not fit is refused") {
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const Tensor keys = backend.poisoned({2, kKvPageTokens, 16}),
                     values = backend.poisoned({2, kKvPageTokens, 16});
        const Tensor other = backend.poisoned({2, kKvPageTokens, 16}, DType::bf16);
        const Tensor rows = backend.tensor(std::vector<float>(16), {1, 16});
        const std::vector<std::int32_t> pages = {0}, beyond = {2};
        const AttentionSequence good{0, 1, 0, pages}, bad_page{0, 1, 0, beyond},
            long_one{0, 1, 64, pages};
        const auto attend = [&](const AttentionSequence& sequence, std::int64_t d, float scale) {
            backend->attention(rows, keys, values, {&sequence, 1}, d, scale, 0, rows);
        };
        CHECK_NOTHROW(backend->store_kv(rows, rows, {&good, 1}, 8, keys, values));
        CHECK_THROWS_AS(backend->store_kv(rows, rows, {&good, 1}, 8, keys, other), InternalError);
        CHECK_THROWS_AS(backend->store_kv(rows, rows, {&bad_page, 1}, 8, keys, values),
                        InternalError);
        CHECK_NOTHROW(attend(good, 8, 1));
        CHECK_THROWS_AS(attend(good, 3, 1), InternalError);
        CHECK_THROWS_AS(attend(good, 12, 1), InternalError);
        CHECK_THROWS_AS(attend(good, 8, 0), InternalError);
        CHECK_THROWS_AS(attend(long_one, 8, 1), InternalError);
    }
}
