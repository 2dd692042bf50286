#pragma once
// Regular expressions over UTF-8 (PCRE2 with Unicode classes). Patterns come in two dialects: as
// Hugging Face tokenizers write them (Oniguruma) and as Python's `re` writes them; both are
// translated where they differ from PCRE2.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

/// Immutable and safe to use from several threads. Texts must be valid UTF-8 (UserError otherwise).
class Regex {
 public:
    enum class Dialect { python, tokenizer };
    /// Throws UserError with the offset and PCRE2's text if the pattern is malformed.
    explicit Regex(const std::string& pattern, Dialect dialect = Dialect::python,
                   bool ignore_case = false);
    ~Regex();
    Regex(Regex&&) noexcept;
    Regex& operator=(Regex&&) noexcept;

    /// Byte range of one group; `begin` is npos if the group took no part.
    struct Span {
        std::size_t begin = std::string_view::npos, end = std::string_view::npos;
        bool matched() const { return begin != std::string_view::npos; }
    };
    using Match = std::vector<Span>;  ///< [0] is the whole match

    /// First match at or after byte `from`. Throws UserError if the pattern needs too many steps on
    /// this text.
    std::optional<Match> search(std::string_view text, std::size_t from = 0) const;
    /// The whole-match range of search() for text that the caller knows to be valid UTF-8: walking
    /// over a long text with it stays linear. Not matched() if there is none.
    Span find(std::string_view valid_text, std::size_t from) const;
    /// The same if it is the same whatever text follows: not matched() if the search looked at the
    /// end of the text, or found nothing.
    Span find_certain(std::string_view valid_text, std::size_t from) const;
    /// False only if no match depends on what precedes the place where its search started.
    bool looks_back() const;
    /// All matches from left to right as Python's re.finditer gives them (empty ones included).
    std::vector<Match> find_all(std::string_view text) const;
    /// Python's re.sub, with \1 and \g<name> in `replacement`.
    std::string replace(std::string_view text, std::string_view replacement) const;
    /// Python's re.split without groups in the result.
    std::vector<std::string> split(std::string_view text) const;
    int num_groups() const;
    /// Number of the group (?P<name>...), or -1.
    int group_number(const std::string& name) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace muster
