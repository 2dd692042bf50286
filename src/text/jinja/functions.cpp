#include "functions.h"

#include <algorithm>

#include "any_text.h"
#include "evaluator.h"
#include "iteration.h"
#include "methods.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "namespace.h"
#include "operators.h"
#include "strftime.h"

namespace muster::jinja {

namespace {

constexpr std::int64_t kMaxRange = 1'000'000;
constexpr std::int64_t kFar = std::int64_t{1} << 62;

using FunctionCode = Any (*)(Evaluator&, const Arguments&);

class Function final : public Thing {
 public:
    explicit Function(FunctionCode code) : code_(code) {}
    bool callable() const override { return true; }
    Any call(Evaluator& evaluator, const Arguments& arguments) override {
        return code_(evaluator, arguments);
    }
    std::string_view type() const override { return "function"; }

 private:
    FunctionCode code_;
};

class BoundMethod final : public Thing {
 public:
    BoundMethod(const Any& object, Method method) : object_(object), method_(method) {}
    bool callable() const override { return true; }
    Any call(Evaluator& evaluator, const Arguments& arguments) override {
        return call_method(evaluator, object_, method_, arguments);
    }
    std::string_view type() const override { return "builtin_function_or_method"; }

 private:
    Any object_;
    Method method_;
};

/// joiner(separator): "" when first called, then the separator.
class Joiner final : public Thing {
 public:
    explicit Joiner(std::string_view separator) : separator_(separator) {}
    bool callable() const override { return true; }
    Any call(Evaluator&, const Arguments&) override {
        return Any(std::exchange(used_, true) ? separator_ : std::string_view());
    }
    std::string_view type() const override { return "Joiner"; }

 private:
    std::string_view separator_;
    bool used_ = false;
};

/// cycler(a, b, …) with next(), reset() and current.
class Cycler final : public Thing {
 public:
    explicit Cycler(std::pmr::vector<Any> items) : items_(std::move(items)) {}
    std::string_view type() const override { return "Cycler"; }
    bool attribute(Evaluator& evaluator, std::string_view name, Any& out) override;
    Any step(bool reset) {
        const Any current = items_[pos_];
        pos_ = reset ? 0 : (pos_ + 1) % items_.size();
        return reset ? Any() : current;
    }

 private:
    std::pmr::vector<Any> items_;
    std::size_t pos_ = 0;
};

class CyclerMethod final : public Thing {
 public:
    CyclerMethod(Cycler& cycler, bool reset) : cycler_(cycler), reset_(reset) {}
    bool callable() const override { return true; }
    Any call(Evaluator&, const Arguments&) override { return cycler_.step(reset_); }
    std::string_view type() const override { return "method"; }

 private:
    Cycler& cycler_;
    bool reset_;
};

bool Cycler::attribute(Evaluator& evaluator, std::string_view name, Any& out) {
    if (name == "current") {
        out = items_[pos_];
    } else if (name == "next" || name == "reset") {
        out =
            Any(static_cast<Thing*>(evaluator.arena().make<CyclerMethod>(*this, name == "reset")));
    } else {
        return false;
    }
    return true;
}

Any call_range(Evaluator& evaluator, const Arguments& arguments) {
    const Bound bound("range", arguments, {"start", "stop", "step"}, 1);
    const std::int64_t first = bound.has(1) ? bound.integer(0) : 0;
    const std::int64_t stop = bound.has(1) ? bound.integer(1) : bound.integer(0);
    const std::int64_t step = bound.integer(2, 1);
    if (step == 0) throw UserError("range() step must not be zero");
    std::pmr::vector<Any> items = evaluator.arena().items();
    // Enough for a small step; numbers that overflow are far more than the limit.
    std::int64_t distance = 0;
    if (!__builtin_sub_overflow(stop, first, &distance) && (distance > 0) == (step > 0) &&
        distance > -kFar) {
        items.reserve(static_cast<std::size_t>(std::min(distance / step + 1, kMaxRange)));
    }
    for (std::int64_t i = first; step > 0 ? i < stop : i > stop;) {
        if (items.size() >= static_cast<std::size_t>(kMaxRange)) {
            throw UserError(cat("range() of more than ", format_count(kMaxRange), " numbers"));
        }
        items.push_back(Any(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    evaluator.arena().charge(items.size() / 8);
    return Any(evaluator.arena().make<Sequence>(std::move(items),
                                                std::array<std::int64_t, 3>{first, stop, step}));
}

/// Fills `target` as dict(…) does: a mapping or pairs, then name=value.
template <typename Set>
void fill(Evaluator& evaluator, const Arguments& arguments, std::string_view callee, Set set) {
    Arena& arena = evaluator.arena();
    if (arguments.positional.size() > 1)
        throw UserError(cat(callee, "() takes one dict or list of pairs"));
    for (const Any& source : arguments.positional) {
        require_defined(source);
        if (source.is_mapping()) {
            for (std::size_t i = 0; i < source.mapping().size(); ++i) {
                set(source.mapping().key(i), source.mapping().value(arena, i));
            }
            continue;
        }
        for (const Any& pair : collect(arena, source)) {
            const std::pmr::vector<Any> parts = collect(arena, pair);
            if (parts.size() != 2) throw UserError(cat(callee, "() needs pairs of key and value"));
            set(parts[0], parts[1]);
        }
    }
    for (const auto& [name, value] : arguments.named) set(Any(name), value);
}

Any call_namespace(Evaluator& evaluator, const Arguments& arguments) {
    Namespace* const space = evaluator.arena().make<Namespace>(evaluator.arena());
    fill(evaluator, arguments, "namespace", [&](const Any& key, const Any& value) {
        if (!key.is_text()) throw UserError("namespace() needs strings as names");
        space->set(key.text(), value);
    });
    return Any(static_cast<Thing*>(space));
}

Any call_dict(Evaluator& evaluator, const Arguments& arguments) {
    Mapping* const mapping = evaluator.arena().make<Mapping>(evaluator.arena().memory());
    fill(evaluator, arguments, "dict",
         [&](const Any& key, const Any& value) { mapping->set(evaluator.arena(), key, value); });
    return Any(mapping);
}

Any call_joiner(Evaluator& evaluator, const Arguments& arguments) {
    const Bound bound("joiner", arguments, {"sep"});
    return Any(static_cast<Thing*>(evaluator.arena().make<Joiner>(bound.text(0, ", "))));
}

Any call_cycler(Evaluator& evaluator, const Arguments& arguments) {
    if (arguments.positional.empty()) throw UserError("cycler() needs at least one value");
    Arena& arena = evaluator.arena();
    return Any(static_cast<Thing*>(
        arena.make<Cycler>(std::pmr::vector<Any>(arguments.positional, arena.memory()))));
}

Any call_raise_exception(Evaluator& evaluator, const Arguments& arguments) {
    const Bound bound("raise_exception", arguments, {"message"}, 1);
    throw UserError(to_text(evaluator.arena(), bound.any(0)));
}

Any call_strftime_now(Evaluator& evaluator, const Arguments& arguments) {
    const Bound bound("strftime_now", arguments, {"format"}, 1);
    const std::string& now = evaluator.options().now;
    if (now.empty()) {
        throw UserError(
            "strftime_now() puts today's date into the prompt; set a date, so that the result can "
            "be repeated");
    }
    return evaluator.arena().text(format_date(now, bound.text(0)));
}

constexpr std::pair<std::string_view, FunctionCode> kFunctions[] = {
    {"range", call_range},
    {"namespace", call_namespace},
    {"dict", call_dict},
    {"joiner", call_joiner},
    {"cycler", call_cycler},
    {"raise_exception", call_raise_exception},
    {"strftime_now", call_strftime_now},
};

}  // namespace

bool find_function(Evaluator& evaluator, std::string_view name, Any& out) {
    for (const auto& [known, code] : kFunctions) {
        if (known != name) continue;
        out = Any(static_cast<Thing*>(evaluator.arena().make<Function>(code)));
        return true;
    }
    return false;
}

Any bound_method(Evaluator& evaluator, const Any& object, Method method) {
    return Any(static_cast<Thing*>(evaluator.arena().make<BoundMethod>(object, method)));
}

std::string Namespace::repr(Arena& arena, int depth) {
    std::string out = "<Namespace ";
    append_repr(arena, out, Any(&members_), depth + 1);
    return out + ">";
}

}  // namespace muster::jinja
