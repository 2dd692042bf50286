#include <algorithm>
#include <cmath>

#include "backend_test.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

struct Scored {
    std::vector<VocabStats> stats;
    std::vector<float> targets;
};

bool same(const std::vector<VocabStats>& a, const std::vector<VocabStats>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const VocabStats& x, const VocabStats& y) {
                          return std::memcmp(&x, &y, sizeof x) == 0;
                      });
}

/// Statistics [shards, rows] against logits [rows, real].
void check_against_logits(const Scored& scored, const std::vector<float>& logits, std::int64_t rows,
                          std::int64_t real, std::int64_t shards, std::int64_t shard_rows) {
    for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t shard = 0; shard < shards; ++shard) {
            const std::int64_t begin = std::min(shard * shard_rows, real),
                               end = std::min(begin + shard_rows, real);
            const VocabStats& got = scored.stats[static_cast<std::size_t>(shard * rows + row)];
            if (begin == end) {
                CHECK(got.sum == 0.0f);
                CHECK(std::isinf(got.max));
                continue;
            }
            const float* of_row = logits.data() + row * real;
            const float* largest = std::max_element(of_row + begin, of_row + end);
            CHECK(got.max == *largest);
            CHECK(got.argmax == largest - of_row);
            double sum = 0;
            for (std::int64_t i = begin; i < end; ++i)
                sum += std::exp(static_cast<double>(of_row[i]) - static_cast<double>(*largest));
            CHECK(got.sum == doctest::Approx(sum).epsilon(2e-6));
        }
    }
}

}  // namespace

TEST_CASE("score_vocab against the logits of matmul, and its bits under any split") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        const std::int64_t hidden = input.integer(3, 50), rows = input.integer(1, 100), shards = 8,
                           shard_rows = 32 * input.integer(1, 30);
        const std::int64_t padded = shards * shard_rows,
                           real = padded - input.integer(0, 2 * shard_rows);
        CAPTURE(rows);
        CAPTURE(padded);
        CAPTURE(real);
        const std::vector<float> x = input.floats(rows * hidden),
                                 weights = input.floats(real * hidden);
        const OwnedTensor stored(weights, dtype, {real, hidden});
        std::vector<LogitTarget> targets;
        for (int i = 0; i < 50; ++i) {
            targets.push_back({static_cast<std::int32_t>(input.integer(0, rows - 1)),
                               static_cast<std::int32_t>(input.integer(0, real - 1))});
        }

        /// This rank's part of `ranks`, as each rank of a group would run it, put together.
        const auto score_on = [&](TestBackend& backend, std::int64_t ranks, std::int64_t row_begin,
                                  std::int64_t row_end) {
            const Tensor all = backend.tensor(x, {rows, hidden}, dtype);
            Scored result;
            result.targets.assign(targets.size(), -1e30f);
            for (std::int64_t rank = 0; rank < ranks; ++rank) {
                const std::int64_t local = padded / ranks, begin = rank * local,
                                   mine = std::clamp<std::int64_t>(real - begin, 0, local);
                const std::int64_t first = std::min(begin, real);
                const auto matrix =
                    backend->load_matrix(dtype,
                                         {{&stored.stored, first, first + mine, 0, hidden},
                                          {nullptr, 0, local - mine, 0, hidden}},
                                         1);
                std::vector<LogitTarget> shifted;
                std::vector<float> logits;
                for (std::size_t i = 0; i < targets.size(); ++i) {
                    const std::int64_t row = targets[i].row;
                    if (row < row_begin || row >= row_end) continue;
                    shifted.push_back(
                        {static_cast<std::int32_t>(row - row_begin), targets[i].token});
                    logits.push_back(result.targets[i]);
                }
                std::vector<VocabStats> stats(
                    static_cast<std::size_t>((row_end - row_begin) * shards / ranks));
                backend->score_vocab(all.row_range(row_begin, row_end), *matrix, begin, mine,
                                     static_cast<int>(shards / ranks), shifted, stats, logits);
                result.stats.insert(result.stats.end(), stats.begin(), stats.end());
                std::size_t next = 0;
                for (std::size_t i = 0; i < targets.size(); ++i) {
                    if (targets[i].row >= row_begin && targets[i].row < row_end)
                        result.targets[i] = logits[next++];
                }
            }
            return result;
        };
        const auto score = [&](cpu::Isa isa, int threads, std::int64_t ranks,
                               std::int64_t row_begin, std::int64_t row_end) {
            TestBackend backend(isa, threads);
            return score_on(backend, ranks, row_begin, row_end);
        };
        for (const std::string& name : backend_names()) {
            CAPTURE(name);
            TestBackend backend(name);
            const Scored whole = score_on(backend, 1, 0, rows);
            const auto matrix =
                backend->load_matrix(dtype, {{&stored.stored, 0, real, 0, hidden}}, 1);
            const Tensor y = backend.poisoned({rows, real});
            backend->matmul(backend.tensor(x, {rows, hidden}, dtype), *matrix, {}, y);
            check_against_logits(whole, backend.values(y), rows, real, shards, shard_rows);
            const std::vector<float> logits = backend.values(y);
            // A device's library may add the products of a slab in another order than those of the
            // whole.
            for (std::size_t i = 0; i < targets.size(); ++i) {
                const float logit =
                    logits[static_cast<std::size_t>(targets[i].row * real + targets[i].token)];
                const float allowed = name == "cpu" ? 0 : 1e-5f * (std::abs(logit) + 1);
                CHECK(std::abs(whole.targets[i] - logit) <= allowed);
            }
            for (const std::int64_t ranks : {2, 8}) {
                const Scored split = score_on(backend, ranks, 0, rows);
                CHECK(same(split.stats, whole.stats));
                CHECK(same_bits(split.targets, whole.targets));
            }
            const std::int64_t row = input.integer(0, rows - 1);
            const Scored alone = score_on(backend, 1, row, row + 1);
            for (std::int64_t shard = 0; shard < shards; ++shard) {
                CHECK(std::memcmp(&alone.stats[static_cast<std::size_t>(shard)],
                                  &whole.stats[static_cast<std::size_t>(shard * rows + row)],
                                  sizeof(VocabStats)) == 0);
            }
        }
        const Scored whole = score(cpu::available_isas().back(), 3, 1, 0, rows);
        for (const cpu::Isa isa : cpu::available_isas())
            CHECK(same(score(isa, 1, 1, 0, rows).stats, whole.stats));
    }
}

TEST_CASE("equal logits: the lowest id wins, also across slabs") {
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const std::int64_t vocab = 2048;
        std::vector<float> weights(static_cast<std::size_t>(vocab), 1.0f);
        weights[700] = weights[900] = weights[1900] = 2.0f;
        const OwnedTensor stored(weights, DType::f32, {vocab, 1});
        const auto matrix = backend->load_matrix(DType::f32, {{&stored.stored, 0, vocab, 0, 1}}, 1);
        std::vector<VocabStats> stats(1);
        backend->score_vocab(backend.tensor({1.0f}, {1, 1}), *matrix, 0, vocab, 1, {}, stats, {});
        CHECK(stats[0].argmax == 700);
        CHECK(stats[0].sum == doctest::Approx(3.0 + 2045.0 * std::exp(-1.0)).epsilon(1e-6));
        CHECK_THROWS_AS(backend->score_vocab(backend.tensor({1.0f}, {1, 1}), *matrix, 0, vocab, 3,
                                             {}, stats, {}),
                        InternalError);
    }
}
