#include "loop.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "operators.h"

namespace muster::jinja {

namespace {

class LoopMethod final : public Thing {
 public:
    LoopMethod(Loop& loop, bool cycle) : loop_(loop), cycle_(cycle) {}
    bool callable() const override { return true; }
    Any call(Evaluator&, const Arguments& arguments) override {
        return cycle_ ? loop_.cycle(arguments) : loop_.changed(arguments);
    }
    std::string_view type() const override { return "method"; }

 private:
    Loop& loop_;
    bool cycle_;
};

}  // namespace

Loop::Loop(Evaluator& evaluator, const ForStatement& node, const Any& iterable, Scope* outer,
           std::int64_t depth0)
    : evaluator_(evaluator),
      node_(node),
      iterable_(iterable),
      outer_(outer),
      cursor_(evaluator.arena(), iterable),
      depth0_(depth0),
      ahead_(evaluator.arena().memory()) {}

bool Loop::fetch(Any& out) {
    if (ran_ahead_) {
        if (next_ahead_ >= ahead_.size()) return false;
        out = ahead_[next_ahead_++];
        return true;
    }
    while (cursor_.next(out)) {
        if (evaluator_.passes_filter(node_, out, outer_)) return true;
        evaluator_.arena().charge(1);
    }
    return false;
}

bool Loop::peek() {
    if (!has_after_) has_after_ = fetch(after_);
    return has_after_;
}

bool Loop::advance(Any& out) {
    if (has_after_) {
        out = after_;
        has_after_ = false;
    } else if (!fetch(out)) {
        return false;
    }
    ++index0_;
    before_ = current_;
    current_ = out;
    return true;
}

std::int64_t Loop::length() {
    if (length_ >= 0) return length_;
    const bool sized = !node_.filter && !(iterable_.is_sequence() &&
                                          iterable_.sequence().kind() == Sequence::Kind::generator);
    if (sized) return length_ = jinja::length(iterable_);
    for (Any item; fetch(item);) ahead_.push_back(item);
    ran_ahead_ = true;
    return length_ = static_cast<std::int64_t>(ahead_.size()) + index0_ + 1 + (has_after_ ? 1 : 0);
}

bool Loop::attribute(Evaluator& evaluator, std::string_view name, Any& out) {
    if (name == "index") {
        out = Any(index0_ + 1);
    } else if (name == "index0") {
        out = Any(index0_);
    } else if (name == "first") {
        out = Any(index0_ == 0);
    } else if (name == "last") {
        out = Any(!peek());
    } else if (name == "length") {
        out = Any(length());
    } else if (name == "revindex") {
        out = Any(length() - index0_);
    } else if (name == "revindex0") {
        out = Any(length() - index0_ - 1);
    } else if (name == "depth") {
        out = Any(depth0_ + 1);
    } else if (name == "depth0") {
        out = Any(depth0_);
    } else if (name == "previtem") {
        out = index0_ == 0 ? evaluator.undefined("there is no previous item") : before_;
    } else if (name == "nextitem") {
        out = peek() ? after_ : evaluator.undefined("there is no next item");
    } else if (name == "cycle" || name == "changed") {
        out = Any(static_cast<Thing*>(evaluator.arena().make<LoopMethod>(*this, name == "cycle")));
    } else {
        return false;
    }
    return true;
}

Any Loop::call(Evaluator& evaluator, const Arguments& arguments) {
    if (!node_.recursive) {
        throw UserError("the loop must have the 'recursive' marker to be called recursively");
    }
    const Bound bound("loop", arguments, {"iterable"}, 1);
    return evaluator.capture([&] { evaluator.run_loop(node_, bound.any(0), outer_, depth0_ + 1); });
}

Any Loop::cycle(const Arguments& arguments) const {
    if (arguments.positional.empty()) throw UserError("loop.cycle() needs at least one value");
    return arguments.positional[static_cast<std::size_t>(index0_) % arguments.positional.size()];
}

Any Loop::changed(const Arguments& arguments) {
    Arena& arena = evaluator_.arena();
    const Any now = arena.tuple(std::pmr::vector<Any>(arguments.positional, arena.memory()));
    const bool same = last_changed_ && equal(arena, now, Any(last_changed_));
    last_changed_ = &now.sequence();
    return Any(!same);
}

}  // namespace muster::jinja
