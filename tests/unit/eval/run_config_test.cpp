#include "muster/eval/run_config.h"

#include <doctest/doctest.h>

#include <string>

#include "muster/base/error.h"
#include "muster/config/parse.h"

namespace muster {
namespace {

std::string problems_of(const std::string& json) {
    try {
        read_run_config(parse_json(json, "test"), "a.json");
    } catch (const UserError& e) {
        return e.what();
    }
    return "";
}

TEST_CASE("defaults and overrides") {
    const RunConfig run = read_run_config(
        parse_json(R"({"model": {"path": "m"}, "tasks": ["a", {"name": "b", "num_fewshot": 2}],
                       "generation": {"temperature": 0.7}})",
                   "test"),
        "a.json");
    CHECK(run.model_path == "m");
    CHECK(run.tensor_parallel == 1);
    CHECK(run.limit == -1);
    CHECK(run.seed == 1234);
    REQUIRE(run.tasks.size() == 2);
    CHECK(run.tasks[1].pattern == "b");
    CHECK(run.tasks[1].overrides.find("num_fewshot")->as_integer() == 2);
    CHECK_FALSE(run.tasks[1].overrides.contains("name"));
    GenerationSpec generation;
    run.generation.apply(generation);
    CHECK(generation.temperature == 0.7);
    CHECK(generation.do_sample);  // a temperature above 0 asks for sampling
    CHECK(generation.max_gen_toks == 256);
    CHECK(run.generation.checkpoint_defaults);
    const std::string rest = R"({"model": {"path": "m"}, "tasks": ["a"], "generation": )";
    CHECK_FALSE(read_run_config(parse_json(rest + R"({"defaults": "none"}})", "test"), "a.json")
                    .generation.checkpoint_defaults);
    CHECK(problems_of(rest + R"({"defaults": "all"}})").find("/generation/defaults") !=
          std::string::npos);
    CHECK(problems_of(rest + R"({"do_sample": true, "temperature": 0}})")
              .find("/generation/temperature") != std::string::npos);
}

TEST_CASE("the resolved configuration reads back as itself") {
    const RunConfig run = read_run_config(
        parse_json(
            R"({"model": {"path": "m", "max_length": 99}, "tasks": [{"name": "b", "repeats": 3}], "limit": 5,
                       "parallel": {"tensor": 2}, "generation": {"until": ["x"]}, "output": "o.h5"})",
            "test"),
        "a.json");
    const RunConfig again =
        read_run_config(parse_json(to_json(run.resolved), "resolved"), "resolved");
    CHECK(to_json(again.resolved) == to_json(run.resolved));
    CHECK(again.limit == 5);
    CHECK(again.tensor_parallel == 2);
    CHECK(again.tasks[0].overrides.find("repeats")->as_integer() == 3);
}

TEST_CASE("the KV cache is given in tokens or in bytes") {
    const auto engine = [](const std::string& keys) {
        return R"({"model": {"path": "m"}, "tasks": ["a"], "engine": {)" + keys + "}}";
    };
    const auto kv_memory = [&](const std::string& keys) {
        return read_run_config(parse_json(engine(keys), "test"), "a.json").kv_memory;
    };
    CHECK(kv_memory("") == 0);
    CHECK(kv_memory(R"("kv_memory": 1000)") == 1000);
    CHECK(kv_memory(R"("kv_memory": "2GiB")") == std::uint64_t{2} << 30);
    CHECK(problems_of(engine(R"("kv_memory": "2 ducks")")).find("/engine/kv_memory") !=
          std::string::npos);
    CHECK(problems_of(engine(R"("kv_memory": -1)")).find("/engine/kv_memory") != std::string::npos);
    CHECK(problems_of(engine(R"("kv_memory": 1, "kv_tokens": 1)")).find("one of the two") !=
          std::string::npos);
    const std::string off = engine(R"("prefix_reuse": false)");
    CHECK_FALSE(read_run_config(parse_json(off, "test"), "a.json").prefix_reuse);
    CHECK(read_run_config(parse_json(engine(""), "test"), "a.json").prefix_reuse);
}

TEST_CASE("threads are pinned unless the run says otherwise") {
    const auto run = [](const std::string& parallel) {
        return read_run_config(
            parse_json(R"({"model": {"path": "m"}, "tasks": ["a"], "parallel": )" + parallel + "}",
                       "test"),
            "a.json");
    };
    CHECK(run("{}").pinning);
    CHECK_FALSE(run(R"({"pinning": false})").pinning);
    // The other ranks read what rank 0 resolved.
    CHECK_FALSE(read_run_config(run(R"({"pinning": false})").resolved, "resolved").pinning);
}

TEST_CASE("what a run computes on") {
    const auto parallel = [](const std::string& keys) {
        return R"({"model": {"path": "m"}, "tasks": ["a"], "parallel": {)" + keys + "}}";
    };
    const auto read = [&](const std::string& keys) {
        return read_run_config(parse_json(parallel(keys), "test"), "a.json");
    };
    const RunConfig defaults = read("");
    CHECK(defaults.device == "auto");
    CHECK(defaults.device_transport == "auto");
    CHECK(defaults.gpu_memory_fraction == 0.92);
    CHECK(defaults.device_timeout == 300);
    CHECK(defaults.record_steps);
    CHECK(defaults.step_tokens == 0);
    CHECK_FALSE(defaults.allow_device_sharing);
    CHECK_FALSE(defaults.tp_invariant);

    const RunConfig run = read(
        R"("tensor": "auto", "device": "cuda", "device_transport": "staged", "invariant": true,
           "allow_device_sharing": true, "gpu_memory_fraction": 0.5, "device_timeout": 2.5,
           "step_recording": false)");
    CHECK(run.tensor_parallel == 0);
    CHECK(run.device == "cuda");
    CHECK(run.device_transport == "staged");
    CHECK(run.gpu_memory_fraction == 0.5);
    CHECK(run.device_timeout == 2.5);
    CHECK_FALSE(run.record_steps);
    CHECK(run.allow_device_sharing);
    CHECK(run.tp_invariant);
    const RunConfig again = read_run_config(run.resolved, "resolved");
    CHECK(to_json(again.resolved) == to_json(run.resolved));

    CHECK(problems_of(parallel(R"("tensor": "all")")).find("\"auto\"") != std::string::npos);
    CHECK(problems_of(parallel(R"("tensor": 0)")).find("/parallel/tensor") != std::string::npos);
    for (const char* wrong :
         {R"("device_transport": "mpi")", R"("gpu_memory_fraction": 1.5)",
          R"("gpu_memory_fraction": 0)", R"("device": "gpu")", R"("device_timeout": 0)"})
        CHECK(problems_of(parallel(wrong)).find("/parallel/") != std::string::npos);
}

TEST_CASE("all problems come at once, with suggestions") {
    const std::string message = problems_of(
        R"({"model": {"path": "m", "dtpye": "auto"}, "tasks": [], "limit": 0, "sed": 1, "parallel": {"device": "tpu"}})");
    for (const char* part : {"a.json", "/model/dtpye", "\"dtype\"", "/tasks", "/limit", "/sed",
                             "\"seed\"", "/parallel/device", "tpu"})
        CHECK_MESSAGE(message.find(part) != std::string::npos, part, " in ", message);
}

TEST_CASE("merging lays one object over another") {
    Value base = parse_json(R"({"a": {"b": 1, "c": 2}, "d": [1]})", "t");
    merge_into(base.as_object(),
               parse_json(R"({"a": {"c": 3}, "d": [2, 3], "e": null})", "t").as_object());
    CHECK(to_json(base) == R"({"a":{"b":1,"c":3},"d":[2,3],"e":null})");
}

}  // namespace
}  // namespace muster
