#include "muster/eval/result_layout.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "muster/config/parse.h"
#include "muster/eval/report.h"
#include "muster/eval/verify.h"

namespace muster {
namespace {

StoredTask make_task(const char* yaml, std::vector<Sample> samples,
                     std::vector<Prediction> predictions) {
    StoredTask task{read_task_spec(parse_yaml(yaml, "test"), "test"),
                    std::move(samples),
                    std::move(predictions),
                    {}};
    task.scores = score_task(task.spec, task.samples, task.predictions, 0);
    return task;
}

StoredTask choice_task() {
    std::vector<Sample> samples(3);
    std::vector<Prediction> predictions(3);
    for (std::int64_t i = 0; i < 3; ++i) {
        samples[i] = {.doc_id = i,
                      .prompt = "Grüße " + std::to_string(i),
                      .target = " b",
                      .choices = {"a", "bee", "c"},
                      .gold = {1}};
        predictions[i].log_likelihoods = {-1.5, -1.25 - static_cast<double>(i), -9.0};
        predictions[i].is_greedy = {0, 1, 0};
        predictions[i].num_tokens = {1, 1, 1};
        predictions[i].prompt_tokens = 17;
    }
    samples[2].choices = {"a", "bee"};  // fewer choices than the others
    predictions[2].log_likelihoods.pop_back();
    predictions[2].is_greedy.pop_back();
    predictions[2].num_tokens.pop_back();
    return make_task(
        "task: choice\ndataset_path: json\noutput_type: multiple_choice\ntest_split: "
        "test\ndoc_to_text: q\n"
        "doc_to_target: 1\ndoc_to_choice: [a, b]\nmetric_list: [{metric: acc}, {metric: "
        "acc_norm}]\n",
        samples, predictions);
}

StoredTask generation_task() {
    std::vector<Sample> samples(2);
    std::vector<Prediction> predictions(2);
    for (std::int64_t i = 0; i < 2; ++i) {
        samples[i] = {.doc_id = 5 + i, .prompt = "2+2=\n", .target = "4", .targets = {"4"}};
        predictions[i].responses = {i == 0 ? "4" : "\"5\"\nα"};
        predictions[i].num_tokens = {i};
    }
    return make_task(
        "task: generate\ndataset_path: json\noutput_type: generate_until\ntest_split: "
        "test\ndoc_to_text: q\n"
        "doc_to_target: a\nmetric_list: [{metric: exact_match}]\n",
        samples, predictions);
}

StoredTask rolling_task() {
    std::vector<Sample> samples(2);
    std::vector<Prediction> predictions(2);
    for (std::int64_t i = 0; i < 2; ++i) {
        samples[i] = {.doc_id = i,
                      .prompt = "one two",
                      .target = "one two",
                      .num_words = 2 + i,
                      .num_bytes = 7};
        predictions[i].log_likelihoods = {-20.0 - static_cast<double>(i)};
        predictions[i].is_greedy = {0};
        predictions[i].num_tokens = {4};
    }
    return make_task(
        "task: rolling\ndataset_path: json\noutput_type: loglikelihood_rolling\ntest_split: "
        "test\ndoc_to_text: ''\n"
        "doc_to_target: t\nmetric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]\n",
        samples, predictions);
}

/// A complete result file below the temporary folder; removed with the object.
struct TemporaryFile {
    std::string path = (std::filesystem::temp_directory_path() /
                        ("muster_layout_" + std::to_string(std::rand()) + ".h5"))
                           .string();
    ~TemporaryFile() { std::remove(path.c_str()); }
};

void write_file(const std::string& path,
                const std::function<void(std::vector<StoredTask>&)>& tamper) {
    std::vector<StoredTask> tasks{choice_task(), generation_task(), rolling_task()};
    StoredGroup group{{"both", "Both", {"choice"}, {{"acc", true, {}}}, {}}, {}};
    group.results = aggregate_group(group.spec, {&tasks[0].scores.results});
    const std::vector<SummaryRow> summary = make_summary(tasks, {group});
    tamper(tasks);
    ResultWriter file(path, true);
    file.write_summary("/summary", summary);
    for (const StoredTask& task : tasks) write_task(file, task);
    file.write_group("/groups", "groups");
    write_group(file, group);
    file.write_group("/run", "run");
    file.write_group("/run/model", "m");
    file.write_attribute("/run/model", "architecture", std::string("TestForCausalLM"));
    file.write_group("/run/timing", "times");
    file.write_text("/run/config", R"({"bootstrap_iterations": 0, "model": {"path": "m"}})");
    file.commit();
}

bool names(const std::vector<std::string>& problems, const std::string& part) {
    for (const std::string& problem : problems)
        if (problem.find(part) != std::string::npos) return true;
    return false;
}

TEST_CASE("what is written is read back") {
    TemporaryFile file;
    write_file(file.path, [](auto&) {});
    const ResultReader reader(file.path);
    CHECK(stored_tasks(reader) == std::vector<std::string>{"choice", "generate", "rolling"});
    const StoredTask choice = read_task(reader, "choice"), expected = choice_task();
    REQUIRE(choice.samples.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(choice.samples[i].prompt == expected.samples[i].prompt);
        CHECK(choice.samples[i].choices == expected.samples[i].choices);
        CHECK(choice.samples[i].gold == expected.samples[i].gold);
        CHECK(choice.predictions[i].log_likelihoods == expected.predictions[i].log_likelihoods);
        CHECK(choice.predictions[i].is_greedy == expected.predictions[i].is_greedy);
    }
    const StoredTask generate = read_task(reader, "generate");
    CHECK(generate.predictions[1].responses == std::vector<std::string>{"\"5\"\nα"});
    CHECK(generate.samples[1].doc_id == 6);
    CHECK(read_task(reader, "rolling").samples[1].num_words == 3);
    CHECK(read_group(reader, "both").results.size() == 1);
}

TEST_CASE("verify accepts a sound file and names what is off in others") {
    TemporaryFile file;
    write_file(file.path, [](auto&) {});
    CHECK(verify_result(file.path).empty());

    SUBCASE("a changed log-likelihood") {
        write_file(file.path, [](auto& tasks) { tasks[0].predictions[0].log_likelihoods[1] = -5; });
        CHECK(names(verify_result(file.path), "/tasks/choice/samples/acc.none: doc_id 0"));
    }
    SUBCASE("a changed response") {
        write_file(file.path, [](auto& tasks) { tasks[1].predictions[0].responses[0] = "5"; });
        CHECK(names(verify_result(file.path), "/tasks/generate/samples/filtered.none"));
    }
    SUBCASE("a doubled document") {
        write_file(file.path, [](auto& tasks) { tasks[2].samples[1].doc_id = 0; });
        CHECK(names(verify_result(file.path),
                    "/tasks/rolling/samples/doc_id: doc_id 0 appears twice"));
    }
    SUBCASE("a changed metric") {
        write_file(file.path, [](auto& tasks) { tasks[2].scores.results[0].value += 1e-9; });
        CHECK(names(verify_result(file.path), "/tasks/rolling/metrics: word_perplexity.none"));
    }
    SUBCASE("a missing sample") {
        write_file(file.path, [](auto& tasks) {
            tasks[1].samples.pop_back(), tasks[1].predictions.pop_back();
            tasks[1].scores = score_task(tasks[1].spec, tasks[1].samples, tasks[1].predictions, 0);
        });
        CHECK(names(verify_result(file.path), "/summary: row generate"));
    }
}

TEST_CASE("reports hold every row in every format") {
    TemporaryFile file;
    write_file(file.path, [](auto&) {});
    const ResultReader reader(file.path);
    CHECK(format_report(reader, ReportFormat::csv).find("both,acc,none,0.333") !=
          std::string::npos);
    CHECK(format_report(reader, ReportFormat::markdown).find("| rolling | word_perplexity ↓ |") !=
          std::string::npos);
    CHECK(parse_json(format_report(reader, ReportFormat::json), "report").as_array().size() == 6);
    CHECK(format_report(reader, ReportFormat::text).find("both (group)") != std::string::npos);
    CHECK(format_samples(reader, {.task = "choice", .doc_id = 2}).find("Grüße 2") !=
          std::string::npos);
    const std::string wrong = format_samples(reader, {.task = "choice", .only_wrong = true});
    CHECK(wrong.find("doc 0") == std::string::npos);
    CHECK(wrong.find("doc 1") != std::string::npos);
}

}  // namespace
}  // namespace muster
