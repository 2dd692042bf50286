// top_logits against the logits of matmul sorted and added up plainly, and its bits under any
// split.

#include <algorithm>
#include <cmath>

#include "backend_test.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Best {
    std::vector<TopLogit> candidates;  // [ranks, rows, count]
    std::vector<float> maxima;         // [shards, rows], as the sums
    std::vector<double> sums;
};

bool same(const std::vector<TopLogit>& a, const std::vector<TopLogit>& b) {
    return std::equal(
        a.begin(), a.end(), b.begin(), b.end(),
        [](const TopLogit& x, const TopLogit& y) { return std::memcmp(&x, &y, sizeof x) == 0; });
}

bool better(const TopLogit& a, const TopLogit& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The best `count` of a row.
std::vector<TopLogit> plain_best(const float* row, std::int64_t size, int count) {
    std::vector<TopLogit> all;
    for (std::int64_t i = 0; i < size; ++i)
        all.push_back({std::isnan(row[i]) ? -kInfinity : row[i], static_cast<std::int32_t>(i)});
    std::sort(all.begin(), all.end(), better);
    all.resize(static_cast<std::size_t>(count), {-kInfinity, -1});
    return all;
}

/// The head of a model and rows for it. `padded` is a multiple of 8 shards of kVocabShardUnit.
struct Head {
    DType dtype;
    std::int64_t rows, hidden, padded, real;
    std::vector<float> x, weights, inverse_temperatures;
    int shards = 8;

    Best run(TestBackend& backend, int count, std::int64_t ranks, std::int64_t row_begin,
             std::int64_t row_end) const {
        const OwnedTensor stored(weights, dtype, {real, hidden});
        const Tensor rows_in =
            backend.tensor(x, {rows, hidden}, dtype).row_range(row_begin, row_end);
        const std::int64_t n = row_end - row_begin, local = padded / ranks;
        Best all;
        for (std::int64_t rank = 0; rank < ranks; ++rank) {
            const std::int64_t begin = rank * local, first = std::min(begin, real),
                               mine = std::clamp<std::int64_t>(real - begin, 0, local);
            const auto matrix =
                backend->load_matrix(dtype,
                                     {{&stored.stored, first, first + mine, 0, hidden},
                                      {nullptr, 0, local - mine, 0, hidden}},
                                     1);
            const int local_shards = shards / static_cast<int>(ranks);
            std::vector<TopLogit> candidates(static_cast<std::size_t>(n * count), {7, 7});
            std::vector<float> maxima(static_cast<std::size_t>(n * local_shards), -7);
            std::vector<double> sums(maxima.size(), -7);
            backend->top_logits(
                rows_in, *matrix, begin, mine, local_shards, count,
                std::span(inverse_temperatures)
                    .subspan(static_cast<std::size_t>(row_begin), static_cast<std::size_t>(n)),
                candidates, maxima, sums);
            all.candidates.insert(all.candidates.end(), candidates.begin(), candidates.end());
            all.maxima.insert(all.maxima.end(), maxima.begin(), maxima.end());
            all.sums.insert(all.sums.end(), sums.begin(), sums.end());
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

/// `got` are the best of a row that they may differ from by `allowed`: a device's library may add
/// the products of a slab in another order than those of the whole.
bool near_best(const std::vector<TopLogit>& got, const float* row, std::int64_t size,
               float allowed) {
    std::vector<bool> listed(static_cast<std::size_t>(size), false);
    for (const TopLogit& item : got) {
        if (item.token < 0) break;
        if (!(std::abs(item.logit - row[item.token]) <= allowed)) return false;
        if (listed[static_cast<std::size_t>(item.token)]) return false;
        listed[static_cast<std::size_t>(item.token)] = true;
    }
    for (std::int64_t i = 0; i < size; ++i)
        if (!listed[static_cast<std::size_t>(i)] && row[i] > got.back().logit + 2 * allowed)
            return false;
    return std::is_sorted(got.begin(), got.end(), better);
}

/// `best` of one rank against plain sorting and adding.
void check_plain(const Head& head, const Best& best, const std::vector<float>& logits, int count,
                 float allowed = 0) {
    for (std::int64_t row = 0; row < head.rows; ++row) {
        const float* of_row = logits.data() + row * head.real;
        const auto begin = best.candidates.begin() + row * count;
        const std::vector<TopLogit> listed(begin, begin + count);
        if (allowed == 0)
            CHECK(same(listed, plain_best(of_row, head.real, count)));
        else
            CHECK(near_best(listed, of_row, head.real, allowed));
        const double inverse = head.inverse_temperatures[static_cast<std::size_t>(row)];
        for (std::int64_t shard = 0; shard < head.shards; ++shard) {
            const std::int64_t size = head.padded / head.shards,
                               first = std::min(shard * size, head.real),
                               end = std::min(first + size, head.real);
            float max = -kInfinity;
            for (std::int64_t i = first; i < end; ++i) max = std::max(max, of_row[i]);
            const auto at = static_cast<std::size_t>(shard * head.rows + row);
            if (std::isinf(max))
                CHECK(best.maxima[at] == max);
            else
                CHECK(std::abs(best.maxima[at] - max) <= allowed);
            double sum = 0;
            for (std::int64_t i = first; i < end; ++i) {
                const float logit = std::isnan(of_row[i]) ? -kInfinity : of_row[i];
                sum += logit == max ? 1.0 : std::exp((static_cast<double>(logit) - max) * inverse);
            }
            // exp in f32 of an f32 product: three roundings of exponents that matter up to 20.
            CHECK(best.sums[at] == doctest::Approx(sum).epsilon(allowed == 0 ? 1e-5 : 1e-2));
        }
    }
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
    for (std::int64_t row = 0; row < head.rows; ++row)
        head.inverse_temperatures.push_back(
            std::exp(static_cast<float>(input.integer(-30, 30)) / 10));
    return head;
}

/// One row whose logits are `logits` [vocab], a multiple of 256: a single input of 1 and weights
/// that are the logits.
Head head_of(const std::vector<float>& logits) {
    Head head;
    head.dtype = DType::f32;
    head.rows = head.hidden = 1;
    head.padded = head.real = static_cast<std::int64_t>(logits.size());
    head.x = {1};
    head.weights = logits;
    head.inverse_temperatures = {1};
    return head;
}

}  // namespace

TEST_CASE("top_logits against sorted logits, and its bits under any split") {
    RandomInput input;
    for (const DType dtype : kFloatTypes) {
        const Head head = random_head(input, dtype);
        const int count = static_cast<int>(input.integer(1, kMaxTopLogits));
        CAPTURE(head.rows);
        CAPTURE(head.padded);
        CAPTURE(head.real);
        CAPTURE(count);
        for (const std::string& name : backend_names()) {
            CAPTURE(name);
            TestBackend backend(name);
            const Best whole = head.run(backend, count, 1, 0, head.rows);
            check_plain(head, whole, head.logits(backend), count, name == "cpu" ? 0 : 1e-4f);
            for (const std::int64_t ranks : {2, 8}) {
                const Best split = head.run(backend, count, ranks, 0, head.rows);
                CHECK(split.maxima == whole.maxima);
                CHECK(split.sums == whole.sums);
                for (std::int64_t row = 0; row < head.rows; ++row) {
                    std::vector<TopLogit> merged;
                    for (std::int64_t rank = 0; rank < ranks; ++rank) {
                        const auto begin =
                            split.candidates.begin() + (rank * head.rows + row) * count;
                        std::copy_if(begin, begin + count, std::back_inserter(merged),
                                     [](const TopLogit& item) { return item.token >= 0; });
                    }
                    std::sort(merged.begin(), merged.end(), better);
                    merged.resize(static_cast<std::size_t>(count), {-kInfinity, -1});
                    const auto begin = whole.candidates.begin() + row * count;
                    CHECK(same(merged, {begin, begin + count}));
                }
            }
            const std::int64_t row = input.integer(0, head.rows - 1);
            const Best alone = head.run(backend, count, 1, row, row + 1);
            const auto begin = whole.candidates.begin() + row * count;
            CHECK(same(alone.candidates, {begin, begin + count}));
            for (std::int64_t shard = 0; shard < head.shards; ++shard)
                CHECK(alone.sums[static_cast<std::size_t>(shard)] ==
                      whole.sums[static_cast<std::size_t>(shard * head.rows + row)]);
        }
        TestBackend fastest(cpu::available_isas().back(), 3);
        const Best whole = head.run(fastest, count, 1, 0, head.rows);
        for (const cpu::Isa isa : cpu::available_isas()) {
            TestBackend other(isa, 1);
            const Best got = head.run(other, count, 1, 0, head.rows);
            CHECK(same(got.candidates, whole.candidates));
            CHECK(got.sums == whole.sums);
        }
    }
}

TEST_CASE("top_logits of rows that are sorted, equal, peaked, or broken") {
    RandomInput input;
    constexpr std::int64_t kVocab = 8 * 32 * 9;
    std::vector<std::vector<float>> rows;
    std::vector<float> row(static_cast<std::size_t>(kVocab), 1.5f);
    rows.push_back(row);  // all equal
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i) / 64;
    rows.push_back(row);
    std::reverse(row.begin(), row.end());
    rows.push_back(row);
    // Few values; the best side by side, in one thread's columns of a device.
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(input.integer(0, 3));
    rows.push_back(row);
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = i >= 700 && i < 900 ? 30.0f : -30.0f;
    rows.push_back(row);
    std::fill(row.begin(), row.end(), -kInfinity);
    rows.push_back(row);
    row[1000] = 3;
    rows.push_back(row);
    for (std::size_t i = 0; i < row.size(); i += 3) row[i] = std::nanf("");
    rows.push_back(row);
    std::fill(row.begin(), row.end(), std::nanf(""));
    rows.push_back(row);
    row[77] = -kInfinity, row[80] = 1, row[2000] = kInfinity;
    rows.push_back(row);
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = i % 2 ? 0.0f : -0.0f;
    rows.push_back(row);
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            CAPTURE(i);
            const Head head = head_of(rows[i]);
            // A product of 1 and −0 from a sum that began with 0 is 0.
            const std::vector<float> logits = head.logits(backend);
            for (const int count : {1, 20, 255, 256})
                check_plain(head, head.run(backend, count, 1, 0, 1), logits, count);
        }
    }
}

TEST_CASE("a vocabulary smaller than the list, and one with slabs of a device's full width") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        Head small = head_of(input.floats(97));
        small.padded = 8 * 32;
        const Best best = small.run(backend, 200, 1, 0, 1);
        check_plain(small, best, small.logits(backend), 200);
        CHECK(best.candidates[96].token >= 0);
        CHECK(best.candidates[97].token == -1);
        for (const int shards : {1, 2}) {
            Head large = head_of(input.floats(2 * 16384 + 4096));
            large.shards = shards;
            for (std::size_t i = 20000; i < 20400; ++i) large.weights[i] += 3;
            for (const int count : {3, 256})
                check_plain(large, large.run(backend, count, 1, 0, 1), large.logits(backend),
                            count);
        }
    }
}

TEST_CASE("top_logits that make no sense are bugs") {
    for (const std::string& name : backend_names()) {
        TestBackend backend(name);
        const Head head = head_of(std::vector<float>(256, 1.0f));
        CHECK_THROWS_AS(head.run(backend, kMaxTopLogits + 1, 1, 0, 1), InternalError);
        CHECK_THROWS_AS(head.run(backend, 0, 1, 0, 1), InternalError);
        Head uneven = head;
        uneven.shards = 3;
        CHECK_THROWS_AS(uneven.run(backend, 1, 1, 0, 1), InternalError);
    }
}
