#pragma once
// The `loop` variable (jinja2 3.1.6 runtime.py, LoopContext). Items are fetched one by one, so that
// a loop's filter sees what the body has done; only `loop.length` of a filtered loop runs ahead.

#include "evaluator.h"
#include "iteration.h"

namespace muster::jinja {

class Loop final : public Thing {
 public:
    Loop(Evaluator& evaluator, const ForStatement& node, const Any& iterable, Scope* outer,
         std::int64_t depth0);

    /// True and the next item in `out`, or false at the end.
    bool advance(Any& out);
    bool never_ran() const { return index0_ < 0; }

    bool attribute(Evaluator& evaluator, std::string_view name, Any& out) override;
    bool callable() const override { return true; }
    /// loop(items) of a recursive loop: the loop's output for `items`.
    Any call(Evaluator& evaluator, const Arguments& arguments) override;
    std::string_view type() const override { return "LoopContext"; }

    /// loop.cycle(a, b, …) and loop.changed(…).
    Any cycle(const Arguments& arguments) const;
    Any changed(const Arguments& arguments);

 private:
    bool fetch(Any& out);
    bool peek();
    std::int64_t length();

    Evaluator& evaluator_;
    const ForStatement& node_;
    Any iterable_;
    Scope* outer_;
    Cursor cursor_;
    std::int64_t depth0_, index0_ = -1, length_ = -1;
    bool has_after_ = false, ran_ahead_ = false;
    Any before_, current_, after_;
    std::pmr::vector<Any> ahead_;
    std::size_t next_ahead_ = 0;
    Sequence* last_changed_ = nullptr;
};

}  // namespace muster::jinja
