#include "any_text.h"
#include "evaluator.h"
#include "functions.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "operators.h"

namespace muster::jinja {

Any Evaluator::evaluate(const Expr& expr) {
    const Depth depth(*this);
    position_ = expr.position;
    arena_.charge(1);
    return std::visit([this](const auto& node) { return eval(node); }, expr.node);
}

Any Evaluator::undefined(std::string_view message) {
    return Any::undefined(Missing::message, options().strict_undefined, arena_.keep(message));
}

Any Evaluator::eval(const NameExpr& node) {
    for (const Scope* scope = scope_; scope; scope = scope->parent()) {
        if (const Any* value = scope->find(node.symbol)) return *value;
    }
    return lookup_global(node.symbol);
}

Any Evaluator::lookup_global(Symbol symbol) {
    std::optional<Any>& cached = globals_[static_cast<std::size_t>(symbol)];
    if (!cached) {
        const std::string& name = program_.symbols[static_cast<std::size_t>(symbol)];
        Any value;
        if (const Value* member = context_.find(name)) {
            value = arena_.wrap(*member);
        } else if (!find_function(*this, name, value)) {
            value = Any::undefined(Missing::variable, options().strict_undefined, name);
        }
        cached = value;
    }
    return *cached;
}

Any Evaluator::attribute(const Any& object, std::string_view name, Method method) {
    require_defined(object);
    if (method && has_method(object, method)) return bound_method(*this, object, method);
    Any out;
    if (object.is_mapping() && object.mapping().find(arena_, Any(name), out)) return out;
    if (object.is_thing() && object.thing().attribute(*this, name, out)) return out;
    if (object.is_sequence() && object.sequence().kind() == Sequence::Kind::group) {
        if (name == "grouper") return object.sequence().at(arena_, 0);
        if (name == "list") return object.sequence().at(arena_, 1);
    }
    return Any::undefined(Missing::attribute, options().strict_undefined, name, type_name(object));
}

Any Evaluator::item(const Any& object, const Any& index) {
    require_defined(object);
    require_lenient(index);
    Any out;
    if (object.is_mapping() && object.mapping().find(arena_, index, out)) return out;
    if (index.is_text()) {
        const std::string_view name = index.text();
        if (const Method method = find_method(name); method && has_method(object, method)) {
            return bound_method(*this, object, method);
        }
        if (object.is_thing() && object.thing().attribute(*this, name, out)) return out;
        return Any::undefined(Missing::attribute, options().strict_undefined, name,
                              type_name(object));
    }
    if (index.is_integral()) {
        std::int64_t i = index.integer();
        if (object.is_text()) {
            std::string_view character;
            if (character_at(object.text(), i, character)) return Any(character);
        } else if (object.is_sequence() && object.sequence().kind() <= Sequence::Kind::range) {
            const std::int64_t size = static_cast<std::int64_t>(object.sequence().size());
            if (i < 0 && i >= -size) i += size;
            if (i >= 0 && i < size)
                return object.sequence().at(arena_, static_cast<std::size_t>(i));
        }
    }
    std::string message = object.is_none() ? "None" : cat(type_name(object), " object");
    message += " has no element ";
    append_repr(arena_, message, index);
    return undefined(message);
}

Any Evaluator::eval(const AttributeExpr& node) {
    return attribute(evaluate(*node.object), node.name, node.method);
}

Any Evaluator::eval(const SubscriptExpr& node) {
    const Any object = evaluate(*node.object);
    return item(object, evaluate(*node.index));
}

Any Evaluator::eval(const SliceExpr& node) {
    const Any object = evaluate(*node.object);
    const Any start = evaluate_or_none(node.start), stop = evaluate_or_none(node.stop),
              step = evaluate_or_none(node.step);
    return slice(arena_, object, start, stop, step);
}

Arguments Evaluator::eval_arguments(const CallArguments& source) {
    Arguments arguments(arena_);
    arguments.positional.reserve(source.positional.size());
    for (const ExprPtr& value : source.positional) arguments.positional.push_back(evaluate(*value));
    for (const auto& [name, value] : source.named)
        arguments.named.emplace_back(name, evaluate(*value));
    if (source.star) {
        const std::pmr::vector<Any> more = collect(arena_, evaluate(*source.star));
        arguments.positional.insert(arguments.positional.end(), more.begin(), more.end());
    }
    if (source.double_star) {
        const Any more = evaluate(*source.double_star);
        if (!more.is_mapping())
            throw UserError(cat("** needs a dict, got '", type_name(more), "'"));
        for (std::size_t i = 0; i < more.mapping().size(); ++i) {
            const Any key = more.mapping().key(i);
            if (!key.is_text()) throw UserError("** needs a dict with strings as keys");
            if (arguments.find_named(key.text()))
                throw UserError(cat("argument '", key.text(), "' given twice"));
            arguments.named.emplace_back(key.text(), more.mapping().value(arena_, i));
        }
    }
    return arguments;
}

Any Evaluator::eval_call(const CallExpr& node, const Any* caller) {
    const Position position = node.callee->position;
    // object.method(…) without making a value of the method
    if (const auto* attribute_node = std::get_if<AttributeExpr>(&node.callee->node);
        attribute_node && attribute_node->method && !caller) {
        const Any object = evaluate(*attribute_node->object);
        if (has_method(object, attribute_node->method)) {
            const Arguments arguments = eval_arguments(node.arguments);
            position_ = position;
            return call_method(*this, object, attribute_node->method, arguments);
        }
        const Any callee = attribute(object, attribute_node->name, attribute_node->method);
        const Arguments arguments = eval_arguments(node.arguments);
        position_ = position;
        return call(callee, arguments);
    }
    const Any callee = evaluate(*node.callee);
    Arguments arguments = eval_arguments(node.arguments);
    if (caller) arguments.named.emplace_back("caller", *caller);
    position_ = position;
    return call(callee, arguments);
}

Any Evaluator::call(const Any& callee, const Arguments& arguments) {
    require_defined(callee);
    if (!callee.is_thing())
        throw UserError(cat("'", type_name(callee), "' object is not callable"));
    return callee.thing().call(*this, arguments);
}

Any Evaluator::eval(const FilterExpr& node) {
    const Any input = node.input ? evaluate(*node.input) : filter_input_;
    const Position position = position_;
    if (!node.filter)
        throw UserError(
            cat("no filter named '", node.name, "'", did_you_mean(node.name, filter_names())));
    const Arguments arguments = eval_arguments(node.arguments);
    position_ = position;
    if (input.is_text()) arena_.charge(input.text().size() / 64);
    return node.filter->apply(*this, input, arguments);
}

Any Evaluator::eval(const TestExpr& node) {
    const Any input = evaluate(*node.input);
    if (!node.test)
        throw UserError(
            cat("no test named '", node.name, "'", did_you_mean(node.name, test_names())));
    const Arguments arguments = eval_arguments(node.arguments);
    return Any(node.test->check(*this, input, arguments));
}

Any Evaluator::apply_filter(std::string_view name, const Any& input, const Arguments& arguments) {
    const Filter* filter = find_filter(name);
    if (!filter)
        throw UserError(cat("no filter named '", name, "'", did_you_mean(name, filter_names())));
    return filter->apply(*this, input, arguments);
}

bool Evaluator::apply_test(std::string_view name, const Any& input, const Arguments& arguments) {
    const Test* test = find_test(name);
    if (!test) throw UserError(cat("no test named '", name, "'", did_you_mean(name, test_names())));
    return test->check(*this, input, arguments);
}

Any Evaluator::eval(const UnaryExpr& node) {
    const Any value = evaluate(*node.operand);
    if (node.negative) return negate(value);
    return negate(negate(value));
}

Any Evaluator::eval(const BinaryExpr& node) {
    const Any left = evaluate(*node.left);
    const Any right = evaluate(*node.right);
    return calculate(arena_, node.op, left, right);
}

Any Evaluator::eval(const LogicExpr& node) {
    const Any left = evaluate(*node.left);
    return truth(left) == node.is_and ? evaluate(*node.right) : left;
}

Any Evaluator::eval(const NotExpr& node) {
    return Any(!truth(evaluate(*node.operand)));
}

bool Evaluator::compare(Compare op, const Any& a, const Any& b) {
    switch (op) {
        case Compare::equal:
            return equal(arena_, a, b);
        case Compare::not_equal:
            return !equal(arena_, a, b);
        case Compare::less:
            return less(arena_, a, b);
        case Compare::greater:
            return less(arena_, b, a);
        case Compare::less_equal:
            return less_equal(arena_, a, b);
        case Compare::greater_equal:
            return less_equal(arena_, b, a);
        case Compare::in:
            return contains(arena_, b, a);
        case Compare::not_in:
            return !contains(arena_, b, a);
    }
    return false;
}

Any Evaluator::eval(const CompareExpr& node) {
    Any left = evaluate(*node.first);
    for (const auto& [op, operand] : node.rest) {
        const Any right = evaluate(*operand);
        if (!compare(op, left, right)) return Any(false);
        left = right;
    }
    return Any(true);
}

Any Evaluator::eval(const ConcatExpr& node) {
    std::string out;
    for (const ExprPtr& part : node.parts) append_text(arena_, out, evaluate(*part));
    arena_.charge(out.size() / 64);
    return arena_.text(out);
}

Any Evaluator::eval(const ConditionalExpr& node) {
    if (truth(evaluate(*node.test))) return evaluate(*node.yes);
    if (node.no) return evaluate(*node.no);
    // Lenient even among strict ones, as in jinja2.
    return Any::undefined(
        Missing::message, false,
        "the inline if-expression evaluated to false and no else section was defined");
}

Any Evaluator::eval(const ListExpr& node) {
    std::pmr::vector<Any> items = arena_.items();
    items.reserve(node.items.size());
    for (const ExprPtr& item : node.items) items.push_back(evaluate(*item));
    return node.is_tuple ? arena_.tuple(std::move(items)) : arena_.list(std::move(items));
}

Any Evaluator::eval(const DictExpr& node) {
    Mapping* const mapping = arena_.make<Mapping>(arena_.memory());
    for (const auto& [key, value] : node.members) {
        const Any evaluated_key = evaluate(*key);
        mapping->set(arena_, evaluated_key, evaluate(*value));
    }
    return Any(mapping);
}

}  // namespace muster::jinja
