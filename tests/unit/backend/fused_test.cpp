// The fused operations before attention and behind row-parallel products give the bits of the
// single operations that they stand for.

#include "backend_test.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

struct Scene {
    std::int64_t d, heads, kv_heads;
    DType dtype;
    bool q_normed, k_normed;
    std::int64_t margin = 0;  ///< columns before and behind, as in a view
    std::int64_t q_width() const { return heads * d; }
    std::int64_t kv_width() const { return kv_heads * d; }
    std::int64_t width() const { return q_width() + 2 * kv_width(); }
};

constexpr std::int64_t kRows = 70, kPages = 5;
const std::vector<std::int32_t> kFirst = {3, 0}, kSecond = {4}, kThird = {2, 1};
/// One row behind 90 tokens, 66 that fill a page and begin another, three at a start.
const std::vector<AttentionSequence> kSequences = {
    {.first_row = 0, .num_rows = 1, .first_position = 90, .pages = kFirst},
    {.first_row = 1, .num_rows = 66, .first_position = 30, .pages = kThird},
    {.first_row = 67, .num_rows = 3, .first_position = 0, .pages = kSecond}};

void check_scene(TestBackend& backend, RandomInput& input, const Scene& s) {
    CAPTURE(s.d);
    CAPTURE(s.q_normed);
    CAPTURE(s.k_normed);
    CAPTURE(s.margin);
    const std::int64_t whole = s.width() + 2 * s.margin;
    const std::vector<float> x = input.floats(kRows * whole, 3.0f);
    const Tensor cos_sin = backend.tensor(input.floats(kRows * s.d), {kRows, s.d});
    const auto norm = [&](bool wanted, float eps) {
        return wanted ? RmsNorm{backend.tensor(input.floats(s.d), {s.d}), eps} : RmsNorm{};
    };
    const RmsNorm q_norm = norm(s.q_normed, 1e-5f), k_norm = norm(s.k_normed, 0.5f);
    const Shape cache{kPages, kKvPageTokens, s.kv_width()};
    struct Result {
        std::vector<float> q, keys, values;
    };
    const auto compute = [&](const auto& operations) {
        const Tensor all = backend.tensor(x, {kRows, whole});
        const Tensor keys = backend.poisoned(cache, s.dtype),
                     values = backend.poisoned(cache, s.dtype);
        operations(all.column_range(s.margin, s.margin + s.width()), keys, values);
        Result result{backend.values(all), backend.values(keys), backend.values(values)};
        // Of k and v nothing is promised.
        for (std::int64_t r = 0; r < kRows; ++r)
            for (std::int64_t c = s.margin + s.q_width(); c < s.margin + s.width(); ++c)
                result.q[static_cast<std::size_t>(r * whole + c)] = 0;
        return result;
    };
    const Result fused = compute([&](const Tensor& qkv, const Tensor& keys, const Tensor& values) {
        backend->prepare_attention(qkv, q_norm, k_norm, cos_sin, kSequences, s.d, keys, values);
    });
    const Result single = compute([&](const Tensor& qkv, const Tensor& keys, const Tensor& values) {
        const Tensor q = qkv.column_range(0, s.q_width()),
                     k = qkv.column_range(s.q_width(), s.q_width() + s.kv_width()),
                     v = qkv.column_range(s.q_width() + s.kv_width(), s.width());
        if (s.q_normed) backend->norm_heads(q, q_norm, s.d);
        if (s.k_normed) backend->norm_heads(k, k_norm, s.d);
        backend->rope(q, cos_sin, s.d);
        backend->rope(k, cos_sin, s.d);
        backend->store_kv(k, v, kSequences, s.d, keys, values);
    });
    CHECK(same_bits(fused.q, single.q));
    CHECK(same_bits(fused.keys, single.keys));
    CHECK(same_bits(fused.values, single.values));
    CHECK_FALSE(same_bits(fused.q, x));
}

/// A row-parallel product [rows, n] and what follows it; the residual is a view from `offset` on.
struct Sum {
    DType dtype;
    std::int64_t rows, n;
    int shards;
    bool biased;
    std::int64_t offset = 0;
};

void check_sum(TestBackend& backend, RandomInput& input, const Sum& s) {
    CAPTURE(s.rows);
    CAPTURE(s.n);
    CAPTURE(s.shards);
    CAPTURE(s.biased);
    const std::int64_t k = 2 * s.shards, width = s.n + s.offset;
    const OwnedTensor stored(input.floats(s.n * k), s.dtype, {s.n, k});
    const auto w = backend->load_matrix(s.dtype, {{&stored.stored, 0, s.n, 0, k}}, s.shards);
    const Tensor x = backend.tensor(input.floats(s.rows * k), {s.rows, k}, s.dtype);
    const Tensor bias = s.biased ? backend.tensor(input.floats(s.n), {s.n}) : Tensor();
    const RmsNorm norm{backend.tensor(input.floats(s.n), {s.n}), 1e-5f};
    const std::vector<float> before = input.floats(s.rows * width);
    const auto compute = [&](const auto& operations) {
        const Tensor residual = backend.tensor(before, {s.rows, width});
        const Tensor out = backend.poisoned({s.rows, s.n}, s.dtype);
        operations(residual.column_range(s.offset, width), out);
        std::vector<float> both = backend.values(residual), normed = backend.values(out);
        CHECK_FALSE(same_bits(both, before));
        both.insert(both.end(), normed.begin(), normed.end());
        return both;
    };
    const auto fused = compute([&](const Tensor& residual, const Tensor& out) {
        backend->matmul_add_norm(x, *w, bias, residual, norm, out);
    });
    const auto single = compute([&](const Tensor& residual, const Tensor& out) {
        backend->matmul_add(x, *w, bias, residual);
        backend->rms_norm(residual, norm.weight, norm.eps, out);
    });
    CHECK(same_bits(fused, single));
}

}  // namespace

TEST_CASE("prepare_attention gives the bits of norm_heads, rope and store_kv") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            // Of 6, 20, 136 and 160 there is no kernel on devices.
            for (const std::int64_t d : {6, 8, 16, 20, 32, 40, 64, 80, 96, 128, 136, 160, 256}) {
                Scene s{d, 6, 3, dtype, d % 3 != 0, d % 5 != 0};
                check_scene(backend, input, s);
            }
            check_scene(backend, input, {128, 7, 1, dtype, true, false});
            check_scene(backend, input, {64, 4, 4, dtype, false, true, 4});
            check_scene(backend, input, {64, 4, 4, dtype, true, true, 3});  // not aligned
            check_scene(backend, input, {128, 9, 3, dtype, false, false});
        }
    }
}

TEST_CASE("prepare_attention gives a row the same bits in any step") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        constexpr std::int64_t kD = 64, kWidth = 4 * kD;
        const std::vector<float> x = input.floats(kRows * kWidth);
        const RmsNorm norm{backend.tensor(input.floats(kD), {kD}), 1e-6f};
        const Tensor angles = backend.tensor(input.floats(kRows * kD), {kRows, kD});
        const Shape cache{kPages, kKvPageTokens, kD};
        const auto compute = [&](const std::vector<std::vector<AttentionSequence>>& steps) {
            const Tensor qkv = backend.tensor(x, {kRows, kWidth});
            const Tensor keys = backend.poisoned(cache), values = backend.poisoned(cache);
            std::int64_t begin = 0;
            for (const std::vector<AttentionSequence>& step : steps) {
                const std::int64_t end = begin + step.back().first_row + step.back().num_rows;
                backend->prepare_attention(qkv.row_range(begin, end), norm, norm,
                                           angles.row_range(begin, end), step, kD, keys, values);
                begin = end;
            }
            REQUIRE(begin == kRows);
            std::vector<float> all = backend.values(qkv), k = backend.values(keys),
                               v = backend.values(values);
            for (std::size_t i = 0; i < all.size(); ++i)
                if (static_cast<std::int64_t>(i) % kWidth >= 2 * kD) all[i] = 0;
            all.insert(all.end(), k.begin(), k.end());
            all.insert(all.end(), v.begin(), v.end());
            return all;
        };
        std::vector<std::vector<AttentionSequence>> rows;
        for (const AttentionSequence& s : kSequences)
            for (std::int32_t i = 0; i < s.num_rows; ++i)
                rows.push_back({{0, 1, s.first_position + i, s.pages}});
        CHECK(same_bits(compute({kSequences}), compute(rows)));
    }
}

TEST_CASE("matmul_add_norm gives the bits of matmul_add and rms_norm") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const auto check = [&](DType dtype, std::int64_t n, int shards, bool biased,
                               std::int64_t offset) {
            check_sum(backend, input, {dtype, 5, n, shards, biased, offset});
        };
        for (const DType dtype : kFloatTypes) {
            for (const int shards : {1, 2, 4, 8})
                for (const bool biased : {false, true})
                    for (const std::int64_t n : {1, 24, 77, 128, 516})
                        check(dtype, n, shards, biased, n == 128 ? 1 : 0);
        }
        // Every number of elements that a device's threads keep, and rows that they do not.
        for (const int shards : {1, 2, 8})
            for (const std::int64_t n : {2052, 4100, 8200, 16392})
                check(DType::bf16, n, shards, shards == 1, 0);
    }
}

TEST_CASE("matmul_add_norm of more rows than a device adds up at once") {
    RandomInput input;
    TestBackend backend("cuda");
    backend.backend.reset();
    CudaOptions options;
    options.memory_bytes = std::uint64_t{160} << 20;
    options.transport = DeviceTransport::staged;
    backend.backend = cuda::make_backend(options, backend.group);
    constexpr int kShards = 8;
    constexpr std::int64_t kSize = 8200, kMany = 300;
    REQUIRE(cuda::sum_scratch(kMany, kSize, kShards, 1).rows < kMany);
    check_sum(backend, input, {DType::bf16, kMany, kSize, kShards, true});
}

TEST_CASE("prepare_attention refuses what does not fit") {
    TestBackend backend("cuda");
    const Tensor qkv = backend.poisoned({3, 4 * 16}), angles = backend.poisoned({3, 16}),
                 keys = backend.poisoned({2, kKvPageTokens, 16}),
                 values = backend.poisoned({2, kKvPageTokens, 16});
    const std::vector<std::int32_t> good = {1}, bad = {2};
    const auto prepare = [&](const Tensor& x, const Tensor& cos_sin,
                             const std::vector<std::int32_t>& pages, const RmsNorm& norm) {
        const AttentionSequence sequence{0, 3, 0, pages};
        backend->prepare_attention(x, norm, {}, cos_sin, {&sequence, 1}, 16, keys, values);
    };
    CHECK_NOTHROW(prepare(qkv, angles, good, {}));
    CHECK_THROWS_AS(prepare(qkv, angles, bad, {}), InternalError);
    CHECK_THROWS_AS(prepare(qkv.row_range(0, 2), angles, good, {}), InternalError);
    CHECK_THROWS_AS(prepare(qkv, angles.row_range(0, 2), good, {}), InternalError);
    CHECK_THROWS_AS(prepare(qkv.column_range(0, 32), angles, good, {}), InternalError);
    CHECK_THROWS_AS(prepare(qkv, angles, good, {backend.poisoned({8}), 1e-6f}), InternalError);
}
