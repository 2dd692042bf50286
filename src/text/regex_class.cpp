// Character classes. PCRE2 has no nested classes and no intersections: `[a[bc]]` becomes an
// alternation, `[A&&B]` a look-ahead, and complements of sets inside a class become alternatives.

#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "regex_translate.h"

namespace muster {
namespace {

constexpr int kMaxClassDepth = 50;

/// One operand of an intersection: the inside of a plain class plus patterns of one character each.
struct Operand {
    std::string set;
    std::vector<std::string> alternatives;

    bool plain() const { return alternatives.empty(); }
    std::string pattern() const {
        if (plain()) return set.empty() ? "(?!)" : cat("[", set, "]");
        const std::string first = set.empty() ? "" : cat("[", set, "]|");
        return cat("(?:", first, join(alternatives, "|"), ")");
    }
};

std::string combine(const std::vector<Operand>& operands, bool negated) {
    if (operands.size() == 1 && operands[0].plain() && !operands[0].set.empty()) {
        return cat(negated ? "[^" : "[", operands[0].set, "]");
    }
    std::string all;
    for (std::size_t i = 0; i + 1 < operands.size(); i++) {
        all += cat("(?=", operands[i].pattern(), ")");
    }
    all += operands.back().pattern();
    return negated ? cat("(?:(?!", all, ")(?s:.))") : cat("(?:", all, ")");
}

}  // namespace

/// Reads from '[' to its ']' and returns a pattern that matches one character.
std::string PatternTranslator::read_class() {
    if (++class_depth_ > kMaxClassDepth) fail("classes are nested too deeply");
    pos_++;
    const bool negated = peek() == '^';
    if (negated) pos_++;
    std::vector<Operand> operands(1);
    bool first = true;
    while (first || peek() != ']') {
        if (at_end()) fail("unterminated character class");
        if (!python() && looking_at("&&")) {
            operands.emplace_back();
            pos_ += 2;
        } else if (!python() && peek() == '[' && peek(1) != ':') {
            operands.back().alternatives.push_back(read_class());
        } else {
            const Atom atom = read_class_atom();
            if (!atom.negated) {
                operands.back().set += read_range(atom);
            } else {
                operands.back().alternatives.push_back(cat("[^", atom.set, "]"));
            }
        }
        first = false;
    }
    pos_++;
    class_depth_--;
    return combine(operands, negated);
}

PatternTranslator::Atom PatternTranslator::read_class_atom() {
    if (peek() == '\\') return read_escape(true);
    if (!python() && looking_at("[:")) return read_posix_class();
    Atom atom;
    atom.character = next_code_point(in_, pos_);
    return atom;
}

/// The inside of a class for `first`, or for the range that starts with it.
std::string PatternTranslator::read_range(const Atom& first) {
    const std::string begin = first.set.empty() ? hex_character(first.character) : first.set;
    if (peek() != '-' || peek(1) == ']' || peek(1) == '\0') return begin;
    if (!python() && (peek(1) == '[' || in_.substr(pos_ + 1).starts_with("&&"))) return begin;
    const std::size_t hyphen = pos_++;
    const Atom last = read_class_atom();
    if (first.set.empty() && last.set.empty()) {
        if (last.character < first.character) fail("a character range runs backwards");
        return cat(begin, "-", hex_character(last.character));
    }
    if (python()) fail("a character range needs single characters at both ends");
    pos_ = hyphen + 1;  // Ruby: the hyphen is a plain character
    return begin + "\\-";
}

PatternTranslator::Atom PatternTranslator::read_posix_class() {
    pos_ += 2;
    Atom atom;
    atom.negated = peek() == '^';
    if (atom.negated) pos_++;
    const std::string_view name = read_until(':');
    if (peek() != ']') fail("a POSIX class must end in :]");
    pos_++;
    atom.set = property_set(name);
    if (atom.set.empty()) fail(cat("unknown POSIX class \"", name, "\""));
    return atom;
}

}  // namespace muster
