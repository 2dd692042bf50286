// Mixtures of experts: against slow obvious code, and one bit pattern per row.

#include <algorithm>
#include <cmath>

#include "backend_test.h"
#include "cpu/expert_rows.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

const std::vector<std::string> kBackends = backend_names();

/// Random experts, and rows for them. Router logits are multiples of 1/64, so that two are either
/// equal or far enough apart for any softmax.
struct Mixture {
    DType dtype;
    std::int64_t hidden, f, count, rows;
    int shards;
    ExpertRouting routing;
    std::vector<float> x, logits, residual;
    std::vector<std::vector<float>> gate, up, down;  ///< per expert [f, hidden], [hidden, f]

    Mixture(RandomInput& input, DType type, std::int64_t hidden_size, int shard_count,
            std::int64_t shard_f, std::int64_t experts, int top_k, std::int64_t num_rows)
        : dtype(type),
          hidden(hidden_size),
          f(shard_count * shard_f),
          count(experts),
          rows(num_rows),
          shards(shard_count),
          routing{top_k, input.integer(0, 1) == 1} {
        const auto scaled = [&](std::int64_t n, std::int64_t k) {
            return input.floats(n * k, 1.0f / std::sqrt(static_cast<float>(k)));
        };
        for (std::int64_t e = 0; e < experts; ++e) {
            gate.push_back(scaled(f, hidden));
            up.push_back(scaled(f, hidden));
            down.push_back(scaled(hidden, f));
        }
        x = input.floats(rows * hidden);
        residual = input.floats(rows * hidden);
        for (std::int64_t i = 0; i < rows * count; ++i)
            logits.push_back(static_cast<float>(input.integer(-256, 256)) / 64);
    }
};

/// The experts of a mixture on one backend.
struct Loaded {
    std::vector<std::unique_ptr<Matrix>> matrices;
    std::vector<Expert> experts;

    Loaded(TestBackend& backend, const Mixture& m) {
        for (std::size_t e = 0; e < static_cast<std::size_t>(m.count); ++e) {
            const OwnedTensor gate(m.gate[e], m.dtype, {m.f, m.hidden}),
                up(m.up[e], m.dtype, {m.f, m.hidden}), down(m.down[e], m.dtype, {m.hidden, m.f});
            matrices.push_back(backend->load_gate_up(m.dtype, {&gate.stored, 0, m.f, 0, m.hidden},
                                                     {&up.stored, 0, m.f, 0, m.hidden}));
            matrices.push_back(
                backend->load_matrix(m.dtype, {{&down.stored, 0, m.hidden, 0, m.f}}, m.shards));
            experts.push_back({matrices[2 * e].get(), matrices[2 * e + 1].get()});
        }
    }
};

/// The residual after experts_add in calls of `step` rows.
std::vector<float> run(TestBackend& backend, const Mixture& m, std::int64_t step) {
    const Loaded loaded(backend, m);
    const Tensor x = backend.tensor(m.x, {m.rows, m.hidden}, m.dtype),
                 logits = backend.tensor(m.logits, {m.rows, m.count}),
                 residual = backend.tensor(m.residual, {m.rows, m.hidden});
    for (std::int64_t begin = 0; begin < m.rows; begin += step) {
        const std::int64_t end = std::min(begin + step, m.rows);
        backend->experts_add(x.row_range(begin, end), logits.row_range(begin, end), m.routing,
                             loaded.experts, residual.row_range(begin, end));
    }
    return backend.values(residual);
}

/// Indices of a row's experts, ascending, with their weights.
std::vector<std::pair<std::size_t, double>> exact_choice(const float* logits, std::int64_t count,
                                                         const ExpertRouting& routing) {
    std::vector<std::size_t> order(static_cast<std::size_t>(count));
    double sum = 0;
    for (std::size_t e = 0; e < order.size(); ++e) {
        order[e] = e;
        sum += std::exp(static_cast<double>(logits[e]));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    order.resize(static_cast<std::size_t>(routing.top_k));
    std::sort(order.begin(), order.end());
    std::vector<std::pair<std::size_t, double>> chosen;
    double total = 0;
    for (const std::size_t e : order) {
        chosen.emplace_back(e, std::exp(static_cast<double>(logits[e])) / sum);
        total += chosen.back().second;
    }
    for (auto& [e, weight] : chosen) weight /= routing.normalize ? total : 1;
    return chosen;
}

double dot(const float* a, const float* b, std::int64_t n, DType dtype) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
        sum +=
            static_cast<double>(rounded(a[i], dtype)) * static_cast<double>(rounded(b[i], dtype));
    return sum;
}

/// The largest error of `got`, as a part of the sum of all magnitudes.
double largest_error(const Mixture& m, const std::vector<float>& got) {
    double worst = 0;
    for (std::int64_t r = 0; r < m.rows; ++r) {
        const auto row = static_cast<std::size_t>(r * m.hidden);
        std::vector<double> sums(static_cast<std::size_t>(m.hidden)), sizes(sums.size());
        for (const auto& [e, weight] :
             exact_choice(&m.logits[static_cast<std::size_t>(r * m.count)], m.count, m.routing)) {
            std::vector<float> activated;
            for (std::int64_t i = 0; i < m.f; ++i) {
                const auto at = static_cast<std::size_t>(i * m.hidden);
                const double g = dot(&m.x[row], &m.gate[e][at], m.hidden, m.dtype);
                const double u = dot(&m.x[row], &m.up[e][at], m.hidden, m.dtype);
                activated.push_back(static_cast<float>(g / (1 + std::exp(-g)) * u));
            }
            for (std::size_t c = 0; c < sums.size(); ++c) {
                const float* w = &m.down[e][c * static_cast<std::size_t>(m.f)];
                sums[c] += weight * dot(activated.data(), w, m.f, m.dtype);
                for (std::size_t i = 0; i < activated.size(); ++i)
                    sizes[c] += weight * std::abs(static_cast<double>(activated[i] * w[i]));
            }
        }
        for (std::size_t c = 0; c < sums.size(); ++c) {
            const double exact = m.residual[row + c] + sums[c];
            const double size = std::abs(m.residual[row + c]) + sizes[c];
            const double error = std::abs(got[row + c] - exact) / size;
            if (!(error <= worst)) worst = error;
        }
    }
    return worst;
}

}  // namespace

TEST_CASE("experts_add is near the exact sum over a row's experts") {
    RandomInput input;
    for (const std::string& name : kBackends) {
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (int round = 0; round < 8; ++round) {
                const std::int64_t experts = round == 0 ? 128 : input.integer(1, 9);
                const auto top_k = static_cast<int>(
                    input.integer(1, std::min<std::int64_t>(experts, round == 0 ? 16 : 4)));
                const Mixture m(input, dtype, 8 * input.integer(1, 6), 1 << input.integer(0, 3),
                                input.integer(1, 7) * (round % 2 == 0 ? 8 : 1), experts, top_k,
                                round == 1 ? 200 : input.integer(1, 40));
                CAPTURE(name);
                CAPTURE(m.hidden);
                CAPTURE(m.f);
                CAPTURE(m.shards);
                CAPTURE(m.rows);
                CAPTURE(experts);
                CAPTURE(top_k);
                // What the activation was rounded to; a sum's own roundings are far smaller.
                const double unit = dtype == DType::f32   ? 1e-5
                                    : dtype == DType::f16 ? 0x1p-10
                                                          : 0x1p-7;
                CHECK(largest_error(m, run(backend, m, m.rows)) < unit);
            }
        }
    }
}

TEST_CASE("a row has the same bits alone and among others that go to the same experts") {
    RandomInput input;
    for (const std::string& name : kBackends) {
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (const int shards : {1, 8}) {
                CAPTURE(name);
                CAPTURE(shards);
                const Mixture m(input, dtype, 40, shards, 24 / shards * 8, 6, 2, 97);
                const std::vector<float> together = run(backend, m, m.rows);
                for (const float value : together) REQUIRE(std::isfinite(value));
                for (const std::int64_t step : {1, 2, 7, 64})
                    CHECK(same_bits(run(backend, m, step), together));
            }
        }
    }
}

TEST_CASE("a NaN among the router logits makes its own row NaN and no other") {
    RandomInput input;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const std::string& name : kBackends) {
        TestBackend backend(name);
        Mixture m(input, DType::bf16, 16, 2, 8, 5, 3, 9);
        const std::vector<float> before = run(backend, m, m.rows);
        m.logits[2 * 5 + 1] = nan;
        std::fill_n(m.logits.begin() + 4 * 5, 5, nan);
        m.logits[6 * 5] = std::numeric_limits<float>::infinity();
        const std::vector<float> after = run(backend, m, m.rows);
        for (std::size_t i = 0; i < after.size(); ++i) {
            const std::size_t row = i / 16;
            if (row == 2 || row == 4 || row == 6)
                CHECK(std::isnan(after[i]));
            else
                CHECK(after[i] == before[i]);
        }
    }
}

TEST_CASE("calls that make no sense are refused") {
    RandomInput input;
    for (const std::string& name : kBackends) {
        TestBackend backend(name);
        const Mixture m(input, DType::f32, 16, 2, 8, 3, 2, 4);
        const Loaded loaded(backend, m);
        const Tensor x = backend.tensor(m.x, {4, 16}), logits = backend.tensor(m.logits, {4, 3}),
                     residual = backend.tensor(m.residual, {4, 16});
        CHECK_THROWS_AS(backend->experts_add(x, logits, {0, true}, loaded.experts, residual),
                        InternalError);
        CHECK_THROWS_AS(backend->experts_add(x, logits, {4, true}, loaded.experts, residual),
                        InternalError);
        CHECK_THROWS_AS(
            backend->experts_add(x.row_range(0, 3), logits, {2, true}, loaded.experts, residual),
            InternalError);
        CHECK_THROWS_AS(backend->experts_add(x, logits, {2, true},
                                             std::span(loaded.experts).first(2), residual),
                        InternalError);
    }
}

TEST_CASE("on CPUs the order is the contract's, for every kernel set and number of threads") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        for (int round = 0; round < 5; ++round) {
            // Few rows; some dozens for each expert; runs of several hundred, sorted in two parts.
            const std::int64_t rows = round < 3 ? input.integer(1, 30) : round == 3 ? 150 : 1100;
            const std::int64_t experts = round < 3 ? 7 : 2;
            const Mixture m(input, dtype, 37 + round, 1 << input.integer(1, 3), 11, experts,
                            round == 4 ? 1 : 2, rows);
            CAPTURE(rows);
            CAPTURE(m.shards);
            TestBackend plain(cpu::Isa::generic, 1);
            const cpu::Kernels& kernels = cpu::kernels_for(cpu::Isa::generic);
            // Every expert's shards as matrices of their own, applied to all rows.
            std::vector<std::vector<std::vector<float>>> parts;  // [experts][shards][rows, hidden]
            const Loaded loaded(plain, m);
            const Tensor x = plain.tensor(m.x, {m.rows, m.hidden}, dtype);
            for (std::size_t e = 0; e < static_cast<std::size_t>(m.count); ++e) {
                const Tensor activated = plain.poisoned({m.rows, m.f}, dtype);
                plain->matmul_silu_mul(x, *loaded.experts[e].gate_up, {}, activated);
                const OwnedTensor down(m.down[e], dtype, {m.hidden, m.f});
                parts.emplace_back();
                for (int s = 0; s < m.shards; ++s) {
                    const std::int64_t begin = s * m.f / m.shards, end = (s + 1) * m.f / m.shards;
                    const auto w =
                        plain->load_matrix(dtype, {{&down.stored, 0, m.hidden, begin, end}}, 1);
                    const std::vector<float> all = plain.values(activated);
                    std::vector<float> cut;
                    for (std::int64_t r = 0; r < m.rows; ++r)
                        cut.insert(cut.end(), all.begin() + r * m.f + begin,
                                   all.begin() + r * m.f + end);
                    const Tensor y = plain.poisoned({m.rows, m.hidden});
                    plain->matmul(plain.tensor(cut, {m.rows, end - begin}, dtype), *w, {}, y);
                    parts.back().push_back(plain.values(y));
                }
            }
            std::vector<float> expected = m.residual;
            for (std::int64_t r = 0; r < m.rows; ++r) {
                const auto first = m.logits.begin() + r * m.count;
                std::vector<float> logits(first, first + m.count);
                std::vector<cpu::ChosenExpert> chosen(static_cast<std::size_t>(m.routing.top_k));
                cpu::choose_experts(kernels, m.routing, m.count, logits.data(), chosen.data());
                for (std::int64_t c = 0; c < m.hidden; ++c) {
                    const auto at = static_cast<std::size_t>(r * m.hidden + c);
                    std::vector<float> sums;
                    for (int s = 0; s < m.shards; ++s) {
                        float sum = 0;
                        for (const cpu::ChosenExpert& expert : chosen) {
                            const auto e = static_cast<std::size_t>(expert.expert);
                            sum = std::fma(expert.weight, parts[e][static_cast<std::size_t>(s)][at],
                                           sum);
                        }
                        sums.push_back(sum);
                    }
                    for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
                        for (std::size_t i = 0; i < sums.size() / 2; ++i)
                            sums[i] = sums[2 * i] + sums[2 * i + 1];
                    }
                    expected[at] += sums[0];
                }
            }
            for (const cpu::Isa isa : cpu::available_isas()) {
                for (const int threads : {1, 2, 5}) {
                    TestBackend backend(isa, threads);
                    CHECK(same_bits(run(backend, m, m.rows), expected));
                }
            }
        }
    }
}

TEST_CASE("choose_experts: softmax over all, the lower index on ties, any kernel set") {
    RandomInput input;
    for (int round = 0; round < 200; ++round) {
        const std::int64_t count = input.integer(1, 128);
        const ExpertRouting routing{
            static_cast<int>(input.integer(1, std::min<std::int64_t>(count, 16))),
            input.integer(0, 1) == 1};
        std::vector<float> logits;
        const std::int64_t range = round % 2 == 0 ? 3 : 1000;  // many ties, or few
        for (std::int64_t e = 0; e < count; ++e)
            logits.push_back(static_cast<float>(input.integer(-range, range)) / 64);
        const auto expected = exact_choice(logits.data(), count, routing);
        std::vector<cpu::ChosenExpert> first;
        for (const cpu::Isa isa : cpu::available_isas()) {
            std::vector<float> scratch = logits;
            std::vector<cpu::ChosenExpert> chosen(expected.size());
            cpu::choose_experts(cpu::kernels_for(isa), routing, count, scratch.data(),
                                chosen.data());
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                CHECK(chosen[i].expert == static_cast<std::int32_t>(expected[i].first));
                CHECK(std::abs(chosen[i].weight - expected[i].second) <= 1e-6 * expected[i].second);
                if (!first.empty()) CHECK(chosen[i].weight == first[i].weight);
            }
            first = chosen;
        }
    }
}
