#pragma once
// Which documents stand before the tested one: lm-evaluation-harness 0.4.13,
// lm_eval/api/samplers.py.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/config/value.h"
#include "muster/text/python_random.h"

namespace muster {

/// Draws the few-shot examples of one document after another. `default` draws from Python's
/// generator, so it must be called once per document in order; `first_n` takes the first ones.
class FewshotSampler {
 public:
    /// `pool` must outlive the sampler. `place` begins error messages.
    FewshotSampler(const std::vector<Value>& pool, std::string sampler, std::uint64_t seed,
                   std::string place);

    /// `count` documents; `tested` (may be nullptr) is never among them.
    std::vector<const Value*> draw(std::size_t count, const Value* tested);

 private:
    std::vector<const Value*> draw_random(std::size_t count, const Value* tested);
    std::vector<const Value*> draw_first(std::size_t count, const Value* tested) const;

    const std::vector<Value>& pool_;
    bool first_n_;
    PythonRandom random_;
    std::string place_;
};

/// Python's == of two values: 1, 1.0 and True are equal, members in any order.
bool python_equal(const Value& a, const Value& b);

}  // namespace muster
