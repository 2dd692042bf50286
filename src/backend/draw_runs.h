#pragma once
// Which draws go together: those from neighbouring rows, whose logits one product makes.

#include <algorithm>
#include <cstdint>
#include <span>

#include "muster/backend/backend.h"

namespace muster {

/// Calls f(first draw, its draws, first row, number of rows) for runs of `draws`, ascending by row,
/// of at most `most` draws from at most `most_rows` rows without a gap.
template <typename Call>
void for_draw_runs(std::span<const LogitDraw> draws, std::int64_t most_rows, std::size_t most,
                   const Call& f) {
    for (std::size_t first = 0; first < draws.size();) {
        const std::int64_t begin = draws[first].row;
        std::int64_t end = begin + 1;
        std::size_t last = first + 1;
        while (last < draws.size() && last - first < most && draws[last].row <= end &&
               draws[last].row - begin < most_rows)
            end = draws[last++].row + 1;
        f(first, draws.subspan(first, last - first), begin, end - begin);
        first = last;
    }
}

/// Whether `draws` are from rows [0, rows) in ascending order, and as draw_logits expects them.
inline bool valid_draws(std::span<const LogitDraw> draws, std::int64_t rows) {
    const bool ascending =
        std::is_sorted(draws.begin(), draws.end(),
                       [](const LogitDraw& a, const LogitDraw& b) { return a.row < b.row; });
    return ascending && std::all_of(draws.begin(), draws.end(), [&](const LogitDraw& draw) {
               return draw.row >= 0 && draw.row < rows && draw.inverse_temperature > 0 &&
                      draw.uniform >= 0 && draw.uniform < 1;
           });
}

}  // namespace muster
