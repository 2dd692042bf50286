// Mixtures of experts on the CUDA backend, against the sum as it is written down; and that nothing
// of how they are computed shows.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend_test.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

/// Experts with random weights, in host memory and on the backend.
struct Mixture {
    DType dtype;
    std::int64_t hidden, f;
    int experts, shards;
    std::vector<std::vector<float>> gate, up, down;
    std::vector<std::unique_ptr<Matrix>> gate_up_matrices, down_matrices;
    std::vector<Expert> list;

    Mixture(RandomInput& input, TestBackend& backend, DType type, int count, std::int64_t width,
            std::int64_t middle, int k_shards)
        : dtype(type), hidden(width), f(middle), experts(count), shards(k_shards) {
        for (int e = 0; e < experts; ++e) {
            gate.push_back(input.floats(f * hidden, 0.3f));
            up.push_back(input.floats(f * hidden, 0.3f));
            down.push_back(input.floats(hidden * f));
            const OwnedTensor g(gate.back(), type, {f, hidden}), u(up.back(), type, {f, hidden}),
                d(down.back(), type, {hidden, f});
            gate_up_matrices.push_back(backend->load_gate_up(type, {&g.stored, 0, f, 0, hidden},
                                                             {&u.stored, 0, f, 0, hidden}));
            down_matrices.push_back(
                backend->load_matrix(type, {{&d.stored, 0, hidden, 0, f}}, shards));
            backend->synchronize();
            list.push_back({gate_up_matrices.back().get(), down_matrices.back().get()});
        }
    }

    double dot(const std::vector<float>& w, std::int64_t row, const std::vector<double>& x) const {
        double sum = 0;
        for (std::size_t i = 0; i < x.size(); ++i)
            sum += static_cast<double>(
                       rounded(w[static_cast<std::size_t>(row) * x.size() + i], dtype)) *
                   x[i];
        return sum;
    }

    struct Exact {
        double value = 0, size = 0;
    };
    /// One row's sums [hidden], and the sizes of what is added.
    std::vector<Exact> row(const float* x, const float* logits,
                           const ExpertRouting& routing) const {
        std::vector<double> p;
        const double max = *std::max_element(logits, logits + experts);
        for (int e = 0; e < experts; ++e)
            p.push_back(std::exp(static_cast<double>(logits[e]) - max));
        const double all = std::accumulate(p.begin(), p.end(), 0.0);
        std::vector<std::size_t> order(p.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
        order.resize(static_cast<std::size_t>(routing.top_k));
        double total = 0;
        for (const std::size_t e : order) total += p[e];
        std::vector<double> row(static_cast<std::size_t>(hidden));
        for (std::size_t i = 0; i < row.size(); ++i)
            row[i] = static_cast<double>(rounded(x[i], dtype));
        std::vector<Exact> sums(row.size());
        for (const std::size_t e : order) {
            const double weight = p[e] / (routing.normalize ? total : all);
            std::vector<double> middle;
            for (std::int64_t i = 0; i < f; ++i) {
                const double g = dot(gate[e], i, row);
                middle.push_back(static_cast<double>(rounded(
                    static_cast<float>(g / (1 + std::exp(-g)) * dot(up[e], i, row)), dtype)));
            }
            for (std::int64_t i = 0; i < hidden; ++i) {
                Exact& sum = sums[static_cast<std::size_t>(i)];
                sum.value += weight * dot(down[e], i, middle);
                for (std::size_t j = 0; j < middle.size(); ++j)
                    sum.size +=
                        weight *
                        std::abs(static_cast<double>(down[e][static_cast<std::size_t>(i * f) + j]) *
                                 middle[j]);
            }
        }
        return sums;
    }
};

struct Rows {
    std::int64_t count;
    std::vector<float> x, logits, residual;
    Rows(RandomInput& input, const Mixture& m, std::int64_t rows)
        : count(rows),
          x(input.floats(rows * m.hidden)),
          logits(input.floats(rows * m.experts, 2.0f)),
          residual(input.floats(rows * m.hidden)) {}

    /// The residual afterwards, computed in calls of `step` rows.
    std::vector<float> add(TestBackend& backend, const Mixture& m, const ExpertRouting& routing,
                           std::int64_t step) const {
        const Tensor all_x = backend.tensor(x, {count, m.hidden}, m.dtype),
                     all_logits = backend.tensor(logits, {count, m.experts}),
                     sum = backend.tensor(residual, {count, m.hidden});
        for (std::int64_t begin = 0; begin < count; begin += step) {
            const std::int64_t end = std::min(begin + step, count);
            backend->experts_add(all_x.row_range(begin, end), all_logits.row_range(begin, end),
                                 routing, m.list, sum.row_range(begin, end));
        }
        return backend.values(sum);
    }
};

}  // namespace

TEST_CASE("experts_add on a device is near the exact sum, the same for every batch") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        for (const int shards : {1, 2, 8}) {
            TestBackend backend("cuda");
            const int experts = static_cast<int>(input.integer(2, 11));
            const std::int64_t f = shards * input.integer(1, 5) * (input.integer(0, 1) ? 8 : 3);
            const Mixture m(input, backend, dtype, experts, 8 * input.integer(1, 9), f, shards);
            ExpertRouting routing;
            routing.top_k = static_cast<int>(input.integer(1, std::min(experts, 4)));
            routing.normalize = input.integer(0, 1) == 1;
            const Rows rows(input, m, 67);
            CAPTURE(m.hidden);
            CAPTURE(m.f);
            CAPTURE(experts);
            CAPTURE(routing.top_k);
            CAPTURE(shards);
            const std::vector<float> got = rows.add(backend, m, routing, rows.count);
            // A sum whose rounding falls to the other side changes one summand by a unit.
            const double unit = dtype == DType::f32 ? 0 : dtype == DType::f16 ? 0x1p-10 : 0x1p-7;
            double worst = 0;
            for (std::int64_t r = 0; r < rows.count; ++r) {
                const std::vector<Mixture::Exact> exact =
                    m.row(&rows.x[static_cast<std::size_t>(r * m.hidden)],
                          &rows.logits[static_cast<std::size_t>(r * experts)], routing);
                for (std::size_t i = 0; i < exact.size(); ++i) {
                    const std::size_t at = static_cast<std::size_t>(r * m.hidden) + i;
                    const double before = static_cast<double>(rows.residual[at]);
                    const double allowed =
                        1e-5 * (exact[i].size + std::abs(before)) + unit * exact[i].size + 1e-7;
                    const double error =
                        std::abs(static_cast<double>(got[at]) - before - exact[i].value) / allowed;
                    if (!(error <= worst)) worst = error;
                }
            }
            CHECK(worst <= 1);
            for (const std::int64_t step : {1, 7, 64})
                CHECK(same_bits(rows.add(backend, m, routing, step), got));
        }
    }
}

TEST_CASE("the lower expert wins a tie, and experts are added in ascending order") {
    RandomInput input;
    TestBackend backend("cuda");
    constexpr std::int64_t kWidth = 8;
    const Tensor x = backend.tensor({1, 0, 0, 0, 0, 0, 0, 0}, {1, kWidth});
    /// The first of the sums if expert e makes results[e] of `x`; the others are zeros.
    const auto sum_of = [&](const std::vector<float>& results, const std::vector<float>& logits,
                            const ExpertRouting& routing) {
        std::vector<std::unique_ptr<Matrix>> kept;
        std::vector<Expert> list;
        for (const float result : results) {
            std::vector<float> gate(64), up(64), down(64);
            gate[0] = 32;  // silu(32) = 32
            up[0] = 0x1p-5f;
            down[0] = result;
            const OwnedTensor g(gate, DType::f32, {kWidth, kWidth}),
                u(up, DType::f32, {kWidth, kWidth}), d(down, DType::f32, {kWidth, kWidth});
            kept.push_back(backend->load_gate_up(DType::f32, {&g.stored, 0, kWidth, 0, kWidth},
                                                 {&u.stored, 0, kWidth, 0, kWidth}));
            kept.push_back(
                backend->load_matrix(DType::f32, {{&d.stored, 0, kWidth, 0, kWidth}}, 1));
            list.push_back({kept[kept.size() - 2].get(), kept.back().get()});
        }
        const auto experts = static_cast<std::int64_t>(results.size());
        const Tensor sum = backend.tensor(std::vector<float>(kWidth), {1, kWidth});
        backend->experts_add(x, backend.tensor(logits, {1, experts}), routing, list, sum);
        const std::vector<float> got = backend.values(sum);
        for (std::size_t i = 1; i < kWidth; ++i) CHECK(got[i] == 0.0f);
        return got[0];
    };
    for (const std::size_t experts : {5, 40, 200}) {
        std::vector<float> results(experts), logits(experts, 1.0f);
        std::iota(results.begin(), results.end(), 1.0f);
        logits.back() = 2.0f;  // the others are equal
        const double e = std::exp(1.0);
        CHECK(static_cast<double>(sum_of(results, logits, {3, true})) ==
              doctest::Approx((1 + 2 + e * static_cast<double>(experts)) / (e + 2)).epsilon(1e-5));
    }
    CHECK(sum_of({0x1p27f, -0x1p27f, 1, 0, 5}, {1, 1, 1, 1, 0}, {4, true}) == 0.25f);
    CHECK(sum_of({0x1p27f, 1, -0x1p27f, 0, 5}, {1, 1, 1, 1, 0}, {4, true}) == 0.0f);
}

TEST_CASE("a recorded mixture is a mixture") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        TestBackend backend("cuda");
        const Mixture m(input, backend, dtype, 6, 32, 48, 2);
        const ExpertRouting routing{2, true};
        const std::vector<std::int32_t> ids = {0, 0, 0}, page = {0};
        std::vector<AttentionSequence> sequences;
        for (std::int32_t i = 0; i < 3; ++i) sequences.push_back({i, 1, 0, page});
        const Tensor x = backend.poisoned({3, m.hidden}, dtype),
                     logits = backend.poisoned({3, m.experts}),
                     sum = backend.poisoned({3, m.hidden});
        for (int round = 0; round < 4; ++round) {
            const Rows rows(input, m, 3);
            const std::vector<float> expected = rows.add(backend, m, routing, 3);
            const OwnedTensor typed(rows.x, dtype, {3, m.hidden});
            backend->copy_from_host(x, typed.bytes.data());
            backend->copy_from_host(logits, rows.logits.data());
            backend->copy_from_host(sum, rows.residual.data());
            backend->run_step({ids, sequences, {sum.data(), nullptr}, true},
                              [&] { backend->experts_add(x, logits, routing, m.list, sum); });
            CHECK(same_bits(backend.values(sum), expected));
        }
        CHECK(dynamic_cast<cuda::CudaBackend&>(*backend.backend).recordings().replays() == 3);
    }
}

TEST_CASE("the plan knows what a mixture takes") {
    RandomInput input;
    TestBackend backend("cuda");
    const Mixture m(input, backend, DType::bf16, 8, 64, 96, 4);
    CudaWork work;
    work.k_shards = 4;
    work.rows = input.integer(300, 500);
    work.hidden = m.hidden;
    work.intermediate = m.f;
    work.head_dim = 16;
    work.vocab_rows = kVocabShardUnit;
    work.experts = 8;
    work.experts_per_row = 3;
    auto& device = dynamic_cast<cuda::CudaBackend&>(*backend.backend);
    const Rows rows(input, m, work.rows);
    (void)rows.add(backend, m, {3, false}, work.rows);
    CHECK(device.scratch_bytes() == cuda::expert_scratch(work, 1).total());
    backend->prepare(work);
    CHECK(device.scratch_bytes() == cuda::operation_scratch_bytes(work));
    CHECK(device.scratch_bytes() >= cuda::expert_scratch(work, 1).total());
    work.experts = 1000;
    CHECK_THROWS_WITH_AS(backend->prepare(work), doctest::Contains("1000 experts"), UserError);
}

TEST_CASE("experts that do not fit are refused") {
    RandomInput input;
    TestBackend backend("cuda");
    const Mixture m(input, backend, DType::f32, 3, 16, 24, 1);
    const Mixture other(input, backend, DType::f32, 1, 16, 32, 1);
    const Tensor x = backend.poisoned({2, 16}), logits = backend.poisoned({2, 3}),
                 sum = backend.poisoned({2, 16});
    std::vector<Expert> mixed = m.list;
    mixed[1] = other.list[0];
    std::vector<Expert> swapped = m.list;
    std::swap(swapped[1].gate_up, swapped[1].down);
    const auto call = [&](const std::vector<Expert>& list, int top_k, const Tensor& out) {
        backend->experts_add(x, logits, {top_k, true}, list, out);
    };
    CHECK_THROWS_AS(call(mixed, 2, sum), InternalError);
    CHECK_THROWS_AS(call(swapped, 2, sum), InternalError);
    CHECK_THROWS_AS(call({}, 2, sum), InternalError);
    CHECK_THROWS_AS(call({m.list[0]}, 1, sum), InternalError);
    CHECK_THROWS_AS(call(m.list, 4, sum), InternalError);
    CHECK_THROWS_AS(call(m.list, 0, sum), InternalError);
    CHECK_THROWS_AS(call(m.list, 2, backend.poisoned({2, 8})), InternalError);
}
