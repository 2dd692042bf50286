// Causal attention over paged keys and values. A task is one key head with a block of query rows;
// the query heads that share the key head make up the task's vectors, in blocks of kTileRows for
// the tile kernel.
//
// Order, per query vector: each score is a dot product over head_dim in ascending order, then
// scaled; the maximum over its keys; exp; the sum and the weighted sum of values over keys in
// ascending position; one division at the end. Both sums start at the vector's first key and are
// continued page by page, so neither the pages, nor the block, nor how a prompt was cut into steps
// shows in the result.

#include <algorithm>
#include <cstring>

#include "cpu/cpu_backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::int64_t kTaskVectors =
    2 * kTileRows;  // query vectors of one task, more if a group is larger

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// What all tasks of one call share.
struct Call {
    const Kernels& kernels;
    const Tensor &q, &keys, &values, &out;
    std::int64_t d, d_padded, group, window;
    float scale;

    std::int64_t first_key(std::int64_t position) const {
        return window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
    }
};

/// Query rows [row_begin, row_begin + num_rows) of a sequence against one key head.
struct Task {
    const AttentionSequence* sequence;
    std::int64_t row_begin, num_rows, kv_head;
};

/// Scratch memory of one thread, sized for the largest task.
struct TaskMemory {
    float *queries, *scores, *weights, *key_tile, *value_tile, *sums, *row_sums;
};

class Attention {
 public:
    Attention(const Call& call, const Task& task, const TaskMemory& scratch)
        : c_(call), s_(scratch), task_(task), vectors_(task.num_rows * call.group) {
        first_position_ = task.sequence->first_position + task.row_begin;
        const std::int64_t last_position = first_position_ + task.num_rows - 1;
        first_page_ = c_.first_key(first_position_) / kKvPageTokens;
        end_key_ = last_position + 1;
        span_ = ceil_div(end_key_, kKvPageTokens) * kKvPageTokens - first_page_ * kKvPageTokens;
    }

    void run() {
        pack_queries();
        for_each_page([this](std::int64_t page, std::int64_t keys) { score_page(page, keys); });
        for (std::int64_t v = 0; v < vectors_; ++v) {
            c_.kernels.exp_minus_max(score_row(v) + begin(v) - base(), end(v) - begin(v));
        }
        std::fill_n(s_.sums, blocks() * kTileRows * c_.d_padded, 0.0f);
        std::fill_n(s_.row_sums, blocks() * kTileRows, 0.0f);
        for_each_page([this](std::int64_t page, std::int64_t keys) { weigh_page(page, keys); });
        write_rows();
    }

 private:
    std::int64_t blocks() const { return ceil_div(vectors_, kTileRows); }
    int block_vectors(std::int64_t block) const {
        return static_cast<int>(std::min<std::int64_t>(kTileRows, vectors_ - block * kTileRows));
    }
    std::int64_t base() const { return first_page_ * kKvPageTokens; }
    std::int64_t position(std::int64_t v) const { return first_position_ + v / c_.group; }
    /// Keys [begin, end) are those of vector `v`.
    std::int64_t begin(std::int64_t v) const { return c_.first_key(position(v)); }
    std::int64_t end(std::int64_t v) const { return position(v) + 1; }
    float* score_row(std::int64_t v) const { return s_.scores + v * span_; }

    template <typename Body>
    void for_each_page(const Body& body) {
        for (std::int64_t page = first_page_; page * kKvPageTokens < end_key_; ++page) {
            body(page, std::min<std::int64_t>(kKvPageTokens, end_key_ - page * kKvPageTokens));
        }
    }

    /// Element (page, token, this task's key head) of a cache.
    const std::byte* token(const Tensor& cache, std::int64_t page, std::int64_t t) const {
        const std::int64_t id = task_.sequence->pages[static_cast<std::size_t>(page)];
        const std::int64_t width = cache.size(2);
        const std::int64_t element = (id * kKvPageTokens + t) * width + task_.kv_head * c_.d;
        return static_cast<const std::byte*>(cache.data()) +
               static_cast<std::size_t>(element) * size_of(cache.dtype());
    }

    /// queries [blocks, d, kTileRows]
    void pack_queries() {
        std::fill_n(s_.queries, blocks() * kTileRows * c_.d, 0.0f);
        for (std::int64_t v = 0; v < vectors_; ++v) {
            const std::int64_t row = task_.sequence->first_row + task_.row_begin + v / c_.group;
            const std::int64_t head = task_.kv_head * c_.group + v % c_.group;
            const float* q = c_.q.as<float>() + row * c_.q.row_stride() + head * c_.d;
            float* out = s_.queries + v / kTileRows * kTileRows * c_.d + v % kTileRows;
            for (std::int64_t i = 0; i < c_.d; ++i) out[i * kTileRows] = q[i];
        }
    }

    void score_page(std::int64_t page, std::int64_t keys) {
        float* wide = s_.value_tile;  // not in use yet
        for (std::int64_t t = 0; t < keys; ++t) {
            c_.kernels.to_f32(token(c_.keys, page, t), c_.keys.dtype(), c_.d, wide + t * c_.d);
        }
        std::fill_n(wide + keys * c_.d, (kKvPageTokens - keys) * c_.d, 0.0f);
        for (std::int64_t i = 0; i < c_.d; ++i) {
            for (std::int64_t t = 0; t < kKvPageTokens; ++t)
                s_.key_tile[i * kKvPageTokens + t] = wide[t * c_.d + i];
        }
        for (std::int64_t block = 0; block < blocks(); ++block) {
            const std::int64_t last = block * kTileRows + block_vectors(block) - 1;
            for (std::int64_t t = 0; t < keys && page * kKvPageTokens + t < end(last);
                 t += kPanel) {
                alignas(64) float tile[kTileRows * kPanel];
                c_.kernels.tile_f32(block_vectors(block), c_.d,
                                    s_.queries + block * kTileRows * c_.d, s_.key_tile + t,
                                    kKvPageTokens, tile, false, {});
                c_.kernels.scale(tile, block_vectors(block) * kPanel, c_.scale);
                for (int r = 0; r < block_vectors(block); ++r) {
                    std::copy_n(
                        tile + r * kPanel, kPanel,
                        score_row(block * kTileRows + r) + page * kKvPageTokens + t - base());
                }
            }
        }
    }

    void weigh_page(std::int64_t page, std::int64_t keys) {
        for (std::int64_t t = 0; t < keys; ++t) {
            float* row = s_.value_tile + t * c_.d_padded;
            c_.kernels.to_f32(token(c_.values, page, t), c_.values.dtype(), c_.d, row);
            std::fill(row + c_.d, row + c_.d_padded, 0.0f);
        }
        for (std::int64_t block = 0; block < blocks(); ++block) weigh_block(block, page);
    }

    /// Adds one page to the sums of one block. Keys that all vectors of the block see go through
    /// the tile kernel together; those before and behind are added vector by vector.
    void weigh_block(std::int64_t block, std::int64_t page) {
        const std::int64_t first = block * kTileRows, last = first + block_vectors(block) - 1;
        const std::int64_t page_begin = page * kKvPageTokens, page_end = page_begin + kKvPageTokens;
        if (page_begin >= end(last) || page_end <= begin(first)) return;
        const std::int64_t used_end = std::min(page_end, end(last));
        for (std::int64_t v = first; v <= last; ++v) {
            const float* scores = score_row(v) + page_begin - base();
            for (std::int64_t t = 0; t < used_end - page_begin; ++t)
                s_.weights[t * kTileRows + v - first] = scores[t];
        }
        const std::int64_t common_begin = begin(last),
                           common_end = std::max(common_begin, end(first));
        const auto clip = [&](std::int64_t key) { return std::clamp(key, page_begin, page_end); };
        for (std::int64_t v = first; v <= last; ++v) {
            add_keys(block, v - first, 1, clip(begin(v)) - page_begin,
                     clip(std::min(common_begin, end(v))) - page_begin);
        }
        add_keys(block, 0, block_vectors(block), clip(common_begin) - page_begin,
                 clip(common_end) - page_begin);
        for (std::int64_t v = first; v <= last; ++v) {
            add_keys(block, v - first, 1, clip(common_end) - page_begin, clip(end(v)) - page_begin);
        }
    }

    /// Adds keys [from, to) of the page in the tiles to `count` vectors of a block, from vector
    /// `lane` on.
    void add_keys(std::int64_t block, std::int64_t lane, int count, std::int64_t from,
                  std::int64_t to) {
        if (from >= to) return;
        const float* weights = s_.weights + from * kTileRows + lane;
        float* row_sums = s_.row_sums + block * kTileRows + lane;
        for (std::int64_t t = 0; t < to - from; ++t) {
            for (int r = 0; r < count; ++r) row_sums[r] += weights[t * kTileRows + r];
        }
        for (std::int64_t column = 0; column < c_.d_padded; column += kPanel) {
            float* sums = s_.sums + (block * c_.d_padded + column) * kTileRows + lane * kPanel;
            c_.kernels.tile_f32(count, to - from, weights,
                                s_.value_tile + from * c_.d_padded + column, c_.d_padded, sums,
                                true, {});
        }
    }

    void write_rows() {
        const std::size_t item = size_of(c_.out.dtype());
        for (std::int64_t v = 0; v < vectors_; ++v) {
            const std::int64_t block = v / kTileRows, lane = v % kTileRows;
            const float sum = s_.row_sums[block * kTileRows + lane];
            const std::int64_t row = task_.sequence->first_row + task_.row_begin + v / c_.group;
            const std::int64_t head = task_.kv_head * c_.group + v % c_.group;
            auto* out = static_cast<std::byte*>(c_.out.data()) +
                        static_cast<std::size_t>(row * c_.out.row_stride() + head * c_.d) * item;
            for (std::int64_t column = 0; column < c_.d; column += kPanel) {
                const std::int64_t n = std::min<std::int64_t>(kPanel, c_.d - column);
                const float* sums =
                    s_.sums + (block * c_.d_padded + column) * kTileRows + lane * kPanel;
                float quotient[kPanel];
                for (std::int64_t i = 0; i < n; ++i) quotient[i] = sums[i] / sum;
                c_.kernels.from_f32(quotient, n, c_.out.dtype(),
                                    out + static_cast<std::size_t>(column) * item);
            }
        }
    }

    const Call& c_;
    const TaskMemory& s_;
    const Task& task_;
    std::int64_t vectors_, first_position_ = 0, first_page_ = 0, end_key_ = 0, span_ = 0;
};

void check_call(const Tensor& q, const Tensor& keys, std::span<const AttentionSequence> sequences,
                std::int64_t head_dim) {
    const std::int64_t kv_width = keys.size(2);
    if (head_dim < 1 || q.row_size() % head_dim != 0 || kv_width % head_dim != 0 ||
        q.row_size() % kv_width != 0) {
        throw InternalError(cat("attention: ", q.row_size(), " query columns and ", kv_width,
                                " key columns with head_dim ", head_dim));
    }
    for (const AttentionSequence& sequence : sequences) {
        const std::int64_t end = std::int64_t{sequence.first_position} + sequence.num_rows;
        if (static_cast<std::int64_t>(sequence.pages.size()) * kKvPageTokens < end) {
            throw InternalError(
                cat("attention: ", sequence.pages.size(), " pages for ", end, " positions"));
        }
    }
}

}  // namespace

void CpuBackend::attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                           std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                           float scale, std::int64_t window, const Tensor& out) {
    check_call(q, keys, sequences, head_dim);
    const std::int64_t kv_heads = keys.size(2) / head_dim, group = q.row_size() / keys.size(2);
    const std::int64_t d_padded = ceil_div(head_dim, kPanel) * kPanel;
    const Call call{kernels_, q, keys, values, out, head_dim, d_padded, group, window, scale};

    const std::int64_t task_rows = std::max<std::int64_t>(1, kTaskVectors / group);
    std::vector<Task> tasks;
    std::int64_t longest = 0;
    double work = 0;
    for (const AttentionSequence& sequence : sequences) {
        longest = std::max<std::int64_t>(longest,
                                         std::int64_t{sequence.first_position} + sequence.num_rows);
        work += 2.0 * sequence.num_rows * (sequence.first_position + sequence.num_rows) *
                q.row_size() / 16;
        for (std::int64_t row = 0; row < sequence.num_rows; row += task_rows) {
            for (std::int64_t head = 0; head < kv_heads; ++head) {
                tasks.push_back(
                    {&sequence, row, std::min(task_rows, sequence.num_rows - row), head});
            }
        }
    }

    const std::int64_t vectors = ceil_div(task_rows * group, kTileRows) * kTileRows;
    const std::int64_t span =
        (window > 0 ? std::min(longest, window + task_rows) : longest) + 2 * kKvPageTokens;
    const std::int64_t sizes[] = {vectors * head_dim,
                                  vectors * span,
                                  kKvPageTokens * kTileRows,
                                  head_dim * kKvPageTokens,
                                  d_padded * kKvPageTokens,
                                  vectors * d_padded,
                                  vectors};
    std::int64_t per_thread = 0;
    for (const std::int64_t size : sizes) per_thread += size;
    const int threads = threads_for(work);
    float* memory = attention_scratch_.floats(per_thread * threads);
    const auto run_task = [&](std::int64_t index, int thread) {
        float* next = memory + thread * per_thread;
        float* parts[7];
        for (int i = 0; i < 7; ++i) {
            parts[i] = next;
            next += sizes[i];
        }
        const TaskMemory mine{parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]};
        Attention(call, tasks[static_cast<std::size_t>(index)], mine).run();
    };
    pool_.run(threads, static_cast<std::int64_t>(tasks.size()), run_task, true);
}

}  // namespace muster::cpu
