#pragma once
// namespace(): the one object whose attributes a template may set.

#include "any.h"

namespace muster::jinja {

class Namespace final : public Thing {
 public:
    explicit Namespace(Arena& arena) : arena_(arena), members_(arena.memory()) {}

    /// `name` must outlive the render.
    void set(std::string_view name, const Any& value) { members_.set(arena_, Any(name), value); }
    bool attribute(Evaluator&, std::string_view name, Any& out) override {
        return members_.find(arena_, Any(name), out);
    }
    std::string_view type() const override { return "Namespace"; }
    std::string repr(Arena& arena, int depth) override;

 private:
    Arena& arena_;
    Mapping members_;
};

}  // namespace muster::jinja
