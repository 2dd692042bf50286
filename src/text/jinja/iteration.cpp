#include "iteration.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "operators.h"

namespace muster::jinja {

namespace {

/// The bounds of a slice as CPython's PySlice_AdjustIndices computes them.
struct SliceBounds {
    std::int64_t start, stop, step;

    SliceBounds(std::int64_t size, const Any& from, const Any& to, const Any& by) {
        step = by.is_none() ? 1 : index_of(by);
        if (step == 0) throw UserError("slice step cannot be zero");
        const std::int64_t lowest = step < 0 ? -1 : 0, highest = step < 0 ? size - 1 : size;
        start = from.is_none() ? (step < 0 ? highest : lowest)
                               : adjust(index_of(from), size, lowest, highest);
        stop = to.is_none() ? (step < 0 ? lowest : highest)
                            : adjust(index_of(to), size, lowest, highest);
    }

    static std::int64_t index_of(const Any& value) {
        require_defined(value);
        if (!value.is_integral()) {
            throw UserError(
                cat("slice bounds must be integers or none, got '", type_name(value), "'"));
        }
        return value.integer();
    }

    static std::int64_t adjust(std::int64_t index, std::int64_t size, std::int64_t lowest,
                               std::int64_t highest) {
        if (index < 0) index = index < -size ? lowest : index + size;
        return std::clamp(index, lowest, highest);
    }

    /// Calls `visit` with each index.
    template <typename Visit>
    void each(Visit visit) const {
        if (step > 0) {
            for (std::int64_t i = start; i < stop; i += std::min(step, stop - i)) visit(i);
        } else {
            for (std::int64_t i = start; i > stop; i += std::max(step, stop - i)) visit(i);
        }
    }
};

/// Byte offsets of the characters of `text`, the end included.
std::vector<std::size_t> character_offsets(std::string_view text) {
    std::vector<std::size_t> offsets;
    offsets.reserve(text.size() + 1);
    for (std::size_t pos = 0; pos < text.size();) {
        offsets.push_back(pos);
        next_code_point(text, pos);
    }
    offsets.push_back(text.size());
    return offsets;
}

Any slice_text(Arena& arena, std::string_view text, const Any& start, const Any& stop,
               const Any& step) {
    const std::vector<std::size_t> offsets = character_offsets(text);
    arena.charge(offsets.size() / 16);
    const SliceBounds bounds(static_cast<std::int64_t>(offsets.size()) - 1, start, stop, step);
    if (bounds.step == 1) {  // a view of the same bytes
        if (bounds.start >= bounds.stop) return Any(std::string_view());
        const std::size_t begin = offsets[static_cast<std::size_t>(bounds.start)];
        return Any(text.substr(begin, offsets[static_cast<std::size_t>(bounds.stop)] - begin));
    }
    std::string out;
    bounds.each([&](std::int64_t i) {
        const std::size_t k = static_cast<std::size_t>(i);
        out += text.substr(offsets[k], offsets[k + 1] - offsets[k]);
    });
    return arena.text(out);
}

}  // namespace

Cursor::Cursor(Arena& arena, const Any& source) : arena_(&arena), source_(source) {
    if (!is_iterable(source))
        throw UserError(cat("'", type_name(source), "' object is not iterable"));
    empty_ = source.is_undefined() || (source.is_sequence() && !source.sequence().take_once());
}

bool Cursor::next(Any& out) {
    if (empty_) return false;
    if (source_.is_sequence()) {
        if (pos_ >= source_.sequence().size()) return false;
        out = source_.sequence().at(*arena_, pos_++);
        return true;
    }
    if (source_.is_mapping()) {
        if (pos_ >= source_.mapping().size()) return false;
        out = source_.mapping().key(pos_++);
        return true;
    }
    const std::string_view text = source_.text();
    if (pos_ >= text.size()) return false;
    const std::size_t begin = pos_;
    next_code_point(text, pos_);
    out = Any(text.substr(begin, pos_ - begin));
    return true;
}

bool is_iterable(const Any& value) {
    require_lenient(value);
    return value.is_sequence() || value.is_mapping() || value.is_text() || value.is_undefined();
}

std::pmr::vector<Any> collect(Arena& arena, const Any& value) {
    std::pmr::vector<Any> items = arena.items();
    if (value.is_sequence()) items.reserve(value.sequence().size());
    Cursor cursor(arena, value);
    for (Any item; cursor.next(item);) {
        arena.charge(1);
        items.push_back(item);
    }
    return items;
}

std::int64_t length(const Any& value) {
    require_lenient(value);
    if (value.is_undefined()) return 0;
    if (value.is_text()) return static_cast<std::int64_t>(count_code_points(value.text()));
    if (value.is_mapping()) return static_cast<std::int64_t>(value.mapping().size());
    if (value.is_sequence() && value.sequence().kind() != Sequence::Kind::generator) {
        return static_cast<std::int64_t>(value.sequence().size());
    }
    throw UserError(cat("object of type '", type_name(value), "' has no length",
                        value.is_sequence() ? "; apply |list first" : ""));
}

Any slice(Arena& arena, const Any& value, const Any& start, const Any& stop, const Any& step) {
    require_defined(value);
    if (value.is_text()) return slice_text(arena, value.text(), start, stop, step);
    const bool sliceable = value.is_sequence() && value.sequence().kind() <= Sequence::Kind::range;
    if (!sliceable) throw UserError(cat("'", type_name(value), "' object cannot be sliced"));
    const Sequence& sequence = value.sequence();
    const SliceBounds bounds(static_cast<std::int64_t>(sequence.size()), start, stop, step);
    std::pmr::vector<Any> items = arena.items();
    bounds.each([&](std::int64_t i) {
        arena.charge(1);
        items.push_back(sequence.at(arena, static_cast<std::size_t>(i)));
    });
    return sequence.is_tuple() ? arena.tuple(std::move(items)) : arena.list(std::move(items));
}

bool character_at(std::string_view text, std::int64_t index, std::string_view& out) {
    if (index < 0) index += static_cast<std::int64_t>(count_code_points(text));
    if (index < 0) return false;
    for (std::size_t pos = 0; pos < text.size(); --index) {
        const std::size_t begin = pos;
        next_code_point(text, pos);
        if (index == 0) {
            out = text.substr(begin, pos - begin);
            return true;
        }
    }
    return false;
}

}  // namespace muster::jinja
