// Groups: lm-evaluation-harness 0.4.13, lm_eval/api/group.py (Group.aggregate) and
// lm_eval/api/metrics.py (aggregate_subtask_metrics, pooled_sample_stderr, unweighted_mean_stderr).
#include <cmath>
#include <set>

#include "bootstrap.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/metric/metric.h"

namespace muster {

namespace {

using Leaves = std::vector<const std::vector<MetricResult>*>;

/// The members' results for one metric and filter.
std::vector<const MetricResult*> matching(const Leaves& leaves, const std::string& metric,
                                          const std::string& filter) {
    std::vector<const MetricResult*> found;
    for (const std::vector<MetricResult>* leaf : leaves)
        for (const MetricResult& result : *leaf)
            if (result.metric == metric && result.filter == filter) found.push_back(&result);
    return found;
}

std::vector<std::string> filters_of(const GroupMetricSpec& aggregate, const Leaves& leaves) {
    if (!aggregate.filters.empty()) return aggregate.filters;
    std::set<std::string> filters;
    for (const std::vector<MetricResult>* leaf : leaves)
        for (const MetricResult& result : *leaf)
            if (result.metric == aggregate.metric) filters.insert(result.filter);
    return {filters.begin(), filters.end()};
}

double weighted_mean(const std::vector<const MetricResult*>& members, bool by_size) {
    NeumaierSum sum;
    double total = 0;
    for (const MetricResult* member : members) {
        const double size = by_size ? static_cast<double>(member->n) : 1.0;
        sum.add(member->value * size);
        total += size;
    }
    return sum.result() / total;
}

/// Of the mean weighted by size: the pooled variance of all samples.
double pooled_error(const std::vector<const MetricResult*>& members) {
    NeumaierSum sum;
    double total = 0;
    for (const MetricResult* member : members) {
        const auto size = static_cast<double>(member->n);
        sum.add((size - 1) * (*member->stderr_value * *member->stderr_value) * size);
        total += size;
    }
    return std::sqrt(sum.result() / (total - static_cast<double>(members.size())) / total);
}

/// Of the plain mean of k independent members: sqrt(Σ se²) / k.
double unweighted_error(const std::vector<const MetricResult*>& members) {
    NeumaierSum sum;
    for (const MetricResult* member : members)
        sum.add(*member->stderr_value * *member->stderr_value);
    return std::sqrt(sum.result()) / static_cast<double>(members.size());
}

}  // namespace

std::vector<MetricResult> aggregate_group(const GroupSpec& group, const Leaves& leaves) {
    std::vector<MetricResult> results;
    for (const GroupMetricSpec& aggregate : group.aggregates) {
        for (const std::string& filter : filters_of(aggregate, leaves)) {
            const std::vector<const MetricResult*> members =
                matching(leaves, aggregate.metric, filter);
            if (members.empty()) continue;
            if (members.size() < leaves.size())
                warn(cat("group ", group.name, ": ", aggregate.metric, ",", filter,
                         " is there for ", members.size(), " of ", leaves.size(),
                         " tasks; the group's value is over those"));
            MetricResult result;
            result.metric = aggregate.metric;
            result.filter = filter;
            result.higher_is_better = members.front()->higher_is_better;
            result.value = weighted_mean(members, aggregate.weight_by_size);
            bool have_errors = true;
            for (const MetricResult* member : members) {
                result.n += member->n;
                have_errors = have_errors && member->stderr_value.has_value();
            }
            if (have_errors)
                result.stderr_value =
                    aggregate.weight_by_size ? pooled_error(members) : unweighted_error(members);
            results.push_back(std::move(result));
        }
    }
    return results;
}

}  // namespace muster
