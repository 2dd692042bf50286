// The same as the tables, for programs. docs/benchmarks.md lists the keys.

#include <algorithm>

#include "cli/bench_process.h"
#include "cli/bench_report.h"
#include "muster/base/build_info.h"

namespace muster {

namespace {

Value integer(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

Value spread(const std::vector<double>& values) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    Object object;
    object.set("min", *low);
    object.set("median", median(values));
    object.set("max", *high);
    object.set("runs", Array(values.begin(), values.end()));
    return object;
}

Value program() {
    const BuildInfo& build = build_info();
    Object object;
    object.set("version", build.version);
    object.set("commit", build.git_commit);
    object.set("compiler", build.compiler);
    object.set("build_type", build.build_type);
    return object;
}

Value machine(const BenchResult& r) {
    Array ranks;
    for (const RankInfo& info : r.ranks) {
        Object rank;
        rank.set("rank", info.place.rank);
        rank.set("host", info.host);
        rank.set("replica", info.place.replica);
        rank.set("tp_rank", info.place.tp_rank);
        rank.set("threads", info.threads);
        rank.set("device", info.device);
        if (r.cuda) {
            rank.set("ordinal", info.bound.ordinal);
            rank.set("uuid", info.bound.uuid);
        }
        ranks.push_back(rank);
    }
    Object object;
    object.set("processor", processor_name());
    object.set("backend", r.backend);
    object.set("replicas", static_cast<std::int64_t>(r.ranks.size()) / r.bench.tensor_parallel);
    object.set("tensor_parallel", r.bench.tensor_parallel);
    object.set("ranks", ranks);
    return object;
}

Value model(const BenchResult& r) {
    Object object;
    object.set("name", r.bench.model.empty() ? r.bench.shape : r.bench.model);
    object.set("random_weights", r.bench.model.empty());
    object.set("architecture", r.model.architecture);
    object.set("dtype", std::string(name_of(r.model.dtype)));
    object.set("hidden_size", r.model.hidden_size);
    object.set("intermediate_size", r.model.intermediate_size);
    if (r.model.num_experts > 0) {
        object.set("num_experts", r.model.num_experts);
        object.set("num_experts_per_tok", r.model.experts_per_token);
    }
    object.set("num_hidden_layers", r.model.num_layers);
    object.set("num_attention_heads", r.model.num_heads);
    object.set("num_key_value_heads", r.model.num_kv_heads);
    object.set("vocab_size", r.model.vocab_size);
    return object;
}

Value settings(const BenchResult& r) {
    Object object;
    object.set("prompt", r.bench.prompt_tokens);
    object.set("context", r.bench.context_tokens);
    object.set("new", r.bench.new_tokens);
    object.set("batches", Array(r.bench.batches.begin(), r.bench.batches.end()));
    object.set("questions", r.bench.questions);
    object.set("top_k", r.bench.top_k);
    object.set("sample", r.bench.sample);
    object.set("runs", r.bench.runs);
    object.set("step_tokens", r.bench.step_tokens);
    object.set("kv_tokens", r.kv_tokens);
    object.set("isa", r.bench.isa.empty() ? Value() : Value(r.bench.isa));
    return object;
}

Value device_ceilings(const BenchResult& r) {
    const CudaCeilings& c = r.device_ceilings;
    Object object;
    object.set("description", c.description);
    object.set("f32_flops", spread(c.f32_flops));
    object.set("f16_flops", spread(c.f16_flops));
    object.set("bf16_flops", spread(c.bf16_flops));
    object.set("read_bytes", spread(c.read_bytes));
    object.set("copy_bytes", spread(c.copy_bytes));
    object.set("usable_flops", limit_of_products(r));
    return object;
}

Value ceilings(const BenchResult& r) {
    if (r.cuda) return device_ceilings(r);
    const CpuCeilings& c = r.ceilings;
    Object object;
    object.set("f32_instructions", c.f32_instructions);
    object.set("f32_flops", spread(c.f32_flops));
    object.set("bf16_instructions",
               c.bf16_instructions.empty() ? Value() : Value(c.bf16_instructions));
    object.set("bf16_flops", c.bf16_flops.empty() ? Value() : spread(c.bf16_flops));
    object.set("read_bytes", spread(c.read_bytes));
    object.set("usable_flops", limit_of_products(r));
    return object;
}

Value start(const BenchResult& r) {
    Object object;
    object.set("load_seconds", r.load_seconds);
    object.set("engine_seconds", r.engine_seconds);
    object.set("first_step_seconds", r.first_step_seconds);
    return object;
}

Value memory(const BenchResult& r) {
    Object object;
    object.set("planned_weights", integer(r.plan.weights));
    object.set("planned_kv_cache", integer(r.plan.kv_cache));
    object.set("planned_workspace", integer(r.plan.workspace));
    object.set("planned_total", integer(r.plan.total()));
    object.set("loaded_weights", integer(r.model_bytes));
    object.set("measured_device", r.device_memory > 0 ? integer(r.device_memory) : Value());
    object.set("measured_peak", r.peak_memory > 0 ? integer(r.peak_memory) : Value());
    return object;
}

Value profile(const Profile& profile) {
    Array operations;
    for (const auto& [key, total] : profile.operations) {
        Object operation;
        operation.set("operation", key.name);
        operation.set("n", key.n);
        operation.set("k", key.k);
        operation.set("calls", integer(total.calls));
        operation.set("seconds", total.seconds);
        operation.set("flops", total.flops);
        operation.set("bytes", total.bytes);
        operations.push_back(operation);
    }
    return operations;
}

Value phase(const BenchResult& r, const PhaseResult& result) {
    const PhaseRates rates = rates_of(r, result);
    const PhaseRun& run = result.runs.front().front();
    const PhaseWork work = work_of(result.name, at_batch(r.bench, result.batch), r.model, run);
    std::vector<double> seconds;
    for (const auto& replicas : result.runs) seconds.push_back(replicas.front().seconds);
    Object object;
    object.set("phase", result.name);
    object.set("work", result.work);
    object.set("batch", result.batch);
    object.set("tokens_per_second", spread(rates.tokens));
    object.set("computed_tokens_per_second", spread(rates.computed));
    object.set("flops_per_second", spread(rates.flops));
    object.set("bytes_per_second", spread(rates.bytes));
    object.set("fraction_of_limit", spread(rates.of_limit));
    object.set("limited_by", rates.by_compute ? "compute" : "memory");
    // One run of replica 0.
    object.set("seconds", spread(seconds));
    object.set("tokens_asked", integer(run.tokens_asked));
    object.set("tokens_computed", integer(run.tokens_computed));
    object.set("tokens_generated", integer(run.tokens_generated));
    object.set("rows_scored", integer(run.rows_scored));
    object.set("steps", integer(run.steps));
    object.set("least_flops", work.flops);
    object.set("least_bytes", work.bytes);
    if (r.bench.profile) object.set("profile", profile(result.profile));
    return object;
}

}  // namespace

Value bench_json(const BenchResult& result) {
    Array phases;
    for (const PhaseResult& each : result.phases) phases.push_back(phase(result, each));
    Object root;
    root.set("program", program());
    root.set("machine", machine(result));
    root.set("model", model(result));
    root.set("settings", settings(result));
    root.set("ceilings", ceilings(result));
    root.set("start", start(result));
    root.set("memory", memory(result));
    root.set("phases", phases);
    return root;
}

}  // namespace muster
