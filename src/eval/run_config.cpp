#include "muster/eval/run_config.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/config/reader.h"

namespace muster {

namespace {

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 30;

template <typename Number>
void put(Object& object, const char* key, const std::optional<Number>& value) {
    object.set(key, value ? Value(*value) : Value());
}

std::vector<TaskRequest> read_tasks(ConfigReader& reader) {
    std::vector<TaskRequest> tasks;
    const Value list = reader.value("tasks");
    if (!list.is_array() || list.as_array().empty()) {
        reader.problem("tasks",
                       "expected a list with at least one task name or {\"name\": …}; `muster "
                       "tasks` lists them");
        return tasks;
    }
    for (std::size_t i = 0; i < list.as_array().size(); ++i) {
        const Value& entry = list.as_array()[i];
        const std::string key = cat("tasks/", i);
        if (entry.is_string()) {
            tasks.push_back({entry.as_string(), {}});
        } else if (entry.is_object() && entry.find("name") && entry.find("name")->is_string()) {
            TaskRequest request{entry.find("name")->as_string(), entry.as_object()};
            request.overrides.erase("name");
            tasks.push_back(std::move(request));
        } else {
            reader.problem(key, "expected a task name or an object with \"name\"");
        }
    }
    return tasks;
}

GenerationOverrides read_generation(ConfigReader reader) {
    GenerationOverrides generation;
    generation.checkpoint_defaults =
        reader.choice_or("defaults", "checkpoint", {"checkpoint", "none"}) == "checkpoint";
    generation.max_gen_toks = reader.optional_integer("max_gen_toks", {1, kMaxTokens});
    generation.do_sample = reader.optional_boolean("do_sample");
    generation.temperature = reader.optional_real("temperature", {0, 1000});
    if (generation.do_sample.value_or(false) && generation.temperature == 0.0)
        reader.problem("temperature", "do_sample is true: expected a temperature above 0");
    generation.top_k = reader.optional_integer("top_k", {0, kMaxTokens});
    generation.top_p = reader.optional_real("top_p", {0, 1});
    generation.min_p = reader.optional_real("min_p", {0, 1});
    generation.repetition_penalty = reader.optional_real("repetition_penalty", {1e-3, 1000});
    if (!reader.value("until").is_null()) generation.until = reader.strings_or("until", {});
    return generation;
}

/// A number of bytes, or text as parse_bytes takes it; 0 if absent.
std::uint64_t read_bytes(ConfigReader& reader, const char* key) {
    const Value value = reader.value(key);
    if (value.is_null()) return 0;
    if (value.is_integer() && value.as_integer() >= 0)
        return static_cast<std::uint64_t>(value.as_integer());
    if (value.is_string())
        if (const auto bytes = parse_bytes(value.as_string())) return *bytes;
    reader.problem(key, "expected a number of bytes, or text such as \"4GiB\" or \"500M\"");
    return 0;
}

/// A number of ranks, or 0 for "auto".
int read_degree(ConfigReader& reader) {
    const Value value = reader.value("tensor");
    if (value.is_string() && value.as_string() == "auto") return 0;
    if (!value.is_string()) return static_cast<int>(reader.integer_or("tensor", 1, {1, 1 << 16}));
    reader.problem("tensor",
                   cat("expected a number of ranks or \"auto\", got \"", value.as_string(), "\""));
    return 1;
}

Value generation_value(const GenerationOverrides& generation) {
    Object object;
    object.set("defaults", generation.checkpoint_defaults ? "checkpoint" : "none");
    put(object, "max_gen_toks", generation.max_gen_toks);
    put(object, "do_sample", generation.do_sample);
    put(object, "temperature", generation.temperature);
    put(object, "top_k", generation.top_k);
    put(object, "top_p", generation.top_p);
    put(object, "min_p", generation.min_p);
    put(object, "repetition_penalty", generation.repetition_penalty);
    Value until;
    if (generation.until) until = Array(generation.until->begin(), generation.until->end());
    object.set("until", until);
    return object;
}

/// Everything that was decided, defaults included, in the run file's own schema.
Value resolve(const RunConfig& run) {
    Object model, parallel, engine, root;
    model.set("path", run.model_path);
    model.set("dtype", run.dtype);
    put(model, "max_length", run.max_length);
    put(model, "add_bos", run.add_bos);
    parallel.set("tensor", run.tensor_parallel == 0 ? Value("auto") : Value(run.tensor_parallel));
    parallel.set("across_nodes", run.tp_across_nodes);
    parallel.set("invariant", run.tp_invariant);
    parallel.set("threads", run.threads);
    parallel.set("pinning", run.pinning);
    parallel.set("device", run.device);
    parallel.set("allow_device_sharing", run.allow_device_sharing);
    parallel.set("device_transport", run.device_transport);
    parallel.set("gpu_memory_fraction", run.gpu_memory_fraction);
    parallel.set("device_timeout", run.device_timeout);
    parallel.set("step_recording", run.record_steps);
    engine.set("step_tokens", run.step_tokens);
    engine.set("kv_tokens", run.kv_tokens);
    engine.set("kv_memory", static_cast<std::int64_t>(run.kv_memory));
    engine.set("prefix_reuse", run.prefix_reuse);
    Array tasks;
    for (const TaskRequest& task : run.tasks) {
        Object entry;
        entry.set("name", task.pattern);
        for (const auto& [key, value] : task.overrides.members()) entry.set(key, value);
        tasks.push_back(entry);
    }
    root.set("model", model);
    root.set("parallel", parallel);
    root.set("engine", engine);
    root.set("tasks", tasks);
    root.set("task_path", Array(run.task_paths.begin(), run.task_paths.end()));
    root.set("data_dir", run.data_dir);
    root.set("limit", run.limit < 0 ? Value() : Value(run.limit));
    put(root, "num_fewshot", run.num_fewshot);
    root.set("seed", static_cast<std::int64_t>(run.seed));
    root.set("bootstrap_iterations", run.bootstrap_iterations);
    root.set("generation", generation_value(run.generation));
    root.set("output", run.output);
    root.set("overwrite", run.overwrite);
    return root;
}

}  // namespace

void GenerationOverrides::apply(GenerationSpec& spec) const {
    if (max_gen_toks) spec.max_gen_toks = *max_gen_toks;
    if (do_sample) spec.do_sample = *do_sample;
    if (temperature) spec.temperature = temperature;
    if (top_k) spec.top_k = top_k;
    if (top_p) spec.top_p = top_p;
    if (min_p) spec.min_p = min_p;
    if (repetition_penalty) spec.repetition_penalty = repetition_penalty;
    if (until) spec.until = *until;
    if (temperature && !do_sample) spec.do_sample = *temperature > 0;
}

RunConfig read_run_config(const Value& merged, const std::string& source) {
    ConfigReader reader(merged, source);
    RunConfig run;

    ConfigReader model = reader.object("model");
    run.model_path = model.string("path");
    run.dtype = model.choice_or("dtype", "auto", {"auto", "float32", "float16", "bfloat16"});
    run.max_length = model.optional_integer("max_length", {1, kMaxTokens});
    run.add_bos = model.optional_boolean("add_bos");

    ConfigReader parallel = reader.object("parallel");
    run.tensor_parallel = read_degree(parallel);
    run.tp_across_nodes = parallel.boolean_or("across_nodes", false);
    run.tp_invariant = parallel.boolean_or("invariant", false);
    run.threads = static_cast<int>(parallel.integer_or("threads", 0, {0, 4096}));
    run.pinning = parallel.boolean_or("pinning", true);
    run.device = parallel.choice_or("device", "auto", {"auto", "cpu", "cuda"});
    run.allow_device_sharing = parallel.boolean_or("allow_device_sharing", false);
    run.device_transport =
        parallel.choice_or("device_transport", "auto", {"auto", "nccl", "staged"});
    run.gpu_memory_fraction = parallel.real_or("gpu_memory_fraction", 0.92, {0.01, 1});
    run.device_timeout = parallel.real_or("device_timeout", 300, {1, 86400});
    run.record_steps = parallel.boolean_or("step_recording", true);

    ConfigReader engine = reader.object("engine");
    run.step_tokens = engine.integer_or("step_tokens", 0, {0, 1 << 20});
    run.kv_tokens = engine.integer_or("kv_tokens", 0, {0, kMaxTokens});
    run.kv_memory = read_bytes(engine, "kv_memory");
    if (run.kv_tokens > 0 && run.kv_memory > 0)
        engine.problem("kv_memory", "kv_tokens is set as well; expected one of the two");
    run.prefix_reuse = engine.boolean_or("prefix_reuse", true);

    run.tasks = read_tasks(reader);
    run.task_paths = reader.strings_or("task_path", {});
    run.data_dir = reader.string_or("data_dir", "");
    run.limit = reader.integer_or("limit", -1, {1, kMaxTokens});
    run.num_fewshot = reader.optional_integer("num_fewshot", {0, 1 << 20});
    run.seed = static_cast<std::uint64_t>(reader.integer_or("seed", 1234, {0, INT64_MAX}));
    run.bootstrap_iterations =
        static_cast<int>(reader.integer_or("bootstrap_iterations", 100000, {0, 10'000'000}));
    run.generation = read_generation(reader.object("generation"));
    run.output = reader.string_or("output", "muster.h5");
    run.overwrite = reader.boolean_or("overwrite", false);
    if (run.output.empty()) reader.problem("output", "expected a file name");
    reader.finish();
    run.resolved = resolve(run);
    return run;
}

Value load_run_file(const std::string& path) {
    namespace fs = std::filesystem;
    Value run = parse_config_file(path);
    if (!run.is_object())
        throw UserError(cat(path, ": expected an object, got ", kind_name(run.kind())));
    const fs::path folder = fs::path(path).parent_path();
    const auto anchored = [&](const Value& value) -> Value {
        if (!value.is_string() || value.as_string().empty() ||
            fs::path(value.as_string()).is_absolute())
            return value;
        return (folder / value.as_string()).lexically_normal().string();
    };
    Object& root = run.as_object();
    if (Value* model = root.find("model"); model && model->is_object())
        if (Value* model_path = model->as_object().find("path"))
            *model_path = anchored(*model_path);
    if (Value* data = root.find("data_dir")) *data = anchored(*data);
    if (Value* folders = root.find("task_path")) {
        if (folders->is_array())
            for (Value& entry : folders->as_array()) entry = anchored(entry);
        else
            *folders = anchored(*folders);
    }
    return run;
}

void merge_into(Object& base, const Object& overlay) {
    for (const auto& [key, value] : overlay.members()) {
        Value* existing = base.find(key);
        if (existing && existing->is_object() && value.is_object())
            merge_into(existing->as_object(), value.as_object());
        else
            base.set(key, value);
    }
}

}  // namespace muster
