#include "muster/eval/evaluator.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>

#include "model_setup.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/eval/result_layout.h"
#include "muster/eval/run_record.h"
#include "muster/eval/work_plan.h"
#include "muster/eval/work_queue.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/host.h"

namespace muster {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void announce(const PlannedTask& task) {
    detail(cat("task ", task.spec.name, ": ", format_count(task.samples.size()), " documents, ",
               format_count(task.num_requests), " requests, ", format_count(task.asked_tokens),
               " input tokens, ", format_count(task.input_tokens), " to be computed"));
    if (task.num_truncated > 0)
        warn(cat("task ", task.spec.name, ": ", task.num_truncated, " of ", task.samples.size(),
                 " prompts are longer than the model and were cut from the left"));
    if (task.num_too_long > 0)
        warn(cat("task ", task.spec.name, ": ", task.num_too_long,
                 " documents have a continuation longer than the model; scored as wrong"));
    if (task.num_bad > 0)
        warn(cat("task ", task.spec.name, ": ", task.num_bad,
                 " documents could not be made into requests; scored as wrong"));
}

/// Predictions of one task from the completions of all requests by global id.
std::vector<Prediction> make_predictions(const WorkPlan& plan, std::size_t task_index,
                                         const std::vector<Completion>& completions) {
    const PlannedTask& task = plan.tasks[task_index];
    std::vector<Prediction> predictions(task.samples.size());
    for (std::size_t s = 0; s < predictions.size(); ++s) predictions[s].status = task.status[s];
    for (std::size_t id = task.first_request; id < task.first_request + task.num_requests; ++id) {
        const RequestOrigin& origin = plan.origins[id];
        const Request& request = plan.requests[id];
        const Completion& completion = completions[id];
        Prediction& prediction = predictions[origin.sample];
        if (request.kind == Request::Kind::generate) {
            prediction.responses.push_back(completion.text);
            prediction.num_tokens.push_back(static_cast<std::int64_t>(completion.tokens.size()));
            prediction.prompt_tokens = std::max(prediction.prompt_tokens,
                                                static_cast<std::int64_t>(request.tokens.size()));
            continue;
        }
        if (origin.part == 0) {
            prediction.log_likelihoods.push_back(0);
            prediction.is_greedy.push_back(1);
            prediction.num_tokens.push_back(0);
        }
        prediction.log_likelihoods.back() += completion.log_likelihood;
        prediction.is_greedy.back() &= static_cast<std::uint8_t>(completion.is_greedy);
        prediction.num_tokens.back() += static_cast<std::int64_t>(completion.token_logprobs.size());
        prediction.prompt_tokens = std::max(prediction.prompt_tokens,
                                            static_cast<std::int64_t>(request.tokens.size()) - 1);
    }
    // A text without tokens has no window and probability one, as in lm-eval.
    if (task.spec.output_type == OutputType::loglikelihood_rolling)
        for (Prediction& prediction : predictions)
            if (prediction.status == SampleStatus::ok && prediction.log_likelihoods.empty())
                prediction.log_likelihoods = {0}, prediction.is_greedy = {1},
                prediction.num_tokens = {0};
    return predictions;
}

/// What is scored is what the file can hold, so that `verify` finds the same.
void make_storable(StoredTask& task) {
    const auto all = [](std::vector<std::string>& texts) {
        for (std::string& text : texts) text = storable_text(text);
    };
    for (Sample& sample : task.samples) {
        sample.prompt = storable_text(sample.prompt);
        sample.target = storable_text(sample.target);
        all(sample.targets);
        all(sample.choices);
    }
    for (Prediction& prediction : task.predictions) all(prediction.responses);
}

std::vector<HashedFile> hash_files(const std::vector<std::string>& paths) {
    unpin_thread();
    std::vector<HashedFile> files;
    for (const std::string& path : paths)
        if (std::filesystem::exists(path))
            files.push_back({std::filesystem::path(path).filename().string(),
                             std::filesystem::file_size(path), sha256_file(path)});
    return files;
}

std::vector<std::string> files_of(const Checkpoint& checkpoint) {
    std::vector<std::string> paths;
    for (const char* name :
         {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"})
        paths.push_back(checkpoint.directory() + "/" + name);
    paths.insert(paths.end(), checkpoint.files().begin(), checkpoint.files().end());
    return paths;
}

}  // namespace

RunConfig share_run_config(const Communicator& world, const std::function<RunConfig()>& read) {
    std::string bytes;
    agree(world, "read the run configuration", [&] {
        if (world.is_root()) bytes = to_json(read().resolved);
    });
    world.broadcast(bytes, 0);
    return read_run_config(parse_json(bytes, "run configuration"), "run configuration");
}

struct Evaluation::State : ModelSetup {
    State(const Communicator& world_, RunConfig run_, std::string command_line_)
        : ModelSetup(world_, std::move(run_)), command_line(std::move(command_line_)) {}

    std::string command_line;
    Clock::time_point start = Clock::now();
    WorkPlan plan;                                // rank 0
    std::future<std::vector<HashedFile>> hashes;  // rank 0
    std::vector<Completion> completions;          // rank 0
    std::vector<RankWork> work;                   // rank 0
    PhaseTimes times;

    void plan_work() {
        const auto begin = Clock::now();
        ResultWriter::check_writable(run.output, run.overwrite);
        plan = make_work_plan(select_tasks(run), run, *files,
                              affinity_cores());  // the other ranks only wait
        for (const PlannedTask& task : plan.tasks) announce(task);
        times.plan = seconds_since(begin);
    }

    void write_result(const std::vector<SummaryRow>& summary, const std::vector<StoredTask>& tasks,
                      const std::vector<StoredGroup>& groups) try {
        ResultWriter file(run.output, run.overwrite);
        file.write_summary("/summary", summary);
        for (const StoredTask& task : tasks) write_task(file, task);
        file.write_group("/groups", "aggregates over tasks");
        for (const StoredGroup& group : groups) write_group(file, group);
        times.total = seconds_since(start);
        write_run_record(file, {run, command_line, *topology, files->config, files->max_length,
                                kv_tokens, backend->description(), hashes.get(), plan.tasks, work,
                                times, memory, transport});
        file.commit();
    } catch (const SystemError& e) {
        // A full disk or a lost folder: the user chose the place and can choose another.
        throw UserError(cat(e.what(), "; expected room for the result: choose another --output"));
    }
};

Evaluation::Evaluation(const Communicator& world, const RunConfig& run, std::string command_line)
    : state_(std::make_unique<State>(world, run, std::move(command_line))) {
    State& s = *state_;
    const bool root = world.is_root();
    s.find_model();
    agree(world, "plan the work", [&] {
        if (root) s.plan_work();
    });
    const auto begin = Clock::now();
    s.load_model(world.max(s.plan.longest_request));
    s.times.load = seconds_since(begin);
    if (root) {
        // Hashing a large checkpoint takes a while; nobody waits for it before the file is written.
        s.hashes = std::async(std::launch::async, hash_files, files_of(*s.checkpoint));
        std::size_t documents = 0;
        for (const PlannedTask& task : s.plan.tasks) documents += task.samples.size();
        info(cat(s.files->config.architecture, " on ", s.backend->description(), ", ",
                 s.topology->grid.num_replicas(), " replica(s) × ", s.run.tensor_parallel,
                 " tensor-parallel rank(s); ", s.plan.tasks.size(), " task(s), ",
                 format_count(documents), " documents, ", format_count(s.plan.requests.size()),
                 " requests, at most ", format_count(s.plan.total_cost()), " tokens"));
    }
}

Evaluation::~Evaluation() = default;

void Evaluation::run() {
    State& s = *state_;
    const auto begin = Clock::now();
    GroupWork work;
    // A chunk of a few steps is worth its message and leaves little to wait for at the end.
    const auto min_chunk_cost = static_cast<std::uint64_t>(4 * s.run.step_tokens);
    std::vector<Completion> mine = run_work(*s.topology, s.world->is_root() ? &s.plan : nullptr,
                                            *s.engine, min_chunk_cost, work);
    unpin_thread();  // the threads that score start where this one may run
    s.times.inference = seconds_since(begin);

    const auto gather_begin = Clock::now();
    const auto expected =
        static_cast<std::size_t>(s.world->max(static_cast<std::int64_t>(s.plan.requests.size())));
    if (s.topology->leaders)
        s.completions = gather_completions(*s.topology->leaders, mine, expected);
    const std::vector<std::string> parts =
        s.world->gather(pack_rank_work({work.chunks, work.counters, peak_resident_bytes()}));
    for (const std::string& part : parts) s.work.push_back(unpack_rank_work(part));
    detail(describe_memory(s.memory));
    s.times.gather = seconds_since(gather_begin);
}

std::vector<SummaryRow> Evaluation::finish() {
    State& s = *state_;
    std::vector<SummaryRow> summary;
    agree(*s.world, "score and write the result", [&] {
        if (!s.world->is_root()) return;
        const auto begin = Clock::now();
        std::vector<StoredTask> tasks;
        std::map<std::string, const std::vector<MetricResult>*> results;
        tasks.reserve(s.plan.tasks.size());
        for (std::size_t t = 0; t < s.plan.tasks.size(); ++t) {
            std::vector<Prediction> predictions = make_predictions(s.plan, t, s.completions);
            StoredTask task{s.plan.tasks[t].spec,
                            std::move(s.plan.tasks[t].samples),
                            std::move(predictions),
                            {}};
            make_storable(task);
            task.scores =
                score_task(task.spec, task.samples, task.predictions, s.run.bootstrap_iterations);
            tasks.push_back(std::move(task));
        }
        for (const StoredTask& task : tasks) results[task.spec.name] = &task.scores.results;
        std::vector<StoredGroup> groups;
        for (const GroupSpec& group : s.plan.groups) {
            std::vector<const std::vector<MetricResult>*> leaves;
            for (const std::string& leaf : leaves_of(group, s.plan.groups))
                leaves.push_back(results.at(leaf));
            groups.push_back({group, aggregate_group(group, leaves)});
        }
        summary = make_summary(tasks, groups);
        s.times.score = seconds_since(begin);

        s.write_result(summary, tasks, groups);
    });
    return summary;
}

}  // namespace muster
