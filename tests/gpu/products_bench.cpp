// Products of our own on a device by themselves: of experts at the shapes of Mixtral 8x7B, and of
// few rows at those of Llama 3 8B beside the library's, beside what the device reads and multiplies
// at best, measured in the same run. Weights come from memory: a call takes others than the one
// before.
//
//   cuda_products_bench [bf16|f16]

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cuda/ceilings.h"
#include "cuda/check.h"
#include "cuda/experts.h"
#include "cuda/few_rows.h"
#include "cuda/grouped_product.h"
#include "gpu/device_timing.h"
#include "muster/backend/ceilings.h"
#include "muster/base/log.h"

namespace {

using namespace muster;
using namespace muster::cuda;

constexpr int kRepeats = 5;
constexpr double kMilliseconds = 4;

std::uint64_t bytes_of(std::int64_t n) {
    return static_cast<std::uint64_t>(n);
}

struct Cost {
    double bytes, flops;  ///< that must travel once; 2 per multiply-add
};
void print(const std::string& what, std::int64_t rows, const std::vector<double>& ms,
           const Cost& cost, DType dtype, const CudaCeilings& ceilings) {
    const double seconds = ms[ms.size() / 2] * 1e-3;
    std::printf(
        "%-40s %5lld %9.4f %9.4f %9.4f ms %8.1f MB %7.0f GB/s %5.1f %% %9.2f GFLOP %6.1f TFLOP/s "
        "%5.1f %%\n",
        what.c_str(), static_cast<long long>(rows), ms.front(), ms[ms.size() / 2], ms.back(),
        cost.bytes * 1e-6, cost.bytes / seconds * 1e-9,
        100 * cost.bytes / seconds / median(ceilings.read_bytes), cost.flops * 1e-9,
        cost.flops / seconds * 1e-12,
        100 * cost.flops / seconds / median(ceilings.usable_flops(dtype)));
}

/// One layer's experts, and calls of `rows` rows whose router logits are random.
class Mixture {
 public:
    static constexpr int kExperts = 8, kTopK = 2;
    static constexpr std::int64_t kHidden = 4096, kF = 14336, kMostRows = 4096;

    explicit Mixture(DType dtype)
        : dtype_(dtype),
          item_(static_cast<std::int64_t>(size_of(dtype))),
          gate_up_(bytes_of(kExperts * 2 * kF * kHidden * item_)),
          down_(bytes_of(kExperts * kF * kHidden * item_)),
          x_(bytes_of(kMostRows * kHidden * item_)),
          logits_(bytes_of(kMostRows * kExperts * 4)),
          activated_(bytes_of(kMostRows * kTopK * kF * item_)),
          parts_(bytes_of(kMostRows * kTopK * kHidden * 4)),
          sum_(bytes_of(kMostRows * kHidden * 4)),
          routes_(bytes_of((4 * kMostRows * kTopK + kExperts + 1) * 4)) {
        fill_random(dtype, gate_up_.data(), kExperts * 2 * kF * kHidden, nullptr);
        fill_random(dtype, down_.data(), kExperts * kF * kHidden, nullptr);
        fill_random(dtype, x_.data(), kMostRows * kHidden, nullptr);
        fill_random(DType::f32, sum_.data(), kMostRows * kHidden, nullptr);
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        host_logits_.resize(bytes_of(kMostRows * kExperts));
        for (float& value : host_logits_) value = normal(random);
        logits_.holding(host_logits_);
        for (int e = 0; e < kExperts; ++e) {
            gates_.push_back(static_cast<const std::byte*>(gate_up_.data()) +
                             e * 2 * kF * kHidden * item_);
            downs_.push_back(static_cast<const std::byte*>(down_.data()) +
                             e * kF * kHidden * item_);
        }
        auto* words = static_cast<std::int32_t*>(routes_.data());
        constexpr std::int64_t kTaken = kMostRows * kTopK;
        r_ = {words, reinterpret_cast<float*>(words + kTaken), words + 4 * kTaken,
              words + 2 * kTaken, words + 3 * kTaken};
    }

    void measure(std::int64_t rows, const CudaCeilings& ceilings) {
        const ExpertTiles tiles = expert_tiles(rows * kTopK, kExperts);
        const auto find = [&] {
            route(static_cast<const float*>(logits_.data()), kExperts, rows, kExperts,
                  {kTopK, true}, r_, nullptr);
        };
        const auto up = [&](ExpertTiles t) { grouped_product(gated(rows), gates_, t, nullptr); };
        const auto down = [&](ExpertTiles t) { grouped_product(plain(rows), downs_, t, nullptr); };
        const auto add = [&] {
            ExpertSums s;
            s.parts = static_cast<const float*>(parts_.data());
            s.top_k = kTopK;
            s.rows = rows;
            s.n = s.out_stride = kHidden;
            s.add = true;
            s.out = static_cast<float*>(sum_.data());
            add_experts(s, r_, nullptr);
        };
        const double used = experts_used(rows), taken = static_cast<double>(rows * kTopK);
        const double item = static_cast<double>(item_);
        const Cost up_cost{used * 2.0 * kF * kHidden * item + taken * (kHidden + kF) * item,
                           taken * 4.0 * kF * kHidden};
        const Cost down_cost{used * 1.0 * kF * kHidden * item + taken * (kF * item + kHidden * 4),
                             taken * 2.0 * kF * kHidden};
        const auto show = [&](const std::string& what, const Cost& cost, const auto& call) {
            print(what, rows, milliseconds_of([&](int) { call(); }, kRepeats, kMilliseconds), cost,
                  dtype_, ceilings);
        };
        find();
        show("experts: routes", {0, 0}, find);
        const char* const names[] = {", tiles for few", ", tiles for some", ", tiles for many"};
        for (const ExpertTiles t : {ExpertTiles::few, ExpertTiles::medium, ExpertTiles::many}) {
            // Far from their place they only take time.
            if (std::abs(static_cast<int>(t) - static_cast<int>(tiles)) > 1) continue;
            const std::string name =
                names[static_cast<int>(t)] + std::string(t == tiles ? " *" : "");
            show("experts: gate, up" + name, up_cost, [&] { up(t); });
            show("experts: down" + name, down_cost, [&] { down(t); });
        }
        show("experts: all", {up_cost.bytes + down_cost.bytes, up_cost.flops + down_cost.flops},
             [&] {
                 find();
                 up(tiles);
                 down(tiles);
                 add();
             });
    }

 private:
    TileProduct gated(std::int64_t rows) const {
        TileProduct p = common(rows);
        p.gated = true;
        p.rows_of = r_.rows_of;
        p.n = p.out_stride = kF;
        p.k = p.x_stride = p.w_stride = kHidden;
        p.x = x_.data();
        p.out = activated_.data();
        return p;
    }
    TileProduct plain(std::int64_t rows) const {
        TileProduct p = common(rows);
        p.n = p.out_stride = kHidden;
        p.k = p.x_stride = p.w_stride = kF;
        p.x = activated_.data();
        p.out = parts_.data();
        return p;
    }
    TileProduct common(std::int64_t rows) const {
        TileProduct p;
        p.type = dtype_;
        p.experts = kExperts;
        p.offsets = r_.offsets;
        p.positions = rows * kTopK;
        return p;
    }
    /// Experts that some of the first `rows` rows take.
    int experts_used(std::int64_t rows) const {
        std::vector<bool> used(kExperts);
        for (std::int64_t row = 0; row < rows; ++row) {
            std::vector<int> order(kExperts);
            for (int e = 0; e < kExperts; ++e) order[static_cast<std::size_t>(e)] = e;
            const float* logits = &host_logits_[bytes_of(row * kExperts)];
            std::stable_sort(order.begin(), order.end(),
                             [&](int a, int b) { return logits[a] > logits[b]; });
            for (int j = 0; j < kTopK; ++j)
                used[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])] = true;
        }
        return static_cast<int>(std::count(used.begin(), used.end(), true));
    }

    DType dtype_;
    std::int64_t item_;
    DeviceArray gate_up_, down_, x_, logits_, activated_, parts_, sum_, routes_;
    std::vector<float> host_logits_;
    std::vector<const void*> gates_, downs_;
    Routes r_;
};

struct DenseShape {
    const char* name;
    std::int64_t n, k;
};
constexpr DenseShape kDense[] = {{"q, k, v", 6144, 4096},
                                 {"attention out", 4096, 4096},
                                 {"gate, up", 28672, 4096},
                                 {"down", 4096, 14336}};
constexpr std::int64_t kDenseRows[] = {1, 4, 16, 32, 64};

/// The library's pinned algorithm, what the start-up trial chooses, and our kernels.
void measure_dense(DType dtype, const DenseShape& shape, const CudaCeilings& ceilings) {
    const auto item = static_cast<std::int64_t>(size_of(dtype));
    const std::int64_t matrix = shape.n * shape.k, rows = kDenseRows[std::size(kDenseRows) - 1];
    // More than the cache holds.
    const std::int64_t copies =
        std::max<std::int64_t>(2, (std::int64_t{256} << 20) / (matrix * item));
    const DeviceArray w(bytes_of(copies * matrix * item)), x(bytes_of(rows * shape.k * item)),
        y(bytes_of(2 * rows * shape.n * 4)), scratch(std::uint64_t{512} << 20);
    fill_random(dtype, w.data(), copies * matrix, nullptr);
    fill_random(dtype, x.data(), rows * shape.k, nullptr);
    Product p;
    p.type = dtype;
    p.n = p.y_stride = shape.n;
    p.k = p.x_stride = p.w_stride = shape.k;
    p.w = w.data();
    p.x = x.data();
    p.y = y.data();
    const auto pinned = make_multiplier(), chosen = make_multiplier();
    chosen->prepare(p, 1024, 1024, scratch.data(), std::size_t{512} << 20, nullptr);
    using Run = std::function<void(const Product&)>;
    const std::pair<const char*, Run> ways[] = {
        {", pinned", [&](const Product& q) { pinned->multiply(q, nullptr); }},
        {", chosen", [&](const Product& q) { chosen->multiply(q, nullptr); }},
        {", own narrow",
         [](const Product& q) { multiply_few_rows(q, FewRowsTiles::narrow, nullptr); }},
        {", own wide",
         [](const Product& q) { multiply_few_rows(q, FewRowsTiles::wide, nullptr); }}};
    for (const std::int64_t m : kDenseRows) {
        p.m = m;
        const double dm = static_cast<double>(m);
        const Cost cost{static_cast<double>(matrix * item) +
                            dm * static_cast<double>(shape.k * item + shape.n * 4),
                        2 * dm * static_cast<double>(matrix)};
        std::vector<std::uint32_t> bits[2];
        for (const auto& [name, run] : ways) {
            const std::vector<double> ms = milliseconds_of(
                [&](int i) {
                    Product q = p;
                    q.w = static_cast<const std::byte*>(w.data()) + i % copies * matrix * item;
                    run(q);
                },
                kRepeats, kMilliseconds);
            run(p);
            std::vector<std::uint32_t>& got = bits[&run == &ways[0].second ? 0 : 1];
            got.resize(bytes_of(m * shape.n));
            check(cudaMemcpy(got.data(), y.data(), got.size() * 4, cudaMemcpyDeviceToHost),
                  "cudaMemcpy");
            const bool same = &run == &ways[0].second || bits[0] == bits[1];
            print(shape.name + std::string(name) + (same ? "" : " (other bits)"), m, ms, cost,
                  dtype, ceilings);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const DType dtype = argc > 1 && std::strcmp(argv[1], "f16") == 0 ? DType::f16 : DType::bf16;
    try {
        configure_log(Verbosity::verbose, "", true);
        const CudaCeilings ceilings = measure_ceilings(0, 3);
        std::printf("%s\nproducts in %.*s: %.1f TFLOP/s; reading: %.0f GB/s\n",
                    ceilings.description.c_str(), static_cast<int>(name_of(dtype).size()),
                    name_of(dtype).data(), median(ceilings.usable_flops(dtype)) * 1e-12,
                    median(ceilings.read_bytes) * 1e-9);
        std::printf("%-40s  rows       min    median       max\n", "product");
        for (const DenseShape& shape : kDense) measure_dense(dtype, shape, ceilings);
        Mixture mixture(dtype);
        for (const std::int64_t rows : {1, 16, 64, 256, 4096}) mixture.measure(rows, ceilings);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "cuda_products_bench: %s\n", error.what());
        return 3;
    }
    return 0;
}
