#pragma once
// A macro as a value, and how it takes its arguments (jinja2 3.1.6 runtime.py, Macro.__call__).

#include "evaluator.h"

namespace muster::jinja {

class Macro final : public Thing {
 public:
    Macro(const MacroStatement& node, Scope* closure) : node_(node), closure_(closure) {}

    bool attribute(Evaluator& evaluator, std::string_view name, Any& out) override;
    bool callable() const override { return true; }
    Any call(Evaluator& evaluator, const Arguments& arguments) override {
        return evaluator.call_macro(node_, closure_, arguments);
    }
    std::string_view type() const override { return "Macro"; }

 private:
    const MacroStatement& node_;
    Scope* closure_;
};

/// Gives the parameters of one call their values.
class MacroBinder {
 public:
    MacroBinder(Evaluator& evaluator, const MacroStatement& macro, const Arguments& arguments)
        : evaluator_(evaluator), macro_(macro), arguments_(arguments) {}

    /// Sets the parameters in `scope`; `evaluate` computes defaults there.
    template <typename Evaluate>
    void bind(Scope& scope, Evaluate evaluate) {
        const Parameters& parameters = macro_.parameters;
        check_positional();
        for (std::size_t i = 0; i < parameters.names.size(); ++i) {
            const auto& [name, symbol] = parameters.names[i];
            const std::size_t first_default = parameters.names.size() - parameters.defaults.size();
            if (i < arguments_.positional.size()) {
                scope.set(symbol, arguments_.positional[i]);
            } else if (const Any* named = arguments_.find_named(name)) {
                scope.set(symbol, *named);
            } else if (i >= first_default) {
                scope.set(symbol, evaluate(*parameters.defaults[i - first_default]));
            } else {
                scope.set(symbol, missing(name));
            }
        }
        bind_surplus(scope);
    }

 private:
    void check_positional() const;
    Any missing(const std::string& name) const;
    /// caller, kwargs and varargs, where the body names them.
    void bind_surplus(Scope& scope) const;
    bool takes(std::string_view name) const;

    Evaluator& evaluator_;
    const MacroStatement& macro_;
    const Arguments& arguments_;
};

}  // namespace muster::jinja
