// draw_logits against weights that are added up plainly, its frequencies, and its bits under any
// split.

#include <algorithm>
#include <cmath>

#include "backend_test.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The head of a model, rows for it and what to draw.
struct Head {
    DType dtype = DType::f32;
    std::int64_t rows = 1, hidden = 1, padded = 0, real = 0;
    std::vector<float> x, weights;
    std::vector<LogitDraw> draws;
    int shards = 8;

    std::int64_t shard_size() const { return padded / shards; }
    std::size_t blocks() const {
        return static_cast<std::size_t>(shards * draw_blocks(shard_size()));
    }
    /// [draws, blocks], by so many ranks.
    std::vector<BlockDraw> run(TestBackend& backend, std::int64_t ranks = 1) const {
        const OwnedTensor stored(weights, dtype, {real, hidden});
        const Tensor in = backend.tensor(x, {rows, hidden}, dtype);
        const std::int64_t local = padded / ranks;
        const std::size_t per_rank = blocks() / static_cast<std::size_t>(ranks);
        std::vector<BlockDraw> all(draws.size() * blocks()), part(draws.size() * per_rank);
        for (std::int64_t rank = 0; rank < ranks; ++rank) {
            const std::int64_t begin = rank * local, first = std::min(begin, real),
                               mine = std::clamp<std::int64_t>(real - begin, 0, local);
            const auto matrix =
                backend->load_matrix(dtype,
                                     {{&stored.stored, first, first + mine, 0, hidden},
                                      {nullptr, 0, local - mine, 0, hidden}},
                                     1);
            std::fill(part.begin(), part.end(), BlockDraw{-7, -7, -7});
            backend->draw_logits(in, *matrix, begin, mine, shards / static_cast<int>(ranks), draws,
                                 part);
            for (std::size_t i = 0; i < draws.size(); ++i)
                std::copy_n(
                    part.begin() + static_cast<std::ptrdiff_t>(i * per_rank), per_rank,
                    all.begin() + static_cast<std::ptrdiff_t>(
                                      i * blocks() + static_cast<std::size_t>(rank) * per_rank));
        }
        return all;
    }
    /// As a backend multiplies: [rows, real].
    std::vector<float> logits(TestBackend& backend) const {
        const OwnedTensor stored(weights, dtype, {real, hidden});
        const auto matrix = backend->load_matrix(dtype, {{&stored.stored, 0, real, 0, hidden}}, 1);
        const Tensor y = backend.poisoned({rows, real});
        backend->matmul(backend.tensor(x, {rows, hidden}, dtype), *matrix, {}, y);
        return backend.values(y);
    }
};

bool same(std::span<const BlockDraw> a, std::span<const BlockDraw> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// One block of `got` against logits [first, end) of its row; `allowed` as in top_logits_test.
void check_block(const BlockDraw& got, const LogitDraw& draw, const float* row, std::int64_t first,
                 std::int64_t end, float allowed) {
    if (first == end) {
        CHECK(got.sum == 0);
        CHECK(got.max == -kInfinity);
        CHECK(got.token == -1);
        return;
    }
    float max = -kInfinity;
    for (std::int64_t i = first; i < end; ++i)
        max = std::max(max, std::isnan(row[i]) ? max : row[i]);
    if (std::isinf(max))
        CHECK(got.max == max);
    else
        CHECK(std::abs(got.max - max) <= allowed);
    REQUIRE(got.token >= first);
    REQUIRE(got.token < end);
    double sum = 0, before = 0, after = 0;
    for (std::int64_t i = first; i < end; ++i) {
        const float logit = std::isnan(row[i]) ? -kInfinity : row[i];
        if (i == got.token) before = sum;
        sum += logit == max ? 1.0
                            : std::exp((static_cast<double>(logit) - max) *
                                       static_cast<double>(draw.inverse_temperature));
        if (i == got.token) after = sum;
    }
    CHECK(after > before);
    // Exponentials in f32 of f32 products: three roundings of exponents that matter up to 20.
    const double tolerance = allowed == 0 ? 1e-5 : 1e-2;
    CHECK(got.sum == doctest::Approx(sum).epsilon(tolerance));
    CHECK(before <= (draw.uniform + tolerance) * sum);
    CHECK(after >= (draw.uniform - tolerance) * sum);
}

void check_plain(const Head& head, std::span<const BlockDraw> got, const std::vector<float>& logits,
                 float allowed = 0) {
    const std::int64_t per_shard = draw_blocks(head.shard_size());
    for (std::size_t i = 0; i < head.draws.size(); ++i) {
        for (std::size_t b = 0; b < head.blocks(); ++b) {
            CAPTURE(b);
            const auto block = static_cast<std::int64_t>(b);
            const std::int64_t shard = block / per_shard * head.shard_size(),
                               first = shard + block % per_shard * kDrawBlock,
                               end = std::min(first + kDrawBlock, shard + head.shard_size());
            check_block(got[i * head.blocks() + b], head.draws[i],
                        logits.data() + head.draws[i].row * head.real, std::min(first, head.real),
                        std::min(end, head.real), allowed);
        }
    }
}

double uniform(RandomInput& input) {
    return static_cast<double>(input.integer(0, (1 << 30) - 1)) / (1 << 30);
}

Head random_head(RandomInput& input, DType dtype) {
    Head head;
    head.dtype = dtype;
    head.rows = input.integer(1, 40);
    head.hidden = input.integer(3, 50);
    const std::int64_t shard = 32 * input.integer(1, 40);
    head.padded = 8 * shard;
    head.real = head.padded - input.integer(0, 2 * shard);
    head.x = input.floats(head.rows * head.hidden);
    head.weights = input.floats(head.real * head.hidden);
    // Rows that nothing is drawn from, and rows that several draw from.
    for (std::int32_t row = 0; row < head.rows; ++row)
        for (std::int64_t i = input.integer(-1, 3); i > 0; --i)
            head.draws.push_back(
                {row, std::exp(static_cast<float>(input.integer(-30, 30)) / 10), uniform(input)});
    return head;
}

/// One row whose logits are `logits` [vocab], a multiple of 256, and draws from all over it.
Head head_of(const std::vector<float>& logits) {
    Head head;
    head.padded = head.real = static_cast<std::int64_t>(logits.size());
    head.x = {1};
    head.weights = logits;
    for (const double at : {0.0, 0.1, 0.5, 0.9, 1 - 0x1p-53})
        for (const float inverse : {1e-38f, 1.0f, 3e38f}) head.draws.push_back({0, inverse, at});
    return head;
}

}  // namespace

TEST_CASE("draw_logits against weights added up plainly, and its bits under any split") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        const Head head = random_head(input, dtype);
        CAPTURE(head.rows);
        CAPTURE(head.padded);
        CAPTURE(head.real);
        for (const std::string& name : backend_names()) {
            CAPTURE(name);
            TestBackend backend(name);
            const std::vector<BlockDraw> whole = head.run(backend);
            check_plain(head, whole, head.logits(backend), name == "cpu" ? 0 : 1e-4f);
            for (const std::int64_t ranks : {2, 8}) CHECK(same(head.run(backend, ranks), whole));
            for (std::size_t i = 0; i < head.draws.size(); ++i) {
                Head alone = head;
                alone.draws = {head.draws[i]};
                CHECK(same(alone.run(backend),
                           std::span(whole).subspan(i * head.blocks(), head.blocks())));
            }
        }
        TestBackend fastest(cpu::available_isas().back(), 3);
        const std::vector<BlockDraw> whole = head.run(fastest);
        for (const cpu::Isa isa : cpu::available_isas()) {
            TestBackend other(isa, 1);
            CHECK(same(head.run(other), whole));
        }
    }
}

TEST_CASE("every token of a block is drawn as often as its weight says") {
    RandomInput input;
    std::vector<float> logits = input.floats(512, 2);
    Head head = head_of(logits);
    head.shards = 2;  // blocks of 256
    head.draws.clear();
    constexpr int kDraws = 3000;
    for (int i = 0; i < kDraws; ++i) head.draws.push_back({0, 0.7f, (i + 0.5) / kDraws});
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const std::vector<BlockDraw> got = head.run(backend);
        std::vector<int> counts(logits.size(), 0);
        for (const BlockDraw& block : got) ++counts[static_cast<std::size_t>(block.token)];
        for (std::size_t block = 0; block < 2; ++block) {
            double total = 0;
            const auto weight = [&](std::size_t i) {
                return std::exp(0.7 * static_cast<double>(logits[i]));
            };
            for (std::size_t i = block * 256; i < (block + 1) * 256; ++i) total += weight(i);
            // Numbers at equal distances: no count is off by more than one, but for rounding.
            for (std::size_t i = block * 256; i < (block + 1) * 256; ++i)
                CHECK(std::abs(counts[i] - kDraws * weight(i) / total) < 1.5);
        }
    }
}

TEST_CASE("draw_logits from rows that are equal, peaked, or broken") {
    RandomInput input;
    constexpr std::int64_t kVocab = 8 * 32 * 9;
    std::vector<std::vector<float>> rows;
    std::vector<float> row(static_cast<std::size_t>(kVocab), 1.5f);
    rows.push_back(row);  // all equal
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = i % 97 == 0 ? 30.0f : -30.0f;
    rows.push_back(row);
    std::fill(row.begin(), row.end(), -kInfinity);
    rows.push_back(row);
    for (const std::size_t at : {0, 1000, 2303}) row[at] = 3;
    rows.push_back(row);
    for (std::size_t i = 0; i < row.size(); i += 3) row[i] = std::nanf("");
    rows.push_back(row);
    std::fill(row.begin(), row.end(), std::nanf(""));
    row[77] = -kInfinity, row[80] = 1, row[700] = 2, row[2000] = kInfinity;
    rows.push_back(row);
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            CAPTURE(i);
            const Head head = head_of(rows[i]);
            check_plain(head, head.run(backend), head.logits(backend));
        }
    }
}

TEST_CASE("draw_logits from blocks of full width, and from more draws than go at once") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        Head large = head_of(input.floats(2 * 16384 + 4096));
        for (const int shards : {1, 2}) {
            large.shards = shards;
            large.real = large.padded - 100;
            large.weights.resize(static_cast<std::size_t>(large.real));
            check_plain(large, large.run(backend), large.logits(backend));
        }
        Head many;
        many.rows = 700;
        many.padded = many.real = 256;
        many.x = input.floats(700);
        many.weights = input.floats(256);
        for (std::int32_t i = 0; i < 1500; ++i)
            many.draws.push_back({i / 3 + i / 900, 1, uniform(input)});
        check_plain(many, many.run(backend), many.logits(backend), name == "cpu" ? 0 : 1e-4f);
    }
}

TEST_CASE("draws that make no sense are bugs") {
    for (const std::string& name : backend_names()) {
        TestBackend backend(name);
        const Head head = head_of(std::vector<float>(256, 1.0f));
        const auto refused = [&](const std::vector<LogitDraw>& draws, int shards = 8) {
            Head other = head;
            other.draws = draws;
            other.shards = shards;
            CHECK_THROWS_AS(other.run(backend), InternalError);
        };
        refused({{1, 1, 0.5}});
        refused({{-1, 1, 0.5}});
        refused({{0, 0, 0.5}});
        refused({{0, 1, 1}});
        refused({{0, 1, -0.1}});
        refused({{0, 1, 0.5}}, 3);
        CHECK(head.run(backend).size() == head.draws.size() * 8);
    }
}
