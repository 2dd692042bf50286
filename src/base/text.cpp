#include "muster/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace muster {

namespace {

// Edit distance that counts a swap of two neighbours as one edit (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t substitute = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitute});
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::string format_fixed(const char* format, double value, const char* unit) {
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), format, value, unit);
    return buffer.data();
}

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find(separator, begin)) != text.npos; begin = end + 1)
        parts.emplace_back(text.substr(begin, end - begin));
    parts.emplace_back(text.substr(begin));
    return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string joined;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) joined += separator;
        joined += parts[i];
    }
    return joined;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// Greedy matching with one point to return to: the last star and where its run ended. Linear for
// ordinary patterns and never worse than pattern times text.
bool matches_glob(std::string_view pattern, std::string_view text) {
    std::size_t p = 0, t = 0, star = pattern.npos, resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != pattern.npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == pattern.npos;
}

std::string closest_match(std::string_view word, const std::vector<std::string>& candidates) {
    // A third of the word may be wrong, and never more than three edits: beyond that a suggestion
    // is a guess that misleads.
    std::size_t best = std::min<std::size_t>(3, std::max<std::size_t>(1, word.size() / 3)) + 1;
    std::string match;
    for (const std::string& candidate : candidates) {
        std::size_t longer = std::max(candidate.size(), word.size());
        if (longer - std::min(candidate.size(), word.size()) >= best) continue;
        std::size_t distance = edit_distance(word, candidate);
        if (distance < best && distance < longer) {
            best = distance;
            match = candidate;
        }
    }
    return match;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    std::string match = closest_match(word, candidates);
    return match.empty() ? "" : "; did you mean \"" + match + "\"?";
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    text = trim(text);
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    std::string unit(trim({stop, static_cast<std::size_t>(end - stop)}));
    for (char& c : unit) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (error != std::errc()) return std::nullopt;
    if (!unit.empty() && unit != "B") {
        const std::size_t power = std::string_view("KMGT").find(unit.front()) + 1;
        const std::string_view rest = std::string_view(unit).substr(1);
        if (power == 0 || !(rest.empty() || rest == "B" || rest == "IB")) return std::nullopt;
        const double base = rest == "B" ? 1000 : 1024;
        for (std::size_t i = 0; i < power; ++i) value *= base;
    }
    if (!(value >= 0 && value <= 0x1p62)) return std::nullopt;
    return static_cast<std::uint64_t>(value);
}

std::string format_bytes(std::uint64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    static constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    // 1023.95 would print as 1024.0.
    for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    return format_fixed("%.1f %s", value, kUnits[unit]);
}

std::string format_duration(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) return "?";
    if (seconds < 59.95) return format_fixed("%.1f %s", seconds, "s");
    auto whole = static_cast<std::uint64_t>(std::min(std::round(seconds), 1e15));
    std::array<char, 64> buffer{};
    auto h = static_cast<unsigned long long>(whole / 3600);
    auto m = static_cast<unsigned>(whole / 60 % 60), s = static_cast<unsigned>(whole % 60);
    if (h > 0)
        std::snprintf(buffer.data(), buffer.size(), "%llu:%02u:%02u", h, m, s);
    else
        std::snprintf(buffer.data(), buffer.size(), "%u:%02u", m, s);
    return buffer.data();
}

std::string format_count(std::uint64_t n) {
    std::string digits = std::to_string(n);
    for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

}  // namespace muster
