// A mixture of experts. Some hundred rows of a step at a time are sorted by expert. The gated
// products of all experts that have rows are one loop over the threads, whatever rows each has; so
// are the down products, where a task has some columns of the result: it goes through the experts
// in ascending order and adds each one's sums, times the weight, to its rows' sums of the same
// virtual shard, which meet in the tree when all experts are done. So no order depends on the rows.

#include <algorithm>
#include <cstring>

#include "cpu/cpu_backend.h"
#include "cpu/expert_rows.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::int64_t kSumFloats = 128 << 10;  // of the sums of one task, to stay in the cache
constexpr std::int64_t kMaxPanels = 4;          // of one task

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// Rows that are sorted at once: as many as leave a task of one panel its place in the cache.
std::int64_t rows_at_once(std::int64_t rows, int shards) {
    return std::min(rows, std::max<std::int64_t>(kTileRows, kSumFloats / (shards * kPanel)));
}

/// Panels of one task, whose sums are [panels, shards, rows, kPanel].
std::int64_t panels_at_once(std::int64_t rows, int shards) {
    return std::clamp<std::int64_t>(kSumFloats / (shards * rows * kPanel), 1, kMaxPanels);
}

const CpuMatrix& cpu_matrix(const Matrix* matrix) {
    return dynamic_cast<const CpuMatrix&>(*matrix);
}

void check(const Tensor& x, const Tensor& logits, const ExpertRouting& routing,
           std::span<const Expert> experts, const Tensor& residual) {
    const auto count = static_cast<std::int64_t>(experts.size());
    bool fits = count > 0 && logits.row_size() == count && logits.rows() == x.rows() &&
                residual.rows() == x.rows() && routing.top_k >= 1 && routing.top_k <= count;
    for (const Expert& expert : experts) {
        fits = fits && expert.gate_up->k() == x.row_size() &&
               expert.gate_up->n() == experts[0].gate_up->n() &&
               expert.gate_up->n() == 2 * expert.down->k() &&
               expert.down->n() == residual.row_size() &&
               expert.down->k_shards() == experts[0].down->k_shards() &&
               cpu_matrix(expert.gate_up).dtype() == x.dtype() &&
               cpu_matrix(expert.down).dtype() == x.dtype();
    }
    if (!fits) {
        throw InternalError(cat("experts_add: x ", to_string(x.shape()), ", router logits ",
                                to_string(logits.shape()), ", top ", routing.top_k, " of ", count,
                                " experts, residual ", to_string(residual.shape())));
    }
}

/// A part of the product with one group's expert: one block of rows, or a run and a range of
/// panels.
struct Part {
    std::size_t group;
    std::int64_t index;
};

}  // namespace

/// The products of a call's groups, which share the scratch memory of one product.
struct CpuBackend::ExpertProducts {
    ExpertProducts(CpuBackend& backend, const ExpertRows& rows, std::span<const Expert> experts,
                   const Matrix* Expert::*matrix) {
        std::int64_t packed = 0, thread_floats = 0;
        double macs = 0, bytes = 0;
        for (const ExpertRows::Group& group : rows.groups) {
            const CpuMatrix& w =
                cpu_matrix(experts[static_cast<std::size_t>(group.expert)].*matrix);
            weights.push_back(&w);
            products.emplace_back(group.count, w, backend.kernels_, 1);
            packed += products.back().packed_bytes();
            thread_floats = std::max(thread_floats, products.back().thread_floats());
            macs += static_cast<double>(group.count) * static_cast<double>(w.n() * w.k());
            bytes += static_cast<double>(w.bytes());
        }
        threads = backend.threads_for(std::max(macs / 16, bytes / 2));  // as of one product
        auto* place = reinterpret_cast<std::byte*>(backend.product_scratch_.x.floats(packed / 4));
        float* sums =
            backend.product_scratch_.threads.floats(backend.pool_.threads() * thread_floats);
        for (std::size_t g = 0; g < products.size(); ++g) {
            products[g].use_memory(place, sums, thread_floats);
            place += products[g].packed_bytes();
            for (std::int64_t b = 0; b < products[g].blocks(); ++b) blocks.push_back({g, b});
        }
    }

    std::vector<const CpuMatrix*> weights;
    std::vector<Product> products;
    std::vector<Part> blocks;  ///< to be packed
    int threads = 1;
};

ExpertRows CpuBackend::sort_by_expert(const Tensor& router_logits, const ExpertRouting& routing) {
    const std::int64_t rows = router_logits.rows(), experts = router_logits.row_size();
    std::vector<ChosenExpert> chosen(static_cast<std::size_t>(rows * routing.top_k));
    float* probabilities = expert_scratch_.floats(rows * experts);
    pool_.run(
        threads_for(16.0 * static_cast<double>(rows * experts)), rows, [&](std::int64_t r, int) {
            float* row = probabilities + r * experts;
            std::copy_n(router_logits.as<float>() + r * router_logits.row_stride(), experts, row);
            choose_experts(kernels_, routing, experts, row,
                           &chosen[static_cast<std::size_t>(r * routing.top_k)]);
        });
    ExpertRows sorted;
    sorted.sort(chosen.data(), rows, routing.top_k, experts);
    return sorted;
}

void CpuBackend::gate_up_experts(const Tensor& x, const ExpertRows& rows,
                                 std::span<const Expert> experts, const Tensor& activated) {
    ExpertProducts group(*this, rows, experts, &Expert::gate_up);
    const std::int64_t k = x.row_size(), f = activated.row_size();
    const auto item = static_cast<std::int64_t>(size_of(x.dtype()));
    // A block's rows are gathered before they are packed.
    const std::int64_t block_floats = ceil_div(kTileRows * k * item, sizeof(float));
    float* gathered = expert_scratch_.floats(pool_.threads() * block_floats);
    const auto* from = static_cast<const std::byte*>(x.data());
    pool_.run(
        group.threads, static_cast<std::int64_t>(group.blocks.size()),
        [&](std::int64_t task, int thread) {
            const Part& part = group.blocks[static_cast<std::size_t>(task)];
            const ExpertRows::Group& places = rows.groups[part.group];
            auto* block = reinterpret_cast<std::byte*>(gathered + thread * block_floats);
            const std::int64_t first = part.index * kTileRows,
                               last = std::min(first + kTileRows, places.count);
            for (std::int64_t i = first; i < last; ++i) {
                const std::int64_t row = rows.rows[static_cast<std::size_t>(places.first + i)];
                std::memcpy(block + (i - first) * k * item, from + row * x.row_stride() * item,
                            static_cast<std::size_t>(k * item));
            }
            group.products[part.group].pack(part.index, block, k);
        });

    std::vector<Part> parts;
    for (std::size_t g = 0; g < group.products.size(); ++g) {
        const std::int64_t ranges =
            ceil_div(group.weights[g]->panels(), group.products[g].max_panels());
        for (std::int64_t i = 0; i < group.products[g].runs() * ranges; ++i)
            parts.push_back({g, i});
    }
    const auto multiply = [&](std::int64_t task, int thread) {
        const FlushDenormals flush(x.dtype());
        const Part& part = parts[static_cast<std::size_t>(task)];
        Product& product = group.products[part.group];
        const std::int64_t panels = group.weights[part.group]->panels();
        const std::int64_t ranges = ceil_div(panels, product.max_panels());
        const std::int64_t range = part.index % ranges, run = part.index / ranges;
        const auto end = [&](std::int64_t first, std::int64_t count, std::int64_t panel,
                             const float* tile) {
            const std::int64_t column = panel * (kPanel / 2);
            const std::int64_t row = rows.groups[part.group].first + first;
            kernels_.silu_rows(
                count, std::min<std::int64_t>(kPanel / 2, f - column), tile, nullptr, nullptr,
                x.dtype(), static_cast<std::byte*>(activated.data()) + (row * f + column) * item,
                f);
        };
        product.each_tile(range * panels / ranges, (range + 1) * panels / ranges, run, thread, end);
    };
    pool_.run(group.threads, static_cast<std::int64_t>(parts.size()), multiply, true);
}

void CpuBackend::down_experts(const Tensor& activated, const ExpertRows& rows,
                              std::span<const Expert> experts, bool add, const Tensor& out) {
    ExpertProducts group(*this, rows, experts, &Expert::down);
    const std::int64_t f = activated.row_size(), n = out.row_size();
    const auto item = static_cast<std::int64_t>(size_of(activated.dtype()));
    pool_.run(group.threads, static_cast<std::int64_t>(group.blocks.size()),
              [&](std::int64_t task, int) {
                  const Part& part = group.blocks[static_cast<std::size_t>(task)];
                  const std::int64_t first = rows.groups[part.group].first + part.index * kTileRows;
                  group.products[part.group].pack(
                      part.index, static_cast<std::byte*>(activated.data()) + first * f * item, f);
              });

    const int shards = group.weights[0]->k_shards();
    const std::int64_t panels = group.weights[0]->panels();
    const std::int64_t wanted =
        std::min(panels_at_once(out.rows(), shards), ceil_div(panels, group.threads));
    const std::int64_t shard_floats = out.rows() * kPanel, panel_floats = shards * shard_floats;
    float* all_sums = expert_scratch_.floats(pool_.threads() * wanted * panel_floats);

    const auto task = [&](std::int64_t index, int thread) {
        const FlushDenormals flush(activated.dtype());
        const std::int64_t begin = index * wanted, end = std::min(begin + wanted, panels);
        float* sums = all_sums + thread * wanted * panel_floats;
        std::fill_n(sums, (end - begin) * panel_floats, 0.0f);
        for (std::size_t g = 0; g < group.products.size(); ++g) {
            Product& product = group.products[g];
            const auto place = static_cast<std::size_t>(rows.groups[g].first);
            const CpuMatrix& w = *group.weights[g];
            const std::byte* next_group = g + 1 < group.products.size()
                                              ? group.weights[g + 1]->panel(begin)
                                              : group.weights[0]->panel(end);
            for (std::int64_t run = 0; run < product.runs(); ++run) {
                const std::size_t first = place + static_cast<std::size_t>(product.first_row(run));
                for (std::int64_t p = begin, count; p < end; p += count) {
                    count = std::min(product.max_panels(), end - p);
                    const std::byte* then = p + count < end            ? w.panel(p + count)
                                            : run + 1 < product.runs() ? w.panel(begin)
                                                                       : next_group;
                    for (int shard = 0; shard < shards; ++shard) {
                        const float* tiles =
                            product.multiply_shard(shard, p, count, run, thread, then);
                        for (std::int64_t i = 0; i < count; ++i) {
                            kernels_.add_scaled_rows(
                                product.num_rows(run), &rows.rows[first], &rows.weights[first],
                                tiles + i * product.panel_stride(),
                                sums + (p - begin + i) * panel_floats + shard * shard_floats);
                        }
                    }
                }
            }
        }
        for (std::int64_t p = begin; p < end; ++p) {
            float* total = sums + (p - begin) * panel_floats;
            for (int width = 1; width < shards; width *= 2) {
                for (int s = 0; s + width < shards; s += 2 * width)
                    kernels_.add(total + s * shard_floats, total + (s + width) * shard_floats,
                                 shard_floats);
            }
            (add ? kernels_.add_rows : kernels_.store_rows)(
                out.rows(), std::min<std::int64_t>(kPanel, n - p * kPanel), total, nullptr,
                out.as<float>() + p * kPanel, out.row_stride());
        }
    };
    pool_.run(group.threads, ceil_div(panels, wanted), task, true);
}

void CpuBackend::experts_add(const Tensor& x, const Tensor& router_logits,
                             const ExpertRouting& routing, std::span<const Expert> experts,
                             const Tensor& residual) {
    check(x, router_logits, routing, experts, residual);
    const std::int64_t rows = x.rows(), n = residual.row_size(), f = experts[0].down->k();
    const bool alone = tp_size() == 1;
    const Tensor out =
        alone ? residual : Tensor(room_for_partial(rows * n), DType::f32, {rows, n}, nullptr);
    const std::int64_t at_once = rows_at_once(rows, experts[0].down->k_shards());
    for (std::int64_t begin = 0, end; begin < rows; begin = end) {
        end = std::min(begin + at_once, rows);
        const ExpertRows sorted = sort_by_expert(router_logits.row_range(begin, end), routing);
        const std::int64_t places = (end - begin) * routing.top_k;
        const auto item = static_cast<std::int64_t>(size_of(x.dtype()));
        const Tensor activated(
            activated_scratch_.floats(ceil_div(places * f * item, sizeof(float))), x.dtype(),
            {places, f}, nullptr);
        gate_up_experts(x.row_range(begin, end), sorted, experts, activated);
        down_experts(activated, sorted, experts, alone, out.row_range(begin, end));
    }
    if (!alone) fold_partial(x.dtype(), out, {}, residual);
}

std::uint64_t experts_scratch_bytes(const CpuWork& work) {
    if (work.experts == 0) return 0;
    const std::int64_t rows = rows_at_once(work.rows, work.k_shards);
    const std::int64_t places = rows * work.experts_per_row;
    const auto item = static_cast<std::int64_t>(size_of(work.compute));
    const auto products = [&](std::int64_t k, int shards) {
        return Product::group_scratch_bytes(work.compute, work.experts, places, k, shards,
                                            work.threads);
    };
    // The scratch memory that the parts of a call share is as large as the largest wants it.
    std::int64_t shared = rows * work.experts * 4;
    shared = std::max(shared, work.threads * (kTileRows * work.n * item + 4));
    for (std::int64_t r = 1; r <= rows; ++r) {
        const std::int64_t sums = panels_at_once(r, work.k_shards) * work.k_shards * r * kPanel;
        shared = std::max(shared, work.threads * sums * 4);
    }
    return static_cast<std::uint64_t>(shared + places * work.intermediate * item) +
           std::max(products(work.n, 1), products(work.intermediate, work.k_shards));
}

}  // namespace muster::cpu
