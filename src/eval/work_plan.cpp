#include "muster/eval/work_plan.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "generation_options.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/base/log.h"
#include "muster/base/progress.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/engine/engine.h"
#include "muster/task/filter.h"
#include "muster/task/task.h"
#include "muster/task/task_library.h"

namespace muster {

namespace {

/// The requests of one sample, and what became of it.
struct TokenizedSample {
    std::vector<Request> requests;
    std::vector<RequestOrigin> origins;  // task and sample are filled in later
    SampleStatus status = SampleStatus::ok;
    std::string error;
};

void add_score(TokenizedSample& out, ScoreInput input, std::uint32_t request, std::uint32_t part) {
    if (input.too_long) {
        out.status = SampleStatus::too_long;
        out.error = cat("request ", request, ": the continuation is longer than the model");
        return;
    }
    if (static_cast<std::size_t>(input.first_scored) >= input.tokens.size()) {
        out.status = SampleStatus::bad_document;
        out.error = cat("request ", request, ": the continuation adds no token to its context");
        return;
    }
    if (input.truncated && out.status == SampleStatus::ok) out.status = SampleStatus::truncated;
    Request scored;
    scored.tokens = std::move(input.tokens);
    scored.first_scored = input.first_scored;
    out.requests.push_back(std::move(scored));
    out.origins.push_back({0, 0, request, part});
}

/// A number that names the document whatever the run's other tasks are; keys the sampling
/// generator.
std::uint64_t sample_key(const TaskSpec& spec, const Sample& sample) {
    return std::stoull(sha256(cat(spec.name, '\n', sample.doc_id)).substr(0, 16), nullptr, 16);
}

void add_generations(TokenizedSample& out, const TaskSpec& spec, const Sample& sample,
                     const RequestBuilder& builder, const TextBeginning& beginning,
                     const std::vector<std::int32_t>& stop_ids, const SamplingOptions& sampling) {
    const GenerationSpec& generation = spec.generation;
    const PromptInput prompt =
        builder.prompt(sample.requests.front().context, generation.max_gen_toks, beginning);
    if (prompt.truncated) out.status = SampleStatus::truncated;
    for (std::int64_t repeat = 0; repeat < spec.repeats; ++repeat) {
        Request request;
        request.kind = Request::Kind::generate;
        request.tokens = prompt.tokens;
        request.max_new_tokens = static_cast<std::int32_t>(generation.max_gen_toks);
        request.stop_strings = generation.until;
        request.stop_ids = stop_ids;
        request.sampling = sampling;
        request.sample_key = sample_key(spec, sample);
        request.repeat = static_cast<std::uint32_t>(repeat);
        out.requests.push_back(std::move(request));
        out.origins.push_back({0, 0, 0, static_cast<std::uint32_t>(repeat)});
    }
}

TokenizedSample tokenize_sample(const TaskSpec& spec, const Sample& sample,
                                const RequestBuilder& builder, const TextBeginning& beginning,
                                const std::vector<std::int32_t>& stop_ids,
                                const SamplingOptions& sampling) {
    TokenizedSample out;
    if (!sample.error.empty() || sample.requests.empty()) {
        out.status = SampleStatus::bad_document;
        return out;
    }
    if (spec.output_type == OutputType::generate_until) {
        add_generations(out, spec, sample, builder, beginning, stop_ids, sampling);
    } else if (spec.output_type == OutputType::loglikelihood_rolling) {
        std::vector<ScoreInput> windows = builder.rolling(sample.requests.front().continuation);
        for (std::uint32_t part = 0; part < windows.size(); ++part)
            add_score(out, std::move(windows[part]), 0, part);
    } else {
        // Requests of equal context are encoded together.
        for (std::size_t begin = 0; begin < sample.requests.size();) {
            std::size_t end = begin;
            std::vector<std::string> continuations;
            while (end < sample.requests.size() &&
                   sample.requests[end].context == sample.requests[begin].context)
                continuations.push_back(sample.requests[end++].continuation);
            std::vector<ScoreInput> inputs =
                builder.continuations(sample.requests[begin].context, continuations, beginning);
            for (std::size_t i = 0; i < inputs.size(); ++i)
                add_score(out, std::move(inputs[i]), static_cast<std::uint32_t>(begin + i), 0);
            begin = end;
        }
    }
    if (out.status == SampleStatus::too_long || out.status == SampleStatus::bad_document) {
        out.requests.clear();
        out.origins.clear();
    }
    return out;
}

/// What the contexts of all requests begin with: a task's examples.
std::string_view common_beginning(const std::vector<Sample>& samples) {
    std::optional<std::string_view> common;
    for (const Sample& sample : samples) {
        for (const auto& request : sample.requests) {
            const std::string_view context = request.context;
            if (!common) common = context;
            const auto end =
                std::mismatch(common->begin(), common->end(), context.begin(), context.end()).first;
            common = common->substr(0, static_cast<std::size_t>(end - common->begin()));
        }
    }
    const std::string_view text = common.value_or("");
    return text.substr(0, complete_utf8_prefix(text));
}

/// Calls `work(i)` for all i on several threads; the error of the lowest i is thrown.
void parallel_for(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::size_t failed = count;
    std::exception_ptr error;
    const auto run = [&] {
        for (std::size_t i = next++; i < count; i = next++) try {
                work(i);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (i < failed) failed = i, error = std::current_exception();
            }
    };
    std::vector<std::jthread> pool;
    for (int t = 1; t < threads; ++t) pool.emplace_back(run);
    run();
    pool.clear();  // joins
    if (error) std::rethrow_exception(error);
}

/// Tokens of `request` that go through the model: the last one of a score does not.
std::size_t input_size(const Request& request) {
    return request.tokens.size() - (request.kind == Request::Kind::score ? 1 : 0);
}

/// Input tokens that both begin with.
std::size_t common_input(const Request& a, const Request& b) {
    const auto size = static_cast<std::ptrdiff_t>(std::min(input_size(a), input_size(b)));
    const auto end =
        std::mismatch(a.tokens.begin(), a.tokens.begin() + size, b.tokens.begin()).first;
    return static_cast<std::size_t>(end - a.tokens.begin());
}

/// Finds what the engine need not compute again: what a request has in common with the one before
/// or, where positions depend on a request's length (dynamic rope), the last one of its length.
class SharedInput {
 public:
    SharedInput(bool prefix_reuse, const ModelConfig& model)
        : reuse_(prefix_reuse), by_length_(model.rope.type == RopeType::dynamic) {}

    /// Input tokens that `request`, the next of the plan, shares with an earlier one.
    std::size_t count(const std::vector<Request>& earlier, const Request& request) {
        if (!reuse_) return 0;
        const auto [last, is_first] =
            last_.try_emplace(by_length_ ? kv_tokens_needed(request) : 0, earlier.size());
        if (is_first) return 0;
        const std::size_t tokens = common_input(request, earlier[last->second]);
        last->second = earlier.size();
        return tokens;
    }

 private:
    bool reuse_, by_length_;
    std::map<std::int64_t, std::size_t> last_;  ///< by length, or of all
};

void append_task(WorkPlan& plan, PlannedTask task, std::vector<TokenizedSample> tokenized,
                 SharedInput& shared) {
    const auto task_index = static_cast<std::uint32_t>(plan.tasks.size());
    task.first_request = plan.requests.size();
    for (std::uint32_t s = 0; s < tokenized.size(); ++s) {
        TokenizedSample& sample = tokenized[s];
        task.status.push_back(sample.status);
        if (!sample.error.empty()) task.samples[s].error = sample.error;
        task.samples[s].requests = {};  // the texts are tokens now, and many
        task.num_truncated += sample.status == SampleStatus::truncated;
        task.num_too_long += sample.status == SampleStatus::too_long;
        task.num_bad += sample.status == SampleStatus::bad_document;
        for (std::size_t i = 0; i < sample.requests.size(); ++i) {
            Request& request = sample.requests[i];
            request.id = plan.requests.size();
            plan.longest_request = std::max(plan.longest_request, kv_tokens_needed(request));
            const bool scores = request.kind == Request::Kind::score;
            const std::size_t input = input_size(request) - shared.count(plan.requests, request);
            const std::size_t generated =
                scores ? 0 : static_cast<std::size_t>(request.max_new_tokens);
            plan.costs.push_back(static_cast<std::uint32_t>(input + generated));
            task.asked_tokens += input_size(request);
            task.input_tokens += input;
            task.max_generated_tokens += generated;
            if (scores)
                task.scored_tokens +=
                    request.tokens.size() - static_cast<std::size_t>(request.first_scored);
            RequestOrigin origin = sample.origins[i];
            origin.task = task_index;
            origin.sample = s;
            plan.origins.push_back(origin);
            plan.requests.push_back(std::move(request));
        }
    }
    task.num_requests = plan.requests.size() - task.first_request;
    plan.tasks.push_back(std::move(task));
}

/// Decides how the task's tokens are chosen, and records it with the task.
void settle_generation(PlannedTask& task, const GenerationDefaults& defaults, std::uint64_t seed) {
    task.sampling = sampling_of(task.spec, defaults);
    task.sampling.seed = seed;
    task.spec.resolved.as_object().set("generation_kwargs",
                                       generation_kwargs(task.spec.generation, task.sampling));
}

/// Says once what the checkpoint asks for in vain.
void warn_of_lengths(const TaskSelection& selection, const GenerationDefaults& defaults) {
    const std::string warning = length_warning(defaults);
    const bool generates = std::any_of(
        selection.tasks.begin(), selection.tasks.end(),
        [](const TaskSpec& spec) { return spec.output_type == OutputType::generate_until; });
    if (generates && !warning.empty()) warn(warning);
}

}  // namespace

TaskSelection select_tasks(const RunConfig& run) {
    std::vector<std::string> folders;
    if (const std::string data = data_folder(); !data.empty()) folders.push_back(data + "/tasks");
    folders.insert(folders.end(), run.task_paths.begin(), run.task_paths.end());
    TaskSelection selection = TaskLibrary(folders).select(run.tasks);
    for (TaskSpec& spec : selection.tasks) {
        run.generation.apply(spec.generation);
        // As lm-eval: a task that fixes zero shots keeps them.
        const Value* own = spec.resolved.find("num_fewshot");
        if (run.num_fewshot && !(own && own->is_integer() && own->as_integer() == 0))
            spec.num_fewshot = *run.num_fewshot;
        for (const FilterSpec& filter : spec.filters)
            check_filter(filter, cat(spec.source_file, ": ", spec.name));
        check_metrics(spec);
    }
    return selection;
}

WorkPlan make_work_plan(const TaskSelection& selection, const RunConfig& run,
                        const ModelFiles& files, int threads) {
    WorkPlan plan;
    const RequestBuilder builder = files.builder();
    SharedInput shared(run.prefix_reuse, files.config);
    plan.groups = selection.groups;
    warn_of_lengths(selection, files.generation);
    Progress progress("prompts", "tasks", selection.tasks.size());
    for (const TaskSpec& spec : selection.tasks) {
        const Task task = Task::load(spec, run.data_dir);
        PlannedTask planned;
        planned.spec = spec;
        if (spec.output_type == OutputType::generate_until)
            settle_generation(planned, files.generation, run.seed);
        planned.samples = task.build({run.limit, run.seed});
        planned.data_files = task.data_files();
        planned.data_hash = task.data_hash();
        std::vector<TokenizedSample> tokenized(planned.samples.size());
        const TextBeginning beginning = builder.begin(common_beginning(planned.samples));
        try {
            parallel_for(tokenized.size(), threads, [&](std::size_t i) {
                tokenized[i] = tokenize_sample(spec, planned.samples[i], builder, beginning,
                                               files.stop_ids, planned.sampling);
            });
        } catch (const UserError& e) {
            throw UserError(cat("task ", spec.name, ": ", e.what()));
        }
        append_task(plan, std::move(planned), std::move(tokenized), shared);
        progress.update(plan.tasks.size(), spec.name);
    }
    progress.finish();
    return plan;
}

std::uint64_t WorkPlan::total_cost() const {
    return std::accumulate(costs.begin(), costs.end(), std::uint64_t{0});
}

ChunkQueue::ChunkQueue(const WorkPlan& plan, int consumers, std::uint64_t min_cost)
    : plan_(&plan),
      consumers_(static_cast<std::uint64_t>(consumers)),
      min_cost_(min_cost),
      remaining_(plan.total_cost()) {}

Chunk ChunkQueue::next() {
    // Guided self-scheduling: half of an even share of what is left, so that all groups end
    // together.
    const std::uint64_t goal = std::max(min_cost_, remaining_ / (2 * consumers_));
    Chunk chunk{position_, position_, 0};
    const std::vector<RequestOrigin>& origins = plan_->origins;
    while (chunk.end < plan_->requests.size()) {
        const bool same_document = chunk.end > chunk.begin &&
                                   origins[chunk.end].task == origins[chunk.end - 1].task &&
                                   origins[chunk.end].sample == origins[chunk.end - 1].sample;
        if (chunk.cost >= goal && !same_document) break;
        chunk.cost += plan_->costs[chunk.end++];
    }
    position_ = chunk.end;
    remaining_ -= chunk.cost;
    return chunk;
}

}  // namespace muster
