#include "muster/task/task_library.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "muster/base/error.h"
#include "unit/error_message.h"
#include "unit/temporary_folder.h"

using namespace muster;

namespace {

const std::string kTask =
    "dataset_path: json\ndataset_kwargs: {data_files: {test: t.jsonl}}\ntest_split: test\n"
    "doc_to_text: q\ndoc_to_target: a\n";

/// Tasks a1, a2 (tag letters), b; groups inner (a1, a2), outer (inner, b).
void write_tasks(const test::TemporaryFolder& folder) {
    folder.write("_base", kTask + "num_fewshot: 1\n");
    folder.write("sub/a1.yaml", "include: ../_base\ntask: a1\ntag: letters\n");
    folder.write("sub/a2.yaml", "include: ../_base\ntask: a2\ntag: [letters]\nnum_fewshot: 2\n");
    folder.write("b.json", "{\"task\": \"b\", \"include\": \"_base\"}");
    folder.write("inner.yaml",
                 "group: inner\ngroup_alias: in\ntask: [letters]\naggregate_metric_list: {metric: "
                 "exact_match, "
                 "filter_list: none}\n");
    folder.write("outer.yaml",
                 "group: outer\ntask:\n  - inner\n  - task: b\n    num_fewshot: 7\n    task_alias: "
                 "bee\nmetadata: {version: 1}\n");
}

TaskSelection select(const test::TemporaryFolder& folder, const std::string& pattern,
                     Object overrides = {}) {
    return TaskLibrary({folder.path()}).select({{pattern, std::move(overrides)}});
}

std::vector<std::string> names(const TaskSelection& selection) {
    std::vector<std::string> found;
    for (const TaskSpec& task : selection.tasks) found.push_back(task.name);
    return found;
}

std::string refusal(const test::TemporaryFolder& folder, const std::string& pattern) {
    return test::error_message<UserError>([&] { select(folder, pattern); });
}

using Names = std::vector<std::string>;

bool mentions(const std::string& message, std::string_view text) {
    return message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("names, globs, tags and paths") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    CHECK(names(select(folder, "b")) == Names{"b"});
    CHECK(names(select(folder, "a?")) == Names{"a1", "a2"});
    CHECK(names(select(folder, "letters")) == Names{"a1", "a2"});
    CHECK(names(select(folder, folder.path() + "/sub/a2.yaml")) == Names{"a2"});
    // A group given by path finds its members beside it.
    folder.write("flat/g.yaml", "group: g\ntask: [m]\n");
    folder.write("flat/m.yaml", "task: m\n" + kTask);
    CHECK(names(TaskLibrary({}).select({{folder.path() + "/flat/g.yaml", {}}})) == Names{"m"});
}

TEST_CASE("includes come below a file's own keys") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    const TaskSelection selection = select(folder, "letters");
    CHECK(selection.tasks[0].num_fewshot == 1);
    CHECK(selection.tasks[1].num_fewshot == 2);
    CHECK(selection.tasks[0].resolved.find("include") == nullptr);
}

TEST_CASE("groups nest, children before parents, each task once") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    const TaskSelection selection =
        TaskLibrary({folder.path()}).select({{"outer", {}}, {"inner", {}}, {"a1", {}}});
    CHECK(names(selection) == Names{"a1", "a2", "b"});
    REQUIRE(selection.groups.size() == 2);
    CHECK(selection.groups[0].name == "inner");
    CHECK(selection.groups[0].alias == "in");
    CHECK(selection.groups[0].members == Names{"a1", "a2"});
    REQUIRE(selection.groups[0].aggregates.size() == 1);
    CHECK(selection.groups[0].aggregates[0].filters == Names{"none"});
    CHECK(selection.groups[0].aggregates[0].weight_by_size);
    CHECK(selection.groups[1].members == Names{"inner", "b"});
    CHECK(selection.tasks[2].num_fewshot == 7);
    CHECK(selection.tasks[2].alias == "bee");
}

TEST_CASE("overrides of the request reach every task and win") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    Object overrides;
    overrides.set("num_fewshot", 3);
    for (const TaskSpec& task : select(folder, "outer", overrides).tasks)
        CHECK(task.num_fewshot == 3);
}

TEST_CASE("inline groups and tasks") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    folder.write("g.yaml",
                 "group: g\nnum_fewshot: 4\ntask:\n  - group: part\n    task: [a1]\n  - task: "
                 "new\n    include: _base\n    output_type: "
                 "loglikelihood\n");
    const TaskSelection selection = select(folder, "g");
    CHECK(names(selection) == Names{"a1", "g::new"});
    CHECK(selection.tasks[0].num_fewshot == 4);  // a key of the group is a setting of its tasks
    CHECK(selection.groups[0].name == "g::part");
    CHECK(selection.groups[1].members == Names{"g::part", "g::new"});
}

TEST_CASE("later folders win") {
    const test::TemporaryFolder folder, mine;
    write_tasks(folder);
    mine.write("b.yaml", "task: b\n" + kTask + "num_fewshot: 9\n");
    CHECK(TaskLibrary({folder.path(), mine.path()}).select({{"b", {}}}).tasks[0].num_fewshot == 9);
}

TEST_CASE("entries are sorted and described") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    const std::vector<LibraryEntry> entries = TaskLibrary({folder.path()}).entries();
    Names found;
    for (const LibraryEntry& entry : entries)
        found.push_back(entry.name + " " + entry.kind + " " + entry.description);
    CHECK(found == Names{"a1 task generate_until, 1-shot", "a2 task generate_until, 2-shot",
                         "b task generate_until, 1-shot", "inner group group of 1 member",
                         "letters tag 2 tasks", "outer group group of 2 members"});
}

TEST_CASE("what cannot be found or is contradictory is told") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    CHECK(refusal(folder, "inne") == "unknown task \"inne\"; did you mean \"inner\"?");
    CHECK(mentions(refusal(folder, "zz*"), "no task matches \"zz*\""));
    CHECK(mentions(refusal(folder, folder.path() + "/_base"), "neither a task"));
    folder.write("bad.yaml", "group: bad\ntask: [{task: a1, num_fewshot: 8}, outer]\n");
    CHECK(
        mentions(refusal(folder, "bad"), "task \"a1\" is asked for twice with different settings"));
    folder.write("typo.yaml", "group: typo\ntask: [{task: a3, num_fewshot: 8}]\n");
    CHECK(mentions(refusal(folder, "typo"), "group \"typo\": unknown task \"a3\"; did you mean"));
    folder.write(
        "agg.yaml",
        "group: agg\ntask: [b]\naggregate_metric_list: [{metric: acc, wieght_by_size: true}]\n");
    CHECK(mentions(refusal(folder, "agg"), "did you mean \"weight_by_size\"?"));
    CHECK(mentions(test::error_message<UserError>([] { TaskLibrary({"no/such/folder"}); }),
                   "not a folder"));
}

TEST_CASE("cycles of groups and of includes end") {
    const test::TemporaryFolder folder;
    folder.write("x.yaml", "group: x\ntask: [y]\n");
    folder.write("y.yaml", "group: y\ntask: [x]\n");
    CHECK(mentions(refusal(folder, "x"), "contains itself: x → y → x"));
    folder.write("i.yaml", "include: j.yaml\ntask: i\n");
    folder.write("j.yaml", "include: i.yaml\n");
    CHECK(mentions(refusal(folder, "i"), "include each other"));
}

TEST_CASE("a broken file disturbs only those who ask for it") {
    const test::TemporaryFolder folder;
    write_tasks(folder);
    folder.write("broken.yaml", "task: [unclosed\n");
    folder.write("lost.yaml", "include: nowhere\ntask: lost\n");
    CHECK(names(select(folder, "b")) == Names{"b"});
    CHECK(mentions(refusal(folder, "broken"), "broken.yaml:"));
    CHECK(mentions(refusal(folder, "lost"), "/include: no file"));
    CHECK(mentions(refusal(folder, "other"), "2 task files could not be read"));
    folder.write("b_again.yaml", "task: b\n" + kTask);
    CHECK(mentions(refusal(folder, "b"), "is defined twice"));
}
