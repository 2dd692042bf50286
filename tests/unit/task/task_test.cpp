#include "muster/task/task.h"

#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/config/parse.h"
#include "unit/error_message.h"
#include "unit/temporary_folder.h"

using namespace muster;

namespace {

constexpr const char* kHead =
    "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: t.jsonl, train: "
    "r.jsonl}}\ntest_split: test\n";

std::vector<Sample> build(const std::string& task, const std::string& rows,
                          const std::string& train = "") {
    const test::TemporaryFolder folder;
    folder.write("t.jsonl", rows);
    if (!train.empty()) folder.write("r.jsonl", train);
    return Task::load(read_task_spec(parse_yaml(kHead + task, "t.yaml"), "t.yaml"), folder.path())
        .build({});
}

std::string refusal(const std::string& task, const std::string& rows,
                    const std::string& train = "") {
    return test::error_message<UserError>([&] { build(task, rows, train); });
}

bool mentions(const std::string& message, std::string_view text) {
    return message.find(text) != std::string::npos;
}

const std::string kChoice =
    "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: a\ndoc_to_choice: c\n";
const std::string kGenerate = "doc_to_text: \"{{q}}\"\ndoc_to_target: a\n";

}  // namespace

TEST_CASE("gold answers as index, text, truth value, list or none of the choices") {
    const std::vector<Sample> samples = build(
        kChoice,
        "{\"q\":\"0\",\"a\":1,\"c\":[\"x\",\"y\"]}\n{\"q\":\"1\",\"a\":5,\"c\":[\"x\",\"y\"]}\n"
        "{\"q\":\"2\",\"a\":\"x\",\"c\":[\"x\",\"y\"]}\n{\"q\":\"3\",\"a\":true,\"c\":[\"x\",\"y\"]"
        "}\n"
        "{\"q\":\"4\",\"a\":[0,3],\"c\":[\"x\",\"y\"]}\n{\"q\":\"5\",\"a\":null,\"c\":[\"x\"]}\n"
        "{\"q\":\"6\",\"a\":\"z\",\"c\":[\"x\"]}\n");
    using Gold = std::vector<std::int64_t>;
    const std::vector<Gold> golds = {{1}, {-100}, {0}, {1}, {0, -100}, {-100}, {-100}};
    for (std::size_t i = 0; i < golds.size(); ++i) CHECK(samples[i].gold == golds[i]);
    CHECK(samples[0].target == "y");
    CHECK(samples[1].target == "");
}

TEST_CASE("documents that do not fit the task are named") {
    CHECK(mentions(refusal(kGenerate, "{\"q\":\"x\",\"a\":\"y\"}\n{\"a\":\"y\"}\n"),
                   "task t: document 1 of split \"test\": "));
    CHECK(mentions(
        refusal(kGenerate, "{\"q\":\"x\",\"a\":\"y\"}\n{\"q\":\"y\"}\n"),
        "document 1 of split \"test\": doc_to_target: the document has no field \"a\"; it has: q"));
    CHECK(mentions(refusal(kChoice, "{\"q\":\"x\",\"a\":0,\"c\":\"no list\"}\n"),
                   "doc_to_choice: expected a list of texts, got a string"));
    CHECK(mentions(refusal(kChoice, "{\"q\":\"x\",\"a\":0,\"c\":[]}\n"),
                   "doc_to_choice: no choices"));
    CHECK(mentions(refusal(kChoice, "{\"q\":\"x\",\"a\":0,\"c\":[\"u\",3]}\n"),
                   "got an integer at 1"));
    CHECK(mentions(refusal(kChoice, "{\"q\":null,\"a\":0,\"c\":[\"u\"]}\n"),
                   "doc_to_text: field \"q\" is null"));
    CHECK(mentions(refusal("output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: "
                           "a\ndoc_to_choice: \"{{q}}, x\"\n",
                           "{\"q\":\"x\",\"a\":0}\n"),
                   "doc_to_choice: expected a Python list"));
    CHECK(mentions(refusal(kGenerate + "doc_to_choice: [x, y]\n", "{\"q\":\"x\",\"a\":2}\n"),
                   "answer index 2; expected 0 to 1"));
    CHECK(mentions(refusal("output_type: loglikelihood\n" + kGenerate, "{\"q\":\"x\",\"a\":7}\n"),
                   "doc_to_target: expected a text"));
    CHECK(mentions(refusal(kGenerate, ""), "no documents"));
    CHECK(
        mentions(refusal("doc_to_text: \"{{q\"\ndoc_to_target: a\n", "{\"q\":\"x\",\"a\":\"y\"}\n"),
                 "doc_to_text"));
}

TEST_CASE("examples that do not fit the task are named") {
    const std::string task = kGenerate + "training_split: train\nnum_fewshot: 1\n";
    CHECK(mentions(refusal(task, "{\"q\":\"x\",\"a\":\"y\"}\n", "{\"q\":\"x\"}\n"),
                   "document 0 of split \"test\": example from split \"train\": "));
    CHECK(mentions(refusal(kGenerate + "num_fewshot: 1\n",
                           "{\"q\":\"x\",\"a\":\"y\"}\n{\"q\":\"x\",\"a\":7}\n"),
                   "doc_to_target: expected a text"));
    CHECK(
        refusal(kGenerate + "training_split: train\nnum_fewshot: 3\n",
                "{\"q\":\"x\",\"a\":\"y\"}\n", "{\"q\":\"x\",\"a\":\"y\"}\n") ==
        "task t: num_fewshot 3 from split \"train\": 3 examples wanted, 1 documents to draw from");
}

TEST_CASE("files of examples are opened only when examples are wanted") {
    CHECK(build(kGenerate + "training_split: train\n", "{\"q\":\"x\",\"a\":\"y\"}\n").size() == 1);
    CHECK(mentions(refusal(kGenerate + "training_split: train\nnum_fewshot: 1\n",
                           "{\"q\":\"x\",\"a\":\"y\"}\n"),
                   "split \"train\": no file matches"));
}

TEST_CASE("words and bytes of rolling texts") {
    const std::vector<Sample> samples =
        build("output_type: loglikelihood_rolling\ndoc_to_target: a\n",
              "{\"a\":\" né \\u3000x\\n\"}\n{\"a\":\"one\"}\n");
    CHECK(samples[0].num_words == 4);  // len(re.split(r"\s+", text)): "", "né", "x", ""
    CHECK(samples[0].num_bytes == 10);
    CHECK(samples[1].num_words == 1);
}

TEST_CASE("templates and columns that look like numbers or lists") {
    const std::vector<Sample> numbers = build(
        "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_target: "
        "\"{{a}}\"\ndoc_to_choice: [x, y]\n",
        "{\"q\":\"a\",\"a\":\"1\"}\n");
    CHECK(numbers[0].gold == std::vector<std::int64_t>{1});
    const std::vector<Sample> lists =
        build("doc_to_text: \"{{q}}\"\ndoc_to_target: \"{{a}}\"\n",
              "{\"q\":\"7\",\"a\":[\"u\",\"v\"]}\n{\"q\":\"x\",\"a\":\"[w\"}\n");
    CHECK(lists[0].targets == std::vector<std::string>{"u", "v"});
    CHECK(lists[0].prompt == "7");
    CHECK(lists[1].targets == std::vector<std::string>{"[w"});
    CHECK(mentions(refusal("output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_target: "
                           "\"{{a}}\"\ndoc_to_choice: [x, y]\n",
                           "{\"q\":\"a\",\"a\":\"01\"}\n"),
                   "leading zero"));
}

TEST_CASE("the hash of the data is over all files in order") {
    const test::TemporaryFolder folder;
    folder.write("t.jsonl", "{\"q\":\"x\",\"a\":\"y\"}\n");
    folder.write("r.jsonl", "{\"q\":\"u\",\"a\":\"v\"}\n");
    const Task task = Task::load(
        read_task_spec(
            parse_yaml(std::string(kHead) + kGenerate + "training_split: train\nnum_fewshot: 1\n",
                       "t"),
            "t"),
        folder.path());
    CHECK(task.data_files().size() == 2);
    CHECK(task.data_hash() == sha256("{\"q\":\"x\",\"a\":\"y\"}\n{\"q\":\"u\",\"a\":\"v\"}\n"));
    CHECK(task.num_documents() == 1);
}
