#include "cpu/attention_task.h"

#include <cstring>
#include <limits>

namespace muster::cpu {

namespace {

constexpr int kWidenTiles = 2;  // from here on widening a page pays
constexpr int kPage = kKvPageTokens;
constexpr std::int64_t kPanelFloats = std::int64_t{kPage} * kPanel;
constexpr std::int64_t kStateFloats = sizeof(SoftmaxState) / sizeof(float);

/// Sizes in floats of the members of Scratch, in their order, all multiples of 16, so that each is
/// aligned to a cache line. A packed block has at most a float per element.
struct Sizes {
    std::int64_t panels, queries, sums, states, scores, weights, keys, values, last_panel, visible;
    explicit Sizes(std::int64_t d)
        : panels((d + kPanel - 1) / kPanel),
          queries(kTileRows * ((d + 3) / 4 * 4)),
          sums(panels * kTileRows * kPanel),
          states(kStateFloats),
          scores(2 * kTileRows * kPanel),
          weights(kTileRows * kPage),
          keys(kPage * d),
          values(panels * kPanelFloats),
          last_panel(kPanelFloats),
          visible(panels * kPanelFloats) {}
    std::int64_t total() const {
        return kTaskTiles * (queries + sums + states) + scores + weights + keys + values +
               last_panel + visible;
    }
};

}  // namespace

std::int64_t AttentionTask::scratch_floats(std::int64_t d) {
    return Sizes(d).total();
}

AttentionTask::AttentionTask(const AttentionCall& call, const AttentionPart& part,
                             const AttentionPart* next, float* memory)
    : call_(call), part_(part), next_(next), layout_(call.layout) {
    const Sizes sizes(layout_.d);
    const auto take = [&](std::int64_t floats) {
        float* taken = memory;
        memory += floats;
        return taken;
    };
    const auto take_bytes = [&](std::int64_t floats) {
        return reinterpret_cast<std::byte*>(take(floats));
    };
    const std::int64_t end = part.first_vector + part.num_vectors;
    for (std::int64_t first = part.first_vector; first < end; first += kTileRows) {
        const std::int64_t rows = std::min<std::int64_t>(kTileRows, end - first);
        const std::int64_t position = part.sequence->first_position;
        tiles_[num_tiles_++] = {.first_vector = first,
                                .rows = static_cast<int>(rows),
                                .first_position = position + first / call.group,
                                .last_position = position + (first + rows - 1) / call.group,
                                .state = reinterpret_cast<SoftmaxState*>(take(sizes.states)),
                                .queries = take_bytes(sizes.queries),
                                .sums = take(sizes.sums)};
    }
    scratch_ = {.scores = take(sizes.scores),
                .weights = take_bytes(sizes.weights),
                .keys = take_bytes(sizes.keys),
                .values = take_bytes(sizes.values),
                .last_panel = take_bytes(sizes.last_panel),
                .visible_values = take_bytes(sizes.visible)};
    if (layout_.d % kPanel != 0) std::memset(scratch_.last_panel, 0, kPanelFloats * sizeof(float));
    const bool wants =
        layout_.type == DType::f16 || (layout_.type == DType::bf16 && call.kernels.widens_bf16);
    widens_ = wants && num_tiles_ >= kWidenTiles;
}

void AttentionTask::run() {
    for (int i = 0; i < num_tiles_; ++i) pack_queries(tiles_[i]);
    const std::int64_t last = call_.last_page(part_);
    for (std::int64_t page = call_.first_page(part_); page <= last; ++page) {
        load_page(page);
        next_keys_ = next_values_ = nullptr;
        if (page < last)
            plan_fetching(part_, page + 1);
        else if (next_ != nullptr)
            plan_fetching(*next_, call_.first_page(*next_));
        for (int i = 0; i < num_tiles_; ++i) attend(tiles_[i]);
    }
    for (int i = 0; i < num_tiles_; ++i) write_rows(tiles_[i]);
}

void AttentionTask::pack_queries(const Tile& tile) {
    std::byte* rounded = scratch_.keys;  // not in use yet
    for (int r = 0; r < tile.rows; ++r) {
        const std::int64_t vector = tile.first_vector + r;
        const std::int64_t row = part_.sequence->first_row + vector / call_.group;
        const std::int64_t head = part_.kv_head * call_.group + vector % call_.group;
        const float* q = call_.q.as<float>() + row * call_.q.row_stride() + head * layout_.d;
        call_.kernels.from_f32(q, layout_.d, layout_.type, rounded + r * layout_.d * layout_.item);
    }
    call_.kernels.pack_x(layout_.type, tile.rows, layout_.d, rounded, layout_.d, tile.queries);
    std::fill_n(tile.state->max, std::size(tile.state->max),
                -std::numeric_limits<float>::infinity());
    std::fill_n(tile.state->sum, std::size(tile.state->sum), 0.0f);
}

// --- a page as operand ---------------------------------------------------------------------------

void AttentionTask::load_page(std::int64_t index) {
    page_begin_ = index * kPage;
    page_values_ = call_.page(call_.values, part_, index);
    const auto tokens = static_cast<int>(call_.page_tokens(part_, index));
    load_keys(call_.page(call_.keys, part_, index), tokens);
    load_values(tokens);
}

/// attend() is to fetch page `index` of `part` meanwhile.
void AttentionTask::plan_fetching(const AttentionPart& part, std::int64_t index) {
    next_keys_ = call_.page(call_.keys, part, index);
    next_values_ = call_.page(call_.values, part, index);
    next_tokens_ = call_.page_tokens(part, index);
}

void AttentionTask::load_keys(const std::byte* keys, int tokens) {
    const std::int64_t d = layout_.d, panel_bytes = d * kPanel * layout_.item;
    const int per_step = layout_.per_step();
    if (!widens_) {
        keys_ = {of_type(call_.kernels.multiply_keys, layout_.type),
                 keys,
                 keys + panel_bytes,
                 panel_bytes,
                 kPanel * layout_.item * per_step,
                 per_step};
        return;
    }
    constexpr std::int64_t kStep = kPanel * sizeof(float);
    const std::int64_t panels = tokens > kPanel ? 2 : 1;
    call_.kernels.widen(layout_.type, panels * d / per_step, keys,
                        reinterpret_cast<float*>(scratch_.keys));
    keys_ = {call_.kernels.multiply_keys.f32,
             scratch_.keys,
             scratch_.keys + d * kStep,
             d * kStep,
             kStep,
             1};
}

const std::byte* AttentionTask::stored_values(std::int64_t panel, std::int64_t token) const {
    const std::int64_t columns = layout_.columns(panel);
    return page_values_ + (panel * kPanelFloats + token * columns) * layout_.item;
}

void AttentionTask::load_values(int tokens) {
    const std::int64_t item = layout_.item, panels = layout_.value_panels(), last = panels - 1;
    const int per_step = layout_.per_step();
    const std::int64_t columns = layout_.columns(last), steps = (tokens + per_step - 1) / per_step;
    const std::byte* last_panel = stored_values(last, 0);
    if (columns < kPanel) {
        const std::int64_t stored = columns * item * per_step, filled = kPanel * item * per_step;
        for (std::int64_t step = 0; step < steps; ++step) {
            std::memcpy(scratch_.last_panel + step * filled, last_panel + step * stored,
                        static_cast<std::size_t>(stored));
        }
        last_panel = scratch_.last_panel;
    }
    if (!widens_) {
        values_ = {of_type(call_.kernels.multiply_values, layout_.type),
                   page_values_,
                   last_panel,
                   kPanelFloats * item,
                   kPanel * item * per_step,
                   per_step};
        return;
    }
    constexpr std::int64_t kPanelBytes = kPanelFloats * sizeof(float);
    for (std::int64_t panel = 0; panel < panels; ++panel) {
        call_.kernels.widen(layout_.type, steps,
                            panel < last ? stored_values(panel, 0) : last_panel,
                            reinterpret_cast<float*>(scratch_.values + panel * kPanelBytes));
    }
    values_ = {call_.kernels.multiply_values.f32,
               scratch_.values,
               scratch_.values + last * kPanelBytes,
               kPanelBytes,
               kPanel * sizeof(float),
               1};
}

// --- a tile against the page ---------------------------------------------------------------------

/// A tile's share of fetching `bytes` from each of `panels` places `stride` bytes apart, while it
/// multiplies as many panels of `steps` steps. What these steps do not manage is asked for at once.
Ahead AttentionTask::ahead(const Tile& tile, const std::byte* next, std::int64_t bytes,
                           std::int64_t stride, std::int64_t panels, std::int64_t steps) const {
    if (next == nullptr || steps == 0) return {reinterpret_cast<const char*>(tile.sums), 0};
    const std::int64_t share = (bytes + num_tiles_ - 1) / num_tiles_;
    const std::int64_t per_step = std::min<std::int64_t>(128, (share + steps - 1) / steps);
    const auto* mine = reinterpret_cast<const char*>(next) + (&tile - tiles_) * share;
    for (std::int64_t panel = 0; panel < panels; ++panel) {
        for (std::int64_t at = steps * per_step; at < share; at += 64)
            __builtin_prefetch(mine + panel * stride + at, 0, 2);
    }
    return {mine, per_step, stride};
}

void AttentionTask::attend(const Tile& tile) {
    const std::int64_t first_key = call_.first_key(tile.first_position);
    if (page_begin_ > tile.last_position || page_begin_ + kPage <= first_key) return;
    const bool add = page_begin_ > first_key;  // not the tile's first page

    KeyRange ranges[kTileRows];
    std::int64_t vector = tile.first_vector, position = tile.first_position;
    for (int r = 0; r < tile.rows; ++r) {
        const auto clip = [&](std::int64_t key) {
            return static_cast<int>(std::clamp<std::int64_t>(key - page_begin_, 0, kPage));
        };
        ranges[r] = {clip(call_.first_key(position)), clip(position + 1)};
        if (++vector % call_.group == 0) ++position;
    }
    const KeyRange seen{ranges[0].begin, ranges[tile.rows - 1].end};

    const std::int64_t steps = layout_.d / keys_.per_step;
    const bool left = seen.begin < kPanel;
    const bool right = seen.end > kPanel;
    // The next page's keys lie in one piece.
    const std::int64_t next_bytes =
        (next_tokens_ > kPanel ? 2 : 1) * kPanel * layout_.d * layout_.item / (left + right);
    const void* const panels[] = {keys_.panels, keys_.last_panel};
    keys_.multiply(tile.rows, left + right, steps, tile.queries, left ? panels : panels + 1,
                   scratch_.scores + (left ? 0 : kTileRows * kPanel), false,
                   ahead(tile, next_keys_, next_bytes, next_bytes, left + right, steps));
    call_.kernels.softmax_page(layout_.type, tile.rows, ranges, call_.exponent_scale,
                               scratch_.scores, tile.state, scratch_.weights);
    if (add) {
        call_.kernels.scale_rows(tile.rows, tile.state->factor, layout_.value_panels(), tile.sums);
    }
    if (finite_at_the_edges(ranges, tile.rows, seen)) {
        multiply(tile, 0, tile.rows, seen, values_, add);
    } else {
        for (int r = 0; r < tile.rows; ++r) add_apart(tile, r, ranges[r], add);
    }
}

/// Whether the values that some vectors of the tile see and others do not, or that only share a
/// step with one that is seen, are finite.
bool AttentionTask::finite_at_the_edges(const KeyRange* ranges, int rows, KeyRange seen) const {
    const int per_step = layout_.per_step();
    const auto finite = [&](int begin, int end) {
        begin = begin / per_step * per_step;
        end = (end + per_step - 1) / per_step * per_step;
        for (std::int64_t panel = 0; begin < end && panel < layout_.value_panels(); ++panel) {
            if (!call_.kernels.all_finite(layout_.type, (end - begin) * layout_.columns(panel),
                                          stored_values(panel, begin)))
                return false;
        }
        return true;
    };
    const KeyRange by_all{ranges[rows - 1].begin, ranges[0].end};
    if (by_all.begin >= by_all.end) return finite(seen.begin, seen.end);
    const auto cut = [&](int key) { return key % per_step != 0; };
    return finite(seen.begin - cut(seen.begin), by_all.begin) &&
           finite(by_all.end, seen.end + cut(seen.end));
}

/// Adds weights times values of whole steps over `keys` to `rows` vectors from `row` on.
void AttentionTask::multiply(const Tile& tile, int row, int rows, KeyRange keys,
                             const Operand& values, bool add) {
    const std::int64_t per_step = layout_.per_step();
    const std::int64_t begin = keys.begin / per_step, end = (keys.end + per_step - 1) / per_step;
    const std::int64_t weight_bytes =
        layout_.type == DType::bf16 ? call_.kernels.bf16_weight_bytes : sizeof(float);
    const std::byte* weights = scratch_.weights + (row * kPage + begin * per_step) * weight_bytes;
    const std::int64_t steps = (end - begin) * per_step / values.per_step;
    const std::int64_t skipped = begin * per_step / values.per_step * values.step_bytes;
    const std::int64_t last = layout_.value_panels() - 1;
    Ahead fetch = ahead(tile, next_values_, next_tokens_ * kPanel * layout_.item,
                        kPanelFloats * layout_.item, last + 1, steps);
    constexpr std::int64_t kAtOnce = 4;
    for (std::int64_t panel = 0; panel <= last; panel += kAtOnce) {
        const void* panels[kAtOnce];
        const std::int64_t count = std::min(kAtOnce, last + 1 - panel);
        for (std::int64_t p = 0; p < count; ++p) {
            panels[p] = (panel + p < last ? values.panels + (panel + p) * values.panel_bytes
                                          : values.last_panel) +
                        skipped;
        }
        values.multiply(rows, static_cast<int>(count), steps, weights, panels,
                        tile.sums + (panel * kTileRows + row) * kPanel, add, fetch);
        fetch.next += count * fetch.per_panel;
    }
}

/// The same for one vector, with zeros in place of values that it does not see.
void AttentionTask::add_apart(const Tile& tile, int row, KeyRange keys, bool add) {
    const std::int64_t item = layout_.item, per_step = layout_.per_step();
    std::memset(scratch_.visible_values, 0,
                static_cast<std::size_t>(layout_.value_panels() * kPanelFloats * item));
    for (std::int64_t panel = 0; panel < layout_.value_panels(); ++panel) {
        std::byte* to = scratch_.visible_values + panel * kPanelFloats * item;
        for (std::int64_t token = keys.begin; token < keys.end; ++token) {
            const std::int64_t step = token / per_step, part = token % per_step;
            const std::byte* from = stored_values(panel, step * per_step);
            for (std::int64_t column = 0; column < layout_.columns(panel); ++column) {
                std::memcpy(to + ((step * kPanel + column) * per_step + part) * item,
                            from + (column * per_step + part) * item,
                            static_cast<std::size_t>(item));
            }
        }
    }
    const std::int64_t panel_bytes = kPanelFloats * item;
    const Operand visible{of_type(call_.kernels.multiply_values, layout_.type),
                          scratch_.visible_values,
                          scratch_.visible_values + (layout_.value_panels() - 1) * panel_bytes,
                          panel_bytes,
                          kPanel * item * per_step,
                          layout_.per_step()};
    multiply(tile, row, 1, keys, visible, add);
}

void AttentionTask::write_rows(const Tile& tile) {
    const auto item = static_cast<std::int64_t>(size_of(call_.out.dtype()));
    for (int r = 0; r < tile.rows; ++r) {
        const std::int64_t vector = tile.first_vector + r;
        const std::int64_t row = part_.sequence->first_row + vector / call_.group;
        const std::int64_t head = part_.kv_head * call_.group + vector % call_.group;
        auto* out = static_cast<std::byte*>(call_.out.data()) +
                    (row * call_.out.row_stride() + head * layout_.d) * item;
        call_.kernels.finish_row(tile.sums, r, layout_.d, 1.0f / tile.state->sum[r],
                                 call_.out.dtype(), out);
    }
}

}  // namespace muster::cpu
