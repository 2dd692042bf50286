#include "arguments.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "operators.h"

namespace muster::jinja {

const Any* Arguments::find_named(std::string_view name) const {
    for (const auto& [key, value] : named) {
        if (key == name) return &value;
    }
    return nullptr;
}

Bound::Bound(std::string_view callee, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, std::size_t required)
    : callee_(callee) {
    if (parameters.size() > kMaxParameters) throw InternalError("Bound: too many parameters");
    std::copy(parameters.begin(), parameters.end(), names_.begin());
    if (arguments.positional.size() > parameters.size()) {
        throw UserError(cat(callee, "() takes at most ", parameters.size(), " argument(s), got ",
                            arguments.positional.size()));
    }
    for (std::size_t i = 0; i < arguments.positional.size(); ++i)
        values_[i] = &arguments.positional[i];
    for (const auto& [name, value] : arguments.named) {
        const auto parameter = std::find(names_.begin(), names_.begin() + parameters.size(), name);
        if (parameter == names_.begin() + parameters.size()) {
            throw UserError(cat(callee, "() has no argument '", name, "'",
                                did_you_mean(name, std::vector<std::string>(parameters.begin(),
                                                                            parameters.end()))));
        }
        const Any*& slot = values_[static_cast<std::size_t>(parameter - names_.begin())];
        if (slot) throw UserError(cat(callee, "() got argument '", name, "' twice"));
        slot = &value;
    }
    for (std::size_t i = 0; i < required; ++i) {
        if (!values_[i]) throw UserError(cat(callee, "() needs the argument '", names_[i], "'"));
    }
}

void Bound::fail_kind(std::size_t i, std::string_view expected) const {
    require_defined(*values_[i]);
    throw UserError(cat(callee_, "(): '", names_[i], "' must be ", expected, ", got '",
                        type_name(*values_[i]), "'"));
}

std::int64_t Bound::integer(std::size_t i, std::int64_t fallback) const {
    if (!values_[i]) return fallback;
    if (!values_[i]->is_integral()) fail_kind(i, "an integer");
    return values_[i]->integer();
}

std::string_view Bound::text(std::size_t i, std::string_view fallback) const {
    if (!values_[i]) return fallback;
    if (!values_[i]->is_text()) fail_kind(i, "a string");
    return values_[i]->text();
}

bool Bound::boolean(std::size_t i, bool fallback) const {
    return values_[i] ? truth(*values_[i]) : fallback;
}

}  // namespace muster::jinja
