#pragma once
// Which rows go to which expert of a mixture.

#include <cstdint>
#include <vector>

#include "cpu/kernels.h"
#include "muster/backend/backend.h"

namespace muster::cpu {

/// An expert that a row goes to, and what its output counts there.
struct ChosenExpert {
    std::int32_t expert = 0;
    float weight = 0;
};

/// chosen [top_k], ascending by expert, for one row of router logits [experts], which become their
/// softmax. Sums run in ascending order of experts. NaN counts as less than any probability, so
/// that there always are top_k different experts; their weights are NaN then.
void choose_experts(const Kernels& kernels, const ExpertRouting& routing, std::int64_t experts,
                    float* logits, ChosenExpert* chosen);

/// The rows of a call sorted by expert, rows ascending within each: places [rows · top_k].
struct ExpertRows {
    struct Group {
        std::int32_t expert;
        std::int64_t first, count;  ///< its places
    };
    std::vector<Group> groups;       ///< experts that have rows, ascending
    std::vector<std::int32_t> rows;  ///< [places]
    std::vector<float> weights;      ///< [places]

    /// From chosen [rows, top_k].
    void sort(const ChosenExpert* chosen, std::int64_t num_rows, std::int64_t top_k,
              std::int64_t experts);
};

}  // namespace muster::cpu
