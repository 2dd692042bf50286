#include "cli/bench_options.h"

#include <algorithm>
#include <filesystem>

#include "cli/bench_phases.h"
#include "cli/bench_shapes.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/tensor/dtype.h"

namespace po = boost::program_options;

namespace muster {

namespace {

/// One flag and the member that it sets; exactly one of the pointers is not null.
struct BenchFlag {
    const char* group;
    const char* flag;
    const char* value_name;
    std::string BenchConfig::*text;
    std::int64_t BenchConfig::*integer;
    bool BenchConfig::*yes;
    std::int64_t min, max;  ///< of an integer
    const char* help;
};

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 24, kMaxBatch = 65536;

constexpr BenchFlag kFlags[] = {
    {"Model", "shape", "NAME", &BenchConfig::shape, nullptr, nullptr, 0, 0,
     "random weights of this shape: llama-135m, llama-1.1b, qwen2.5-7b, llama-3-8b, "
     "llama-3-70b-slice, mixtral-8x7b or a config.json (default: llama-1.1b)"},
    {"Model", "model", "DIR", &BenchConfig::model, nullptr, nullptr, 0, 0,
     "a checkpoint directory instead"},
    {"Model", "dtype", "TYPE", &BenchConfig::dtype, nullptr, nullptr, 0, 0,
     "compute type: auto, float32, float16 or bfloat16 (default: auto, as the config says)"},
    {"Work", "prompt", "N", nullptr, &BenchConfig::prompt_tokens, nullptr, 1, kMaxTokens,
     "prefill, score: tokens of one sequence (default: 512)"},
    {"Work", "context", "N", nullptr, &BenchConfig::context_tokens, nullptr, 1, kMaxTokens,
     "decode: tokens of one prompt (default: 128)"},
    {"Work", "new", "N", nullptr, &BenchConfig::new_tokens, nullptr, 2, kMaxTokens,
     "decode: tokens generated after it (default: 64)"},
    {"Work", "top-k", "N", nullptr, &BenchConfig::top_k, nullptr, 0, kMaxTokens,
     "decode: draw from the N best tokens, not the best one (default: 0, the best one)"},
    {"Work", "sample", "", nullptr, nullptr, &BenchConfig::sample, 0, 0,
     "decode: draw from all tokens at temperature 1, or from those of --top-k (default: no)"},
    {"Work", "questions", "N", nullptr, &BenchConfig::questions, nullptr, 1, 65536,
     "mmlu-like: questions behind one prefix (default: 8)"},
    {"Work", "runs", "N", nullptr, &BenchConfig::runs, nullptr, 1, 100'000,
     "measured runs of every phase, after one to warm up (default: 5)"},
    {"Parallel", "tp", "N", nullptr, &BenchConfig::tensor_parallel, nullptr, 1, 65536,
     "tensor-parallel ranks per model replica; more ranks are replicas (default: 1)"},
    {"Parallel", "tp-across-nodes", "", nullptr, nullptr, &BenchConfig::tp_across_nodes, 0, 0,
     "let a tensor-parallel group span nodes (default: no)"},
    {"Parallel", "threads", "N", nullptr, &BenchConfig::threads, nullptr, 0, 4096,
     "threads per rank (default: 0, the node's cores shared among its ranks)"},
    {"Parallel", "no-pinning", "", nullptr, nullptr, &BenchConfig::no_pinning, 0, 0,
     "let the system move threads between cores, for nodes that several jobs share (default: no)"},
    {"Parallel", "no-step-recording", "", nullptr, nullptr, &BenchConfig::no_step_recording, 0, 0,
     "on devices, start every kernel of a decoding step anew (default: no)"},
    {"Parallel", "device", "NAME", &BenchConfig::device, nullptr, nullptr, 0, 0,
     "cpu, cuda, or auto: cuda where every rank finds a device (default: auto)"},
    {"Parallel", "allow-device-sharing", "", nullptr, nullptr, &BenchConfig::allow_device_sharing,
     0, 0, "let ranks share a device if there are too few (default: no)"},
    {"Parallel", "device-transport", "NAME", &BenchConfig::device_transport, nullptr, nullptr, 0, 0,
     "how devices exchange: nccl, staged (through the hosts' memory), or auto: nccl unless ranks "
     "share a device; same results (default: auto)"},
    {"Parallel", "device-timeout", "SECONDS", nullptr, &BenchConfig::device_timeout, nullptr, 1,
     86400,
     "how long a step on a device, or setting up a group of them, may take before it counts as "
     "hung "
     "(default: 300)"},
    {"Parallel", "tp-invariant", "", nullptr, nullptr, &BenchConfig::tp_invariant, 0, 0,
     "on devices, the same bits for every --tp at some cost; CPUs give them anyway (default: no)"},
    {"Engine", "step-tokens", "N", nullptr, &BenchConfig::step_tokens, nullptr, 1, kMaxTokens,
     "packed tokens of one forward step (default: 512 on CPUs and 8192 on devices)"},
    {"Engine", "isa", "NAME", &BenchConfig::isa, nullptr, nullptr, 0, 0,
     "kernels and ceilings of one instruction set: generic, avx2, avx512, avx512-mixed "
     "(bf16 dot products for few rows) or avx512-bf16 (default: "
     "the fastest kernels, all ceilings)"},
    {"Output", "profile", "", nullptr, nullptr, &BenchConfig::profile, 0, 0,
     "time every operation of rank 0 and print a table per phase (default: no)"},
    {"Output", "json", "FILE", &BenchConfig::json, nullptr, nullptr, 0, 0,
     "write everything to this file, too"},
};

std::vector<std::string> read_phases(const std::string& list) {
    std::vector<std::string> phases;
    for (const std::string& part : split(list, ',')) {
        const std::string name(trim(part));
        const std::vector<std::string> known = phase_names();
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw UserError(cat("--phase: unknown phase \"", name, "\"", did_you_mean(name, known),
                                "; expected a list of ", join(known, ", ")));
        if (std::find(phases.begin(), phases.end(), name) == phases.end()) phases.push_back(name);
    }
    return phases;
}

std::vector<std::int64_t> read_batches(const std::string& list) {
    std::vector<std::int64_t> batches;
    for (const std::string& part : split(list, ',')) {
        const std::int64_t batch = parse_integer("--batch", std::string(trim(part)));
        if (batch < 1 || batch > kMaxBatch)
            throw UserError(
                cat("--batch: expected integers from 1 to ", kMaxBatch, ", got ", batch));
        if (std::find(batches.begin(), batches.end(), batch) == batches.end())
            batches.push_back(batch);
    }
    return batches;
}

void expect_one_of(const char* flag, const std::string& value,
                   const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), value) == names.end())
        throw UserError(cat("--", flag, ": \"", value, "\" is none of ", join(names, ", "),
                            did_you_mean(value, names)));
}

void check(BenchConfig& bench) {
    if (!bench.shape.empty() && !bench.model.empty())
        throw UserError("--shape and --model: expected one of them");
    if (bench.shape.empty() && bench.model.empty()) bench.shape = kDefaultShape;
    const auto type = parse_dtype(bench.dtype);
    if (bench.dtype != "auto" && (!type || *type == DType::i32))
        throw UserError(cat("--dtype: unknown type \"", bench.dtype,
                            "\"; expected auto, float32, float16 or bfloat16"));
    if (!bench.json.empty()) {  // said now, not after the work
        const auto folder = std::filesystem::absolute(bench.json).parent_path();
        if (!std::filesystem::is_directory(folder))
            throw UserError(cat("--json ", bench.json, ": there is no folder ", folder.string()));
    }
    expect_one_of("device", bench.device, {"auto", "cpu", "cuda"});
    expect_one_of("device-transport", bench.device_transport, {"auto", "nccl", "staged"});
    if (bench.step_tokens > 0) check_step_tokens(bench);
}

}  // namespace

void add_bench_options(po::options_description& description) {
    for (std::size_t i = 0; i < std::size(kFlags);) {
        const std::string name = kFlags[i].group;
        po::options_description group(name, 110);
        if (name == "Work")
            group.add_options()(
                "phase", po::value<std::string>()->value_name("A,B"),
                cat("which of ", join(phase_names(), ", "), " (default: all)").c_str())(
                "batch", po::value<std::string>()->value_name("N,M"),
                "prefill, score, decode: sequences; each number is measured (default: 1)");
        for (; i < std::size(kFlags) && name == kFlags[i].group; ++i) {
            const BenchFlag& flag = kFlags[i];
            if (flag.yes)
                group.add_options()(flag.flag, flag.help);
            else
                group.add_options()(
                    flag.flag, po::value<std::string>()->value_name(flag.value_name), flag.help);
        }
        description.add(group);
    }
    po::options_description log("Log", 110);
    log.add_options()("quiet,q", "only warnings, errors and the tables")(
        "verbose,v", "say more of what happens");
    description.add(log);
}

BenchConfig read_bench(const Options& options) {
    BenchConfig bench;
    for (const BenchFlag& flag : kFlags) {
        if (!options.has(flag.flag)) continue;
        if (flag.yes) {
            bench.*flag.yes = true;
        } else if (flag.text) {
            bench.*flag.text = options.get<std::string>(flag.flag);
            if ((bench.*flag.text).empty())
                throw UserError(cat("--", flag.flag, ": expected ", flag.value_name, ", got \"\""));
        } else {
            const std::string name = cat("--", flag.flag);
            const std::int64_t value = parse_integer(name, options.get<std::string>(flag.flag));
            if (value < flag.min || value > flag.max)
                throw UserError(cat(name, ": expected an integer from ", flag.min, " to ", flag.max,
                                    ", got ", value));
            bench.*flag.integer = value;
        }
    }
    bench.phases =
        options.has("phase") ? read_phases(options.get<std::string>("phase")) : phase_names();
    if (options.has("batch")) bench.batches = read_batches(options.get<std::string>("batch"));
    if (!options.has("step-tokens")) bench.step_tokens = 0;
    bench = at_batch(std::move(bench), bench.batches.front());
    check(bench);
    return bench;
}

BenchConfig at_batch(BenchConfig bench, std::int64_t batch) {
    bench.batch = batch;
    return bench;
}

void check_step_tokens(const BenchConfig& bench) {
    const bool decodes =
        std::find(bench.phases.begin(), bench.phases.end(), "decode") != bench.phases.end();
    if (decodes && largest_batch(bench) > bench.step_tokens)
        throw UserError(cat("--batch ", largest_batch(bench),
                            ": decode needs all sequences in one step of ", bench.step_tokens,
                            " tokens; raise --step-tokens"));
}

std::int64_t largest_batch(const BenchConfig& bench) {
    return *std::max_element(bench.batches.begin(), bench.batches.end());
}

}  // namespace muster
