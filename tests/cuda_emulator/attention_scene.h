#pragma once
// Sequences with random queries, keys and values, computed by the device's attention in any way
// that gives the same, and in double as it is written in books.

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "cuda/attention.h"
#include "cuda/attention_plan.h"
#include "cuda_emulator/device_data.h"
#include "muster/tensor/dtype.h"

namespace muster::test {

/// How a scene is computed; none of it may show in the result.
struct Way {
    std::int64_t chunk = 100000;  ///< rows of a sequence in one step
    bool together = true;         ///< all sequences in each step, or one after the other
    bool backwards = false;       ///< threads of a block in descending order
    bool padded = false;          ///< the call is sized for more than there is, as a recorded one
    bool never_split = false;     ///< blocks walk over all runs, however few there are
    float garbage = std::numeric_limits<float>::quiet_NaN();  ///< what the cache holds before
    unsigned page_seed = 1;
};

struct Scene {
    DType dtype = DType::bf16;
    std::int64_t kv_heads = 1, group = 1, d = 64, window = 0;
    float soft_cap = 0;
    bool bidirectional = false;
    std::vector<std::int64_t> lengths, first_rows;  ///< rows before first_rows are not asked for
    std::vector<std::vector<float>> q, k, v;        ///< per sequence [length, heads · d]

    void add(RandomInput& input, std::int64_t length, std::int64_t first_row = 0) {
        lengths.push_back(length);
        first_rows.push_back(first_row);
        q.push_back(input.floats(length * q_width()));
        k.push_back(input.floats(length * kv_width()));
        v.push_back(input.floats(length * kv_width()));
    }
    std::int64_t heads() const { return kv_heads * group; }
    std::int64_t q_width() const { return heads() * d; }
    std::int64_t kv_width() const { return kv_heads * d; }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }

    /// The rows asked for, per sequence [rows, heads · d].
    std::vector<std::vector<float>> run(const Way& way) const;

    struct Exact {
        double value = 0;
        double mean_size = 0;  ///< mean of |value| by the same weights
        double spread = 0;     ///< Σ |value| / Σ weight
    };
    /// One row and head in double, from inputs as they are rounded.
    std::vector<Exact> exact(std::size_t s, std::int64_t t, std::int64_t head) const;
    /// The largest error of `got` in units of what rounding explains; looks at one head of a row.
    double worst_error(RandomInput& input, const std::vector<std::vector<float>>& got) const;
};

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b);

}  // namespace muster::test
