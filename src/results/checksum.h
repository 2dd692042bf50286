#pragma once
// SHA-256 of what a dataset means, independent of how HDF5 lays it out. The byte form is part of
// the file format: docs/result-file.md.

#include <string>
#include <string_view>
#include <vector>

#include "muster/results/table.h"

namespace muster {

std::string checksum(const Column& column);
/// The same for a column of strings in the form in which they are stored.
std::string checksum(const std::vector<std::string_view>& strings, std::int64_t rows,
                     std::int64_t width);
std::string checksum(const std::vector<SummaryRow>& rows);

}  // namespace muster
