#include "macro.h"

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::jinja {

bool Macro::attribute(Evaluator&, std::string_view name, Any& out) {
    if (name != "name") return false;
    out = Any(std::string_view(node_.name));
    return true;
}

void MacroBinder::check_positional() const {
    const std::size_t most = macro_.parameters.names.size();
    if (arguments_.positional.size() > most && !macro_.uses_varargs) {
        throw UserError(cat("macro '", macro_.name, "' takes not more than ", most,
                            " argument(s), got ", arguments_.positional.size()));
    }
}

Any MacroBinder::missing(const std::string& name) const {
    return evaluator_.undefined(cat("parameter '", name, "' was not provided"));
}

/// True if `name` fills a parameter that no positional argument has filled.
bool MacroBinder::takes(std::string_view name) const {
    const auto& names = macro_.parameters.names;
    for (std::size_t i = arguments_.positional.size(); i < names.size(); ++i) {
        if (names[i].first == name) return true;
    }
    return false;
}

void MacroBinder::bind_surplus(Scope& scope) const {
    Arena& arena = evaluator_.arena();
    if (macro_.uses_caller) {
        const Any* caller = arguments_.find_named("caller");
        scope.set(kCallerSymbol, caller ? *caller : evaluator_.undefined("No caller defined"));
    }
    Mapping* const surplus = macro_.uses_kwargs ? arena.make<Mapping>(arena.memory()) : nullptr;
    for (const auto& [name, value] : arguments_.named) {
        if (takes(name) || (macro_.uses_caller && name == "caller")) continue;
        if (!surplus)
            throw UserError(
                cat("macro '", macro_.name, "' takes no keyword argument '", name, "'"));
        surplus->set(arena, Any(name), value);
    }
    if (surplus) scope.set(kKwargsSymbol, Any(surplus));
    if (macro_.uses_varargs) {
        std::pmr::vector<Any> rest = arena.items();
        const auto& given = arguments_.positional;
        for (std::size_t i = macro_.parameters.names.size(); i < given.size(); ++i)
            rest.push_back(given[i]);
        scope.set(kVarargsSymbol, arena.tuple(std::move(rest)));
    }
}

}  // namespace muster::jinja
