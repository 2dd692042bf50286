#include "muster/eval/run_record.h"

#include <cstring>
#include <fstream>

#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/mpi/session.h"

namespace muster {

namespace {

template <typename T, typename Rows, typename Get>
Column column(std::string name, std::string description, const Rows& rows, Get&& get) {
    std::vector<T> data;
    for (const auto& row : rows) data.push_back(static_cast<T>(get(row)));
    return {std::move(name), std::move(description), std::move(data), 0};
}

/// "model name" of /proc/cpuinfo.
std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name"))
            if (const auto colon = line.find(':'); colon != std::string::npos)
                return std::string(trim(line.substr(colon + 1)));
    return "unknown";
}

void write_versions(ResultWriter& file) {
    const BuildInfo& build = build_info();
    file.write_attribute("/run", "muster_version", build.version);
    file.write_attribute("/run", "git_commit", build.git_commit);
    file.write_attribute("/run", "compiler", build.compiler);
    file.write_attribute("/run", "build_type", build.build_type);
    file.write_attribute("/run", "mpi", MpiSession::library_version());
    file.write_attribute("/run", "hdf5", hdf5_version());
    file.write_attribute("/run", "cpu", cpu_model());
}

void write_topology(ResultWriter& file, const std::vector<RankInfo>& ranks) {
    using Info = const RankInfo&;
    file.write_columns(
        "/run/topology",
        {column<std::int64_t>("rank", "rank in the world", ranks,
                              [](Info r) { return r.place.rank; }),
         column<std::string>("node", "host name", ranks, [](Info r) { return r.host; }),
         column<std::int64_t>("local_rank", "rank on its node", ranks,
                              [](Info r) { return r.place.local_rank; }),
         column<std::int64_t>("replica", "copy of the model", ranks,
                              [](Info r) { return r.place.replica; }),
         column<std::int64_t>("tp_rank", "tensor-parallel rank", ranks,
                              [](Info r) { return r.place.tp_rank; }),
         column<std::string>("device", "what it computes on: cpu or cuda", ranks,
                             [](Info r) { return r.device; }),
         column<std::int64_t>("ordinal", "its device among those it sees; -1 on a CPU", ranks,
                              [](Info r) { return r.bound.ordinal; }),
         column<std::string>("uuid", "UUID of this device", ranks,
                             [](Info r) { return r.bound.uuid; }),
         column<std::string>("device_name", "name of this device", ranks,
                             [](Info r) { return r.bound.name; }),
         column<std::string>("pci_bus_id", "PCI bus id of this device", ranks,
                             [](Info r) { return r.bound.pci_bus_id; }),
         column<std::int64_t>("threads", "threads of this rank", ranks,
                              [](Info r) { return r.threads; }),
         column<std::string>("cpus", "where its threads are pinned; empty if they are not", ranks,
                             [](Info r) { return r.cpus; })});
}

void write_throughput(ResultWriter& file, const Throughput& throughput) {
    const auto count = [&](const char* name, std::uint64_t value) {
        file.write_attribute("/run/timing", name, static_cast<std::int64_t>(value));
    };
    count("tokens_asked", throughput.tokens_asked);
    count("tokens_computed", throughput.tokens_computed);
    file.write_attribute("/run/timing", "reuse_factor", throughput.reuse_factor());
    count("prefill_tokens", throughput.prefill.tokens);
    file.write_attribute("/run/timing", "prefill_tokens_per_second", throughput.prefill.rate());
    count("decode_tokens", throughput.decode.tokens);
    file.write_attribute("/run/timing", "decode_tokens_per_second", throughput.decode.rate());
}

void write_timing(ResultWriter& file, const PhaseTimes& times, const std::vector<RankWork>& work,
                  const std::vector<RankInfo>& ranks) {
    file.write_group("/run/timing", "seconds on rank 0, and what each rank did");
    file.write_attribute("/run/timing", "plan_seconds", times.plan);
    file.write_attribute("/run/timing", "load_seconds", times.load);
    file.write_attribute("/run/timing", "inference_seconds", times.inference);
    file.write_attribute("/run/timing", "gather_seconds", times.gather);
    file.write_attribute("/run/timing", "score_seconds", times.score);
    file.write_attribute("/run/timing", "total_seconds", times.total);
    write_throughput(file, throughput_of(work, ranks));
    using Work = const RankWork&;
    file.write_columns(
        "/run/timing",
        {column<std::int64_t>("chunks", "chunks that this rank's group was handed (leaders only)",
                              work, [](Work w) { return w.chunks; }),
         column<std::int64_t>("steps", "forward steps", work,
                              [](Work w) { return w.counters.steps(); }),
         column<std::int64_t>("tokens_asked",
                              "tokens that would go through the decoder if each request ran alone",
                              work, [](Work w) { return w.counters.tokens_asked; }),
         column<std::int64_t>("tokens_computed", "tokens that went through the decoder", work,
                              [](Work w) { return w.counters.tokens_computed; }),
         column<std::int64_t>("tokens_generated", "tokens sampled", work,
                              [](Work w) { return w.counters.tokens_generated; }),
         column<std::int64_t>("rows_scored", "rows that went through the output head", work,
                              [](Work w) { return w.counters.rows_scored; }),
         column<std::int64_t>("rows_sampled", "rows that tokens were drawn from, argmax aside",
                              work, [](Work w) { return w.counters.rows_sampled; }),
         column<std::int64_t>("rows_of_logits",
                              "of these, rows whose logits were all copied to the host", work,
                              [](Work w) { return w.counters.rows_of_logits; }),
         column<std::int64_t>("prefill_tokens", "tokens computed in steps with input tokens", work,
                              [](Work w) { return w.counters.prefill.tokens; }),
         column<double>("prefill_seconds", "seconds in these steps", work,
                        [](Work w) { return w.counters.prefill.seconds; }),
         column<std::int64_t>("decode_tokens", "tokens computed in steps of generated tokens only",
                              work, [](Work w) { return w.counters.decode.tokens; }),
         column<double>("decode_seconds", "seconds in these steps", work,
                        [](Work w) { return w.counters.decode.seconds; }),
         column<double>("engine_seconds", "seconds inside the engine", work,
                        [](Work w) { return w.counters.seconds(); }),
         column<std::int64_t>("peak_bytes", "largest resident set of the process", work,
                              [](Work w) { return w.peak_bytes; })});
}

}  // namespace

double Throughput::reuse_factor() const {
    return tokens_computed > 0
               ? static_cast<double>(tokens_asked) / static_cast<double>(tokens_computed)
               : 1;
}

Throughput throughput_of(const std::vector<RankWork>& work, const std::vector<RankInfo>& ranks) {
    Throughput sum;
    std::size_t leaders = 0;
    const auto add = [](Throughput::Phase& phase, const EnginePhase& part) {
        phase.tokens += part.tokens;
        phase.seconds += part.seconds;
    };
    for (std::size_t rank = 0; rank < work.size(); ++rank) {
        if (ranks[rank].place.tp_rank != 0) continue;  // the same tokens again
        const EngineCounters& counters = work[rank].counters;
        sum.tokens_asked += counters.tokens_asked;
        sum.tokens_computed += counters.tokens_computed;
        add(sum.prefill, counters.prefill);
        add(sum.decode, counters.decode);
        ++leaders;
    }
    for (Throughput::Phase* phase : {&sum.prefill, &sum.decode})
        if (leaders > 0) phase->seconds /= static_cast<double>(leaders);
    return sum;
}

std::string pack_rank_work(const RankWork& work) {
    return {reinterpret_cast<const char*>(&work), sizeof work};
}

RankWork unpack_rank_work(const std::string& bytes) {
    static_assert(std::is_trivially_copyable_v<RankWork>);
    RankWork work;
    if (bytes.size() != sizeof work) throw InternalError("rank work message of wrong size");
    std::memcpy(&work, bytes.data(), sizeof work);
    return work;
}

void write_run_record(ResultWriter& file, const RunRecord& record) {
    file.write_group("/run", "configuration, machine, versions, hashes and timings of this run");
    file.write_text("/run/config", to_json(record.run.resolved, 2));
    file.write_attribute("/run", "command_line", record.command_line);
    write_versions(file);
    file.write_attribute("/run", "backend", record.backend);
    file.write_attribute("/run", "tensor_parallel", std::int64_t{record.run.tensor_parallel});
    file.write_attribute("/run", "replicas", std::int64_t{record.topology.grid.num_replicas()});
    file.write_attribute("/run", "kv_tokens", record.kv_tokens);
    file.write_attribute("/run", "step_tokens", record.run.step_tokens);
    file.write_attribute("/run", "device_transport", record.transport);

    const auto bytes = [&](const char* name, std::uint64_t value) {
        file.write_attribute("/run", name, static_cast<std::int64_t>(value));
    };
    bytes("planned_weight_bytes", record.memory.weights);
    bytes("planned_kv_bytes", record.memory.kv_cache);
    bytes("planned_workspace_bytes", record.memory.workspace);
    bytes("planned_resident_bytes", record.memory.resident());

    file.write_group("/run/model", record.run.model_path);
    file.write_attribute("/run/model", "architecture", record.config.architecture);
    file.write_attribute("/run/model", "dtype", std::string(name_of(record.config.dtype)));
    file.write_attribute("/run/model", "max_length", record.max_length);
    using File = const HashedFile&;
    const std::vector<HashedFile>& files = record.checkpoint_files;
    file.write_columns(
        "/run/model",
        {column<std::string>("file", "file of the checkpoint", files,
                             [](File f) { return f.name; }),
         column<std::int64_t>("bytes", "its size", files, [](File f) { return f.bytes; }),
         column<std::string>("sha256", "its SHA-256", files, [](File f) { return f.sha256; })});

    using Planned = const PlannedTask&;
    const std::vector<PlannedTask>& tasks = record.tasks;
    file.write_columns(
        "/run/data",
        {column<std::string>("task", "task", tasks, [](Planned t) { return t.spec.name; }),
         column<std::string>("task_file", "file that defines the task", tasks,
                             [](Planned t) { return t.spec.source_file; }),
         column<std::string>("data_files", "files of the dataset, one per line", tasks,
                             [](Planned t) { return join(t.data_files, "\n"); }),
         column<std::string>("sha256", "SHA-256 over these files", tasks,
                             [](Planned t) { return t.data_hash; })});
    write_topology(file, record.topology.ranks);
    write_timing(file, record.times, record.work, record.topology.ranks);
}

}  // namespace muster
