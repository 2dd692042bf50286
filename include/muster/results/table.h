#pragma once
// Columns of equal length: how samples, metrics and summaries are stored and read back.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace muster {

/// One column. `width` 0: one value per row. `width` w > 0: w values per row, stored row by row as a 2-D dataset
/// (missing ones padded with NaN, -1, 0 or "" by whoever fills it).
struct Column {
    using Data = std::variant<std::vector<std::int64_t>, std::vector<double>, std::vector<std::uint8_t>,
                              std::vector<std::string>>;
    std::string name;
    std::string description;  ///< what it holds, with units; stored as an attribute
    Data data;
    std::int64_t width = 0;

    /// Throws InternalError if the values do not fill rows of `width`.
    std::int64_t rows() const;
    bool operator==(const Column&) const = default;
};

/// One line of /summary.
struct SummaryRow {
    std::string task, metric, filter;
    double value = 0;
    double stderr_value = 0;  ///< NaN where there is none
    std::int64_t n = 0;
    bool higher_is_better = true;
    bool is_group = false;
    bool operator==(const SummaryRow&) const = default;
};

/// Text as a result file can hold it: malformed UTF-8 becomes U+FFFD and U+0000 becomes U+2400. The writer applies it
/// to all text; whoever scores text that is to be verified from the file applies it before.
std::string storable_text(std::string_view text);
/// True if storable_text() would change nothing.
bool is_storable_text(std::string_view text);

}  // namespace muster
