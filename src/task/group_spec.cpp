#include "group_spec.h"

#include "muster/config/reader.h"

namespace muster {

namespace {

GroupMetricSpec read_aggregate(ConfigReader& reader) {
    GroupMetricSpec aggregate;
    aggregate.metric = reader.string("metric");
    reader.choice_or("aggregation", "mean", {"mean"});
    aggregate.weight_by_size = reader.boolean_or("weight_by_size", true);
    aggregate.filters = reader.strings_or("filter_list", {});
    return aggregate;
}

/// lm-eval takes one aggregate without a list around it, too.
Object with_list(Object content) {
    if (Value* list = content.find("aggregate_metric_list"); list != nullptr && list->is_object())
        *list = Value(Array{*list});
    return content;
}

}  // namespace

GroupSpec read_group_spec(const std::string& name, const Object& content, const std::string& file) {
    ConfigReader reader(Value(with_list(content)), file);
    GroupSpec group;
    group.name = name;
    group.alias = reader.string_or("group_alias", name);
    for (ConfigReader& entry : reader.objects("aggregate_metric_list"))
        group.aggregates.push_back(read_aggregate(entry));
    group.metadata = reader.value("metadata");
    reader.ignore_rest();  // "task" is read by the selector; other keys are settings of the members
    reader.finish();
    return group;
}

}  // namespace muster
