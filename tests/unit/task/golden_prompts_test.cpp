// Requests equal to lm-evaluation-harness's, byte for byte: tests/golden/prompts, made by
// scripts/golden/lm_eval_prompts.py.
#include <doctest/doctest.h>

#include "muster/base/file.h"
#include "muster/config/parse.h"
#include "muster/task/task.h"
#include "unit/temporary_folder.h"

using namespace muster;

namespace {

/// The golden task with its rows written out as the files of its splits.
Task load_golden(const Value& golden, const test::TemporaryFolder& folder) {
    Object files;
    for (const auto& [split, rows] : golden.find("data")->as_object().members()) {
        std::string lines;
        for (const Value& row : rows.as_array()) lines += to_json(row) + "\n";
        files.set(split, folder.write(split + ".jsonl", lines));
    }
    Object task = golden.find("task")->as_object();
    task.set("dataset_kwargs", Object());
    task.find("dataset_kwargs")->as_object().set("data_files", std::move(files));
    return Task::load(read_task_spec(Value(task), "golden.json"), "");
}

}  // namespace

TEST_CASE("requests are those of lm-evaluation-harness") {
    const std::vector<std::string> files =
        glob_files(MUSTER_SOURCE_DIR "/tests/golden/prompts/*.json");
    REQUIRE(files.size() >= 20);
    for (const std::string& file : files) {
        CAPTURE(file);
        const Value golden = parse_json(read_file(file), file);
        const test::TemporaryFolder folder;
        const Task task = load_golden(golden, folder);
        const std::vector<Sample> samples = task.build({});
        CHECK(samples.size() == task.num_documents());

        const Array& expected = golden.find("requests")->as_array();
        std::size_t next = 0;
        for (const Sample& sample : samples)
            for (const RequestText& request : sample.requests) {
                REQUIRE(next < expected.size());
                const Array& wanted = expected[next++].as_array();
                CHECK(sample.doc_id == wanted[0].as_integer());
                // Rolling requests have one argument, the text; generation has the prompt and its
                // settings.
                const bool rolling = task.spec().output_type == OutputType::loglikelihood_rolling;
                CHECK((rolling ? request.continuation : request.context) == wanted[1].as_string());
                if (wanted.size() > 2 && wanted[2].is_string())
                    CHECK(request.continuation == wanted[2].as_string());
            }
        CHECK(next == expected.size());
    }
}

TEST_CASE("golds and references are those of lm-evaluation-harness") {
    for (const std::string& file : glob_files(MUSTER_SOURCE_DIR "/tests/golden/prompts/*.json")) {
        CAPTURE(file);
        const Value golden = parse_json(read_file(file), file);
        const test::TemporaryFolder folder;
        const Task task = load_golden(golden, folder);
        const Array& targets = golden.find("targets")->as_array();
        for (const Sample& sample : task.build({})) {
            const Value& target = targets[static_cast<std::size_t>(sample.doc_id)];
            if (task.spec().output_type == OutputType::multiple_choice && target.is_integer())
                CHECK(sample.gold == std::vector<std::int64_t>{target.as_integer()});
            else if (target.is_array())
                CHECK(sample.targets.size() == target.as_array().size());
            else if (target.is_string())
                CHECK(sample.target == target.as_string());
            else
                CHECK(!sample.target.empty());
        }
    }
}

TEST_CASE("a limit leaves out the later documents and changes nothing else") {
    const std::string file = MUSTER_SOURCE_DIR "/tests/golden/prompts/generate_train.json";
    const test::TemporaryFolder folder;
    const Task task = load_golden(parse_json(read_file(file), file), folder);
    const std::vector<Sample> all = task.build({});
    const std::vector<Sample> some = task.build({.limit = 3});
    REQUIRE(some.size() == 3);
    for (std::size_t i = 0; i < some.size(); ++i) CHECK(some[i].prompt == all[i].prompt);
    CHECK(task.build({.fewshot_seed = 7})[0].prompt != all[0].prompt);
}
