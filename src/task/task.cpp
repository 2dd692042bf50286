#include "muster/task/task.h"

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/task/dataset.h"
#include "sample_builder.h"
#include "task_state.h"

namespace muster {

namespace {

std::string first_named(std::initializer_list<std::string> splits) {
    for (const std::string& split : splits)
        if (!split.empty()) return split;
    return "";
}

/// lm-eval's order of preference: the named split, fixed samples, training, validation, test.
std::string fewshot_split_of(const TaskSpec& spec) {
    const std::string named = first_named({spec.fewshot.split, spec.fewshot_split});
    if (!named.empty() || spec.fewshot.samples) return named;
    return first_named({spec.training_split, spec.validation_split, spec.test_split});
}

}  // namespace

Task Task::load(const TaskSpec& spec, const std::string& data_dir) {
    auto state = std::make_unique<State>();
    state->spec = spec;
    state->split = first_named({spec.test_split, spec.validation_split, spec.training_split});
    Split evaluated = load_split(spec, state->split, data_dir);
    if (evaluated.rows.empty())
        throw UserError(cat("task ", spec.name, ": split \"", state->split, "\": no documents in ",
                            join(evaluated.files, ", ")));
    state->documents = std::move(evaluated.rows);
    state->files = std::move(evaluated.files);
    // Both absent counts as equal: for a task with a validation split alone the examples come from
    // that split or from the training split, and a document equal to the tested one is dropped
    // either way.
    state->drop_tested = first_named({spec.fewshot.split, spec.fewshot_split}) == spec.test_split;
    if (spec.num_fewshot > 0) {
        const std::string split = fewshot_split_of(spec);
        state->fewshot_source =
            split.empty() ? "fewshot_config/samples" : cat("split \"", split, "\"");
        if (split == state->split) {
            state->pool_is_documents = true;
        } else if (split.empty()) {
            state->fewshot_pool = *spec.fewshot.samples;
        } else {
            Split examples = load_split(spec, split, data_dir);
            state->fewshot_pool = std::move(examples.rows);
            state->files.insert(state->files.end(), examples.files.begin(), examples.files.end());
        }
    }
    return Task(std::move(state));
}

Task::Task(std::unique_ptr<State> state) : state_(std::move(state)) {}
Task::Task(Task&&) noexcept = default;
Task& Task::operator=(Task&&) noexcept = default;
Task::~Task() = default;

const TaskSpec& Task::spec() const {
    return state_->spec;
}
std::size_t Task::num_documents() const {
    return state_->documents.size();
}
std::vector<std::string> Task::data_files() const {
    return state_->files;
}

std::vector<Sample> Task::build(const BuildOptions& options) const {
    SampleBuilder builder(*state_, options.fewshot_seed);
    std::size_t count = state_->documents.size();
    if (options.limit >= 0) count = std::min(count, static_cast<std::size_t>(options.limit));
    std::vector<Sample> samples;
    samples.reserve(count);
    // One document after another: the few-shot generator must not skip any.
    for (std::size_t i = 0; i < count; ++i) samples.push_back(builder.build(i));
    builder.report_doubtful_golds();
    return samples;
}

std::string Task::data_hash() const {
    Sha256 hash;
    for (const std::string& path : state_->files) hash.update(read_file(path));
    return hash.hex_digest();
}

}  // namespace muster
