#pragma once
// Causal attention of some query vectors of one sequence against one kv head. The query heads that
// share a kv head make a series of vectors, row after row and head after head; kTileRows of them
// are a tile, and a task is a few tiles, so that a page in the cache serves all of them.
//
// Order, per vector, whatever its tile and task: blocks of keys are pages, that is, aligned to
// absolute positions, the first one cut at the window's begin. For each block
//   score     q · k, both rounded to the compute type, adding as a product does (backend.h)
//   exponent  score · (scale · log2 e); weight 2^(exponent − largest exponent so far)
//   sum       sum · 2^(old − new largest) + the block's weights, 16 lanes folded as a tree
//   values    acc · 2^(old − new largest), then weights, rounded to the compute type, times
//             values, keys ascending, adding as a product does
// and in the end acc · (1 / sum). A key that a vector does not see has weight 0, which changes no
// acc but the sign of a zero, and that is dropped at the end; values that are not finite are kept
// away from vectors that do not see them.

#include "cpu/attention_layout.h"

namespace muster::cpu {

/// Tiles of one task at most.
inline constexpr std::int64_t kTaskTiles = 8;

/// Vectors [first_vector, first_vector + num_vectors) of a sequence and kv head; vector v is head
/// v % group of the group in row v / group. At most kTaskTiles tiles.
struct AttentionPart {
    const AttentionSequence* sequence;
    std::int64_t kv_head, first_vector, num_vectors;

    /// Positions of the rows of its first and last vector.
    std::int64_t first_position(std::int64_t group) const {
        return sequence->first_position + first_vector / group;
    }
    std::int64_t last_position(std::int64_t group) const {
        return sequence->first_position + (first_vector + num_vectors - 1) / group;
    }
};

/// What all tasks of one call share.
struct AttentionCall {
    const Kernels& kernels;
    const Tensor &q, &keys, &values, &out;
    KvLayout layout;
    std::int64_t group;    ///< query heads of one kv head
    std::int64_t window;   ///< keys that a row sees, its own included; 0 for all
    float exponent_scale;  ///< scale · log2 e

    std::int64_t first_key(std::int64_t position) const {
        return window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
    }
    /// The pages of its sequence that a part sees, and the tokens [0, …) of a page.
    std::int64_t first_page(const AttentionPart& part) const {
        return first_key(part.first_position(group)) / kKvPageTokens;
    }
    std::int64_t last_page(const AttentionPart& part) const {
        return part.last_position(group) / kKvPageTokens;
    }
    std::int64_t page_tokens(const AttentionPart& part, std::int64_t page) const {
        return std::min<std::int64_t>(kKvPageTokens,
                                      part.last_position(group) + 1 - page * kKvPageTokens);
    }
    const std::byte* page(const Tensor& cache, const AttentionPart& part, std::int64_t page) const {
        return layout.head(cache, part.sequence->pages[static_cast<std::size_t>(page)],
                           part.kv_head);
    }
};

class AttentionTask {
 public:
    /// Floats of scratch memory that a task needs, whatever its type, kernel set and context.
    static std::int64_t scratch_floats(std::int64_t d);

    /// `scratch` is aligned to 64 bytes. `next` is what this thread will probably do next, or null.
    AttentionTask(const AttentionCall& call, const AttentionPart& part, const AttentionPart* next,
                  float* scratch);
    /// Writes the part's rows and heads of call.out. The caller holds FlushDenormals.
    void run();

 private:
    struct Tile {
        std::int64_t first_vector;  ///< of the sequence
        int rows;
        std::int64_t first_position, last_position;  ///< of its first and last vector
        SoftmaxState* state;
        std::byte* queries;  ///< block of pack_x
        float* sums;         ///< [value panels, kTileRows, kPanel]
    };
    /// A page as second operand of products: panels of `panel_bytes`, the last one apart.
    struct Operand {
        PanelKernel multiply;
        const std::byte *panels, *last_panel;
        std::int64_t panel_bytes, step_bytes;
        int per_step;  ///< dimensions of keys or tokens of values in one step
    };
    struct Scratch {
        float* scores;              ///< [2, kTileRows, kPanel]
        std::byte* weights;         ///< [kTileRows, kKvPageTokens]
        std::byte *keys, *values;   ///< a page widened to f32
        std::byte* last_panel;      ///< a narrow last panel of values filled up with zeros
        std::byte* visible_values;  ///< what add_apart lets a vector see
    };

    const std::byte* stored_values(std::int64_t panel, std::int64_t token) const;
    void pack_queries(const Tile& tile);
    void load_page(std::int64_t index);
    void plan_fetching(const AttentionPart& part, std::int64_t index);
    void load_keys(const std::byte* keys, int tokens);
    void load_values(int tokens);
    void attend(const Tile& tile);
    bool finite_at_the_edges(const KeyRange* ranges, int rows, KeyRange all) const;
    Ahead ahead(const Tile& tile, const std::byte* next, std::int64_t bytes, std::int64_t stride,
                std::int64_t panels, std::int64_t steps) const;
    void multiply(const Tile& tile, int row, int rows, KeyRange keys, const Operand& values,
                  bool add);
    void add_apart(const Tile& tile, int row, KeyRange keys, bool add);
    void write_rows(const Tile& tile);

    const AttentionCall& call_;
    const AttentionPart& part_;
    const AttentionPart* next_;
    const KvLayout& layout_;
    Scratch scratch_;
    Tile tiles_[kTaskTiles];
    int num_tiles_ = 0;
    bool widens_ = false;
    // The page in work.
    std::int64_t page_begin_ = 0;  ///< position of its first token
    const std::byte* page_values_ = nullptr;
    // What is fetched meanwhile: the next page and how many of its tokens.
    const std::byte *next_keys_ = nullptr, *next_values_ = nullptr;
    std::int64_t next_tokens_ = 0;
    Operand keys_{}, values_{};
};

}  // namespace muster::cpu
