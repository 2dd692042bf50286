#pragma once
// /summary as HDF5 sees it in memory.

#include <cstdint>

#include "hdf5_api.h"

namespace muster {

struct StoredSummaryRow {
    const char* task = nullptr;
    const char* metric = nullptr;
    const char* filter = nullptr;
    double value = 0, stderr_value = 0;
    std::int64_t n = 0;
    std::int8_t higher_is_better = 0, is_group = 0;
};

/// The compound type of StoredSummaryRow.
Handle make_summary_type();

}  // namespace muster
