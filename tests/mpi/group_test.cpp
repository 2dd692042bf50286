// A tensor-parallel group's sums against one rank that holds all shards: through shared memory and
// by MPI, in pieces and whole.

#include "mpi_test.h"
#include "unit/backend/backend_test.h"

using namespace muster;

namespace {

struct Case {
    DType dtype;
    std::int64_t rows, n;
    bool bias;
    float deviation;
};

/// The product of all ranks' inputs on this rank alone, one virtual shard per rank.
struct Problem {
    std::int64_t shard_k = 6, ranks = test_world().size(), k = shard_k * ranks;
    std::vector<float> x, w, bias, residual;
    explicit Problem(std::mt19937& random, const Case& c) {
        std::normal_distribution<float> normal(0.0f, c.deviation);
        for (auto [values, count] : {std::pair(&x, c.rows * k), std::pair(&w, c.n * k),
                                     std::pair(&bias, c.n), std::pair(&residual, c.rows * c.n)}) {
            values->resize(static_cast<std::size_t>(count));
            for (float& value : *values) value = normal(random);
        }
        if (c.deviation < 1.0f) residual.assign(residual.size(), 0.0f);
    }
    /// Columns [begin, end) of x [rows, k].
    std::vector<float> inputs(std::int64_t begin, std::int64_t end) const {
        std::vector<float> part;
        for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(k))
            for (std::int64_t i = begin; i < end; ++i)
                part.push_back(x[row + static_cast<std::size_t>(i)]);
        return part;
    }
};

std::vector<float> compute(Backend& backend, const Case& c, const Problem& problem,
                           std::int64_t begin, std::int64_t end, int shards) {
    const OwnedTensor stored(problem.w, c.dtype, {c.n, problem.k});
    const auto matrix =
        backend.load_matrix(c.dtype, {{&stored.stored, 0, c.n, begin, end}}, shards);
    const auto tensor = [&](const std::vector<float>& values, const Shape& shape, DType dtype) {
        const Tensor t = backend.allocate(dtype, shape);
        backend.copy_from_host(t, OwnedTensor(values, dtype, shape).bytes.data());
        return t;
    };
    const Tensor x = tensor(problem.inputs(begin, end), {c.rows, end - begin}, c.dtype);
    const Tensor residual = tensor(problem.residual, {c.rows, c.n}, DType::f32);
    const Tensor bias = c.bias ? tensor(problem.bias, {c.n}, DType::f32) : Tensor();
    backend.matmul_add(x, *matrix, bias, residual);
    std::vector<float> out(problem.residual.size());
    backend.copy_to_host(out.data(), residual);
    return out;
}

void check_sums(Backend& group, std::mt19937& random) {
    TestBackend alone;
    const std::int64_t slot = NodeExchange::kSlotBytes / sizeof(float);
    std::vector<Case> cases = {{DType::f32, slot / 512, 512, true, 1.0f},
                               {DType::f32, slot / 512 + 1, 512, false, 1.0f},
                               {DType::f16, 1, slot - 1, true, 1.0f},
                               {DType::bf16, 3, slot + 1, true, 1.0f},
                               {DType::bf16, 2 * slot / 1000 + 2, 1000, false, 1.0f},
                               {DType::bf16, 70, 333, false, 0x1p-63f},  // makes denormals
                               {DType::f32, 70, 333, false, 0x1p-63f},
                               {DType::f32, 0, 16, true, 1.0f}};
    const auto up_to = [&](std::int64_t most) {
        return 1 + static_cast<std::int64_t>(random()) % most;
    };
    for (int i = 0; i < 20; ++i)
        cases.push_back({kFloatTypes[random() % 3], up_to(40), up_to(300), up_to(2) == 1, 1.0f});
    for (const Case& c : cases) {
        CAPTURE(c.rows);
        CAPTURE(c.n);
        const Problem problem(random, c);
        const std::int64_t begin = group.tp_rank() * problem.shard_k;
        CHECK(same_bits(
            compute(group, c, problem, begin, begin + problem.shard_k, 1),
            compute(*alone.backend, c, problem, 0, problem.k, static_cast<int>(problem.ranks))));
    }
}

}  // namespace

TEST_CASE("sums over ranks are those of one rank, bit for bit") {
    const auto seed =
        static_cast<unsigned>(test_world().max(static_cast<std::int64_t>(std::random_device{}())));
    if (test_world().is_root()) MESSAGE("seed ", seed);
    for (const bool share : {true, false}) {
        for (const bool spin : {true, false}) {
            CAPTURE(share);
            std::mt19937 random(seed);
            CpuOptions options;
            options.threads = 1 + test_world().rank() % 2;
            options.spin = spin;
            options.share_memory = share;
            check_sums(*make_cpu_backend(options, test_world()), random);
        }
    }
}

TEST_CASE("blocks of host memory in rank order") {
    const auto size = static_cast<std::size_t>(test_world().size());
    for (const bool share : {true, false}) {
        CpuOptions options;
        options.share_memory = share;
        const auto backend = make_cpu_backend(options, test_world());
        for (const std::size_t count : {1u, 1000u, 100000u}) {
            std::vector<float> in(count), out(count * size), expected;
            for (std::size_t r = 0; r < size; ++r)
                expected.insert(expected.end(), count, static_cast<float>(r));
            in.assign(count, static_cast<float>(backend->tp_rank()));
            backend->all_gather_host(std::as_bytes(std::span(in)),
                                     std::as_writable_bytes(std::span(out)));
            CHECK(same_bits(out, expected));
        }
    }
}
