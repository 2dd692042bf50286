#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/config/parse.h"
#include "muster/task/dataset.h"
#include "unit/error_message.h"
#include "unit/temporary_folder.h"

using namespace muster;

namespace {

TaskSpec spec_with(const std::string& dataset, const std::string& source = "t.yaml") {
    return read_task_spec(
        parse_yaml("task: t\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n" + dataset,
                   "t.yaml"),
        source);
}

/// The values of column q of the split's rows.
std::string load(const TaskSpec& spec, const std::string& data_dir,
                 const std::string& split = "test") {
    std::string values;
    for (const Value& row : load_split(spec, split, data_dir).rows)
        values += row.find("q")->as_string();
    return values;
}

std::string refusal(const TaskSpec& spec, const std::string& data_dir,
                    const std::string& split = "test") {
    return test::error_message<UserError>([&] { load(spec, data_dir, split); });
}

bool mentions(const std::string& message, std::string_view text) {
    return message.find(text) != std::string::npos;
}

std::string row(const char* value) {
    return std::string("{\"q\": \"") + value + "\"}\n";
}

}  // namespace

TEST_CASE("patterns are tried below the data folder, then as given, then beside the task") {
    const test::TemporaryFolder data, tasks;
    data.write("d/x.jsonl", row("data"));
    tasks.write("d/x.jsonl", row("task"));
    const TaskSpec spec =
        spec_with("dataset_path: json\ndataset_kwargs: {data_files: {test: d/*.jsonl}}\n",
                  tasks.path() + "/t.yaml");
    CHECK(load(spec, data.path()) == "data");
    CHECK(load(spec, "") == "task");
    const TaskSpec absolute =
        spec_with("dataset_path: json\ndataset_kwargs: {data_files: {test: " + data.path() +
                  "/d/x.jsonl}}\n");
    CHECK(load(absolute, tasks.path()) == "data");
}

TEST_CASE("several files, lists and the name of the data set") {
    const test::TemporaryFolder data;
    data.write("n_b.jsonl", row("b"));
    data.write("n_a.jsonl", row("a"));
    data.write("m.jsonl", row("m"));
    const TaskSpec spec = spec_with(
        "dataset_path: json\ndataset_name: n\ndataset_kwargs: {data_files: {test: [m.jsonl, "
        "\"{dataset_name}_*.jsonl\"]}}\n");
    CHECK(load(spec, data.path()) == "mab");
    CHECK(load_split(spec, "test", data.path()).files.size() == 3);
}

TEST_CASE("formats") {
    const test::TemporaryFolder data;
    data.write("t.tsv", "q\ta\nx, y\tz\n");
    data.write("t.json", "{\"rows\": [{\"q\": \"r\"}], \"more\": [1]}");
    CHECK(load(spec_with("dataset_path: tsv\ndataset_kwargs: {data_files: {test: t.tsv}}\n"),
               data.path()) == "x, y");
    CHECK(
        load(spec_with(
                 "dataset_path: csv\ndataset_kwargs: {data_files: {test: t.tsv}, sep: \"\\t\"}\n"),
             data.path()) == "x, y");
    CHECK(
        load(spec_with(
                 "dataset_path: json\ndataset_kwargs: {data_files: {test: t.json}, field: rows}\n"),
             data.path()) == "r");
}

TEST_CASE("a plain pattern is the split train or the only split") {
    const test::TemporaryFolder data;
    data.write("t.jsonl", row("x"));
    const std::string plain = "dataset_path: json\ndataset_kwargs: {data_files: t.jsonl}\n";
    CHECK(load(spec_with(plain), data.path()) == "x");
    CHECK(load(spec_with(plain + "training_split: train\n"), data.path(), "train") == "x");
    CHECK(mentions(refusal(spec_with(plain + "training_split: train\n"), data.path()),
                   "one pattern for several splits"));
}

TEST_CASE("data sets of the hub are looked for by name below the data folder") {
    const test::TemporaryFolder data;
    const TaskSpec spec = spec_with("dataset_path: org/set\ndataset_name: part\n");
    data.write("set/part/test-00000.parquet", "PAR1");
    CHECK(mentions(refusal(spec, data.path()),
                   "test-00000.parquet is there, but parquet is not read yet"));
    data.write("set/part/test.csv", "q\nc\n");
    CHECK(load(spec, data.path()) == "c");
    data.write("set/part/test.jsonl", row("j"));
    CHECK(load(spec, data.path()) == "j");
    data.write("org/set/part/test_0.jsonl", row("o"));
    CHECK(load(spec, data.path()) == "o");
    CHECK(mentions(refusal(spec, data.path(), "dev"),
                   "dataset org/set, split \"dev\": not found; searched: "));
    CHECK(mentions(refusal(spec, ""), "--data-dir"));
    CHECK(mentions(refusal(spec_with("dataset_path: ../../etc\n"), data.path()),
                   "expected json, csv, tsv or the name"));
}

TEST_CASE("missing files say what was searched") {
    const test::TemporaryFolder data;
    const TaskSpec spec =
        spec_with("dataset_path: csv\ndataset_kwargs: {data_files: {test: no.csv}}\n");
    const std::string message = refusal(spec, data.path());
    CHECK(mentions(message, "task t: split \"test\": no file matches \"no.csv\"; searched: " +
                                data.path() + "/no.csv, no.csv"));
    CHECK(mentions(refusal(spec, ""), "give the folder of the data with --data-dir"));
    CHECK(mentions(refusal(spec, data.path(), "dev"), "no files for split \"dev\"; given: test"));
    CHECK(mentions(
        refusal(
            spec_with("dataset_path: parquet\ndataset_kwargs: {data_files: {test: x.parquet}}\n"),
            data.path()),
        "is not read yet; expected json, csv or tsv"));
    CHECK(
        mentions(refusal(spec_with("dataset_path: json\n"), data.path()), "needs dataset_kwargs"));
}
