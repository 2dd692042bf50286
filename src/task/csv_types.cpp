// Column types as pandas 3.0 guesses them (pandas/_libs/parsers.pyx) and pyarrow then stores them:
// all cells integers, else all numbers, else all booleans, else text. A column of integers with
// empty cells becomes real numbers, since NaN stands for the empty ones. Integers beyond 64 bits
// stay text.
#include "csv_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// pandas/_libs/parsers.pyx, STR_NA_VALUES.
bool is_na(std::string_view cell) {
    constexpr std::array<std::string_view, 18> kNa = {
        "",        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
        "1.#QNAN", "<NA>", "N/A",      "NA",  "NULL",    "NaN",      "None", "n/a",  "nan"};
    return cell == "null" || std::find(kNa.begin(), kNa.end(), cell) != kNa.end();
}

std::optional<std::int64_t> integer(std::string_view cell) {
    cell = trim(cell);
    if (cell.starts_with('+') && cell.size() > 1 && cell[1] != '-') cell.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
    return value;
}

std::optional<double> real(std::string_view cell) {
    cell = trim(cell);
    bool negative = false;
    if (!cell.empty() && (cell[0] == '+' || cell[0] == '-')) {
        negative = cell[0] == '-';
        cell.remove_prefix(1);
    }
    std::string lower(cell);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    double value = 0;
    if (lower == "inf" || lower == "infinity") {
        value = std::numeric_limits<double>::infinity();
    } else {
        // from_chars would also take "nan(…)"; a number starts with a digit or a point.
        if (cell.empty() || !((cell[0] >= '0' && cell[0] <= '9') || cell[0] == '.'))
            return std::nullopt;
        const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
        if (end != cell.data() + cell.size()) return std::nullopt;
        // Out of range: 1e400 is infinite and 1e-400 zero, as strtod has them.
        if (error == std::errc::result_out_of_range)
            value = std::strtod(lower.c_str(), nullptr);
        else if (error != std::errc())
            return std::nullopt;
    }
    return negative ? -value : value;
}

std::optional<bool> boolean(std::string_view cell) {
    if (cell == "True" || cell == "TRUE" || cell == "true") return true;
    if (cell == "False" || cell == "FALSE" || cell == "false") return false;
    return std::nullopt;
}

/// All cells converted by `convert`, or nothing if one of them resists. `null(cell)` tells the
/// empty ones.
template <typename Convert, typename IsNull>
std::optional<std::vector<Value>> convert_all(const std::vector<std::string>& cells,
                                              Convert convert, IsNull null) {
    std::vector<Value> values;
    values.reserve(cells.size());
    for (const std::string& cell : cells) {
        if (null(cell)) {
            values.emplace_back();
            continue;
        }
        const auto value = convert(cell);
        if (!value) return std::nullopt;
        values.emplace_back(*value);
    }
    return values;
}

/// True if the cell is an integer of any size.
bool is_integer(std::string_view cell) {
    cell = trim(cell);
    if (!cell.empty() && (cell[0] == '+' || cell[0] == '-')) cell.remove_prefix(1);
    return !cell.empty() && cell.find_first_not_of("0123456789") == std::string_view::npos;
}

/// True if the first cell that is no 64-bit integer is a larger integer: pandas then keeps the
/// column as it is written.
template <typename IsNull>
bool has_huge_integer_first(const std::vector<std::string>& cells, IsNull null) {
    for (const std::string& cell : cells)
        if (!null(cell) && !integer(cell)) return is_integer(cell);
    return false;
}

template <typename IsNull>
std::vector<Value> guess(std::vector<std::string> cells, IsNull null) {
    const auto filled = static_cast<std::size_t>(
        std::count_if(cells.begin(), cells.end(), [&](const auto& cell) { return !null(cell); }));
    if (filled == 0) return std::vector<Value>(cells.size());
    if (filled == cells.size())
        if (auto values = convert_all(cells, integer, null)) return *std::move(values);
    if (!has_huge_integer_first(cells, null))
        if (auto values = convert_all(cells, real, null)) return *std::move(values);
    if (auto values = convert_all(cells, boolean, null)) return *std::move(values);
    std::vector<Value> texts;
    texts.reserve(cells.size());
    for (std::string& cell : cells)
        texts.emplace_back(null(cell) ? Value() : Value(std::move(cell)));
    return texts;
}

}  // namespace

std::vector<Value> type_csv_column(std::vector<std::string> cells, const std::string& name,
                                   const DatasetOptions& options, const std::string& place) {
    const auto null = [&](std::string_view cell) { return options.keep_default_na && is_na(cell); };
    const Value* type = options.features.find(name);
    if (type == nullptr) return guess(std::move(cells), null);
    const std::string& wanted = type->as_string();
    std::vector<Value> values;
    values.reserve(cells.size());
    for (std::string& cell : cells) {
        if (null(cell)) {
            values.emplace_back();
            continue;
        }
        if (wanted == "string") {
            values.emplace_back(std::move(cell));
            continue;
        }
        const auto add = [&](const auto& value) {
            if (!value)
                throw UserError(cat(place, ": column \"", name, "\", row ", values.size(), ": \"",
                                    cell, "\"; expected ", wanted));
            values.emplace_back(*value);
        };
        if (wanted == "int64")
            add(integer(cell));
        else if (wanted == "float64")
            add(real(cell));
        else
            add(boolean(cell));
    }
    return values;
}

}  // namespace muster
