#pragma once
// A run file with the command line laid over it: what to load, what to evaluate, where to write.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/config/value.h"
#include "muster/task/task_library.h"
#include "muster/task/task_spec.h"

namespace muster {

/// Generation settings that replace those of every generating task.
struct GenerationOverrides {
    bool checkpoint_defaults = true;  ///< what nobody says comes from generation_config.json
    std::optional<std::int64_t> max_gen_toks, top_k;
    std::optional<double> temperature, top_p, min_p, repetition_penalty;
    std::optional<bool> do_sample;
    std::optional<std::vector<std::string>> until;

    /// `spec` with the settings that are given.
    void apply(GenerationSpec& spec) const;
};

struct RunConfig {
    // model
    std::string model_path;
    std::string dtype = "auto";              ///< auto: as the checkpoint stores it
    std::optional<std::int64_t> max_length;  ///< tokens of context; default: the model's
    std::optional<bool> add_bos;             ///< default: as the tokenizer says
    // parallel
    int tensor_parallel = 1;  ///< 0: the smallest degree that fits, chosen before the run
    bool tp_across_nodes = false;
    bool tp_invariant = false;    ///< on devices: the same bits for every degree
    int threads = 0;              ///< per rank; 0: the node's cores shared among its ranks
    bool pinning = true;          ///< threads stay on cores where the ranks' masks leave no choice
    std::string device = "auto";  ///< auto | cpu | cuda
    bool allow_device_sharing = false;
    std::string device_transport = "auto";  ///< auto | nccl | staged
    double gpu_memory_fraction = 0.92;      ///< of a device's free memory
    bool record_steps = true;               ///< on devices; see CudaOptions
    double device_timeout = 300;            ///< seconds that a step on a device may take
    // engine
    std::int64_t step_tokens = 0;  ///< 0: as the device likes it
    std::int64_t kv_tokens = 0;    ///< per rank; 0: from kv_memory
    std::uint64_t kv_memory = 0;   ///< bytes per rank; 0: from free memory
    bool prefix_reuse = true;      ///< compute common beginnings of requests once
    // tasks
    std::vector<TaskRequest> tasks;
    std::vector<std::string> task_paths;
    std::string data_dir;
    std::int64_t limit = -1;
    std::optional<std::int64_t> num_fewshot;
    std::uint64_t seed = 1234;
    int bootstrap_iterations = 100000;
    GenerationOverrides generation;
    // output
    std::string output = "muster.h5";
    bool overwrite = false;

    Value resolved;  ///< all of the above as one JSON object, for provenance
};

/// Reads `merged` strictly. `source` names it in messages. Throws UserError listing every problem.
RunConfig read_run_config(const Value& merged, const std::string& source);

/// The run file at `path` with its relative paths made relative to the working directory. Throws
/// UserError.
Value load_run_file(const std::string& path);

/// Members of `overlay` replace those of `base`, objects member by member.
void merge_into(Object& base, const Object& overlay);

}  // namespace muster
