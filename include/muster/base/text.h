#pragma once
// Small text helpers that every room needs.

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

/// Joins its arguments as operator<< prints them: cat("rank ", 3, " of ", 4).
template <typename... Args>
std::string cat(const Args&... args) {
    std::ostringstream out;
    (out << ... << args);
    return out.str();
}

/// Parts of `text` between occurrences of `separator`; "a,,b" has three parts.
std::vector<std::string> split(std::string_view text, char separator);
/// `parts` with `separator` between them.
std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// `text` without ASCII blanks at both ends.
std::string_view trim(std::string_view text);
/// True if `text` matches `pattern`, where * stands for any text and ? for one character.
bool matches_glob(std::string_view pattern, std::string_view text);
/// The candidate nearest to `word` by edit distance, or "" if none is near enough to suggest.
std::string closest_match(std::string_view word, const std::vector<std::string>& candidates);
/// `; did you mean "x"?`, or "" if nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
/// "1.5G" → 1610612736: a number with K, M, G, T or KiB… for powers of 1024, KB… for powers of 1000,
/// B or nothing for bytes. Nothing for any other text and beyond 2⁶².
std::optional<std::uint64_t> parse_bytes(std::string_view text);
/// 1536 → "1.5 KiB".
std::string format_bytes(std::uint64_t bytes);
/// 3723 → "1:02:03", 12.34 → "12.3 s".
std::string format_duration(double seconds);
/// 1234567 → "1,234,567".
std::string format_count(std::uint64_t n);

}  // namespace muster
