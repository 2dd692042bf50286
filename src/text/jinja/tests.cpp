#include "tests.h"

#include <algorithm>
#include <iterator>

#include "any_text.h"
#include "evaluator.h"
#include "filters.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "operators.h"
#include "string_methods.h"

namespace muster::jinja {

namespace {

/// The argument of a test that compares.
Any other(std::string_view test, const Arguments& arguments) {
    return Bound(test, arguments, {"other"}, 1).any(0);
}

std::int64_t remainder(Evaluator& evaluator, const Any& value, std::int64_t divisor) {
    const Any result = calculate(evaluator.arena(), Arithmetic::modulo, value, Any(divisor));
    if (result.is_real()) return result.real() == 0 ? 0 : result.real() == 1 ? 1 : 2;
    if (!result.is_integral())
        throw UserError(cat("expected a number, got '", type_name(value), "'"));
    return result.integer();
}

bool is_sequence(Evaluator&, const Any& v, const Arguments&) {
    if (v.is_undefined()) return !v.strict();
    if (v.is_sequence()) return v.sequence().kind() <= Sequence::Kind::range;
    return v.is_text() || v.is_mapping();
}

// One line per test: name and check.
constexpr Test kTests[] = {
    {"!=", [](Evaluator& e, const Any& v,
              const Arguments& a) { return !equal(e.arena(), v, other("!=", a)); }},
    {"<", [](Evaluator& e, const Any& v,
             const Arguments& a) { return less(e.arena(), v, other("<", a)); }},
    {"<=", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less_equal(e.arena(), v, other("<=", a)); }},
    {"==", [](Evaluator& e, const Any& v,
              const Arguments& a) { return equal(e.arena(), v, other("==", a)); }},
    {">", [](Evaluator& e, const Any& v,
             const Arguments& a) { return less(e.arena(), other(">", a), v); }},
    {">=", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less_equal(e.arena(), other(">=", a), v); }},
    {"boolean", [](Evaluator&, const Any& v, const Arguments&) { return v.is_boolean(); }},
    {"callable", [](Evaluator&, const Any& v,
                    const Arguments&) { return v.is_thing() && v.thing().callable(); }},
    {"defined", [](Evaluator&, const Any& v, const Arguments&) { return !v.is_undefined(); }},
    {"divisibleby",
     [](Evaluator& e, const Any& v, const Arguments& a) {
         return remainder(e, v, Bound("divisibleby", a, {"num"}, 1).integer(0)) == 0;
     }},
    {"eq", [](Evaluator& e, const Any& v,
              const Arguments& a) { return equal(e.arena(), v, other("eq", a)); }},
    {"equalto", [](Evaluator& e, const Any& v,
                   const Arguments& a) { return equal(e.arena(), v, other("equalto", a)); }},
    {"escaped", [](Evaluator&, const Any&, const Arguments&) { return false; }},
    {"even", [](Evaluator& e, const Any& v, const Arguments&) { return remainder(e, v, 2) == 0; }},
    {"false",
     [](Evaluator&, const Any& v, const Arguments&) { return v.is_boolean() && !v.boolean(); }},
    {"filter", [](Evaluator&, const Any& v,
                  const Arguments&) { return v.is_text() && find_filter(v.text()); }},
    {"float", [](Evaluator&, const Any& v, const Arguments&) { return v.is_real(); }},
    {"ge", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less_equal(e.arena(), other("ge", a), v); }},
    {"greaterthan", [](Evaluator& e, const Any& v,
                       const Arguments& a) { return less(e.arena(), other("greaterthan", a), v); }},
    {"gt", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less(e.arena(), other("gt", a), v); }},
    {"in", [](Evaluator& e, const Any& v,
              const Arguments& a) { return contains(e.arena(), other("in", a), v); }},
    {"integer", [](Evaluator&, const Any& v, const Arguments&) { return v.is_integer(); }},
    {"iterable", [](Evaluator&, const Any& v, const Arguments&) { return is_iterable(v); }},
    {"le", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less_equal(e.arena(), v, other("le", a)); }},
    {"lessthan", [](Evaluator& e, const Any& v,
                    const Arguments& a) { return less(e.arena(), v, other("lessthan", a)); }},
    {"lower", [](Evaluator& e, const Any& v,
                 const Arguments&) { return is_lower(text_view(e.arena(), v)); }},
    {"lt", [](Evaluator& e, const Any& v,
              const Arguments& a) { return less(e.arena(), v, other("lt", a)); }},
    {"mapping", [](Evaluator&, const Any& v, const Arguments&) { return v.is_mapping(); }},
    {"ne", [](Evaluator& e, const Any& v,
              const Arguments& a) { return !equal(e.arena(), v, other("ne", a)); }},
    {"none", [](Evaluator&, const Any& v, const Arguments&) { return v.is_none(); }},
    {"number", [](Evaluator&, const Any& v, const Arguments&) { return v.is_number(); }},
    {"odd", [](Evaluator& e, const Any& v, const Arguments&) { return remainder(e, v, 2) == 1; }},
    {"sameas",
     [](Evaluator&, const Any& v, const Arguments& a) { return v.same_as(other("sameas", a)); }},
    {"sequence", is_sequence},
    {"string", [](Evaluator&, const Any& v, const Arguments&) { return v.is_text(); }},
    {"test",
     [](Evaluator&, const Any& v, const Arguments&) { return v.is_text() && find_test(v.text()); }},
    {"true",
     [](Evaluator&, const Any& v, const Arguments&) { return v.is_boolean() && v.boolean(); }},
    {"undefined", [](Evaluator&, const Any& v, const Arguments&) { return v.is_undefined(); }},
    {"upper", [](Evaluator& e, const Any& v,
                 const Arguments&) { return is_upper(text_view(e.arena(), v)); }},
};

}  // namespace

const Test* find_test(std::string_view name) {
    for (const Test& test : kTests) {
        if (test.name == name) return &test;
    }
    return nullptr;
}

std::vector<std::string> test_names() {
    std::vector<std::string> names;
    for (const Test& test : kTests) names.emplace_back(test.name);
    return names;
}

}  // namespace muster::jinja
