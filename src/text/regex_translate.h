#pragma once
// Rewrites a pattern of Python's `re` or of Oniguruma (Ruby syntax, which Hugging Face tokenizers
// use) into PCRE2 syntax. Everything that the three engines understand differently is spelled out:
// \s and \w become explicit classes, nested classes become look-aheads, unknown escapes are errors.

#include <string>
#include <string_view>
#include <vector>

#include "muster/text/regex.h"

namespace muster {

/// Throws UserError with the byte offset of the fault.
std::string translate_pattern(std::string_view pattern, Regex::Dialect dialect);

/// Reads one pattern from left to right.
class PatternTranslator {
 public:
    PatternTranslator(std::string_view pattern, Regex::Dialect dialect);
    std::string run();

 private:
    /// What one escape or class atom stands for: a single character, or a set that is written as
    /// the inside of a PCRE2 class.
    struct Atom {
        char32_t character = 0;
        std::string set;       ///< "" for a single character
        bool negated = false;  ///< the complement of `set`
    };
    struct Group {
        std::size_t begin;
        bool extended, ascii;
    };

    // regex_translate.cpp
    void literal();
    void quantifier();
    void open_group();
    void open_special_group();
    void inline_flags();
    void close_group();
    void escape();
    void emit_atom(const Atom& atom);
    void emit_word_boundary(bool negated);
    // regex_class.cpp
    std::string read_class();
    Atom read_class_atom();
    std::string read_range(const Atom& first);
    Atom read_posix_class();
    // regex_escape.cpp
    Atom read_escape(bool in_class);
    Atom read_property(bool negated);
    char32_t read_hex(int min_digits, int max_digits);
    char32_t read_octal(int max_digits);
    Atom set_atom(char letter) const;

    bool python() const { return dialect_ == Regex::Dialect::python; }
    bool at_end() const { return pos_ >= in_.size(); }
    char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < in_.size() ? in_[pos_ + ahead] : '\0';
    }
    bool looking_at(std::string_view text) const { return in_.substr(pos_).starts_with(text); }
    std::string_view read_until(char end);
    [[noreturn]] void fail(const std::string& fact) const;

    std::string_view in_;
    Regex::Dialect dialect_;
    std::size_t pos_ = 0;
    std::string out_;
    std::size_t atom_begin_ = 0;  ///< where the last quantifiable item starts in out_
    std::vector<Group> groups_;
    bool extended_ = false, ascii_ = false;
    int class_depth_ = 0;
};

/// The inside of a PCRE2 class for a property or POSIX class as Oniguruma names it ("L", "Letter",
/// "Han", "alpha"); "" if it is unknown.
std::string property_set(std::string_view name);

/// One code point as PCRE2 writes it anywhere: \x{41}.
std::string hex_character(char32_t code_point);

}  // namespace muster
