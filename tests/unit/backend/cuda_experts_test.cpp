// Mixtures of experts as only the CUDA backend has them: recorded, in a planned block of memory.
// What every backend makes of them is in experts_test.cpp.

#include <cmath>
#include <numeric>

#include "backend_test.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

/// Experts with random weights.
struct Mixture {
    DType dtype;
    std::int64_t hidden, f, experts;
    std::vector<std::unique_ptr<Matrix>> kept;
    std::vector<Expert> list;

    Mixture(RandomInput& input, TestBackend& backend, DType type, std::int64_t count,
            std::int64_t width, std::int64_t middle, int shards)
        : dtype(type), hidden(width), f(middle), experts(count) {
        for (std::int64_t e = 0; e < experts; ++e) {
            const OwnedTensor gate(input.floats(f * hidden, 0.3f), type, {f, hidden}),
                up(input.floats(f * hidden, 0.3f), type, {f, hidden}),
                down(input.floats(hidden * f), type, {hidden, f});
            kept.push_back(backend->load_gate_up(type, {&gate.stored, 0, f, 0, hidden},
                                                 {&up.stored, 0, f, 0, hidden}));
            kept.push_back(backend->load_matrix(type, {{&down.stored, 0, hidden, 0, f}}, shards));
            list.push_back({kept[kept.size() - 2].get(), kept.back().get()});
        }
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

    /// The residual afterwards.
    std::vector<float> add(TestBackend& backend, const Mixture& m,
                           const ExpertRouting& routing) const {
        const Tensor all_x = backend.tensor(x, {count, m.hidden}, m.dtype),
                     all_logits = backend.tensor(logits, {count, m.experts}),
                     sum = backend.tensor(residual, {count, m.hidden});
        backend->experts_add(all_x, all_logits, routing, m.list, sum);
        return backend.values(sum);
    }
};

}  // namespace

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
            const std::vector<float> expected = rows.add(backend, m, routing);
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
    (void)rows.add(backend, m, {3, false});
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
