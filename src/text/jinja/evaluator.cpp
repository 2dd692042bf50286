#include "evaluator.h"

#include "any_text.h"
#include "iteration.h"
#include "loop.h"
#include "macro.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "namespace.h"
#include "operators.h"

namespace muster::jinja {

namespace {

constexpr std::size_t kMaxOutput = std::size_t{64} << 20;
constexpr int kMaxDepth = 900;

}  // namespace

const Any* Scope::find(Symbol symbol) const {
    for (const auto& [key, value] : variables_) {
        if (key == symbol) return &value;
    }
    return nullptr;
}

void Scope::set(Symbol symbol, const Any& value) {
    for (auto& [key, old] : variables_) {
        if (key == symbol) {
            old = value;
            return;
        }
    }
    variables_.emplace_back(symbol, value);
}

void Scope::capture() {
    for (Scope* scope = this; scope && !scope->captured_; scope = scope->parent_)
        scope->captured_ = true;
}

Evaluator::Depth::Depth(Evaluator& evaluator) : evaluator_(evaluator) {
    if (++evaluator_.depth_ > kMaxDepth) {
        --evaluator_.depth_;
        throw UserError(cat("nested deeper than ", kMaxDepth,
                            " levels; is there a macro that calls itself without end?"));
    }
}

Evaluator::Evaluator(const Program& program, const Object& context)
    : program_(program), context_(context), globals_(arena_.memory()) {
    globals_.resize(program.symbols.size());
}

std::string Evaluator::run() {
    std::string out;
    out_ = &out;
    scope_ = new_scope(nullptr);
    try {
        run_body(program_.body);
    } catch (const UserError& error) {
        fail_at(program_.place, position_, error.what());
    }
    return out;
}

void Evaluator::write(std::string_view text) {
    if (text.size() > kMaxOutput - out_->size())
        throw UserError("the output is larger than 64 MiB");
    *out_ += text;
}

Evaluator::Flow Evaluator::run_body(const Body& body) {
    const Depth depth(*this);
    for (const Statement& statement : body) {
        position_ = statement.position;
        arena_.charge(1);
        const Flow flow =
            std::visit([this](const auto& node) { return run(node); }, statement.node);
        if (flow != Flow::next) return flow;
    }
    return Flow::next;
}

Evaluator::Flow Evaluator::run_in_scope(const Body& body, Scope* scope) {
    Scope* const outer = std::exchange(scope_, scope);
    const Flow flow = run_body(body);
    scope_ = outer;
    return flow;
}

Evaluator::Flow Evaluator::run(const DataStatement& node) {
    write(node.text);
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const PrintStatement& node) {
    const Any value = evaluate(*node.value);
    position_ = node.value->position;
    if (value.is_text()) {
        write(value.text());
    } else {
        write(to_text(arena_, value));
    }
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const IfStatement& node) {
    for (const auto& [test, body] : node.branches) {
        if (truth(evaluate(*test))) return run_body(body);
    }
    return run_body(node.otherwise);
}

Evaluator::Flow Evaluator::run(const ForStatement& node) {
    const Any iterable = evaluate(*node.iterable);
    if (node.recursive) {
        write(capture([&] { run_loop(node, iterable, scope_, 0); }).text());
    } else {
        run_loop(node, iterable, scope_, 0);
    }
    return Flow::next;
}

void Evaluator::run_loop(const ForStatement& node, const Any& iterable, Scope* outer,
                         std::int64_t depth0) {
    const Depth depth(*this);
    Loop* const loop = arena_.make<Loop>(*this, node, iterable, outer, depth0);
    Scope* const before = scope_;
    Scope* scope = nullptr;
    for (Any item; loop->advance(item);) {
        arena_.charge(1);
        if (!scope || scope->captured()) {
            scope = new_scope(outer);
        } else {
            scope->clear();
        }
        scope->set(kLoopSymbol, Any(static_cast<Thing*>(loop)));
        scope_ = scope;
        assign(node.target, item);
        const Flow flow = run_body(node.body);
        if (flow == Flow::leave) break;
    }
    scope_ = before;
    if (loop->never_ran()) run_in_scope(node.otherwise, new_scope(outer));
}

bool Evaluator::passes_filter(const ForStatement& node, const Any& item, Scope* outer) {
    if (!node.filter) return true;
    Scope* const before = std::exchange(scope_, new_scope(outer));
    assign(node.target, item);
    const bool passes = truth(evaluate(*node.filter));
    scope_ = before;
    return passes;
}

Evaluator::Flow Evaluator::run(const SetStatement& node) {
    const Any value = evaluate(*node.value);
    assign(node.target, value);
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const SetBlockStatement& node) {
    Any value = capture([&] { run_in_scope(node.body, new_scope(scope_)); });
    if (node.filter) {
        filter_input_ = value;
        value = evaluate(*node.filter);
    }
    assign(node.target, value);
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const WithStatement& node) {
    Scope* const inner = new_scope(scope_);
    for (const auto& [target, value] : node.assignments) {
        const Any evaluated = evaluate(*value);
        Scope* const outer = std::exchange(scope_, inner);
        assign(target, evaluated);
        scope_ = outer;
    }
    return run_in_scope(node.body, inner);
}

Evaluator::Flow Evaluator::run(const MacroStatement& node) {
    scope_->capture();
    scope_->set(node.symbol, Any(static_cast<Thing*>(arena_.make<Macro>(node, scope_))));
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const CallBlockStatement& node) {
    scope_->capture();
    const Any caller(static_cast<Thing*>(arena_.make<Macro>(node.caller, scope_)));
    const Any value = eval_call(std::get<CallExpr>(node.call->node), &caller);
    write(text_view(arena_, value));
    return Flow::next;
}

Evaluator::Flow Evaluator::run(const FilterBlockStatement& node) {
    const Any body = capture([&] { run_in_scope(node.body, new_scope(scope_)); });
    filter_input_ = body;
    const Any value = evaluate(*node.filter);
    write(text_view(arena_, value));
    return Flow::next;
}

void Evaluator::assign(const Target& target, const Any& value) {
    position_ = target.position;
    if (target.is_tuple) {
        assign_parts(target, value);
    } else if (target.attribute.empty()) {
        scope_->set(target.symbol, value);
    } else {
        const Any object = eval(NameExpr{target.symbol});
        Namespace* const space =
            object.is_thing() ? dynamic_cast<Namespace*>(&object.thing()) : nullptr;
        if (!space)
            throw UserError(cat("cannot assign to an attribute of '", type_name(object),
                                "'; expected a namespace()"));
        if (options().sandboxed && target.attribute.starts_with('_')) {
            throw UserError(cat("a namespace cannot hold '", target.attribute,
                                "'; names that start with _ are refused"));
        }
        space->set(target.attribute, value);
    }
}

void Evaluator::assign_parts(const Target& target, const Any& value) {
    require_defined(value);
    const std::pmr::vector<Any> items = collect(arena_, value);
    if (items.size() != target.parts.size()) {
        throw UserError(cat(items.size() < target.parts.size() ? "not enough" : "too many",
                            " values to unpack: expected ", target.parts.size(), ", got ",
                            items.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
}

Any Evaluator::call_macro(const MacroStatement& macro, Scope* closure, const Arguments& arguments) {
    const Depth depth(*this);
    Scope* const scope = new_scope(closure);
    Scope* const outer = std::exchange(scope_, scope);
    MacroBinder(*this, macro, arguments).bind(*scope, [this](const Expr& expr) {
        return evaluate(expr);
    });
    const Any text = capture([&] { run_body(macro.body); });
    scope_ = outer;
    return text;
}

}  // namespace muster::jinja
