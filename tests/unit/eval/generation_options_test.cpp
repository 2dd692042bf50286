// What the run, the task and the checkpoint say of how tokens are chosen, and the tokens that
// lm-evaluation-harness gets by it.

#include "generation_options.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/engine/engine.h"
#include "muster/eval/run_config.h"
#include "muster/eval/work_plan.h"
#include "muster/model/model.h"
#include "muster/mpi/communicator.h"

namespace muster {
namespace {

const std::string kQuickstart = MUSTER_SOURCE_DIR "/configs/quickstart";

TaskSpec task_of(const std::string& generation_kwargs) {
    return read_task_spec(parse_json(R"({"task": "t", "dataset_path": "json", "test_split": "test",
        "dataset_kwargs": {"data_files": {"test": "x.json"}}, "doc_to_text": "q",
        "doc_to_target": "a", "output_type": "generate_until", "generation_kwargs": )" +
                                         generation_kwargs + "}",
                                     "task"),
                          "t.json");
}

GenerationDefaults defaults_of(const std::string& json) {
    const test::TemporaryFolder folder;
    folder.write("generation_config.json", json);
    return GenerationDefaults::load(folder.path());
}

std::string error_of(const std::string& kwargs, const std::string& generation_config) {
    try {
        sampling_of(task_of(kwargs), defaults_of(generation_config));
    } catch (const UserError& error) {
        return error.what();
    }
    return "no error";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// A copy of the quick start's model with another generation_config.json and keys added to
/// config.json.
void write_model(const test::TemporaryFolder& folder, const Value& generation_config,
                 const Value& config) {
    const std::string model = kQuickstart + "/model";
    for (const auto& entry : std::filesystem::directory_iterator(model))
        std::filesystem::copy(entry.path(), folder / entry.path().filename().string());
    std::filesystem::remove(folder / "generation_config.json");
    if (!generation_config.is_null())
        folder.write("generation_config.json", to_json(generation_config));
    Value all = parse_json(read_file(model + "/config.json"), "config.json");
    merge_into(all.as_object(), config.as_object());
    folder.write("config.json", to_json(all));
}

std::vector<std::int32_t> ids_of(const Value& list) {
    std::vector<std::int32_t> ids;
    for (const Value& id : list.as_array())
        ids.push_back(static_cast<std::int32_t>(id.as_integer()));
    return ids;
}

}  // namespace

// Made by scripts/golden/generation_defaults.py with lm-eval 0.4.13 and transformers 5.23.0.
TEST_CASE("checkpoints with a repetition penalty write what they write in lm-evaluation-harness") {
    const std::string path = MUSTER_SOURCE_DIR "/tests/golden/engine/generation_defaults.json";
    const Value golden = parse_json(read_file(path), path);
    const auto& cases = golden.find("cases")->as_array();
    REQUIRE(cases.size() == 8);
    for (const Value& item : cases) {
        CAPTURE(to_json(item));
        const test::TemporaryFolder folder;
        write_model(folder, *item.find("generation_config"), *item.find("config"));
        RunConfig run;
        run.model_path = folder.path();
        const ModelFiles files = load_model_files(run);
        const SamplingOptions sampling =
            sampling_of(task_of(to_json(*item.find("generation_kwargs"))), files.generation);
        std::vector<Request> requests;
        for (const Value& output : item.find("outputs")->as_array()) {
            Request request;
            request.id = requests.size();
            request.kind = Request::Kind::generate;
            request.tokens = ids_of(*output.find("prompt"));
            request.max_new_tokens = static_cast<std::int32_t>(golden.find("length")->as_integer());
            request.stop_ids = files.stop_ids;
            request.sampling = sampling;
            requests.push_back(request);
        }
        const Communicator self = Communicator::self();
        const auto backend = make_cpu_backend(1, self);
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        const auto model = Model::load(checkpoint, files.config, *backend, 256,
                                       [](std::uint64_t, std::uint64_t) {});
        Engine engine(*model, files.tokenizer, {.max_step_rows = 256, .kv_tokens = 1024});
        const std::vector<Completion> got = engine.run(requests, {});
        for (std::size_t i = 0; i < got.size(); ++i) {
            std::vector<std::int32_t> expected =
                ids_of(*item.find("outputs")->as_array()[i].find("ids"));
            if (got[i].finish == FinishReason::stop_id) expected.pop_back();  // </s>
            CHECK(got[i].tokens == expected);
        }
        // The best logits of a row tell which token is best after a penalty that lifts none.
        CHECK((engine.counters().rows_of_logits > 0) == (sampling.repetition_penalty < 1));
    }
}

TEST_CASE("the run goes before the task, the task before the checkpoint") {
    const std::string checkpoint =
        R"({"repetition_penalty": 1.05, "temperature": 0.6, "top_k": 20, "top_p": 0.8, "min_p": 0.1})";
    const auto sampling = [&](const std::string& kwargs, const GenerationOverrides& run = {}) {
        TaskSpec task = task_of(kwargs);
        run.apply(task.generation);
        return sampling_of(task, defaults_of(checkpoint));
    };
    // Whether to sample is not the checkpoint's to say; lm-evaluation-harness always says.
    CHECK(sampling("{}") == SamplingOptions{.repetition_penalty = 1.05});
    CHECK(sampling(R"({"top_k": 3})") == SamplingOptions{.repetition_penalty = 1.05});
    const SamplingOptions all{
        .temperature = 0.7, .top_k = 20, .top_p = 0.8, .min_p = 0.1, .repetition_penalty = 1.05};
    CHECK(sampling(R"({"temperature": 0.7})") == all);
    CHECK(sampling("{}", {.temperature = 0.7}) == all);
    CHECK(sampling(R"({"do_sample": true})").temperature == 0.6);
    CHECK(sampling(R"({"do_sample": false, "temperature": 0})", {.do_sample = true}).temperature ==
          0.6);
    CHECK(
        sampling(R"({"do_sample": false, "temperature": 0.9})", {.do_sample = true}).temperature ==
        0.9);
    CHECK(sampling(R"({"do_sample": false, "temperature": 0.9})").greedy());
    CHECK(sampling(R"({"temperature": 0.7, "top_k": 0, "top_p": 1, "min_p": 0,
                       "repetition_penalty": 1})") == SamplingOptions{.temperature = 0.7});
    CHECK(sampling(R"({"temperature": 0.7, "top_k": 7})", {.top_k = 9}).top_k == 9);
}

TEST_CASE("what a checkpoint leaves out is as transformers has it; nothing is taken if so wished") {
    const TaskSpec task = task_of(R"({"temperature": 0.7})");
    CHECK(sampling_of(task, defaults_of("{}")) == SamplingOptions{.temperature = 0.7, .top_k = 50});
    CHECK(sampling_of(task, defaults_of(R"({"top_k": null})")).top_k == 50);
    CHECK(sampling_of(task, defaults_of(R"({"top_k": 0})")).top_k == 0);
    CHECK(sampling_of(task, {}) == SamplingOptions{.temperature = 0.7});
    CHECK(sampling_of(task_of(R"({"do_sample": true})"), defaults_of(R"({"temperature": 0})"))
              .temperature == 1);
}

TEST_CASE("a generation_config.json that asks for what is not offered is refused with its keys") {
    for (const char* key :
         {R"("num_beams": 4)", R"("no_repeat_ngram_size": 3)", R"("min_new_tokens": 1)",
          R"("suppress_tokens": [5])", R"("forced_eos_token_id": 2)", R"("guidance_scale": 1.5)",
          R"("exponential_decay_length_penalty": [5, 1.1])", R"("sequence_bias": {"1": 2})",
          R"("encoder_repetition_penalty": 1.2)", R"("stop_strings": "x")"}) {
        CAPTURE(key);
        const std::string error = error_of("{}", cat("{", key, "}"));
        CHECK(contains(error, "generation_config.json: "));
        CHECK(contains(error, "what task t generates"));
        CHECK(contains(error, "--generation-defaults none"));
    }
    CHECK(contains(error_of("{}", R"({"num_beams": 4, "min_length": 9})"),
                   "num_beams 4, min_length 9 change what"));
    CHECK(error_of("{}", R"({"typical_p": 0.9})") == "no error");
    CHECK(contains(error_of(R"({"temperature": 1})", R"({"typical_p": 0.9})"), "typical_p 0.9"));
    CHECK(error_of(R"({"temperature": 1})", R"({"num_beams": 1, "no_repeat_ngram_size": 0,
        "typical_p": 1.0, "encoder_repetition_penalty": 1.0, "suppress_tokens": [], "max_length": 20,
        "bad_words_ids": null, "token_healing": false, "length_penalty": 2, "use_cache": true,
        "transformers_version": "5.23.0", "whatever": {}})") == "no error");
    CHECK(length_warning(defaults_of("{}")).empty());
    CHECK(contains(length_warning(defaults_of(R"({"max_new_tokens": 512})")),
                   "max_new_tokens 512 is not used"));
}

TEST_CASE("a generation_config.json that makes no sense is refused with its name") {
    const auto refused = [](const std::string& json, const std::string& problem) {
        CAPTURE(json);
        for (const std::string& part : {problem, std::string("/generation_config.json")})
            CHECK_THROWS_WITH_AS(sampling_of(task_of("{}"), defaults_of(json)),
                                 doctest::Contains(part.c_str()), UserError);
    };
    refused(R"({"repetition_penalty": 0})", "/repetition_penalty: 0 is out of range");
    refused(R"({"repetition_penalty": "1.05"})", "/repetition_penalty");
    refused(R"({"temperature": -1, "top_p": 2})", "/temperature");
    refused(R"({"temperature": -1, "top_p": 2})", "/top_p");
    refused(R"({"top_k": -1})", "/top_k: -1 is out of range");
    refused(R"({"top_k": 1.5})", "/top_k");
    CHECK_NOTHROW(defaults_of(R"({"top_k": -1})"));  // which tasks that only score never see
    refused(R"({"min_p": 1e400})", "");
    refused(R"({"max_new_tokens": 0})", "/max_new_tokens");
    refused("[]", "");
    refused("{", "");
    refused("", "");
}

TEST_CASE("the plan fills in how a task generates, and the task's record says so") {
    RunConfig run;
    run.model_path = kQuickstart + "/model";
    run.tasks = {{"quickstart_sums", {}}};
    run.task_paths = {kQuickstart + "/tasks"};
    run.data_dir = kQuickstart + "/data";
    run.limit = 2;
    run.generation.temperature = 0.5;
    ModelFiles files = load_model_files(run);
    files.generation.repetition_penalty = 1.1;
    const WorkPlan plan = make_work_plan(select_tasks(run), run, files, 1);
    const SamplingOptions expected{
        .temperature = 0.5, .top_k = 50, .repetition_penalty = 1.1, .seed = run.seed};
    CHECK(plan.tasks[0].sampling == expected);
    for (const Request& request : plan.requests) CHECK(request.sampling == expected);
    const TaskSpec& spec = plan.tasks[0].spec;
    CHECK(to_json(*spec.resolved.find("generation_kwargs")) ==
          R"({"until":["\n\n","Problem:"],"max_gen_toks":80,"do_sample":true,"temperature":0.5,)"
          R"("top_k":50,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.1})");
    // What is recorded asks for the same, whatever the checkpoint.
    const TaskSpec again = read_task_spec(spec.resolved, "record");
    CHECK(sampling_of(again, defaults_of(R"({"top_k": 3, "repetition_penalty": 2})")) ==
          SamplingOptions{.temperature = 0.5, .top_k = 50, .repetition_penalty = 1.1});
    CHECK(describe(expected) == "temperature 0.5, top-k 50, repetition penalty 1.1");
    CHECK(describe({}) == "greedy");
}

}  // namespace muster
