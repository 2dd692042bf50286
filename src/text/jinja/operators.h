#pragma once
// Python's operators on values of a template.

#include "any.h"

namespace muster::jinja {

/// bool(value). Throws UserError for a strict undefined, as everything here does.
bool truth(const Any& value);
/// a == b: numbers by value, texts, lists, tuples and dicts by their items.
bool equal(Arena& arena, const Any& a, const Any& b);
/// a < b for numbers, texts and sequences of them; throws UserError otherwise.
bool less(Arena& arena, const Any& a, const Any& b);
/// a <= b.
bool less_equal(Arena& arena, const Any& a, const Any& b);
/// item in container.
bool contains(Arena& arena, const Any& container, const Any& item);

enum class Arithmetic { add, subtract, multiply, divide, floor_divide, modulo, power };
/// a + b and so on. Integers have 64 bits; an overflow throws UserError.
Any calculate(Arena& arena, Arithmetic op, const Any& a, const Any& b);
Any negate(const Any& value);
/// Throws "'x' is undefined" if `value` is.
void require_defined(const Any& value);
/// The same for strict undefined values only.
inline void require_lenient(const Any& value) {
    if (value.is_undefined() && value.strict()) require_defined(value);
}

}  // namespace muster::jinja
