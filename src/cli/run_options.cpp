#include "cli/run_options.h"

#include <cstdlib>

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/mpi/host.h"

namespace po = boost::program_options;

namespace muster {

namespace {

enum class Kind { text, integer, auto_or_integer, real, yes_no, flag, off_flag, list };

/// One flag and the key of the run file that it sets ("model/path").
struct RunFlag {
    const char* group;
    const char* flag;
    const char* key;
    Kind kind;
    const char* value_name;
    const char* help;
};

constexpr RunFlag kFlags[] = {
    {"Model", "model", "model/path", Kind::text, "DIR",
     "Hugging Face checkpoint directory (required here or in the run file)"},
    {"Model", "dtype", "model/dtype", Kind::text, "TYPE",
     "compute type: auto, float32, float16 or bfloat16 (default: auto, as the checkpoint stores "
     "it)"},
    {"Model", "max-length", "model/max_length", Kind::integer, "N",
     "tokens of context (default: what the model allows)"},
    {"Model", "add-bos", "model/add_bos", Kind::yes_no, "BOOL",
     "put BOS before prompts (default: as the tokenizer says)"},
    {"Parallel", "tp", "parallel/tensor", Kind::auto_or_integer, "N",
     "tensor-parallel ranks per model replica, or auto: the smallest degree that fits into memory "
     "(default: 1)"},
    {"Parallel", "tp-across-nodes", "parallel/across_nodes", Kind::flag, "",
     "let a tensor-parallel group span nodes (default: no)"},
    {"Parallel", "threads", "parallel/threads", Kind::integer, "N",
     "threads per rank (default: 0, the node's cores shared among its ranks)"},
    {"Parallel", "no-pinning", "parallel/pinning", Kind::off_flag, "",
     "let the system move threads between cores, for nodes that several jobs share (default: no)"},
    {"Parallel", "device", "parallel/device", Kind::text, "NAME",
     "cpu, cuda, or auto: cuda where every rank finds a device (default: auto)"},
    {"Parallel", "allow-device-sharing", "parallel/allow_device_sharing", Kind::flag, "",
     "let ranks share a device if there are too few (default: no)"},
    {"Parallel", "gpu-memory-fraction", "parallel/gpu_memory_fraction", Kind::real, "X",
     "of the memory that is free on a device, what its ranks may take (default: 0.92)"},
    {"Parallel", "device-transport", "parallel/device_transport", Kind::text, "NAME",
     "how devices exchange: nccl, staged (through the hosts' memory), or auto: nccl unless ranks "
     "share a device; same results (default: auto)"},
    {"Parallel", "device-timeout", "parallel/device_timeout", Kind::real, "SECONDS",
     "how long a step on a device, or a group's set-up, may take before it counts as hung and ends "
     "the job (default: 300)"},
    {"Parallel", "no-step-recording", "parallel/step_recording", Kind::off_flag, "",
     "on devices, start every kernel of a decoding step anew instead of replaying a recorded step; "
     "same results, slower (default: no)"},
    {"Parallel", "tp-invariant", "parallel/invariant", Kind::flag, "",
     "on devices, the same bits for every --tp at some cost; CPUs give them anyway (default: no)"},
    {"Engine", "step-tokens", "engine/step_tokens", Kind::integer, "N",
     "packed tokens of one forward step (default: 0, which is 512 on CPUs and 8192 on devices)"},
    {"Engine", "kv-tokens", "engine/kv_tokens", Kind::integer, "N",
     "KV cache per rank in tokens (default: 0, from --kv-memory)"},
    {"Engine", "kv-memory", "engine/kv_memory", Kind::text, "SIZE",
     "KV cache per rank in bytes, as 4GiB or 500M (default: 0, from free memory)"},
    {"Engine", "no-prefix-reuse", "engine/prefix_reuse", Kind::off_flag, "",
     "compute every request alone, also what several begin with; same results (default: no)"},
    {"Tasks", "tasks", "tasks", Kind::list, "A,B",
     "task names, globs, groups, tags or task files; as a JSON list to override task keys: "
     "[{\"name\": \"mmlu\", \"num_fewshot\": 5}] (required here or in the run file)"},
    {"Tasks", "task-path", "task_path", Kind::list, "DIR,DIR",
     "more folders with task files (default: none)"},
    {"Tasks", "data-dir", "data_dir", Kind::text, "DIR",
     "folder that data_files of tasks are looked up in (default: the working directory)"},
    {"Tasks", "limit", "limit", Kind::integer, "N",
     "only the first N documents of each task (default: all)"},
    {"Tasks", "num-fewshot", "num_fewshot", Kind::integer, "N",
     "examples per prompt, except where a task fixes 0 (default: the task's)"},
    {"Tasks", "seed", "seed", Kind::integer, "N",
     "seed of few-shot draws and of sampling (default: 1234)"},
    {"Tasks", "bootstrap-iterations", "bootstrap_iterations", Kind::integer, "N",
     "replicates for bootstrapped standard errors, 0 for none (default: 100000)"},
    {"Generation", "max-gen-toks", "generation/max_gen_toks", Kind::integer, "N",
     "longest generation (default: the task's)"},
    {"Generation", "generation-defaults", "generation/defaults", Kind::text, "checkpoint|none",
     "where settings come from that neither the run nor the task names: generation_config.json, as "
     "for generate() of transformers, or nowhere (default: checkpoint)"},
    {"Generation", "do-sample", "generation/do_sample", Kind::yes_no, "BOOL",
     "sample instead of greedy decoding (default: the task's)"},
    {"Generation", "temperature", "generation/temperature", Kind::real, "X",
     "sampling temperature, 0 is greedy (default: the task's)"},
    {"Generation", "top-k", "generation/top_k", Kind::integer, "N",
     "keep the N likeliest tokens, 0 for all (default: the task's, else the checkpoint's, else "
     "50)"},
    {"Generation", "top-p", "generation/top_p", Kind::real, "X",
     "nucleus sampling (default: the task's, else the checkpoint's)"},
    {"Generation", "min-p", "generation/min_p", Kind::real, "X",
     "keep tokens above X times the best (default: the task's, else the checkpoint's)"},
    {"Generation", "repetition-penalty", "generation/repetition_penalty", Kind::real, "X",
     "CTRL's penalty, 1 for none (default: the task's, else the checkpoint's)"},
    {"Generation", "until", "generation/until", Kind::list, "A,B",
     "strings that end a generation; as a JSON list for commas and line feeds (default: the "
     "task's)"},
    {"Output", "output,o", "output", Kind::text, "FILE", "result file (default: muster.h5)"},
    {"Output", "overwrite", "overwrite", Kind::flag, "",
     "replace an existing result file (default: no)"},
};

std::string long_name(const RunFlag& flag) {
    return std::string(flag.flag).substr(0, std::string(flag.flag).find(','));
}

Value convert(const RunFlag& flag, const std::string& text) {
    const std::string name = "--" + long_name(flag);
    switch (flag.kind) {
        case Kind::integer:
            return parse_integer(name, text);
        case Kind::auto_or_integer:
            if (text == "auto") return text;
            return parse_integer(name, text);
        case Kind::real: {
            char* end = nullptr;
            const double value = std::strtod(text.c_str(), &end);
            if (text.empty() || *end)
                throw UserError(cat(name, ": expected a number, got \"", text, "\""));
            return value;
        }
        case Kind::yes_no:
            if (text != "true" && text != "false")
                throw UserError(cat(name, ": expected true or false, got \"", text, "\""));
            return text == "true";
        case Kind::list: {
            if (text.starts_with('[')) return parse_json(text, name);
            Array items;
            for (const std::string& item : split(text, ','))
                if (!trim(item).empty()) items.push_back(trim(item));
            return items;
        }
        case Kind::text:
        case Kind::flag:
        case Kind::off_flag:
            break;
    }
    return text;
}

/// Sets the member at "a/b" of `root`.
void set_at(Object& root, const std::string& path, Value value) {
    const auto slash = path.find('/');
    if (slash == std::string::npos) {
        root.set(path, std::move(value));
        return;
    }
    const std::string key = path.substr(0, slash);
    if (!root.contains(key)) root.set(key, Object());
    set_at(root.find(key)->as_object(), path.substr(slash + 1), std::move(value));
}

}  // namespace

void add_run_options(po::options_description& description) {
    for (std::size_t i = 0; i < std::size(kFlags);) {
        po::options_description group(kFlags[i].group, 110);
        const std::string name = kFlags[i].group;
        for (; i < std::size(kFlags) && name == kFlags[i].group; ++i) {
            const RunFlag& flag = kFlags[i];
            if (flag.kind == Kind::flag || flag.kind == Kind::off_flag)
                group.add_options()(flag.flag, flag.help);
            else
                group.add_options()(
                    flag.flag, po::value<std::string>()->value_name(flag.value_name), flag.help);
        }
        description.add(group);
    }
    po::options_description log("Log", 110);
    log.add_options()("quiet,q", "only warnings, errors and the summary")(
        "verbose,v", "say more of what happens");
    description.add(log);
}

RunConfig read_run(const Options& options) {
    Value merged = Object();
    std::string source = "command line";
    if (options.has("run-file")) {
        source = options.get<std::string>("run-file");
        merged = load_run_file(source);
    }
    Object overlay;
    for (const RunFlag& flag : kFlags) {
        const std::string name = long_name(flag);
        if (!options.has(name)) continue;
        set_at(overlay, flag.key,
               flag.kind == Kind::flag       ? Value(true)
               : flag.kind == Kind::off_flag ? Value(false)
                                             : convert(flag, options.get<std::string>(name)));
    }
    merge_into(merged.as_object(), overlay);
    return read_run_config(merged, source);
}

void configure_run_log(const Options& options, int rank, int size) {
    const Verbosity verbosity = options.has("quiet")     ? Verbosity::quiet
                                : options.has("verbose") ? Verbosity::verbose
                                                         : Verbosity::normal;
    configure_log(verbosity, size > 1 ? cat("[rank ", rank, " ", host_name(), "] ") : "",
                  rank == 0);
}

}  // namespace muster
