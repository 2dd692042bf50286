#include "muster/eval/verify.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/eval/result_layout.h"
#include "muster/results/result_file.h"

namespace muster {

namespace {

bool same(double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));
}

class Verifier {
 public:
    explicit Verifier(const ResultReader& file) : file_(file) {}

    std::vector<std::string> run() {
        for (const std::string& name : stored_tasks(file_))
            guarded(child_path("/tasks", name), [&] { verify_task(name); });
        for (const std::string& name : stored_groups(file_))
            guarded(child_path("/groups", name),
                    [&] { groups_.push_back(read_group(file_, name)); });
        for (const StoredGroup& group : groups_)
            guarded(child_path("/groups", group.spec.name), [&] { verify_group(group); });
        guarded("/summary", [&] { verify_summary(); });
        return std::move(problems_);
    }

 private:
    /// A part that cannot be read is a problem of its own and does not stop the rest.
    void guarded(const std::string& place, const std::function<void()>& step) {
        try {
            step();
        } catch (const UserError& e) {
            problem(place, e.what());
        }
    }
    void problem(const std::string& place, const std::string& fact) {
        problems_.push_back(fact.starts_with(place) ? fact : cat(place, ": ", fact));
    }

    void verify_task(const std::string& name) {
        const std::string path = child_path("/tasks", name);
        const StoredTask stored = read_task(file_, name);
        const auto iterations = bootstrap_iterations();
        const TaskScores scores =
            score_task(stored.spec, stored.samples, stored.predictions, iterations);
        verify_documents(path, stored);
        verify_prompt_hashes(path, stored);
        for (const MetricColumn& fresh : scores.columns) {
            const auto old =
                std::find_if(stored.scores.columns.begin(), stored.scores.columns.end(),
                             [&](const MetricColumn& c) {
                                 return c.metric == fresh.metric && c.filter == fresh.filter;
                             });
            const std::string column = cat(path, "/samples/", fresh.metric, ".", fresh.filter);
            if (old == stored.scores.columns.end()) {
                problem(column, "missing");
                continue;
            }
            for (std::size_t i = 0; i < fresh.values.size(); ++i)
                if (!same(fresh.values[i], old->values[i]))
                    problem(column, cat("doc_id ", stored.samples[i].doc_id, " has ",
                                        old->values[i], ", recomputed ", fresh.values[i]));
        }
        for (std::size_t f = 0; f < scores.filtered.size() && f < stored.scores.filtered.size();
             ++f)
            for (std::size_t i = 0; i < scores.filtered[f].size(); ++i)
                if (!starts_with(stored.scores.filtered[f][i], scores.filtered[f][i]))
                    problem(cat(path, "/samples/filtered.", scores.filters[f]),
                            cat("doc_id ", stored.samples[i].doc_id,
                                " differs from its recomputed filter result"));
        compare(path + "/metrics", stored.scores.results, scores.results);
        results_[name] = scores.results;
    }

    /// Stored lists are padded at the end.
    static bool starts_with(const std::vector<std::string>& stored,
                            const std::vector<std::string>& fresh) {
        return stored.size() >= fresh.size() &&
               std::equal(fresh.begin(), fresh.end(), stored.begin());
    }

    void verify_documents(const std::string& path, const StoredTask& task) {
        const auto expected = file_.read_integer_attribute(path, "num_samples");
        if (!expected) problem(path, "attribute num_samples is missing");
        if (expected && *expected != static_cast<std::int64_t>(task.samples.size()))
            problem(path + "/samples",
                    cat(task.samples.size(), " rows, but num_samples is ", *expected));
        std::set<std::int64_t> ids;
        for (const Sample& sample : task.samples)
            if (!ids.insert(sample.doc_id).second)
                problem(path + "/samples/doc_id", cat("doc_id ", sample.doc_id, " appears twice"));
    }

    void verify_prompt_hashes(const std::string& path, const StoredTask& task) {
        const Column column = file_.read_column(path + "/samples", "prompt_hash");
        const auto* hashes = std::get_if<std::vector<std::string>>(&column.data);
        if (!hashes || hashes->size() != task.samples.size()) {
            problem(path + "/samples/prompt_hash", "of another type or length than expected");
            return;
        }
        for (std::size_t i = 0; i < hashes->size(); ++i)
            if ((*hashes)[i] != sha256(task.samples[i].prompt))
                problem(path + "/samples/prompt_hash",
                        cat("doc_id ", task.samples[i].doc_id, " does not fit its prompt"));
    }

    void verify_group(const StoredGroup& group) {
        std::vector<GroupSpec> specs;
        for (const StoredGroup& other : groups_) specs.push_back(other.spec);
        std::vector<const std::vector<MetricResult>*> leaves;
        for (const std::string& leaf : leaves_of(group.spec, specs)) {
            const auto found = results_.find(leaf);
            if (found == results_.end())
                throw UserError(cat("member task \"", leaf, "\" is not in this file"));
            leaves.push_back(&found->second);
        }
        compare(child_path("/groups", group.spec.name) + "/metrics", group.results,
                aggregate_group(group.spec, leaves));
    }

    void compare(const std::string& place, const std::vector<MetricResult>& stored,
                 const std::vector<MetricResult>& fresh) {
        if (stored.size() != fresh.size()) {
            problem(place, cat(stored.size(), " metrics, recomputed ", fresh.size()));
            return;
        }
        for (std::size_t i = 0; i < fresh.size(); ++i) {
            const std::string name = cat(fresh[i].metric, ".", fresh[i].filter);
            if (stored[i].metric != fresh[i].metric || stored[i].filter != fresh[i].filter)
                problem(place, cat("row ", i, " is ", stored[i].metric, ".", stored[i].filter,
                                   ", recomputed ", name));
            if (!same(stored[i].value, fresh[i].value))
                problem(place, cat(name, " is ", stored[i].value, ", recomputed ", fresh[i].value));
            if (!same(stored[i].stderr_value.value_or(NAN), fresh[i].stderr_value.value_or(NAN)))
                problem(place, cat("standard error of ", name, " is ",
                                   stored[i].stderr_value.value_or(NAN), ", recomputed ",
                                   fresh[i].stderr_value.value_or(NAN)));
            if (stored[i].n != fresh[i].n)
                problem(place,
                        cat("n of ", name, " is ", stored[i].n, ", recomputed ", fresh[i].n));
        }
    }

    void verify_summary() {
        std::map<std::string, const MetricResult*> expected;
        const auto add = [&](const std::string& name, const std::vector<MetricResult>& results) {
            for (const MetricResult& result : results)
                expected[cat(name, " ", result.metric, ".", result.filter)] = &result;
        };
        for (const auto& [name, results] : results_) add(name, results);
        for (const StoredGroup& group : groups_) add(group.spec.name, group.results);
        for (const SummaryRow& row : file_.read_summary("/summary")) {
            const std::string name = cat(row.task, " ", row.metric, ".", row.filter);
            const auto found = expected.find(name);
            if (found == expected.end()) {
                problem("/summary", cat("row ", name, " has no task or group, or appears twice"));
                continue;
            }
            const MetricResult& result = *found->second;
            if (!same(row.value, result.value) ||
                !same(row.stderr_value, result.stderr_value.value_or(NAN)) || row.n != result.n)
                problem("/summary",
                        cat("row ", name, " is ", row.value, ", recomputed ", result.value));
            expected.erase(found);
        }
        for (const auto& [name, result] : expected)
            problem("/summary", cat("row ", name, " is missing"));
    }

    int bootstrap_iterations() const {
        const Value config = parse_json(file_.read_text("/run/config"), "/run/config");
        const Value* iterations = config.find("bootstrap_iterations");
        if (!iterations || !iterations->is_integer() || iterations->as_integer() < 0 ||
            iterations->as_integer() > 10'000'000)
            throw UserError("/run/config: bootstrap_iterations is missing or out of range");
        return static_cast<int>(iterations->as_integer());
    }

    const ResultReader& file_;
    std::vector<std::string> problems_;
    std::map<std::string, std::vector<MetricResult>> results_;
    std::vector<StoredGroup> groups_;
};

}  // namespace

std::vector<std::string> verify_result(const std::string& path) {
    const ResultReader file(path);
    return Verifier(file).run();
}

}  // namespace muster
