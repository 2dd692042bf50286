#pragma once
// Python's iteration: lists and tuples give items, dicts keys, texts characters.

#include "any.h"

namespace muster::jinja {

class Cursor {
 public:
    /// Throws UserError if `source` cannot be iterated. A lenient undefined is empty.
    Cursor(Arena& arena, const Any& source);
    /// True and the next item in `out`, or false at the end.
    bool next(Any& out);

 private:
    Arena* arena_;
    Any source_;
    std::size_t pos_ = 0;
    bool empty_ = false;
};

/// True if Cursor accepts `value`; throws for a strict undefined.
bool is_iterable(const Any& value);
/// list(value) as items.
std::pmr::vector<Any> collect(Arena& arena, const Any& value);
/// len(value). Throws UserError if it has none.
std::int64_t length(const Any& value);
/// value[start:stop:step] of a text, list or tuple; none stands for an absent bound.
Any slice(Arena& arena, const Any& value, const Any& start, const Any& stop, const Any& step);
/// The `index`th character of `text` (negative from the end), or false.
bool character_at(std::string_view text, std::int64_t index, std::string_view& out);

}  // namespace muster::jinja
