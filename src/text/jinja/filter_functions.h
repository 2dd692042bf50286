#pragma once
// What the filters do; the table is in filters.cpp. Semantics from jinja2 3.1.6 filters.py.

#include <optional>
#include <string>

#include "arguments.h"

namespace muster::jinja {

class Evaluator;

using FilterCode = Any(Evaluator& evaluator, const Any& input, const Arguments& arguments);

// filters_text.cpp
FilterCode filter_capitalize, filter_center, filter_escape, filter_format, filter_indent,
    filter_lower, filter_regex_replace, filter_replace, filter_string, filter_title, filter_tojson,
    filter_trim, filter_truncate, filter_upper, filter_wordcount;
// filters_number.cpp
FilterCode filter_abs, filter_float, filter_int, filter_round;
// filters_sequence.cpp
FilterCode filter_attr, filter_batch, filter_default, filter_first, filter_items, filter_join,
    filter_last, filter_length, filter_list, filter_map, filter_reject, filter_rejectattr,
    filter_reverse, filter_select, filter_selectattr, filter_slice, filter_sum;
// filters_order.cpp
FilterCode filter_dictsort, filter_groupby, filter_max, filter_min, filter_sort, filter_unique;

/// The value at an attribute path: "name", "a.b.0", an integer; none is the item itself.
class AttributePath {
 public:
    AttributePath(Evaluator& evaluator, const Any& path);
    Any of(const Any& item) const;

 private:
    Evaluator& evaluator_;
    std::pmr::vector<Any> parts_;
};

}  // namespace muster::jinja
