// What only the CUDA backend has: its arena, the plan of its memory, recorded steps; and that no
// row's bits depend on the rows beside it.

#include "cuda/cuda_backend.h"

#include <cmath>

#include "backend_test.h"
#include "cuda/attention.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

cuda::CudaBackend& cuda_of(TestBackend& backend) {
    return dynamic_cast<cuda::CudaBackend&>(*backend.backend);
}

}  // namespace

TEST_CASE("the arena hands out the first place that fits and takes it back") {
    cuda::Arena arena(10 * 256 + 100);
    CHECK(arena.capacity() == 2560);
    auto a = arena.allocate(1), b = arena.allocate(257), c = arena.allocate(256);
    CHECK(arena.used() == 4 * 256);
    const auto offset = [&](const std::shared_ptr<void>& p) {
        return static_cast<char*>(p.get()) - static_cast<char*>(a.get());
    };
    CHECK(offset(b) == 256);
    CHECK(offset(c) == 768);
    b.reset();
    CHECK(arena.largest_free() == 6 * 256);
    auto d = arena.allocate(512);
    CHECK(offset(d) == 256);
    CHECK_THROWS_WITH_AS(arena.allocate(7 * 256),
                         doctest::Contains("out of device memory: 1.8 KiB"), SystemError);
    CHECK_THROWS_AS(arena.allocate(~std::uint64_t{0}), SystemError);
    auto e = arena.allocate(6 * 256);
    CHECK(arena.used() == arena.capacity());
    CHECK(arena.largest_free() == 0);
    CHECK_THROWS_AS(arena.allocate(1), SystemError);
}

TEST_CASE("memory of a backend that is gone can still be held and freed") {
    Tensor kept;
    {
        TestBackend backend("cuda");
        kept = backend.tensor({1, 2, 3, 4}, {2, 2});
    }
    kept = Tensor();
}

TEST_CASE("a device that does not exist or has too little memory is refused by name") {
    const Communicator self = Communicator::self();
    CudaOptions options;
    options.memory_bytes = std::uint64_t{1} << 50;
    CHECK_THROWS_WITH_AS(cuda::make_backend(options, self),
                         doctest::Contains("of device memory are wanted"), UserError);
    options.memory_bytes = 1 << 20;
    options.ordinal = 1000;
    CHECK_THROWS_WITH_AS(cuda::make_backend(options, self), doctest::Contains("device 1000 of "),
                         UserError);
}

TEST_CASE("plans name what a backend takes, to the byte") {
    RandomInput input;
    TestBackend backend("cuda");
    const auto& arena = cuda_of(backend).arena();
    std::vector<std::unique_ptr<Matrix>> kept;
    for (const DType dtype : kFloatTypes) {
        const std::int64_t n = input.integer(1, 90), k = 4 * input.integer(1, 90);
        const OwnedTensor stored(input.floats(n * k), dtype, {n, k});
        const std::uint64_t before = arena.used();
        kept.push_back(backend->load_matrix(dtype, {{&stored.stored, 0, n, 0, k}}, 4));
        CHECK(arena.used() - before == cuda_matrix_bytes(dtype, n, k, 4));
        CHECK(kept.back()->bytes() == arena.used() - before);
    }
    kept.clear();
    for (int round = 0; round < 4; ++round) {
        TestBackend fresh("cuda");
        CudaWork work;
        work.k_shards = 1 << input.integer(0, 3);
        work.rows = input.integer(1, 700);
        work.hidden = input.integer(1, 300);
        work.intermediate = input.integer(1, 300);
        work.heads = input.integer(1, 9);
        work.head_dim = 16;
        work.max_context = input.integer(1, 5000);
        work.vocab_shards = 1 << input.integer(0, 3);
        work.vocab_rows = work.vocab_shards * kVocabShardUnit * input.integer(1, 20);
        CAPTURE(round);
        fresh->prepare(work);
        CHECK(cuda_of(fresh).arena().used() == cuda_scratch_bytes(work));
        // Attention's part, whose formula stands twice: with the kernels and where no CUDA is.
        CHECK(
            cuda::attention_bytes(work.rows, work.heads, work.head_dim, work.max_context) ==
            cuda::attention_scratch_bytes(work.rows, work.heads, work.head_dim, work.max_context));
    }
}

TEST_CASE("no row's bits depend on the rows beside it") {
    RandomInput input;
    TestBackend backend("cuda");
    constexpr std::int64_t kRows = 67, kHidden = 72, kF = 40;
    for (const DType dtype : kFloatTypes) {
        for (const int shards : {1, 4}) {
            const std::vector<float> x = input.floats(kRows * kHidden),
                                     residual = input.floats(kRows * kHidden);
            const OwnedTensor square(input.floats(kHidden * kHidden), dtype, {kHidden, kHidden}),
                gate(input.floats(kF * kHidden), dtype, {kF, kHidden}),
                up(input.floats(kF * kHidden), dtype, {kF, kHidden});
            const auto w =
                backend->load_matrix(dtype, {{&square.stored, 0, kHidden, 0, kHidden}}, shards);
            const auto gated = backend->load_gate_up(dtype, {&gate.stored, 0, kF, 0, kHidden},
                                                     {&up.stored, 0, kF, 0, kHidden});
            const Tensor weight = backend.tensor(input.floats(kHidden), {kHidden});
            const Tensor wide = backend.tensor(x, {kRows, kHidden});
            /// All results for rows [begin, end), in calls of `step` rows.
            const auto compute = [&](std::int64_t step) {
                const Tensor normed = backend.poisoned({kRows, kHidden}, dtype),
                             out = backend.poisoned({kRows, kF}, dtype),
                             sum = backend.tensor(residual, {kRows, kHidden}),
                             again = backend.poisoned({kRows, kHidden}, dtype);
                for (std::int64_t begin = 0; begin < kRows; begin += step) {
                    const std::int64_t end = std::min(begin + step, kRows);
                    const auto rows = [&](const Tensor& t) { return t.row_range(begin, end); };
                    backend->rms_norm(rows(wide), weight, 1e-5f, rows(normed));
                    backend->matmul_silu_mul(rows(normed), *gated, {}, rows(out));
                    backend->matmul_add(rows(normed), *w, {}, rows(sum));
                    backend->matmul_add_norm(rows(normed), *w, weight, rows(sum), {weight, 1e-5f},
                                             rows(again));
                }
                std::vector<float> all = backend.values(normed);
                for (const Tensor& t : {out, sum, again}) {
                    const std::vector<float> more = backend.values(t);
                    all.insert(all.end(), more.begin(), more.end());
                }
                return all;
            };
            const std::vector<float> whole = compute(kRows);
            for (const float value : whole) REQUIRE(std::isfinite(value));
            for (const std::int64_t step : {1, 2, 7, 64}) CHECK(same_bits(compute(step), whole));
        }
    }
}

TEST_CASE("a step is run, recorded and replayed with what it is given each time") {
    RandomInput input;
    for (const bool may_record : {true, false}) {
        TestBackend backend("cuda");
        const std::vector<float> values = input.floats(50 * 12);
        const OwnedTensor stored(values, DType::f32, {50, 12});
        const Tensor table = backend->load_table(stored.stored), out = backend.poisoned({3, 12});
        const std::vector<std::int32_t> page = {0};
        int bodies = 0;
        for (std::int32_t round = 0; round < 5; ++round) {
            const std::vector<std::int32_t> ids = {round, round + 7, 40 - round};
            std::vector<AttentionSequence> sequences;
            for (std::int32_t i = 0; i < 3; ++i) sequences.push_back({i, 1, round, page});
            backend->run_step({ids, sequences, {out.data(), nullptr}, may_record}, [&] {
                ++bodies;
                backend->embed(table, ids, out);
            });
            const std::vector<float> got = backend.values(out);
            for (std::size_t r = 0; r < 3; ++r)
                for (std::size_t i = 0; i < 12; ++i)
                    CHECK(got[r * 12 + i] == values[static_cast<std::size_t>(ids[r]) * 12 + i]);
        }
        // The first step runs, the second is recorded.
        CHECK(bodies == (may_record ? 2 : 5));
        CHECK(cuda_of(backend).recordings().replays() == (may_record ? 4 : 0));
    }
}

TEST_CASE("recorded steps take no more memory than was planned") {
    TestBackend backend("cuda");
    CudaWork work;
    work.heads = 64;
    work.head_dim = 256;
    work.max_context = 8200;  // nine runs; as a recorded step would round it by itself, sixteen
    backend->prepare(work);
    const std::uint64_t planned = cuda_of(backend).scratch_bytes();
    REQUIRE(planned == cuda::attention_bytes(1, work.heads, work.head_dim, work.max_context));
    const Tensor q = backend.tensor(std::vector<float>(64 * 256, 1.0f), {1, 64 * 256}),
                 cache = backend.tensor(std::vector<float>(kKvPageTokens * 256, 1.0f),
                                        {1, kKvPageTokens, 256}),
                 out = backend.poisoned({1, 64 * 256});
    const std::vector<std::int32_t> ids = {0}, pages(129);
    const std::vector<AttentionSequence> sequences = {{0, 1, 8199, pages}};
    for (int round = 0; round < 3; ++round) {
        backend->run_step({ids, sequences, {out.data(), nullptr}, true}, [&] {
            backend->attention(q, cache, cache, sequences, 256, 1.0f, 64, out);
        });
        CHECK(cuda_of(backend).scratch_bytes() == planned);
        for (const float value : backend.values(out)) REQUIRE(value == 1.0f);
    }
    CHECK(cuda_of(backend).recordings().replays() == 2);
}

TEST_CASE("a step that cannot be recorded runs as it is, and no other one is recorded") {
    RandomInput input;
    TestBackend backend("cuda");
    const auto& recordings = cuda_of(backend).recordings();
    const std::vector<float> values = input.floats(9 * 12);
    const OwnedTensor stored(values, DType::f32, {9, 12});
    const Tensor table = backend->load_table(stored.stored), out = backend.poisoned({1, 12});
    const std::vector<std::int32_t> page = {0};
    const std::vector<AttentionSequence> sequences = {{0, 1, 0, page}};
    int memory[2] = {};
    // Steps of two kinds, so that one is replayed when the other one is refused.
    const auto step = [&](std::int32_t row, int kind, bool refuse) {
        const std::vector<std::int32_t> ids = {row};
        backend->run_step({ids, sequences, {memory + kind, nullptr}, true}, [&] {
            backend->embed(table, ids, out);
            if (refuse && recordings.recording()) throw SystemError("the library says no");
        });
        const std::vector<float> got = backend.values(out);
        for (std::size_t i = 0; i < 12; ++i)
            CHECK(got[i] == values[static_cast<std::size_t>(row) * 12 + i]);
    };
    for (const std::int32_t row : {3, 1, 8}) step(row, 0, false);
    CHECK(recordings.replays() == 2);
    CHECK_FALSE(recordings.refused());
    for (const std::int32_t row : {5, 7, 2}) step(row, 1, true);
    CHECK(recordings.refused());
    CHECK(recordings.size() == 0);
    for (const std::int32_t row : {4, 6}) step(row, 0, false);
    CHECK(recordings.replays() == 2);
}

TEST_CASE("an error inside a recorded step leaves a backend that works") {
    TestBackend backend("cuda");
    const Tensor out = backend.poisoned({1, 4});
    const OwnedTensor stored({1, 2, 3, 4}, DType::f32, {1, 4});
    const Tensor table = backend->load_table(stored.stored);
    const std::vector<std::int32_t> ids = {0}, others = {0}, page = {0};
    const std::vector<AttentionSequence> sequences = {{0, 1, 0, page}};
    const StepInput step{ids, sequences, {}, true};
    backend->run_step(step, [] {});
    CHECK_THROWS_AS(backend->run_step(step, [&] { backend->embed(table, others, out); }),
                    InternalError);
    backend->embed(table, others, out);
    CHECK(backend.values(out) == std::vector<float>{1, 2, 3, 4});
}
