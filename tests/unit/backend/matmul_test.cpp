#include <cmath>
#include <limits>

#include "backend_test.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

float flushed(float value) {
    return std::abs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0f, value) : value;
}

/// What the contract says, one element at a time: fused multiply-add in ascending k within a shard,
/// in bf16 by pairs and with denormals flushed; the shards as a tree.
float reference(DType dtype, const float* x, const float* w, std::int64_t k, int shards) {
    const bool pairs = dtype == DType::bf16;
    const auto tidy = [&](float value) { return pairs ? flushed(value) : value; };
    std::vector<float> sums;
    for (int s = 0; s < shards; ++s) {
        float sum = 0;
        const std::int64_t end = (s + 1) * k / shards;
        const auto add = [&](std::int64_t i) {
            const float xi = i < end ? x[i] : 0.0f, wi = i < end ? w[i] : 0.0f;
            sum = tidy(std::fma(tidy(xi), tidy(wi), sum));
        };
        for (std::int64_t i = s * k / shards; i < end; i += pairs ? 2 : 1) {
            if (pairs) add(i + 1);
            add(i);
        }
        sums.push_back(sum);
    }
    for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
        for (std::size_t i = 0; i < sums.size() / 2; ++i)
            sums[i] = tidy(sums[2 * i] + sums[2 * i + 1]);
    }
    return sums[0];
}

}  // namespace

TEST_CASE("matmul equals the contract bit for bit, for every type, shape and kernel set") {
    RandomInput input;
    for (const cpu::Isa isa : cpu::available_isas()) {
        TestBackend backend(isa);
        for (const DType dtype : kFloatTypes) {
            for (int round = 0; round < 16; ++round) {
                const int shards = 1 << input.integer(0, 3);
                const std::int64_t rows = input.integer(1, 60), n = input.integer(1, 100),
                                   k = shards * input.integer(1, round == 0 ? 700 : 40);
                // Small enough to make denormals.
                const float deviation = round % 4 == 3 ? 0x1p-64f : 1.0f;
                CAPTURE(rows);
                CAPTURE(n);
                CAPTURE(k);
                CAPTURE(shards);
                // The matrix is cut out of a larger stored one, its first rows from another.
                const std::int64_t top = input.integer(0, n), margin = input.integer(0, 5);
                const std::vector<float> stored =
                                             input.floats((n + margin) * (k + margin), deviation),
                                         other = input.floats(n * k, deviation);
                const OwnedTensor main(stored, dtype, {n + margin, k + margin}),
                    first(other, dtype, {n, k});
                const std::vector<float> x = input.floats(rows * k, deviation),
                                         bias = input.floats(n);
                const auto matrix = backend->load_matrix(
                    dtype,
                    {{&first.stored, 0, top, 0, k},
                     {&main.stored, margin, margin + n - top, margin, margin + k}},
                    shards);
                CHECK(matrix->bytes() == cpu_matrix_bytes(dtype, n, k, shards));

                const bool with_bias = deviation == 1.0f && input.integer(0, 1) == 1;
                const Tensor y = backend.poisoned({rows, n});
                backend->matmul(backend.tensor(x, {rows, k}, dtype), *matrix,
                                with_bias ? backend.tensor(bias, {n}) : Tensor(), y);

                std::vector<float> expected;
                for (std::int64_t r = 0; r < rows; ++r) {
                    for (std::int64_t c = 0; c < n; ++c) {
                        std::vector<float> xr, wc;
                        for (std::int64_t i = 0; i < k; ++i) {
                            const std::int64_t at =
                                c < top ? c * k + i
                                        : (margin + c - top) * (k + margin) + margin + i;
                            xr.push_back(rounded(x[static_cast<std::size_t>(r * k + i)], dtype));
                            wc.push_back(rounded(
                                (c < top ? other : stored)[static_cast<std::size_t>(at)], dtype));
                        }
                        expected.push_back(reference(dtype, xr.data(), wc.data(), k, shards) +
                                           (with_bias ? bias[static_cast<std::size_t>(c)] : -0.0f));
                    }
                }
                CHECK(same_bits(backend.values(y), expected));
            }
        }
    }
}

TEST_CASE("a stored type that differs from the compute type is converted") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const std::vector<float> values = input.floats(7 * 9);
        for (const DType stored : kFloatTypes) {
            for (const DType compute : kFloatTypes) {
                const OwnedTensor tensor(values, stored, {7, 9});
                const auto matrix =
                    backend->load_matrix(compute, {{&tensor.stored, 0, 7, 0, 9}}, 1);
                std::vector<float> identity(81);
                for (std::size_t i = 0; i < 9; ++i) identity[i * 9 + i] = 1;
                const Tensor y = backend.poisoned({9, 7});
                backend->matmul(backend.tensor(identity, {9, 9}, compute), *matrix, {}, y);
                const std::vector<float> got = backend.values(y);
                for (std::size_t i = 0; i < 9; ++i) {
                    for (std::size_t j = 0; j < 7; ++j)
                        CHECK(got[i * 7 + j] ==
                              rounded(rounded(values[j * 9 + i], stored), compute));
                }
            }
        }
    }
}

TEST_CASE("parts without a tensor are zeros, and parts that do not fit are refused") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        const OwnedTensor tensor(input.floats(12), DType::f32, {3, 4});
        const auto matrix = backend->load_matrix(
            DType::f32, {{&tensor.stored, 0, 3, 0, 4}, {nullptr, 0, 5, 0, 4}}, 1);
        CHECK(matrix->n() == 8);
        const Tensor y = backend.poisoned({1, 8});
        backend->matmul(backend.tensor({1, 1, 1, 1}, {1, 4}), *matrix, {}, y);
        const std::vector<float> got = backend.values(y);
        for (std::size_t i = 3; i < 8; ++i) CHECK(got[i] == 0.0f);
        CHECK_THROWS_AS(backend->load_matrix(DType::f32, {{&tensor.stored, 0, 4, 0, 4}}, 1),
                        InternalError);
        CHECK_THROWS_AS(backend->load_matrix(DType::f32, {{&tensor.stored, 0, 3, 1, 5}}, 1),
                        InternalError);
        CHECK_THROWS_AS(backend->load_matrix(DType::f32, {{&tensor.stored, 0, 3, 0, 4}}, 3),
                        InternalError);
        CHECK_THROWS_AS(backend->matmul(backend.tensor({1, 1, 1}, {1, 3}), *matrix, {}, y),
                        InternalError);
    }
}

TEST_CASE("matmul_add adds the product and the bias once") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (const int shards : {1, 2, 8}) {
                const std::int64_t rows = 14, n = 70, k = 48;
                const OwnedTensor w(input.floats(n * k), dtype, {n, k});
                const auto matrix = backend->load_matrix(dtype, {{&w.stored, 0, n, 0, k}}, shards);
                const Tensor x = backend.tensor(input.floats(rows * k), {rows, k}, dtype);
                const std::vector<float> residual = input.floats(rows * n), bias = input.floats(n);
                const Tensor product = backend.poisoned({rows, n});
                backend->matmul(x, *matrix, {}, product);
                std::vector<float> expected = backend.values(product), got = residual;
                for (const bool with_bias : {false, true}) {
                    const Tensor out = backend.tensor(residual, {rows, n});
                    const Tensor added = with_bias ? backend.tensor(bias, {n}) : Tensor();
                    backend->matmul_add(x, *matrix, added, out);
                    got = backend.values(out);
                    for (std::size_t i = 0; i < got.size(); ++i) {
                        const float sum = with_bias
                                              ? expected[i] + bias[i % static_cast<std::size_t>(n)]
                                              : expected[i];
                        // A device's library may add the same product in another order.
                        const double allowed =
                            name == "cpu" ? 0 : 1e-5 * (std::abs(residual[i]) + std::abs(sum) + 1);
                        CHECK(std::abs(got[i] - (residual[i] + sum)) <= allowed);
                    }
                }
            }
        }
    }
}

TEST_CASE("matmul_silu_mul") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (const std::int64_t f : {1, 16, 37, 133}) {
                const std::int64_t rows = 13, k = 24;
                std::vector<float> gate_values = input.floats(f * k, 2.0f);
                for (std::int64_t i = 0; i < k; ++i) gate_values[static_cast<std::size_t>(i)] *= 40;
                const OwnedTensor gate(gate_values, dtype, {f, k}),
                    up(input.floats(f * k), dtype, {f, k});
                const std::vector<float> bias = input.floats(2 * f);
                const Tensor x = backend.tensor(input.floats(rows * k), {rows, k}, dtype);
                const auto fused = backend->load_gate_up(dtype, {&gate.stored, 0, f, 0, k},
                                                         {&up.stored, 0, f, 0, k});
                CHECK(fused->n() == 2 * f);
                const auto stacked = backend->load_matrix(
                    dtype, {{&gate.stored, 0, f, 0, k}, {&up.stored, 0, f, 0, k}}, 1);
                for (const bool with_bias : {false, true}) {
                    const Tensor added = with_bias ? backend.tensor(bias, {2 * f}) : Tensor();
                    const Tensor both = backend.poisoned({rows, 2 * f}),
                                 out = backend.poisoned({rows, f}, dtype);
                    backend->matmul(x, *stacked, added, both);
                    backend->matmul_silu_mul(x, *fused, added, out);
                    const std::vector<float> product = backend.values(both),
                                             got = backend.values(out);
                    for (std::int64_t r = 0; r < rows; ++r) {
                        for (std::int64_t i = 0; i < f; ++i) {
                            const double g = product[static_cast<std::size_t>(r * 2 * f + i)],
                                         u = product[static_cast<std::size_t>(r * 2 * f + f + i)];
                            const double exact = g / (1.0 + std::exp(-g)) * u;
                            const double unit = dtype == DType::f32   ? 0x1p-20
                                                : dtype == DType::f16 ? 0x1p-11
                                                                      : 0x1p-8;
                            CHECK(std::abs(got[static_cast<std::size_t>(r * f + i)] - exact) <=
                                  unit * std::abs(exact) + (dtype == DType::f16 ? 1e-7 : 1e-30));
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("matmul is near the exact product, whatever the shards") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (const int shards : {1, 2, 4, 8}) {
                const std::int64_t rows = input.integer(1, 20), n = input.integer(1, 60),
                                   k = shards * input.integer(1, 40);
                CAPTURE(name);
                CAPTURE(n);
                CAPTURE(k);
                const std::vector<float> x = input.floats(rows * k), w = input.floats(n * k),
                                         bias = input.floats(n);
                const OwnedTensor stored(w, dtype, {n, k});
                const auto matrix =
                    backend->load_matrix(dtype, {{&stored.stored, 0, n, 0, k}}, shards);
                const Tensor y = backend.poisoned({rows, n});
                backend->matmul(backend.tensor(x, {rows, k}, dtype), *matrix,
                                backend.tensor(bias, {n}), y);
                const std::vector<float> got = backend.values(y);
                double worst = 0;
                for (std::int64_t r = 0; r < rows; ++r) {
                    for (std::int64_t c = 0; c < n; ++c) {
                        double sum = bias[static_cast<std::size_t>(c)], size = std::abs(sum);
                        for (std::int64_t i = 0; i < k; ++i) {
                            const double product =
                                static_cast<double>(
                                    rounded(x[static_cast<std::size_t>(r * k + i)], dtype)) *
                                static_cast<double>(
                                    rounded(w[static_cast<std::size_t>(c * k + i)], dtype));
                            sum += product;
                            size += std::abs(product);
                        }
                        const double error =
                            std::abs(got[static_cast<std::size_t>(r * n + c)] - sum) / size;
                        if (!(error <= worst)) worst = error;
                    }
                }
                CHECK(worst < 1e-5);
            }
        }
    }
}
