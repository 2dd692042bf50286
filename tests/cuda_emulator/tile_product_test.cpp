// Products whose tiles the device hands out: of experts, and of few rows.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "cuda/few_rows.h"
#include "cuda/grouped_product.h"
#include "cuda_emulator/device_data.h"
#include "muster/base/error.h"

using namespace muster;
using muster::cuda::Product;
using muster::test::DeviceBytes;
using muster::test::RandomInput;
using muster::test::rounded;

namespace {

constexpr DType kTypes[] = {DType::bf16, DType::f16, DType::f32};

std::vector<std::byte> as_type(const std::vector<float>& values, DType dtype) {
    std::vector<std::byte> bytes;
    for (const float value : values) muster::test::append_as(dtype, value, bytes);
    return bytes;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Experts with random weights, and rows that go to them.
struct Mixture {
    DType dtype;
    bool gated;
    int shards;
    std::int64_t n, k, rows, x_stride, x_margin;  ///< k of one shard
    std::vector<float> x;
    std::vector<std::vector<float>> weights;  ///< per expert [n or 2n, shards · k]
    std::vector<std::int32_t> offsets, rows_of;

    std::int64_t width() const { return shards * k; }

    /// counts: positions of each expert.
    Mixture(RandomInput& input, DType type, bool is_gated, std::int64_t outputs, std::int64_t depth,
            const std::vector<std::int32_t>& counts)
        : dtype(type),
          gated(is_gated),
          shards(is_gated ? 1 : static_cast<int>(input.integer(1, 3))),
          n(outputs),
          k(depth),
          rows(std::max(*std::max_element(counts.begin(), counts.end()), 5)),
          x_stride(shards * depth + 8 * input.integer(0, 2)),
          x_margin(0) {
        x = input.floats(rows * x_stride);
        offsets.push_back(0);
        for (const std::int32_t count : counts) {
            weights.push_back(input.floats((gated ? 2 : 1) * n * width()));
            std::vector<std::int32_t> all(static_cast<std::size_t>(rows));
            std::iota(all.begin(), all.end(), 0);
            std::shuffle(all.begin(), all.end(), input.random);
            rows_of.insert(rows_of.end(), all.begin(), all.begin() + count);
            offsets.push_back(offsets.back() + count);
        }
    }
    std::int64_t positions() const { return offsets.back(); }

    /// [shards, positions, n]; what lies around it has to stay as it is.
    std::vector<float> run(cuda::ExpertTiles tiles, bool backwards = false) const {
        const std::size_t item = size_of(dtype);
        std::vector<std::byte> moved(static_cast<std::size_t>(x_margin) * item);
        const std::vector<std::byte> typed = as_type(x, dtype);
        moved.insert(moved.end(), typed.begin(), typed.end());
        const DeviceBytes device_x(moved), device_offsets(offsets), device_rows(rows_of);
        std::vector<std::unique_ptr<DeviceBytes>> device_weights;
        std::vector<const void*> pointers;
        for (const std::vector<float>& w : weights) {
            device_weights.push_back(std::make_unique<DeviceBytes>(as_type(w, dtype)));
            pointers.push_back(device_weights.back()->as<void>());
        }
        const DType out_type = gated ? dtype : DType::f32;
        const std::int64_t stride = n + 3, all = shards * positions() * stride;
        const std::vector<std::byte> untouched(static_cast<std::size_t>(all) * size_of(out_type),
                                               std::byte{0xff});
        const DeviceBytes out(untouched);
        cuda::TileProduct p;
        p.type = dtype;
        p.gated = gated;
        p.experts = static_cast<int>(weights.size());
        p.shards = shards;
        p.offsets = device_offsets.as<std::int32_t>();
        p.rows_of = device_rows.as<std::int32_t>();
        p.positions = positions();
        p.n = n;
        p.k = k;
        p.x = device_x.as<std::byte>() + static_cast<std::size_t>(x_margin) * item;
        p.x_stride = x_stride;
        p.w_stride = width();
        p.out = out.as<void>();
        p.out_stride = stride;
        p.out_shard = positions() * stride;
        muster::test::set_thread_order(backwards);
        cuda::grouped_product(p, pointers, tiles, nullptr);
        const std::vector<float> got = out.values(out_type);
        muster::test::set_thread_order(false);
        std::vector<float> result;
        for (std::int64_t row = 0; row < shards * positions(); ++row) {
            const auto from = got.begin() + row * stride;
            result.insert(result.end(), from, from + n);
            CHECK(std::all_of(from + n, from + stride, [](float v) { return std::isnan(v); }));
        }
        return result;
    }

    struct Exact {
        double value = 0, size = 0;
    };
    /// In double, of rounded inputs: row `row` of an expert's weights.
    Exact sum(int shard, std::size_t expert, std::int32_t position, std::int64_t row) const {
        Exact e;
        for (std::int64_t i = shard * k; i < (shard + 1) * k; ++i) {
            const std::int64_t of_x = rows_of[static_cast<std::size_t>(position)] * x_stride + i;
            const double product =
                static_cast<double>(rounded(x[static_cast<std::size_t>(of_x)], dtype)) *
                static_cast<double>(
                    rounded(weights[expert][static_cast<std::size_t>(row * width() + i)], dtype));
            e.value += product;
            e.size += std::abs(product);
        }
        return e;
    }
    /// The largest error in units of what is allowed.
    double worst_error(const std::vector<float>& got) const {
        double worst = 0;
        std::size_t at = 0;
        for (int shard = 0; shard < shards; ++shard) {
            for (std::size_t expert = 0; expert < weights.size(); ++expert) {
                for (std::int32_t p = offsets[expert]; p < offsets[expert + 1]; ++p) {
                    for (std::int64_t c = 0; c < n; ++c, ++at) {
                        Exact e = sum(shard, expert, p, c);
                        double allowed = 1e-5 * e.size + 1e-30;
                        if (gated) {
                            const Exact up = sum(shard, expert, p, n + c);
                            const double silu = e.value / (1 + std::exp(-e.value));
                            const double unit = dtype == DType::f32   ? 1e-6
                                                : dtype == DType::f16 ? 0x1p-11
                                                                      : 0x1p-8;
                            allowed = 1e-5 * (e.size * (std::abs(up.value) + 1) * 1.1 +
                                              std::abs(silu) * up.size) +
                                      unit * std::abs(silu * up.value) + 0x1p-24;
                            e.value = silu * up.value;
                        }
                        const double error =
                            std::abs(static_cast<double>(got[at]) - e.value) / allowed;
                        if (!(error <= worst)) worst = error;
                    }
                }
            }
        }
        CHECK(at == got.size());
        return worst;
    }
};

constexpr cuda::ExpertTiles kTiles[] = {cuda::ExpertTiles::few, cuda::ExpertTiles::medium,
                                        cuda::ExpertTiles::many};

}  // namespace

TEST_CASE("a grouped product is near the exact one, and no tile's shape shows in its bits") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const bool gated : {false, true}) {
            const std::int64_t n = input.integer(1, 150), k = 8 * input.integer(1, 24);
            const std::vector<std::int32_t> counts = {
                0,
                static_cast<std::int32_t>(input.integer(1, 15)),
                static_cast<std::int32_t>(input.integer(17, 70)),
                0,
                static_cast<std::int32_t>(input.integer(129, 140)),
                0};
            CAPTURE(n);
            CAPTURE(k);
            const Mixture mixture(input, dtype, gated, n, k, counts);
            const std::vector<float> first = mixture.run(kTiles[0]);
            CHECK(mixture.worst_error(first) <= 1);
            CHECK(same(mixture.run(kTiles[1], true), first));
            CHECK(same(mixture.run(kTiles[2]), first));
        }
    }
}

TEST_CASE("rows that are not aligned are multiplied to the same bits") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const bool gated : {false, true}) {
            Mixture mixture(input, dtype, gated, 37, 8 * input.integer(1, 20), {3, 21});
            const std::vector<float> aligned = mixture.run(cuda::ExpertTiles::medium);
            CHECK(mixture.worst_error(aligned) <= 1);
            mixture.x_margin = 1;
            CHECK(same(mixture.run(cuda::ExpertTiles::medium), aligned));
            const Mixture odd(input, dtype, gated, 19, input.integer(1, 200) / 2 * 2 + 1, {2, 18});
            CHECK(odd.worst_error(odd.run(cuda::ExpertTiles::many, true)) <= 1);
        }
    }
}

TEST_CASE("a row has the same bits alone and among others") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        Mixture all(input, dtype, input.integer(0, 1) == 1, 40, 72, {30, 9});
        const std::vector<float> together = all.run(cuda::ExpertTiles::many);
        const auto row = static_cast<std::size_t>(input.integer(0, 29));
        Mixture alone = all;
        alone.offsets = {0, 1, 1};
        alone.rows_of = {all.rows_of[row]};
        const std::vector<float> got = alone.run(cuda::ExpertTiles::few);
        for (std::size_t shard = 0; shard < static_cast<std::size_t>(all.shards); ++shard)
            CHECK(std::memcmp(&got[shard * 40], &together[(shard * 39 + row) * 40],
                              40 * sizeof(float)) == 0);
    }
}

TEST_CASE("grouped products that make no sense are refused") {
    cuda::TileProduct p;
    p.experts = cuda::kMaxExperts + 1;
    const std::vector<const void*> many(static_cast<std::size_t>(p.experts)), two(2);
    p.k = 8;
    const std::int32_t offset = 0;
    p.offsets = &offset;
    CHECK_THROWS_AS(cuda::grouped_product(p, many, cuda::ExpertTiles::few, nullptr), InternalError);
    p.experts = 3;
    CHECK_THROWS_AS(cuda::grouped_product(p, two, cuda::ExpertTiles::few, nullptr), InternalError);
    p.experts = 2;
    p.gated = p.accumulate = true;
    CHECK_THROWS_AS(cuda::grouped_product(p, two, cuda::ExpertTiles::few, nullptr), InternalError);
}

TEST_CASE("products of few rows are near the exact ones; neither rows nor tiles show in a bit") {
    RandomInput input;
    for (const DType dtype : {DType::bf16, DType::f16}) {
        for (const bool accumulate : {false, true}) {
            // A slice of longer rows, as a virtual shard of a product is.
            const std::int64_t n = input.integer(1, 140), k = 8 * input.integer(1, 60),
                               stride = k + 8 * input.integer(0, 9), rows = 64, y_stride = n + 5;
            CAPTURE(n);
            CAPTURE(k);
            const std::vector<float> x = input.floats(rows * stride), w = input.floats(n * stride),
                                     old = input.floats(rows * y_stride);
            const DeviceBytes device_x(as_type(x, dtype)), device_w(as_type(w, dtype));
            /// Rows [first, first + count).
            const auto run = [&](std::int64_t first, std::int64_t count, cuda::FewRowsTiles tiles) {
                const DeviceBytes y(old);
                Product p;
                p.type = dtype;
                p.m = count;
                p.n = n;
                p.k = k;
                p.x = device_x.as<std::uint16_t>() + first * stride;
                p.w = device_w.as<void>();
                p.x_stride = p.w_stride = stride;
                p.y = y.as<float>() + first * y_stride;
                p.y_stride = y_stride;
                p.accumulate = accumulate;
                REQUIRE(cuda::few_rows_supports(p));
                muster::test::set_thread_order(tiles == cuda::FewRowsTiles::wide);
                cuda::multiply_few_rows(p, tiles, nullptr);
                std::vector<float> got = y.values(DType::f32);
                muster::test::set_thread_order(false);
                return got;
            };
            const std::vector<float> all = run(0, rows, cuda::FewRowsTiles::narrow);
            CHECK(same(run(0, rows, cuda::FewRowsTiles::wide), all));
            for (const std::int64_t count : {1, 7, 8, 9, 16, 17, 31, 33, 63}) {
                for (const auto tiles : {cuda::FewRowsTiles::narrow, cuda::FewRowsTiles::wide}) {
                    std::vector<float> expected = old;
                    std::copy_n(all.begin() + y_stride, count * y_stride,
                                expected.begin() + y_stride);
                    CHECK(same(run(1, count, tiles), expected));
                }
            }
            double worst = 0;
            for (std::int64_t r = 0; r < rows; ++r) {
                for (std::int64_t c = 0; c < y_stride; ++c) {
                    const auto at = static_cast<std::size_t>(r * y_stride + c);
                    if (c >= n) {
                        CHECK(all[at] == old[at]);
                        continue;
                    }
                    double sum = accumulate ? static_cast<double>(old[at]) : 0,
                           size = std::abs(sum) + 1e-30;
                    for (std::int64_t i = 0; i < k; ++i) {
                        const double product =
                            static_cast<double>(
                                rounded(x[static_cast<std::size_t>(r * stride + i)], dtype)) *
                            static_cast<double>(
                                rounded(w[static_cast<std::size_t>(c * stride + i)], dtype));
                        sum += product;
                        size += std::abs(product);
                    }
                    const double error = std::abs(static_cast<double>(all[at]) - sum) / size;
                    if (!(error <= worst)) worst = error;
                }
            }
            CHECK(worst < 1e-5);
        }
    }
}

TEST_CASE("what the kernels of few rows cannot do is said before it is tried") {
    alignas(16) static const std::uint16_t memory[64] = {};
    Product p;
    p.type = DType::bf16;
    p.m = 1;
    p.n = 4;
    p.k = p.x_stride = p.w_stride = 8;
    p.x = p.w = memory;
    CHECK(cuda::few_rows_supports(p));
    const auto refused = [&](auto change) {
        Product other = p;
        change(other);
        CHECK_FALSE(cuda::few_rows_supports(other));
        CHECK_THROWS_AS(cuda::multiply_few_rows(other, cuda::FewRowsTiles::narrow, nullptr),
                        InternalError);
    };
    refused([](Product& o) { o.type = DType::f32; });
    refused([](Product& o) { o.y_type = DType::bf16; });
    refused([](Product& o) { o.k = 7; });
    refused([](Product& o) { o.k = 0; });
    refused([](Product& o) { o.x_stride = 9; });
    refused([](Product& o) { o.w_stride = 12; });
    refused([](Product& o) { o.x = memory + 1; });
    refused([](Product& o) { o.w = memory + 4; });
    p.m = cuda::kMostFewRows + 1;
    CHECK_THROWS_AS(cuda::multiply_few_rows(p, cuda::FewRowsTiles::narrow, nullptr), InternalError);
}

TEST_CASE("shards of a product of few rows are what each is by itself") {
    RandomInput input;
    for (const DType dtype : {DType::bf16, DType::f16}) {
        constexpr std::int64_t kRows = 11, kN = 70, kK = 136;
        constexpr int kShards = 4;
        const DeviceBytes x(as_type(input.floats(kRows * kShards * kK), dtype)),
            w(as_type(input.floats(kN * kShards * kK), dtype));
        const std::vector<float> untouched(kShards * kRows * kN,
                                           std::numeric_limits<float>::quiet_NaN());
        const DeviceBytes together(untouched), apart(untouched);
        Product p;
        p.type = dtype;
        p.m = kRows;
        p.n = p.y_stride = kN;
        p.k = kK;
        p.x = x.as<void>();
        p.w = w.as<void>();
        p.x_stride = p.w_stride = kShards * kK;
        p.shards = kShards;
        p.y_shard = kRows * kN;
        p.y = together.as<void>();
        cuda::multiply_few_rows(p, cuda::FewRowsTiles::narrow, nullptr);
        p.y = apart.as<void>();
        for (int s = 0; s < kShards; ++s)
            cuda::multiply_few_rows(p.shard(s), cuda::FewRowsTiles::wide, nullptr);
        const std::vector<float> got = together.values(DType::f32);
        CHECK(std::none_of(got.begin(), got.end(), [](float v) { return std::isnan(v); }));
        CHECK(same(got, apart.values(DType::f32)));
    }
}
