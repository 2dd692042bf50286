#include <cmath>

#include "backend_test.h"
#include "muster/base/error.h"

using namespace muster;

TEST_CASE("rms_norm rounds as Hugging Face's Llama does") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            for (const std::int64_t n : {1, 5, 16, 31, 100, 1024}) {
                const std::vector<float> x = input.floats(3 * n, 3.0f), w = input.floats(n);
                const Tensor out = backend.poisoned({3, n}, dtype);
                backend->rms_norm(backend.tensor(x, {3, n}), backend.tensor(w, {n}), 1e-5f, out);
                const std::vector<float> got = backend.values(out);
                for (std::int64_t r = 0; r < 3; ++r) {
                    double sum = 0;
                    for (std::int64_t i = 0; i < n; ++i)
                        sum += std::pow(static_cast<double>(x[static_cast<std::size_t>(r * n + i)]),
                                        2);
                    const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(n) + 1e-5);
                    for (std::int64_t i = 0; i < n; ++i) {
                        const auto at = static_cast<std::size_t>(r * n + i),
                                   column = static_cast<std::size_t>(i);
                        const double exact = static_cast<double>(x[at]) * inverse *
                                             static_cast<double>(rounded(w[column], dtype));
                        // Two roundings to the compute type.
                        const double unit = dtype == DType::f32   ? 0x1p-22
                                            : dtype == DType::f16 ? 0x1p-10
                                                                  : 0x1p-7;
                        CHECK(std::abs(got[at] - exact) <= unit * std::abs(exact) + 1e-7);
                        CHECK(got[at] == rounded(got[at], dtype));
                    }
                }
            }
        }
        // The order of roundings: 1.0078125 · 1.0078125 in bf16 after x · rsqrt was rounded to
        // bf16.
        const Tensor out = backend.poisoned({1, 2}, DType::bf16);
        backend->rms_norm(backend.tensor({1.0f, 1.0f}, {1, 2}),
                          backend.tensor({1.0078125f, 3.0f}, {2}), 0.0f, out);
        CHECK(backend.values(out) == std::vector<float>{1.0078125f, 3.0f});
    }
}

TEST_CASE("rms_norm of long rows, and of rows at any address") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        // Rows that devices keep in registers, by one to eight times four elements a thread, and
        // not.
        for (const std::int64_t n : {2048, 2052, 3584, 5121, 8196, 16384, 16388}) {
            CAPTURE(n);
            const std::vector<float> x = input.floats(n, 3.0f), w = input.floats(n);
            const RmsNorm norm{backend.tensor(w, {n}), 1e-5f};
            const Tensor out = backend.poisoned({1, n});
            backend->rms_norm(backend.tensor(x, {1, n}), norm.weight, norm.eps, out);
            const std::vector<float> got = backend.values(out);
            double sum = 0;
            for (const float value : x) sum += std::pow(static_cast<double>(value), 2);
            const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(n) + 1e-5);
            for (std::size_t i = 0; i < got.size(); ++i) {
                const double exact = x[i] * inverse * w[i];
                // A thousand additions in a lane, each rounded.
                CHECK(std::abs(got[i] - exact) <= 0x1p-19 * std::abs(exact));
            }
            std::vector<float> shifted(static_cast<std::size_t>(n) + 5);
            std::copy(x.begin(), x.end(), shifted.begin() + 3);
            const Tensor wide = backend.tensor(shifted, {1, n + 5});
            const Tensor again = backend.poisoned({1, n + 1});
            backend->rms_norm(wide.column_range(3, n + 3), norm.weight, norm.eps,
                              again.column_range(1, n + 1));
            const std::vector<float> moved = backend.values(again);
            CHECK(same_bits(std::vector<float>(moved.begin() + 1, moved.end()), got));
        }
    }
}

TEST_CASE("norm_heads norms every head by itself, in place, also in a column view") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const std::int64_t d : {2, 6, 16, 34, 64, 80, 128, 256, 260}) {
            CAPTURE(d);
            const std::int64_t heads = 5, rows = 3, width = heads * d + 8;
            const std::vector<float> x = input.floats(rows * width, 3.0f), w = input.floats(d);
            const RmsNorm norm{backend.tensor(w, {d}), 1e-5f};
            const Tensor whole = backend.tensor(x, {rows, width});
            backend->norm_heads(whole.column_range(4, 4 + heads * d), norm, d);
            const std::vector<float> got = backend.values(whole);
            // One head of one row alone.
            const auto head = x.begin() + 2 * width + 4 + 3 * d;
            const Tensor alone = backend.tensor({head, head + d}, {1, d});
            backend->norm_heads(alone, norm, d);
            const auto among = got.begin() + (head - x.begin());
            CHECK(same_bits(backend.values(alone), std::vector<float>(among, among + d)));
            for (std::int64_t r = 0; r < rows; ++r) {
                for (std::int64_t c = 0; c < width; ++c) {
                    const auto at = static_cast<std::size_t>(r * width + c);
                    if (c < 4 || c >= 4 + heads * d) {
                        CHECK(got[at] == x[at]);
                        continue;
                    }
                    const std::int64_t i = (c - 4) % d;
                    double sum = 0;
                    for (std::int64_t j = 0; j < d; ++j)
                        sum += std::pow(
                            static_cast<double>(x[at - static_cast<std::size_t>(i - j)]), 2);
                    const double exact = x[at] / std::sqrt(sum / static_cast<double>(d) + 1e-5) *
                                         w[static_cast<std::size_t>(i)];
                    CHECK(std::abs(got[at] - exact) <= 0x1p-21 * std::abs(exact));
                }
            }
        }
    }
}

TEST_CASE("rope rotates halves, also in a column view") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const std::int64_t d : {2, 6, 16, 34, 128}) {
            const std::int64_t heads = 3, rows = 5, width = heads * d + 7;
            const std::vector<float> x = input.floats(rows * width),
                                     angles = input.floats(rows * d);
            const Tensor whole = backend.tensor(x, {rows, width});
            backend->rope(whole.column_range(4, 4 + heads * d), backend.tensor(angles, {rows, d}),
                          d);
            const std::vector<float> got = backend.values(whole);
            for (std::int64_t r = 0; r < rows; ++r) {
                for (std::int64_t c = 0; c < width; ++c) {
                    const auto at = static_cast<std::size_t>(r * width + c);
                    const std::int64_t i = (c - 4) % d;
                    if (c < 4 || c >= 4 + heads * d) {
                        CHECK(got[at] == x[at]);
                        continue;
                    }
                    const bool first = i < d / 2;
                    const auto pair = static_cast<std::size_t>(r * d + (first ? i : i - d / 2));
                    const double cosine = angles[pair],
                                 sine = angles[pair + static_cast<std::size_t>(d / 2)];
                    const double partner =
                        x[static_cast<std::size_t>(r * width + c + (first ? d / 2 : -d / 2))];
                    const double exact = x[at] * cosine + (first ? -partner : partner) * sine;
                    CHECK(std::abs(got[at] - exact) < 2e-6);
                }
            }
        }
    }
}

TEST_CASE("embed and gather_rows copy rows and refuse others") {
    RandomInput input;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            const std::vector<float> values = input.floats(6 * 19);
            const OwnedTensor stored(values, dtype, {6, 19});
            const Tensor table = backend->load_table(stored.stored);
            const Tensor out = backend.poisoned({3, 19});
            const std::vector<std::int32_t> ids = {5, 0, 5};
            backend->embed(table, ids, out);
            const std::vector<float> got = backend.values(out);
            for (std::size_t r = 0; r < 3; ++r) {
                for (std::size_t i = 0; i < 19; ++i)
                    CHECK(got[r * 19 + i] ==
                          rounded(values[static_cast<std::size_t>(ids[r]) * 19 + i], dtype));
            }
            const Tensor gathered = backend.poisoned({2, 19}, dtype);
            backend->gather_rows(table, std::vector<std::int32_t>{1, 3}, gathered);
            CHECK(backend.values(gathered)[20] == rounded(values[3 * 19 + 1], dtype));
            CHECK_THROWS_AS(
                backend->embed(table, std::vector<std::int32_t>{6}, backend.poisoned({1, 19})),
                InternalError);
            CHECK_THROWS_AS(backend->gather_rows(table, std::vector<std::int32_t>{-1}, gathered),
                            InternalError);
        }
    }
}

TEST_CASE("a table whose bytes are not aligned is copied") {
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        std::vector<std::byte> bytes(4 * 6 + 1);
        const std::vector<float> values = {1, 2, 3, 4, 5, 6};
        std::memcpy(bytes.data() + 1, values.data(), 24);
        const StoredTensor stored{
            "t", "F32", {2, 3}, std::span(bytes).subspan(1), "test.safetensors"};
        CHECK(backend.values(backend->load_table(stored)) == values);
        const StoredTensor line{"t", "F32", {6}, std::span(bytes).subspan(1), "test.safetensors"};
        CHECK(backend.values(backend->load_vector(line, 2, 5)) == std::vector<float>{3, 4, 5});
        CHECK_THROWS_AS(backend->load_vector(line, 2, 7), InternalError);
    }
}

TEST_CASE("pages are copied one after the other") {
    RandomInput input;
    // A page is copied onto one that was read before, a copy is copied, a page is written twice.
    std::vector<PageCopy> copies = {{0, 5}, {3, 0}, {0, 7}, {2, 5}, {5, 1}, {1, 2}};
    // More than one kernel takes, all of the same page.
    for (std::int32_t to = 8; to < 320; ++to) copies.push_back({6, to});
    constexpr std::int64_t kPages = 320, kWidth = 40;
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        TestBackend backend(name);
        for (const DType dtype : kFloatTypes) {
            const Shape shape{kPages, kKvPageTokens, kWidth};
            std::vector<Tensor> caches;
            std::vector<std::vector<float>> expected;
            for (int i = 0; i < 2; ++i) {
                caches.push_back(backend.tensor(input.floats(num_elements(shape)), shape, dtype));
                std::vector<float> values = backend.values(caches.back());
                for (const auto& [from, to] : copies)
                    std::copy_n(values.begin() + from * kKvPageTokens * kWidth,
                                kKvPageTokens * kWidth,
                                values.begin() + to * kKvPageTokens * kWidth);
                expected.push_back(std::move(values));
            }
            backend->copy_kv_pages(caches, copies);
            for (std::size_t i = 0; i < caches.size(); ++i)
                CHECK(same_bits(backend.values(caches[i]), expected[i]));
        }
        const Tensor cache = backend.poisoned({2, kKvPageTokens, kWidth});
        for (const PageCopy bad : {PageCopy{0, 2}, PageCopy{-1, 1}})
            CHECK_THROWS_AS(backend->copy_kv_pages({&cache, 1}, {&bad, 1}), InternalError);
    }
}
