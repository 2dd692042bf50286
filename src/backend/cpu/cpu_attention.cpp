// Keys and values into pages, and attention cut into tasks.

#include "cpu/attention_task.h"
#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr float kLog2E = 1.44269504f;

KvLayout layout_of(const Tensor& keys, const Tensor& values, std::int64_t head_dim) {
    const std::int64_t width = keys.size(2);
    if (head_dim < 2 || head_dim % 2 != 0 || width % head_dim != 0 ||
        keys.size(1) != kKvPageTokens || values.shape() != keys.shape() ||
        values.dtype() != keys.dtype()) {
        throw InternalError(cat("kv cache: keys ", to_string(keys.shape()), " ",
                                name_of(keys.dtype()), ", values ", to_string(values.shape()), " ",
                                name_of(values.dtype()), " with head_dim ", head_dim));
    }
    return {keys.dtype(), head_dim, width / head_dim,
            static_cast<std::int64_t>(size_of(keys.dtype()))};
}

/// Pages that hold positions [0, end) of a sequence.
void check_pages(const AttentionSequence& sequence, const Tensor& keys) {
    const std::int64_t end = std::int64_t{sequence.first_position} + sequence.num_rows;
    if (std::ssize(sequence.pages) * kKvPageTokens < end) {
        throw InternalError(
            cat("attention: ", sequence.pages.size(), " pages for ", end, " positions"));
    }
    for (const std::int32_t page : sequence.pages) {
        if (page < 0 || page >= keys.size(0))
            throw InternalError(cat("attention: page ", page, " of ", keys.size(0)));
    }
}

/// Parts of all sequences and kv heads, small enough that every thread gets several. The share of
/// each thread is alike and begins with the parts of most work, so that what is left for others in
/// the end is small.
std::vector<AttentionPart> parts_of(std::span<const AttentionSequence> sequences,
                                    std::int64_t kv_heads, std::int64_t group, int threads) {
    const auto tiles = [](std::int64_t vectors) { return (vectors + kTileRows - 1) / kTileRows; };
    std::int64_t total = 0;
    for (const AttentionSequence& s : sequences) total += kv_heads * tiles(s.num_rows * group);
    const std::int64_t each = std::clamp<std::int64_t>(total / (4 * threads), 1, kTaskTiles);

    std::vector<AttentionPart> parts;
    for (const AttentionSequence& s : sequences) {
        const std::int64_t vectors = s.num_rows * group;
        for (std::int64_t head = 0; head < kv_heads; ++head) {
            for (std::int64_t first = 0; first < vectors; first += each * kTileRows) {
                parts.push_back({&s, head, first, std::min(each * kTileRows, vectors - first)});
            }
        }
    }
    const auto work = [&](const AttentionPart& part) {
        const std::int64_t last = part.first_vector + part.num_vectors - 1;
        return (part.sequence->first_position + last / group) * part.num_vectors;
    };
    if (threads == 1) return parts;
    std::stable_sort(parts.begin(), parts.end(),
                     [&](const auto& a, const auto& b) { return work(a) > work(b); });
    std::vector<AttentionPart> dealt;
    dealt.reserve(parts.size());
    for (int thread = 0; thread < threads; ++thread) {
        for (auto i = static_cast<std::size_t>(thread); i < parts.size();
             i += static_cast<std::size_t>(threads))
            dealt.push_back(parts[i]);
    }
    return dealt;
}

}  // namespace

void CpuBackend::store_kv(const Tensor& k, const Tensor& v,
                          std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                          const Tensor& keys, const Tensor& values) {
    const KvLayout layout = layout_of(keys, values, head_dim);
    // One page of one sequence: no two threads write to the same page.
    struct Part {
        std::int64_t row, tokens, page, first_token;
    };
    // However few the tokens, each two elements of a key go to a cache line of their own.
    constexpr double kElement = 4, kLineOfKeys = 400;
    std::vector<Part> parts;
    double work = 0;
    for (const AttentionSequence& s : sequences) {
        check_pages(s, keys);
        const std::int64_t end = std::int64_t{s.first_position} + s.num_rows;
        for (std::int64_t position = s.first_position; position < end;) {
            const std::int64_t index = position / kKvPageTokens, token = position % kKvPageTokens;
            const std::int64_t tokens = std::min(kKvPageTokens - token, end - position);
            parts.push_back({s.first_row + position - s.first_position, tokens,
                             s.pages[static_cast<std::size_t>(index)], token});
            work += static_cast<double>(k.row_size()) *
                    (kElement * static_cast<double>(tokens) + kLineOfKeys / 2);
            position += tokens;
        }
    }
    const auto store = [&](std::int64_t index, int) {
        const Part& part = parts[static_cast<std::size_t>(index)];
        for (std::int64_t head = 0; head < layout.kv_heads; ++head) {
            const std::int64_t column = head * head_dim;
            kernels_.store_keys(layout.type, part.tokens, head_dim,
                                k.as<float>() + part.row * k.row_stride() + column, k.row_stride(),
                                part.first_token, layout.head(keys, part.page, head));
            kernels_.store_values(layout.type, part.tokens, head_dim,
                                  v.as<float>() + part.row * v.row_stride() + column,
                                  v.row_stride(), part.first_token,
                                  layout.head(values, part.page, head));
        }
    };
    pool_.run(threads_for(work), std::ssize(parts), store);
}

void CpuBackend::attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                           std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                           float scale, std::int64_t window, const Tensor& out) {
    const KvLayout layout = layout_of(keys, values, head_dim);
    if (q.row_size() % keys.size(2) != 0 || out.row_size() != q.row_size() || !(scale > 0)) {
        throw InternalError(cat("attention: q ", to_string(q.shape()), ", out ",
                                to_string(out.shape()), ", ", layout.kv_heads, " kv heads of ",
                                head_dim, ", scale ", scale));
    }
    const AttentionCall call{
        kernels_,      q, keys, values, out, layout, q.row_size() / keys.size(2), window,
        scale * kLog2E};
    // Multiply-adds by sixteen, or keys and values from memory at two bytes each.
    const auto kv_bytes = static_cast<double>(2 * keys.size(2) * layout.item);
    double work = 0;
    for (const AttentionSequence& s : sequences) {
        check_pages(s, keys);
        const double keys_seen = s.first_position + 0.5 * s.num_rows;
        work += keys_seen *
                std::max(2.0 * s.num_rows * static_cast<double>(q.row_size()) / 16, kv_bytes / 2);
    }
    const int threads = threads_for(work);
    const std::vector<AttentionPart> parts =
        parts_of(sequences, layout.kv_heads, call.group, threads);
    const std::int64_t per_thread = AttentionTask::scratch_floats(head_dim);
    float* memory = attention_scratch_.floats(per_thread * pool_.threads());
    const auto run_part = [&](std::int64_t index, int thread) {
        const FlushDenormals flush(layout.type);
        const AttentionPart& part = parts[static_cast<std::size_t>(index)];
        const AttentionPart* next = &part == &parts.back() ? nullptr : &part + 1;
        AttentionTask(call, part, next, memory + thread * per_thread).run();
    };
    pool_.run(threads, std::ssize(parts), run_part, true);
}

}  // namespace muster::cpu

namespace muster {

std::uint64_t cpu_attention_bytes(int threads, std::int64_t head_dim) {
    return static_cast<std::uint64_t>(threads) *
           static_cast<std::uint64_t>(cpu::AttentionTask::scratch_floats(head_dim)) * sizeof(float);
}

}  // namespace muster
