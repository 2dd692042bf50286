// The task files that muster ships.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/task/task.h"
#include "muster/task/task_library.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

const std::string kTasks = MUSTER_SOURCE_DIR "/configs/tasks";

std::string data_folder() {
    const char* given = std::getenv("MUSTER_SHARED");
    return (given != nullptr ? std::string(given) : std::string(MUSTER_SOURCE_DIR "/../shared")) +
           "/data/benchmarks";
}

std::vector<Sample> build(const TaskLibrary& library, const std::string& name,
                          const char* shots = nullptr) {
    Object overrides;
    if (shots != nullptr) overrides.set("num_fewshot", std::int64_t{std::atoi(shots)});
    const TaskSelection selection = library.select({{name, std::move(overrides)}});
    return Task::load(selection.tasks.at(0), data_folder()).build({});
}

}  // namespace

TEST_CASE("every task, group and tag can be selected") {
    const TaskLibrary library({kTasks});
    const std::vector<LibraryEntry> entries = library.entries();
    CHECK(entries.size() > 130);
    for (const LibraryEntry& entry : entries) {
        CAPTURE(entry.name);
        CHECK_NOTHROW(library.select({{entry.name, {}}}));
    }
}

TEST_CASE("MMLU has 57 subjects in four groups") {
    const TaskLibrary library({kTasks});
    const TaskSelection mmlu = library.select({{"mmlu", {}}});
    CHECK(mmlu.tasks.size() == 57);
    REQUIRE(mmlu.groups.size() == 5);
    CHECK(mmlu.groups.back().name == "mmlu");
    CHECK(mmlu.groups.back().members == std::vector<std::string>{"mmlu_stem", "mmlu_other",
                                                                 "mmlu_social_sciences",
                                                                 "mmlu_humanities"});
    CHECK(library.select({{"mmlu43", {}}}).tasks.size() == 43);
    CHECK(library.select({{"cmmlu", {}}}).tasks.size() == 67);
    CHECK(library.select({{"mmlu43", {}}, {"mmlu", {}}}).tasks.size() == 57);
}

TEST_CASE("shipped tasks make prompts of the shared data") {
    if (!std::filesystem::exists(data_folder())) {
        MESSAGE("not run: no data in " << data_folder());
        return;
    }
    const TaskLibrary library({kTasks});
    Object five;
    five.set("num_fewshot", 5);
    std::size_t questions = 0;
    for (const TaskSpec& task : library.select({{"mmlu43", five}}).tasks)
        questions += Task::load(task, data_folder()).build({}).size();
    MESSAGE(questions << " questions in mmlu43");
    CHECK(questions == 10785);

    const std::vector<Sample> anatomy = build(library, "mmlu_anatomy", "5");
    CHECK(anatomy[0].prompt.starts_with(
        "The following are multiple choice questions (with answers) about anatomy.\n\n"));
    CHECK(anatomy[0].prompt.ends_with("\nAnswer:"));
    CHECK(anatomy[0].requests[3].continuation == " D");
    CHECK(build(library, "gsm8k_fixed_shots").size() == 1319);
    CHECK(build(library, "lambada_openai").size() == 5153);
    const std::vector<Sample> truthful = build(library, "truthfulqa_mc1");
    for (const Sample& sample : truthful) CHECK(sample.gold[0] >= 0);
    CHECK(build(library, "cmmlu_agronomy", "5")[0].prompt.ends_with("\n答案："));
    const std::string missing = test::error_message<UserError>([&] { build(library, "gsm8k"); });
    CHECK(missing.find("gsm8k.train.jsonl") != std::string::npos);
}
