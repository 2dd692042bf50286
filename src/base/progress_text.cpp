#include "progress_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

namespace {

double fraction_of(const ProgressState& state) {
    if (state.total == 0) return state.last ? 1 : 0;
    return std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
}

// Rounded down: 100 % is said only when all is done.
std::string percent_of(const ProgressState& state) {
    return std::to_string(static_cast<int>(fraction_of(state) * 100)) + "%";
}

std::string rate_of(const ProgressState& state) {
    double rate = state.seconds > 0 ? static_cast<double>(state.done) / state.seconds : 0;
    if (rate >= 100)
        return format_count(static_cast<std::uint64_t>(rate)) + " " + state.unit + "/s";
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), rate >= 1 ? "%.1f" : "%.3f", rate);
    return std::string(digits.data()) + " " + state.unit + "/s";
}

// Time left at the mean rate so far, or time taken once the work has ended.
std::string time_of(const ProgressState& state) {
    if (state.last) return "in " + format_duration(state.seconds);
    double fraction = fraction_of(state);
    if (fraction <= 0) return "";
    return format_duration(state.seconds * (1 - fraction) / fraction) + " left";
}

std::string clip(const std::string& text, std::size_t columns) {
    std::size_t pos = 0;
    for (std::size_t n = 0; n < columns && pos < text.size(); ++n) next_code_point(text, pos);
    return text.substr(0, pos);
}

}  // namespace

std::string progress_line(const ProgressState& state) {
    std::string line = state.label + ": " + percent_of(state) + " of " + format_count(state.total) +
                       " " + state.unit + ", " + rate_of(state);
    for (const std::string& part : {time_of(state), state.note})
        if (!part.empty()) line += ", " + part;
    return line;
}

std::string progress_bar(const ProgressState& state, std::size_t width) {
    std::string tail = percent_of(state) + " " + rate_of(state);
    for (const std::string& part : {time_of(state), state.note})
        if (!part.empty()) tail += " " + part;
    // The bar takes what the words leave, between 10 and 30 columns.
    std::size_t words = count_code_points(state.label) + count_code_points(tail) + 4;
    std::size_t bar = std::clamp<std::size_t>(width > words ? width - words : 0, 10, 30);
    auto filled = static_cast<std::size_t>(fraction_of(state) * static_cast<double>(bar));
    return clip(state.label + " [" + std::string(filled, '#') + std::string(bar - filled, ' ') +
                    "] " + tail,
                width);
}

}  // namespace muster
