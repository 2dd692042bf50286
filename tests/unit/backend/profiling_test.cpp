#include "backend_test.h"
#include "muster/backend/profile.h"

using namespace muster;

namespace {

struct Profiled : TestBackend {
    Profile profile;
    std::unique_ptr<Backend> profiling = make_profiling_backend(*backend, profile);

    std::unique_ptr<Matrix> matrix(const std::vector<float>& values, std::int64_t n,
                                   std::int64_t k) {
        const OwnedTensor stored(values, DType::bf16, {n, k});
        return profiling->load_matrix(DType::bf16, {{&stored.stored, 0, n, 0, k}}, 1);
    }
    const OperationTotal& total(const OperationKey& key) {
        REQUIRE(profile.operations.count(key) == 1);
        return profile.operations.at(key);
    }
};

}  // namespace

TEST_CASE("a profiled product gives the same bits and is counted by the shape of its weights") {
    RandomInput input;
    Profiled backend;
    const auto w = backend.matrix(input.floats(64 * 40), 64, 40);
    const auto wide = backend.matrix(input.floats(96 * 40), 96, 40);
    CHECK(backend.profile.operations.empty());  // loading is not an operation
    const Tensor x = backend.tensor(input.floats(3 * 40), {3, 40}, DType::bf16);
    const Tensor y = backend.poisoned({3, 64}), plain = backend.poisoned({3, 64});
    backend->matmul(x, *w, {}, plain);
    CHECK(backend.profile.operations.empty());
    backend.profiling->matmul(x, *w, {}, y);
    backend.profiling->matmul(x, *w, {}, y);
    backend.profiling->matmul(x, *wide, {}, backend.poisoned({3, 96}));
    CHECK(same_bits(backend.values(y), backend.values(plain)));

    const OperationTotal& narrow = backend.total({"matmul", 64, 40});
    CHECK(narrow.calls == 2);
    CHECK(narrow.seconds > 0);
    CHECK(narrow.flops == 2 * 2 * 3 * 64 * 40);
    CHECK(narrow.bytes ==
          2 * (static_cast<double>(w->bytes()) + 3 * 40 * 2 /* x */ + 3 * 64 * 4 /* y */));
    CHECK(backend.total({"matmul", 96, 40}).calls == 1);
    CHECK(backend.profile.operations.size() == 2);
}

TEST_CASE("attention is counted by the keys that its rows see and its sequences hold") {
    RandomInput input;
    Profiled backend;
    constexpr std::int64_t kHeads = 4, kKvHeads = 2, kDim = 8, kRows = 5;
    const std::vector<std::int32_t> pages = {1, 0}, other = {2};
    // 3 rows behind 62 tokens see 63, 64 and 65 keys; 2 rows at the start see 1 and 2.
    const std::vector<AttentionSequence> sequences = {
        {.first_row = 0, .num_rows = 3, .first_position = 62, .pages = pages},
        {.first_row = 3, .num_rows = 2, .first_position = 0, .pages = other}};
    const Shape cache{3, kKvPageTokens, kKvHeads * kDim};
    const auto floats = num_elements(cache);
    const Tensor keys = backend.tensor(input.floats(floats), cache, DType::bf16);
    const Tensor values = backend.tensor(input.floats(floats), cache, DType::bf16);
    const Tensor q = backend.tensor(input.floats(kRows * kHeads * kDim), {kRows, kHeads * kDim});
    const Tensor out = backend.poisoned({kRows, kHeads * kDim}, DType::bf16);
    const double io = kRows * kHeads * kDim * (4 + 2);
    backend.profiling->attention(q, keys, values, sequences, kDim, 1.0f, 0, out);
    CHECK(backend.total({"attention"}).flops == 4.0 * (63 + 64 + 65 + 1 + 2) * kHeads * kDim);
    CHECK(backend.total({"attention"}).bytes == io + 2.0 * (65 + 2) * kKvHeads * kDim * 2);

    backend.profile = {};
    backend.profiling->attention(q, keys, values, sequences, kDim, 1.0f, 10, out);
    CHECK(backend.total({"attention"}).flops == 4.0 * (10 + 10 + 10 + 1 + 2) * kHeads * kDim);
    CHECK(backend.total({"attention"}).bytes == io + 2.0 * (12 + 2) * kKvHeads * kDim * 2);

    const Tensor k = backend.tensor(input.floats(kRows * 16), {kRows, 16});
    backend.profiling->store_kv(k, k, sequences, kDim, keys, values);
    CHECK(backend.total({"store_kv"}).bytes == kRows * 16 * 2 * (4 + 2));
    const PageCopy copies[] = {{0, 2}, {1, 0}, {2, 1}};
    backend.profiling->copy_kv_pages(std::vector<Tensor>{keys, values}, copies);
    CHECK(backend.total({"copy_kv_pages"}).bytes == 2 * 3 * 2 * kKvPageTokens * 16 * 2);
}

TEST_CASE("fused operations are counted as one each, and reach the backend as such") {
    RandomInput input;
    Profiled backend;
    constexpr std::int64_t kHeads = 4, kKvHeads = 2, kDim = 8, kRows = 3;
    const auto w = backend.matrix(input.floats(64 * 40), 64, 40);
    const Tensor x = backend.tensor(input.floats(kRows * 40), {kRows, 40}, DType::bf16);
    const std::vector<float> before = input.floats(kRows * 64);
    const RmsNorm norm{backend.tensor(input.floats(64), {64}), 1e-5f};
    const auto normed = [&](Backend& by) {
        const Tensor residual = backend.tensor(before, {kRows, 64});
        const Tensor out = backend.poisoned({kRows, 64}, DType::bf16);
        by.matmul_add_norm(x, *w, {}, residual, norm, out);
        return backend.values(out);
    };
    CHECK(same_bits(normed(*backend.profiling), normed(*backend.backend)));
    const OperationTotal& product = backend.total({"matmul_add_norm", 64, 40});
    CHECK(product.calls == 1);
    CHECK(product.flops == 2 * kRows * 64 * 40 + 4 * kRows * 64);
    CHECK(product.bytes == static_cast<double>(w->bytes()) + kRows * 40 * 2 /* x */ +
                               2 * kRows * 64 * 4 /* residual */ + 64 * 4 /* weight */ +
                               kRows * 64 * 2 /* out */);

    constexpr std::int64_t kQ = kHeads * kDim, kKv = kKvHeads * kDim;
    const std::vector<std::int32_t> pages = {1, 0};
    const AttentionSequence sequence{0, kRows, 62, pages};
    const std::vector<float> qkv = input.floats(kRows * (kQ + 2 * kKv));
    const RmsNorm heads{backend.tensor(input.floats(kDim), {kDim}), 1e-5f};
    const Tensor angles = backend.tensor(input.floats(kRows * kDim), {kRows, kDim});
    const auto prepared = [&](Backend& by, const RmsNorm& k_norm) {
        const Tensor rows = backend.tensor(qkv, {kRows, kQ + 2 * kKv});
        const Shape cache{2, kKvPageTokens, kKv};
        const Tensor keys = backend.tensor(std::vector<float>(2 * kKvPageTokens * kKv), cache,
                                           DType::bf16),
                     values = backend.tensor(std::vector<float>(2 * kKvPageTokens * kKv), cache,
                                             DType::bf16);
        by.prepare_attention(rows, heads, k_norm, angles, {&sequence, 1}, kDim, keys, values);
        return backend.values(keys);
    };
    CHECK(same_bits(prepared(*backend.profiling, heads), prepared(*backend.backend, heads)));
    const OperationTotal& prepare = backend.total({"prepare_attention"});
    CHECK(prepare.flops == 7 * kRows * (kQ + kKv));
    CHECK(prepare.bytes == kRows * ((2 * kQ + 2 * kKv) * 4 + kDim * 4 + 2 * kKv * 2));
    prepared(*backend.profiling, {});
    CHECK(prepare.calls == 2);
    CHECK(prepare.flops == 7 * kRows * (kQ + kKv) + kRows * (7 * kQ + 3 * kKv));

    const Tensor x32 = backend.tensor(input.floats(kRows * kQ), {kRows, kQ});
    backend.profiling->norm_heads(x32, heads, kDim);
    CHECK(backend.total({"norm_heads"}).flops == 4 * kRows * kQ);
    CHECK(backend.total({"norm_heads"}).bytes == 2 * kRows * kQ * 4 + kDim * 4);
    CHECK(backend.profile.operations.size() == 3);  // and none of what they are made of
}

TEST_CASE("a mixture is counted by its rows' experts, and by the weights of those that have rows") {
    RandomInput input;
    Profiled backend;
    constexpr std::int64_t kHidden = 16, kF = 32, kRows = 3;
    std::vector<std::unique_ptr<Matrix>> matrices;
    std::vector<Expert> experts;
    for (int e = 0; e < 5; ++e) {
        const OwnedTensor half(input.floats(kF * kHidden), DType::bf16, {kF, kHidden});
        const MatrixPart part{&half.stored, 0, kF, 0, kHidden};
        matrices.push_back(backend.profiling->load_gate_up(DType::bf16, part, part));
        matrices.push_back(backend.matrix(input.floats(kHidden * kF), kHidden, kF));
        const auto last = matrices.end();
        experts.push_back({(last - 2)->get(), (last - 1)->get()});
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    // Experts 0 and 4, 4 and 2, 0 and 4: three of five.
    const Tensor logits =
        backend.tensor({3, 1, 0, -1, 2, nan, 0, 1, 0.5, 4, 9, 1, 2, 3, 8}, {3, 5});
    const Tensor x = backend.tensor(input.floats(kRows * kHidden), {kRows, kHidden}, DType::bf16);
    const std::vector<float> zeros(kRows * kHidden);
    const Tensor residual = backend.tensor(zeros, {kRows, kHidden}),
                 plain = backend.tensor(zeros, {kRows, kHidden});
    backend->experts_add(x, logits, {2, true}, experts, plain);
    backend.profiling->experts_add(x, logits, {2, true}, experts, residual);
    CHECK(same_bits(backend.values(residual), backend.values(plain)));
    const OperationTotal& total = backend.total({"experts_add", 2 * kF, kHidden});
    CHECK(total.flops == 2 * kRows * 2 * 3 * kF * kHidden);
    CHECK(total.bytes == 3.0 * static_cast<double>(matrices[0]->bytes() + matrices[1]->bytes()) +
                             kRows * kHidden * 2 + kRows * 5 * 4 + 2 * kRows * kHidden * 4);
}

TEST_CASE("the best logits are forwarded and counted like the product that they come from") {
    RandomInput input;
    Profiled backend;
    const auto w = backend.matrix(input.floats(64 * 40), 64, 40);
    const Tensor x = backend.tensor(input.floats(3 * 40), {3, 40}, DType::bf16);
    const std::vector<float> inverse = {1, 2, 0.5f};
    std::vector<TopLogit> best(3 * 5), plain(3 * 5);
    std::vector<float> maxima(2 * 3);
    std::vector<double> sums(2 * 3), plain_sums(2 * 3);
    backend->top_logits(x, *w, 100, 60, 2, 5, inverse, plain, maxima, plain_sums);
    backend.profiling->top_logits(x, *w, 100, 60, 2, 5, inverse, best, maxima, sums);
    CHECK(sums == plain_sums);
    for (std::size_t i = 0; i < best.size(); ++i) CHECK(best[i].token == plain[i].token);
    const OperationTotal& total = backend.total({"top_logits", 64, 40});
    CHECK(total.calls == 1);
    CHECK(total.flops == 2 * 3 * 64 * 40);
    CHECK(total.bytes ==
          static_cast<double>(w->bytes()) + 3 * 40 * 2 /* x */ + 3 * 5 * 8 + 2 * 3 * (4 + 8));
}

TEST_CASE("draws are forwarded and counted like the product that they come from") {
    RandomInput input;
    Profiled backend;
    const auto w = backend.matrix(input.floats(64 * 40), 64, 40);
    const Tensor x = backend.tensor(input.floats(3 * 40), {3, 40}, DType::bf16);
    const std::vector<LogitDraw> draws = {{0, 1, 0.3}, {2, 0.5f, 0.8}};
    std::vector<BlockDraw> blocks(4), plain(4);
    backend->draw_logits(x, *w, 100, 60, 2, draws, plain);
    backend.profiling->draw_logits(x, *w, 100, 60, 2, draws, blocks);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(blocks[i].token >= 100);
        CHECK(blocks[i].token == plain[i].token);
    }
    const OperationTotal& total = backend.total({"draw_logits", 64, 40});
    CHECK(total.calls == 1);
    CHECK(total.flops == 2 * 3 * 64 * 40);
}

TEST_CASE("profiles add up") {
    Profile a, b;
    a.operations[{"rope"}] = {.calls = 1, .seconds = 2, .flops = 3, .bytes = 4};
    b.operations[{"rope"}] = {.calls = 10, .seconds = 20, .flops = 30, .bytes = 40};
    b.operations[{"matmul", 2, 3}] = {.calls = 5, .seconds = 0.5, .flops = 6, .bytes = 7};
    a.add(b);
    CHECK(a.operations.at({"rope"}).calls == 11);
    CHECK(a.operations.at({"rope"}).bytes == 44);
    CHECK(a.operations.at({"matmul", 2, 3}).flops == 6);
    CHECK(a.seconds() == 22.5);
}
