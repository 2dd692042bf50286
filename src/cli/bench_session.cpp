// Set-up as in a run, then every phase some times over on all replicas at once.

#include "cli/bench_session.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <type_traits>

#include "cli/bench_ceilings.h"
#include "cli/bench_process.h"
#include "cli/bench_shapes.h"
#include "muster/backend/device.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/progress.h"
#include "muster/base/text.h"
#include "muster/eval/device_memory.h"
#include "muster/eval/devices.h"
#include "muster/eval/setup.h"
#include "muster/mpi/agree.h"

namespace muster {

namespace {

using Clock = std::chrono::steady_clock;

// Of what is free on a device, what its ranks may take: the default of --gpu-memory-fraction.
constexpr double kDeviceShare = 0.92;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename T>
std::string bytes_of(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

template <typename T>
T from_bytes(const std::string& bytes) {
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

class Bench {
 public:
    Bench(const Communicator& world, const BenchConfig& bench)
        : world_(world),
          topology_(make_topology(world, static_cast<int>(bench.tensor_parallel),
                                  bench.tp_across_nodes, static_cast<int>(bench.threads),
                                  !bench.no_pinning,
                                  choose_devices(world, bench.device, bench.allow_device_sharing,
                                                 bench.tensor_parallel > 1))) {
        result_.bench = bench;
        result_.cuda = topology_.devices.cuda();
        if (bench.step_tokens == 0) result_.bench.step_tokens = default_step_tokens(result_.cuda);
        result_.ranks = topology_.ranks;
        result_.kv_tokens = kv_tokens_for(bench);
    }

    const BenchResult& result() const { return result_; }

    void set_up() {
        if (world_.is_root()) {
            for (const std::string& warning : topology_.devices.warnings) warn(warning);
            if (!topology_.devices.why.empty()) info(topology_.devices.why);
            if (world_.size() > 1 || result_.cuda) info(format_topology(topology_.ranks));
            if (result_.cuda && topology_.grid.tensor_parallel() > 1) {
                const std::string warning = transport_warning(topology_.devices, topology_.grid,
                                                              result_.bench.device_transport);
                if (!warning.empty()) warn(warning);
            }
        }
        agree(world_, "read the model's configuration", [&] { read_model(); });
        agree(world_, "check the options", [&] { check(); });
        measure_ceilings(world_, topology_, result_);
        agree(world_, "load the model", [&] { load(); });
        agree(world_, "prepare the engine", [&] { prepare_engine(); });
        first_step();
    }

    void run_phases() {
        const auto cases = cases_of(result_.bench);
        Progress bar("bench", "runs",
                     cases.size() * static_cast<std::size_t>(result_.bench.runs + 1));
        for (const auto& [phase, batch] : cases)
            run_phase_at(phase, at_batch(result_.bench, batch), bar);
        if (bar_is_shown_) bar.finish();
        result_.peak_memory =
            static_cast<std::uint64_t>(world_.max(static_cast<std::int64_t>(memory_->bytes())));
        const std::uint64_t free_now = free_device_bytes();
        result_.device_memory = static_cast<std::uint64_t>(
            world_.max(free_now > 0 && free_before_ > free_now
                           ? static_cast<std::int64_t>(free_before_ - free_now)
                           : 0));
        measure_ceilings(world_, topology_, result_);
    }

 private:
    /// What is measured, in order: the number of sequences does not matter to mmlu-like.
    static std::vector<std::pair<std::string, std::int64_t>> cases_of(const BenchConfig& bench) {
        std::vector<std::pair<std::string, std::int64_t>> cases;
        for (const std::string& phase : bench.phases)
            for (const std::int64_t batch : bench.batches)
                if (phase != "mmlu-like" || batch == bench.batches.front())
                    cases.emplace_back(phase, batch);
        return cases;
    }

    /// All runs of one phase. Collective.
    void run_phase_at(const std::string& phase, const BenchConfig& bench, Progress& bar) {
        PhaseResult& result = result_.phases.emplace_back(
            PhaseResult{phase, describe_phase(phase, bench), bench.batch, {}, {}});
        const bool one_of_many = bench.batches.size() > 1 && phase != "mmlu-like";
        const std::string name = one_of_many ? cat(phase, " × ", bench.batch) : phase;
        run_once(phase, bench, 0);
        report(bar, cat(name, ": warm"));
        for (std::int64_t run = 1; run <= bench.runs; ++run) {
            result.runs.push_back(run_once(phase, bench, run));
            result.profile.add(profile_);
            if (!world_.is_root()) continue;
            const PhaseRates rates = rates_of(result_, result);
            report(bar, cat(name, " ", run, "/", bench.runs, ": ",
                            std::llround(rates.tokens.back()), " tokens/s, ",
                            std::llround(100 * rates.of_limit.back()), " % of the limit"));
        }
    }

    void read_model() {
        const BenchConfig& bench = result_.bench;
        const auto tp = static_cast<int>(bench.tensor_parallel);
        if (bench.model.empty()) {
            result_.model = shape_config(bench.shape, bench.dtype);
            check_tp_degree(result_.model, tp);
            tokenizer_.emplace(made_up_tokenizer(result_.model.vocab_size));
            return;
        }
        RunConfig run;
        run.model_path = bench.model;
        run.dtype = bench.dtype;
        run.tensor_parallel = tp;
        ModelFiles files = load_model_files(run);
        result_.model = files.config;
        tokenizer_.emplace(std::move(files.tokenizer));
        checkpoint_.emplace(Checkpoint::open(bench.model));
    }

    void check() {
        const std::vector<std::string> sets = cpu_instruction_sets();
        if (const std::string& isa = result_.bench.isa;
            !isa.empty() && std::find(sets.begin(), sets.end(), isa) == sets.end())
            throw UserError(cat("--isa: \"", isa, "\" is not to be had here; expected one of ",
                                join(sets, ", ")));
        const std::int64_t longest = longest_sequence(result_.bench);
        if (longest > result_.model.max_positions)
            throw UserError(
                cat("the longest sequence has ", longest,
                    " tokens but the model max_position_embeddings ", result_.model.max_positions,
                    "; expected at most that: see --phase, --prompt, --context, --new"));
        check_step_tokens(result_.bench);
        const auto tp = static_cast<int>(result_.bench.tensor_parallel);
        const DType stored = checkpoint_ ? stored_dtype(*checkpoint_) : result_.model.dtype;
        result_.plan = result_.cuda ? plan_cuda_memory(result_.model,
                                                       {.tp = tp,
                                                        .tp_invariant = result_.bench.tp_invariant,
                                                        .kv_tokens = result_.kv_tokens,
                                                        .max_step_rows = result_.bench.step_tokens,
                                                        .max_context = longest + 1,
                                                        .stored = stored})
                                    : plan_memory(result_.model, tp, result_.kv_tokens,
                                                  result_.bench.step_tokens, topology_.threads);
        const std::uint64_t room =
            result_.cuda ? topology_.devices.room(topology_.rank, kDeviceShare, tp)
                         : available_memory() / static_cast<std::uint64_t>(topology_.local_size);
        if (result_.plan.total() > room)
            throw UserError(cat("a rank needs ", format_bytes(result_.plan.total()), " but has ",
                                format_bytes(room),
                                "; expected at most that: fewer ranks per node, a larger --tp, a "
                                "smaller shape or --batch"));
    }

    void load() {
        const BenchConfig& bench = result_.bench;
        free_before_ = free_device_bytes();
        BackendRequest request;
        request.instruction_set = bench.isa;
        request.device_bytes = result_.plan.total();
        request.tp_invariant = bench.tp_invariant;
        request.max_context = longest_sequence(bench) + 1;
        request.record_steps = !bench.no_step_recording;
        request.deadline_seconds = static_cast<double>(bench.device_timeout);
        if (result_.cuda)
            request.transport =
                choose_transport(topology_.devices, topology_.grid, bench.device_transport);
        backend_ = make_backend(topology_, result_.model, request);
        if (bench.profile) profiling_ = make_profiling_backend(*backend_, profile_);
        Backend& backend = profiling_ ? *profiling_ : *backend_;
        result_.backend = backend.description();
        constexpr std::uint64_t kSeed = 1;
        if (!checkpoint_)
            checkpoint_.emplace(Checkpoint::random(Model::tensors(result_.model, backend),
                                                   result_.model.dtype, kSeed));
        memory_.emplace();
        const auto start = Clock::now();
        Progress bar("load", "bytes", 0);
        model_ = Model::load(*checkpoint_, result_.model, backend, bench.step_tokens,
                             [&](std::uint64_t done, std::uint64_t total) {
                                 bar.set_total(total);
                                 bar.update(done);
                             });
        if (bar_is_shown_) bar.finish();
        result_.load_seconds = seconds_since(start);
        detail(cat("loaded ", format_bytes(model_->weight_bytes()), " of weights in ",
                   format_duration(result_.load_seconds)));
        result_.model_bytes = model_->weight_bytes();
    }

    /// What the driver says is free on this rank's device; 0 of CPUs or where it does not tell.
    std::uint64_t free_device_bytes() const {
        if (!result_.cuda) return 0;
        std::string why;
        const auto driver = open_driver(why);
        if (!driver) return 0;
        const Device& mine = topology_.devices.bound[static_cast<std::size_t>(topology_.rank)];
        for (const Device& device : driver->visible())
            if (device.uuid == mine.uuid && device.free_bytes < device.total_bytes)
                return device.free_bytes;
        return 0;
    }

    void prepare_engine() {
        const auto start = Clock::now();
        engine_ = std::make_unique<Engine>(
            *model_, *tokenizer_,
            EngineOptions{result_.bench.step_tokens, result_.kv_tokens, true});
        result_.engine_seconds = seconds_since(start);
    }

    void first_step() {
        Request request;
        request.tokens = {0, 0};
        request.first_scored = 1;
        const auto start = Clock::now();
        engine_->run({request}, {});
        result_.first_step_seconds = seconds_since(start);
    }

    /// One run on all replicas at once; on rank 0, every replica's. Collective.
    std::vector<PhaseRun> run_once(const std::string& phase, const BenchConfig& bench,
                                   std::int64_t run) {
        world_.barrier();
        const PhaseRun mine = run_phase(phase, bench, *engine_, result_.model.vocab_size, run,
                                        bench.profile ? &profile_ : nullptr);
        std::vector<PhaseRun> runs(static_cast<std::size_t>(topology_.grid.num_replicas()));
        const std::vector<std::string> parts = world_.gather(bytes_of(mine));
        for (std::size_t rank = 0; rank < parts.size(); ++rank) {
            const RankPlace& place = topology_.grid.place(static_cast<int>(rank));
            if (place.tp_rank == 0)
                runs[static_cast<std::size_t>(place.replica)] = from_bytes<PhaseRun>(parts[rank]);
        }
        return runs;
    }

    /// A run is done: a bar on a terminal, a line in a log.
    void report(Progress& bar, const std::string& what) {
        ++runs_done_;
        if (bar_is_shown_)
            bar.update(runs_done_, what);
        else
            info(what);
    }

    const Communicator& world_;
    Topology topology_;
    BenchResult result_;
    Profile profile_;
    std::optional<Tokenizer> tokenizer_;
    std::optional<Checkpoint> checkpoint_;
    std::optional<PeakMemory> memory_;
    std::uint64_t free_before_ = 0;  ///< on this rank's device
    std::unique_ptr<Backend> backend_, profiling_;
    std::unique_ptr<Model> model_;
    std::unique_ptr<Engine> engine_;
    const bool bar_is_shown_ = isatty(STDERR_FILENO) == 1;
    std::uint64_t runs_done_ = 0;
};

}  // namespace

BenchResult run_bench(const Communicator& world, const BenchConfig& config) {
    Bench bench(world, config);
    bench.set_up();
    bench.run_phases();
    return bench.result();
}

}  // namespace muster
