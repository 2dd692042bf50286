#pragma once
// What the cells of one CSV column are: integers, reals, booleans or text.

#include <string>
#include <vector>

#include "muster/config/value.h"
#include "muster/task/task_spec.h"

namespace muster {

/// Typed cells of the column: as `options.features` says, else as pandas would guess.
/// Throws UserError at `place` for a cell that is not of the stated type.
std::vector<Value> type_csv_column(std::vector<std::string> cells, const std::string& name,
                                   const DatasetOptions& options, const std::string& place);

}  // namespace muster
