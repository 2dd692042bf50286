#include "muster/eval/setup.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// A control group's limit minus its use, or the largest number if there is none.
std::uint64_t control_group_room() {
    std::ifstream max_file("/sys/fs/cgroup/memory.max"),
        current_file("/sys/fs/cgroup/memory.current");
    std::uint64_t max = 0, current = 0;
    if (!(max_file >> max) || !(current_file >> current))
        return std::numeric_limits<std::uint64_t>::max();
    return max > current ? max - current : 0;
}

}  // namespace

ModelFiles load_model_files(const RunConfig& run) {
    ModelConfig config = ModelConfig::load(run.model_path, run.dtype == "auto" ? "" : run.dtype);
    if (run.tensor_parallel > 0) check_tp_degree(config, run.tensor_parallel);
    ModelFiles files{
        config, Tokenizer::load(run.model_path), config.max_positions, config.eos_ids, run.add_bos,
        {}};
    if (run.generation.checkpoint_defaults)
        files.generation = GenerationDefaults::load(run.model_path);
    if (files.tokenizer.vocab_size() > config.vocab_size)
        throw UserError(cat(run.model_path, "/tokenizer.json: token ids up to ",
                            files.tokenizer.vocab_size() - 1, " but config.json has vocab_size ",
                            config.vocab_size, "; expected a tokenizer of this checkpoint"));
    // As lm-eval's Hugging Face model: the config's positions, then the tokenizer's length, then
    // 2048.
    if (files.max_length <= 0) files.max_length = files.tokenizer.model_max_length().value_or(2048);
    if (run.max_length) {
        if (config.max_positions > 0 && *run.max_length > config.max_positions)
            throw UserError(cat("model.max_length is ", *run.max_length, " but ", run.model_path,
                                "/config.json has max_position_embeddings ", config.max_positions,
                                "; expected at most that"));
        files.max_length = *run.max_length;
    }
    if (const auto eos = files.tokenizer.eos_id())
        if (std::find(files.stop_ids.begin(), files.stop_ids.end(), *eos) == files.stop_ids.end())
            files.stop_ids.push_back(*eos);
    return files;
}

std::int64_t default_step_tokens(bool cuda) {
    return cuda ? 8192 : 512;
}

std::int64_t round_to_pages(std::int64_t tokens) {
    return (tokens + kKvPageTokens - 1) / kKvPageTokens * kKvPageTokens;
}

std::int64_t choose_kv_tokens(const RunConfig& run, const ModelConfig& config,
                              std::int64_t longest_request, std::uint64_t free_bytes_per_rank) {
    const std::int64_t needed = round_to_pages(std::max<std::int64_t>(longest_request, 1));
    const std::uint64_t per_token = kv_bytes_per_token(config, run.tensor_parallel);
    if (run.kv_tokens > 0) {
        if (run.kv_tokens < needed)
            throw UserError(
                cat("engine.kv_tokens is ", run.kv_tokens, " but the longest request needs ",
                    needed, "; expected at least that: raise --kv-tokens or lower --max-length"));
        return round_to_pages(run.kv_tokens);
    }
    if (run.kv_memory > 0) {
        const std::uint64_t tokens =
            std::min<std::uint64_t>(run.kv_memory / per_token, std::uint64_t{1} << 30);
        if (static_cast<std::int64_t>(tokens) < needed)
            throw UserError(cat("engine.kv_memory is ", format_bytes(run.kv_memory),
                                " but the longest request needs ",
                                format_bytes(static_cast<std::uint64_t>(needed) * per_token),
                                " of keys and values per rank; expected at least that: raise "
                                "--kv-memory or lower --max-length"));
        return static_cast<std::int64_t>(tokens) / kKvPageTokens * kKvPageTokens;
    }
    const auto affordable = static_cast<std::int64_t>(free_bytes_per_rank * 2 / 5 / per_token);
    if (affordable < needed)
        throw UserError(cat(
            "the longest request needs ",
            format_bytes(static_cast<std::uint64_t>(needed) * per_token),
            " of keys and values per rank, but only ", format_bytes(free_bytes_per_rank * 2 / 5),
            " are to be had; use fewer ranks per node, a larger --tp, or a smaller --max-length"));
    constexpr std::int64_t kEnough = 65536;
    return std::max(needed, std::min(kEnough, affordable / kKvPageTokens * kKvPageTokens));
}

std::uint64_t node_bytes(const MemoryPlan& plan, const NodeShare& node) {
    const auto ranks = static_cast<std::uint64_t>(node.ranks),
               copies = static_cast<std::uint64_t>(node.copies);
    return copies * plan.matrices + ranks * (plan.total() - plan.matrices + plan.process);
}

std::string memory_problem(const MemoryPlan& plan, const NodeShare& node, std::uint64_t available) {
    const std::uint64_t needed = node_bytes(plan, node);
    if (needed <= available) return "";
    return cat("not enough memory on this node: ", node.ranks, " rank(s) need ",
               format_bytes(needed), " (", node.copies, node.copies == 1 ? " copy" : " copies",
               " of the weights, each ", format_bytes(plan.weights), "; per rank keys and values ",
               format_bytes(plan.kv_cache), ", workspace ", format_bytes(plan.workspace), ") but ",
               format_bytes(available),
               " are available; expected at most that: fewer ranks per node, a larger --tp, or a "
               "smaller --step-tokens, --kv-tokens or --max-length");
}

std::uint64_t available_memory() {
    std::ifstream file("/proc/meminfo");
    std::string key, unit;
    std::uint64_t kib = 0;
    while (file >> key >> kib) {
        std::getline(file, unit);
        if (key == "MemAvailable:") return std::min(kib * 1024, control_group_room());
    }
    throw SystemError(
        "/proc/meminfo: no MemAvailable line; expected a Linux kernel of 3.14 or later");
}

std::uint64_t program_bytes() {
    // Stacks, messages, answers and the HDF5 library at work.
    constexpr std::uint64_t kLater = std::uint64_t{12} << 20;
    std::ifstream file("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    if (!(file >> total >> resident))
        throw SystemError("/proc/self/statm: not readable; expected Linux's proc file system");
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + kLater;
}

std::uint64_t peak_resident_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace muster
