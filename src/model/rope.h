#pragma once
// Rotary angles, computed on the host in the precision and order of Hugging Face's
// modeling_rope_utils.py (5.23): inverse frequencies and angles in f32, cosine and sine of the f32
// angle.

#include <cstdint>
#include <vector>

#include "muster/model/model_config.h"

namespace muster {

class Rope {
 public:
    Rope(const RopeSpec& spec, std::int64_t head_dim);

    /// The d/2 inverse frequencies of a sequence of at most `length` tokens. Only dynamic rope
    /// depends on it: Hugging Face rescales for the longest sequence of a batch as it grows, here
    /// each sequence is scaled once for the length it may reach, so that its result depends on
    /// nothing else.
    std::vector<float> inverse_frequencies(std::int64_t length) const;
    /// out [num_rows, d] ← cosines and sines of positions first_position, first_position + 1, ….
    /// Those that do not depend on a length are computed once and kept.
    void fill(std::int64_t first_position, std::int64_t num_rows, std::int64_t length, float* out);
    /// True if `length` matters.
    bool depends_on_length() const { return spec_.type == RopeType::dynamic; }

 private:
    void compute(const std::vector<float>& inverse, std::int64_t first_position,
                 std::int64_t num_rows, float* out) const;

    RopeSpec spec_;
    std::int64_t half_;
    float scaling_;               // multiplies cosines and sines
    std::vector<float> inverse_;  // for lengths up to the original
    std::vector<float> kept_;     // [positions, d] from position 0 on
};

}  // namespace muster
