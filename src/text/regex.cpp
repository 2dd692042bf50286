// Patterns are compiled by PCRE2's JIT. Subjects are checked for well-formed UTF-8 once per call,
// so that walking over a long text stays linear. Match limits turn catastrophic backtracking into
// an error within about a second.

#include "muster/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "regex_translate.h"

namespace muster {
namespace {

constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kJitStackStart = 32 * 1024, kJitStackMax = 8 * 1024 * 1024;
constexpr std::size_t kMaxPatternBytes = 1 << 20;

std::string error_text(int code) {
    std::array<PCRE2_UCHAR, 256> buffer{};
    pcre2_get_error_message(code, buffer.data(), buffer.size());
    return reinterpret_cast<const char*>(buffer.data());
}

/// True if there may be a ^ that is no [^, a \G or a \X: they look back, but PCRE2 does not count
/// them as look-behind.
bool has_anchor(std::string_view pattern) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '^' && (i == 0 || pattern[i - 1] != '[')) return true;
        if ((pattern[i] == 'G' || pattern[i] == 'X') && i > 0 && pattern[i - 1] == '\\')
            return true;
    }
    return false;
}

/// What one thread needs to match: made once per thread, grown for patterns with more groups.
struct Scratch {
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
    pcre2_match_data* data = nullptr;
    std::uint32_t pairs = 0;

    Scratch() {
        if (context == nullptr || stack == nullptr) throw SystemError("PCRE2: out of memory");
        pcre2_jit_stack_assign(context, nullptr, stack);
        pcre2_set_match_limit(context, kMatchLimit);
        pcre2_set_heap_limit(context, kHeapLimitKib);
    }
    ~Scratch() {
        pcre2_match_data_free(data);
        pcre2_jit_stack_free(stack);
        pcre2_match_context_free(context);
    }
    void reserve(std::uint32_t wanted) {
        if (wanted <= pairs) return;
        pcre2_match_data_free(data);
        data = pcre2_match_data_create(wanted, nullptr);
        pairs = data == nullptr ? 0 : wanted;
        if (data == nullptr) throw SystemError("PCRE2: out of memory");
    }
};

Scratch& scratch() {
    thread_local Scratch instance;
    return instance;
}

}  // namespace

struct Regex::State {
    std::string pattern;
    pcre2_code* code = nullptr;
    std::uint32_t groups = 0;
    bool looks_back = false;

    ~State() { pcre2_code_free(code); }

    /// Number of pairs found (0: no match) in scratch().data.
    std::size_t match(std::string_view text, std::size_t from, std::uint32_t options) const {
        Scratch& mine = scratch();
        mine.reserve(groups + 1);
        const char* subject = text.data() == nullptr ? "" : text.data();
        const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(subject), text.size(), from,
                                   options | PCRE2_NO_UTF_CHECK, mine.data, mine.context);
        if (rc > 0) return static_cast<std::size_t>(rc);
        if (rc == PCRE2_ERROR_NOMATCH || rc == PCRE2_ERROR_PARTIAL) return 0;
        throw UserError(cat("regular expression \"", pattern, "\" on a text of ", text.size(),
                            " bytes: ", error_text(rc),
                            "; simplify the pattern (nested repetitions backtrack for ever)"));
    }
};

Regex::Regex(const std::string& pattern, Dialect dialect, bool ignore_case)
    : state_(std::make_unique<State>()) {
    if (pattern.size() > kMaxPatternBytes) {
        throw UserError(cat("regular expression of ", format_bytes(pattern.size()),
                            ": longer than ", format_bytes(kMaxPatternBytes)));
    }
    state_->pattern = pattern;
    const std::string translated = translate_pattern(pattern, dialect);
    std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    if (ignore_case) options |= PCRE2_CASELESS;
    if (dialect == Dialect::tokenizer) options |= PCRE2_MULTILINE;  // Ruby's ^ and $
    const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
        pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
    if (context == nullptr) throw SystemError("PCRE2: out of memory");
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    state_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 options, &error, &offset, context.get());
    if (state_->code == nullptr) {
        throw UserError(cat("regular expression \"", pattern, "\": ", error_text(error),
                            " at offset ", offset, " of its PCRE2 form \"", translated, "\""));
    }
    pcre2_pattern_info(state_->code, PCRE2_INFO_CAPTURECOUNT, &state_->groups);
    std::uint32_t most_back = 0;
    pcre2_pattern_info(state_->code, PCRE2_INFO_MAXLOOKBEHIND, &most_back);
    state_->looks_back = most_back > 0 || has_anchor(translated);
    // Without JIT (unsupported processor) pcre2_match interprets the pattern: slower, same result.
    const bool partial = dialect == Dialect::tokenizer;
    pcre2_jit_compile(state_->code, PCRE2_JIT_COMPLETE | (partial ? PCRE2_JIT_PARTIAL_HARD : 0));
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

namespace {

void require_utf8(std::string_view text) {
    if (!is_valid_utf8(text)) {
        throw UserError("regular expression: the text to search is not valid UTF-8");
    }
}

Regex::Match match_of(std::size_t pairs, int num_groups) {
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch().data);
    Regex::Match match(static_cast<std::size_t>(num_groups) + 1);
    for (std::size_t i = 0; i < pairs && i < match.size(); i++) {
        if (offsets[2 * i] != PCRE2_UNSET) match[i] = {offsets[2 * i], offsets[2 * i + 1]};
    }
    // \K inside a look-ahead can put the beginning behind the end.
    if (match[0].begin > match[0].end) match[0].begin = match[0].end;
    return match;
}

}  // namespace

Regex::Span Regex::find(std::string_view valid_text, std::size_t from) const {
    if (from > valid_text.size() || state_->match(valid_text, from, 0) == 0) return {};
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch().data);
    return {std::min(offsets[0], offsets[1]), offsets[1]};
}

Regex::Span Regex::find_certain(std::string_view valid_text, std::size_t from) const {
    // PCRE2 gives up as soon as it needs to know what follows the text. It does not if the attempt
    // began at the very end.
    if (from >= valid_text.size() || state_->match(valid_text, from, PCRE2_PARTIAL_HARD) == 0)
        return {};
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch().data);
    if (offsets[0] >= valid_text.size() || offsets[0] > offsets[1]) return {};
    return {offsets[0], offsets[1]};
}

bool Regex::looks_back() const {
    return state_->looks_back;
}

std::optional<Regex::Match> Regex::search(std::string_view text, std::size_t from) const {
    require_utf8(text);
    if (from > text.size()) return std::nullopt;
    const std::size_t pairs = state_->match(text, from, 0);
    if (pairs == 0) return std::nullopt;
    return match_of(pairs, num_groups());
}

/// An empty match may follow a match directly; after it the next one must not be empty at its
/// place.
std::vector<Regex::Match> Regex::find_all(std::string_view text) const {
    require_utf8(text);
    std::vector<Match> matches;
    std::size_t from = 0;
    std::uint32_t options = 0;
    while (from <= text.size()) {
        const std::size_t pairs = state_->match(text, from, options);
        if (pairs == 0) break;
        matches.push_back(match_of(pairs, num_groups()));
        const Span& whole = matches.back()[0];
        options = whole.end == whole.begin ? PCRE2_NOTEMPTY_ATSTART : 0;
        if (whole.end < from) break;
        from = whole.end;
    }
    return matches;
}

std::vector<std::string> Regex::split(std::string_view text) const {
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (const Match& match : find_all(text)) {
        parts.emplace_back(text.substr(from, match[0].begin - from));
        from = match[0].end;
    }
    parts.emplace_back(text.substr(from));
    return parts;
}

int Regex::num_groups() const {
    return static_cast<int>(state_->groups);
}

int Regex::group_number(const std::string& name) const {
    const int number =
        pcre2_substring_number_from_name(state_->code, reinterpret_cast<PCRE2_SPTR>(name.c_str()));
    return number > 0 ? number : -1;
}

}  // namespace muster
