// Filters of lm-evaluation-harness 0.4.13,
// lm_eval/filters/{extraction,selection,transformation}.py. Those that need the document
// (multi_choice_regex), give lists (regex_pos) or run Python (custom) are refused by name.
#include "muster/task/filter.h"

#include <map>
#include <variant>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/reader.h"
#include "muster/text/python_string.h"
#include "regex_filter.h"

namespace muster {

namespace {

using Responses = std::vector<std::string>;

struct TakeFirst {
    std::size_t count = 1;
    Responses operator()(Responses responses) const {
        if (responses.size() > count) responses.resize(count);
        return responses;
    }
};

struct MajorityVote {
    /// The most frequent response; the first seen of those that are equally frequent.
    Responses operator()(const Responses& responses) const {
        std::map<std::string_view, std::size_t> counts;
        for (const std::string& response : responses) ++counts[response];
        const std::string* winner = nullptr;
        for (const std::string& response : responses)
            if (winner == nullptr || counts[response] > counts[*winner]) winner = &response;
        return winner == nullptr ? Responses{} : Responses{*winner};
    }
};

/// A filter that maps each response by itself.
struct PerResponse {
    std::string (*function)(std::string_view);
    Responses operator()(Responses responses) const {
        for (std::string& response : responses) response = function(response);
        return responses;
    }
};

struct Map {
    std::map<std::string, std::string> mapping;
    std::string fallback;
    Responses operator()(Responses responses) const {
        for (std::string& response : responses) {
            const auto found = mapping.find(response);
            response = found == mapping.end() ? fallback : found->second;
        }
        return responses;
    }
};

using Step = std::variant<TakeFirst, MajorityVote, PerResponse, Map, RegexFilter>;

std::string strip(std::string_view text) {
    return std::string(python_strip(text));
}

Map read_map(ConfigReader& reader) {
    Map map;
    ConfigReader mapping = reader.object("mapping_dict");
    if (mapping.root().is_object())
        for (const auto& [key, value] : mapping.root().as_object().members()) {
            map.mapping.emplace(key, python_str(value));
            mapping.ignore(key);
        }
    const Value fallback = reader.value("default_value");
    // lm-eval's own default is None, on which its metrics fail.
    if (fallback.is_null())
        reader.problem("default_value",
                       "missing; expected the text for responses that are not mapped");
    map.fallback = python_str(fallback);
    return map;
}

RegexFilter read_regex(ConfigReader& reader) {
    const std::string pattern = reader.string_or("regex_pattern", R"(#### (\-?[0-9\.\,]+))");
    const std::int64_t select = reader.integer_or("group_select", 0);
    std::string fallback = reader.string_or("fallback", "[invalid]");
    try {
        return RegexFilter(pattern, select, std::move(fallback));
    } catch (const UserError& error) {
        reader.problem("regex_pattern", error.what());
        return RegexFilter("", select, "");
    }
}

Step make_step(const FilterStep& step, const std::string& place) {
    ConfigReader reader(Value(step.options), cat(place, ": function ", step.function));
    Step made = [&]() -> Step {
        if (step.function == "take_first") return TakeFirst{1};
        if (step.function == "take_first_k")
            return TakeFirst{
                static_cast<std::size_t>(reader.integer("k", {.min = 1, .max = 1 << 20}))};
        if (step.function == "majority_vote") return MajorityVote{};
        if (step.function == "remove_whitespace") return PerResponse{strip};
        if (step.function == "lowercase") return PerResponse{python_lower};
        if (step.function == "uppercase") return PerResponse{python_upper};
        if (step.function == "map") return read_map(reader);
        if (step.function == "regex") return read_regex(reader);
        throw UserError(cat(place, ": filter function \"", step.function, "\" is not available",
                            did_you_mean(step.function, known_filters()),
                            "; known: ", join(known_filters(), ", ")));
    }();
    reader.finish();
    return made;
}

}  // namespace

struct FilterPipeline::Steps {
    std::vector<Step> steps;
};

FilterPipeline::FilterPipeline(const FilterSpec& filter, const std::string& place)
    : steps_(std::make_unique<Steps>()) {
    for (const FilterStep& step : filter.steps) steps_->steps.push_back(make_step(step, place));
}
FilterPipeline::~FilterPipeline() = default;
FilterPipeline::FilterPipeline(FilterPipeline&&) noexcept = default;
FilterPipeline& FilterPipeline::operator=(FilterPipeline&&) noexcept = default;

std::vector<std::string> FilterPipeline::apply(std::vector<std::string> responses) const {
    for (const Step& step : steps_->steps)
        responses =
            std::visit([&](const auto& apply) { return apply(std::move(responses)); }, step);
    return responses;
}

void check_filter(const FilterSpec& filter, const std::string& place) {
    FilterPipeline(filter, place);
}

std::vector<std::string> apply_filter(const FilterSpec& filter,
                                      const std::vector<std::string>& responses) {
    return FilterPipeline(filter, cat("filter ", filter.name)).apply(responses);
}

std::vector<std::string> known_filters() {
    return {"lowercase",         "majority_vote", "map",          "regex",
            "remove_whitespace", "take_first",    "take_first_k", "uppercase"};
}

}  // namespace muster
