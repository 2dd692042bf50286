#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/config/parse.h"
#include "muster/task/task_spec.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

constexpr const char* kMinimal =
    "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: t.jsonl}}\ntest_split: test\n"
    "doc_to_text: q\ndoc_to_target: a\n";

TaskSpec read(const std::string& more) {
    return read_task_spec(parse_yaml(kMinimal + more, "t.yaml"), "t.yaml");
}

std::string problems(const std::string& more) {
    return test::error_message<UserError>([&] { read(more); });
}

bool mentions(const std::string& message, std::string_view text) {
    return message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("defaults are lm-evaluation-harness's") {
    const TaskSpec spec = read("");
    CHECK(spec.output_type == OutputType::generate_until);
    CHECK(spec.target_delimiter == " ");
    CHECK(spec.fewshot_delimiter == "\n\n");
    CHECK(spec.num_fewshot == 0);
    CHECK(spec.generation.until == std::vector<std::string>{"\n\n"});
    CHECK(spec.generation.max_gen_toks == 256);
    CHECK_FALSE(spec.generation.do_sample);
    REQUIRE(spec.metrics.size() == 1);
    CHECK(spec.metrics[0].name == "exact_match");
    REQUIRE(spec.filters.size() == 1);
    CHECK(spec.filters[0].name == "none");
    CHECK(spec.alias == "t");
    const TaskSpec rolling = read("output_type: loglikelihood_rolling\n");
    CHECK(rolling.metrics.size() == 3);
    CHECK_FALSE(rolling.metrics[0].higher_is_better);
}

TEST_CASE("generation settings") {
    const GenerationSpec one =
        read("generation_kwargs: {max_tokens: 9, max_new_tokens: 7, until: \"Q:\"}\n").generation;
    CHECK(one.max_gen_toks ==
          7);  // max_gen_toks > max_new_tokens > max_tokens > max_completion_tokens
    CHECK(one.until == std::vector<std::string>{"Q:"});
    CHECK_FALSE(
        read("generation_kwargs: {do_sample: false, temperature: 0.7}\n").generation.do_sample);
    CHECK_FALSE(read("generation_kwargs: {top_k: 5}\n").generation.do_sample);
    CHECK(read("generation_kwargs: {do_sample: true}\n").generation.do_sample);
    CHECK(mentions(problems("generation_kwargs: {do_sample: true, temperature: 0}\n"),
                   "/generation_kwargs/temperature"));
    CHECK(read("generation_kwargs: {temperature: 0.7}\n").generation.do_sample);
    CHECK(read("fewshot_delimiter: \"##\"\ngeneration_kwargs: {max_gen_toks: 5}\n")
              .generation.until == std::vector<std::string>{"##"});
    CHECK(read("generation_kwargs: {until: []}\n").generation.until.empty());
    CHECK(
        mentions(problems("generation_kwargs: {num_beams: 4}\n"), "/generation_kwargs/num_beams"));
}

TEST_CASE("keys that need Python are named") {
    const std::string message =
        problems("process_docs: !function utils.process_docs\nclass: x.Y\n");
    CHECK(mentions(message, "/process_docs: needs Python (!function utils.process_docs)"));
    CHECK(mentions(message, "/class: needs Python"));
    CHECK_FALSE(mentions(message, "doc_to_text"));
    CHECK(mentions(problems("metric_list: [{metric: !function utils.agg}]\n"),
                   "/metric_list: needs Python (!function utils.agg)"));
    CHECK(mentions(problems("doc_to_image: image\n"), "/doc_to_image: images"));
    CHECK(mentions(problems("unsafe_code: true\n"), "/unsafe_code"));
}

TEST_CASE("keys without influence on scores are accepted") {
    CHECK_NOTHROW(
        read("should_decontaminate: true\ndoc_to_decontamination_query: q\nmetadata: {version: "
             "3}\nprocess_docs: null\n"
             "tag: [x, y]\nrepeats: 1\n"));
}

TEST_CASE("all mistakes are told at once") {
    const std::string message = problems(
        "num_fewshto: 5\nrepeats: 0\noutput_type: multiple_choise\nfewshot_config: {sampler: "
        "best}\n"
        "dataset_name: [x]\n");
    CHECK(mentions(message, "num_fewshto"));
    CHECK(mentions(message, "did you mean \"num_fewshot\"?"));
    CHECK(mentions(message, "/repeats"));
    CHECK(mentions(message, "/output_type"));
    CHECK(mentions(message, "/fewshot_config/sampler"));
    CHECK(mentions(message, "/dataset_name"));
}

TEST_CASE("fields") {
    CHECK(mentions(problems("output_type: multiple_choice\n"), "/doc_to_choice: missing"));
    CHECK(mentions(problems("output_type: multiple_choice\ndoc_to_choice: [no, yes]\n"),
                   "need quotes"));
    const TaskSpec spec =
        read("output_type: multiple_choice\ndoc_to_choice: {a: x, b: y}\nrepeats: 5\n");
    CHECK(spec.doc_to_choice.is_object());
    CHECK(spec.repeats == 1);
}

TEST_CASE("few-shot settings") {
    const TaskSpec spec = read(
        "num_fewshot: 2\nfewshot_config: {sampler: first_n, samples: [{q: 1, a: 2}], "
        "target_delimiter: \"\"}\n");
    REQUIRE(spec.fewshot.samples);
    CHECK(spec.fewshot.samples->size() == 1);
    CHECK(spec.fewshot.target_delimiter == "");
    CHECK_FALSE(spec.fewshot.gen_prefix);
    CHECK(mentions(problems("fewshot_config: {samples: !function utils.list}\n"),
                   "/fewshot_config: needs Python"));
    CHECK(mentions(problems("fewshot_config: {fewshot_indices: [1]}\n"), "never uses it"));
}

TEST_CASE("filters and metrics") {
    const TaskSpec spec = read(
        "metric_list: [{metric: exact_match, aggregation: mean, ignore_case: true, "
        "regexes_to_ignore: [\",\"]}]\n"
        "filter_list: [{name: strict, filter: [{function: regex, regex_pattern: \"x\"}, {function: "
        "take_first}]}]\n");
    REQUIRE(spec.filters.size() == 1);
    CHECK(spec.filters[0].steps.size() == 2);
    CHECK(spec.metrics[0].options.contains("ignore_case"));
    CHECK_FALSE(spec.metrics[0].options.contains("metric"));
    CHECK(mentions(problems("filter_list: [{name: a, filter: [{function: regexp}]}]\n"),
                   "did you mean \"regex\"?"));
    CHECK(mentions(problems("metric_list: [{metric: acc}, {metric: acc}]\n"), "listed twice"));
    CHECK(mentions(
        problems(
            "output_type: loglikelihood\nfilter_list: [{name: a, filter: [{function: regex}]}]\n"),
        "works on generated text"));
}

TEST_CASE("data set settings") {
    const TaskSpec spec = read("");
    CHECK(spec.data_files.find("test")->as_string() == "t.jsonl");
    const auto kwargs = [](const std::string& text) {
        return read_task_spec(
            parse_yaml("task: t\ndataset_path: csv\ntest_split: test\ndoc_to_text: "
                       "q\ndoc_to_target: a\ndataset_kwargs: " +
                           text + "\n",
                       "t.yaml"),
            "t.yaml");
    };
    const DatasetOptions options = kwargs(
                                       "{data_files: x, column_names: [a, b], header: null, sep: "
                                       "\";\", keep_default_na: false, "
                                       "features: {a: string}, trust_remote_code: true}")
                                       .dataset_options;
    CHECK_FALSE(options.has_header);
    CHECK(options.separator == ';');
    CHECK_FALSE(options.keep_default_na);
    CHECK(options.features.contains("a"));
    CHECK_FALSE(kwargs("{data_files: x, column_names: [a]}").dataset_options.has_header);
    CHECK(mentions(test::error_message<UserError>([&] { kwargs("{data_file: x}"); }),
                   "did you mean \"data_files\"?"));
    CHECK(mentions(test::error_message<UserError>([&] { kwargs("{data_files: 7}"); }),
                   "/dataset_kwargs/data_files"));
}
