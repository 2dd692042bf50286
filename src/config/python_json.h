#pragma once
// What Python's json module accepts beyond the standard, rewritten into strict JSON.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster {

/// Number tokens that stand for what JSON cannot say.
constexpr std::string_view kNanToken = "0.0e-000001", kInfinityToken = "0.0e-000002";

struct StrictJson {
    std::string text;
    std::vector<std::pair<std::size_t, std::size_t>> resume;  ///< offsets here, in the original

    bool changed() const { return !resume.empty(); }
    /// The offset in the original text that `offset` of the rewritten one came from.
    std::size_t original_offset(std::size_t offset) const;
};

/// Outside strings NaN, Infinity and numbers too large for a double become the tokens above; inside
/// strings a \u escape of half a surrogate pair becomes \ufffd. All else is copied.
StrictJson make_strict(std::string_view text);

}  // namespace muster
