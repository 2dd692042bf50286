// lm-evaluation-harness's own regression data: SHA-256 of the JSON of a task's requests
// (tests/testdata of the harness at 4e7e0d47, written by its version 0.0; prompts of that time, no
// examples, documents shuffled with random.seed(42)). Runs where the shared data are.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "muster/base/file.h"
#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"
#include "muster/task/task.h"
#include "muster/text/python_random.h"

using namespace muster;

namespace {

std::string shared_folder() {
    const char* given = std::getenv("MUSTER_SHARED");
    return given != nullptr ? given : MUSTER_SOURCE_DIR "/../shared";
}

/// A string as Python's json.dumps writes it: ASCII, the rest as \uXXXX with surrogate pairs.
std::string python_json(std::string_view text) {
    std::string out = "\"";
    const auto escape = [&](unsigned unit) {
        char digits[16];
        std::snprintf(digits, sizeof digits, "\\u%04x", unit);
        out += digits;
    };
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        if (c == '"' || c == '\\')
            out += {'\\', static_cast<char>(c)};
        else if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (c == '\t')
            out += "\\t";
        else if (c == '\b')
            out += "\\b";
        else if (c == '\f')
            out += "\\f";
        else if (c >= 0x10000) {
            escape(static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
            escape(static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
        } else if (c < 0x20 || c > 0x7E)
            escape(static_cast<unsigned>(c));
        else
            out += static_cast<char>(c);
    }
    return out + "\"";
}

/// Hash of the requests [[context, second], …] with the samples in the order that version 0.0 gave
/// them.
template <typename Second>
std::string hash_of(const std::vector<Sample>& samples, Second second) {
    std::string json = "[";
    for (std::size_t index : PythonRandom(42).shuffled(samples.size()))
        for (const RequestText& request : samples[index].requests)
            json += cat(json.size() > 1 ? ", " : "", "[", python_json(request.context), ", ",
                        second(request), "]");
    return sha256(json + "]");
}

std::vector<Sample> samples_of(const std::string& yaml, const std::string& data_dir) {
    return Task::load(read_task_spec(parse_yaml(yaml, "t.yaml"), "t.yaml"), data_dir).build({});
}

}  // namespace

TEST_CASE("the requests of MMLU and GSM8K have the hashes that lm-evaluation-harness stores") {
    const std::string hashes = shared_folder() + "/data/golden/lm-eval-request-hashes/testdata/";
    const std::string data = shared_folder() + "/data/benchmarks";
    if (!std::filesystem::exists(hashes) || !std::filesystem::exists(data)) {
        MESSAGE("not run: no shared data in " << shared_folder());
        return;
    }
    std::size_t subjects = 0;
    for (const std::string& file : glob_files(data + "/mmlu/test/*_test.csv")) {
        std::string subject = std::filesystem::path(file).stem().string();
        subject.resize(subject.size() - std::string("_test").size());
        CAPTURE(subject);
        // Options of the data set as in configs/tasks/mmlu: a guess would turn "0.50" into 0.5.
        const std::string yaml = cat(
            "task: t\ndataset_path: csv\ndataset_kwargs: {data_files: {test: ", file,
            "}, keep_default_na: false, features: {question: string, choice0: string, choice1: "
            "string, "
            "choice2: string, choice3: string}}\ntest_split: test\noutput_type: multiple_choice\n"
            "doc_to_text: \"Question: {{question}}\\nChoices:\\nA. {{choice0}}\\nB. "
            "{{choice1}}\\nC. {{choice2}}\\nD. "
            "{{choice3}}\\nAnswer:\"\ndoc_to_choice: \"{{[choice0, choice1, choice2, "
            "choice3]}}\"\ndoc_to_target: answer\n");
        const std::string expected(
            trim(read_file(hashes + "hendrycksTest-" + subject + "-v0-loglikelihood")));
        CHECK(hash_of(samples_of(yaml, ""), [](const RequestText& r) {
                  return python_json(r.continuation);
              }) == expected);
        ++subjects;
    }
    CHECK(subjects > 0);
    MESSAGE(subjects << " of 57 subjects of MMLU have test files here");

    const std::string gsm8k =
        "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: "
        "math/gsm8k.test.jsonl}}\ntest_split: test\n"
        "doc_to_text: \"Question: {{question}}\\nAnswer:\"\ndoc_to_target: answer\n";
    CHECK(hash_of(samples_of(gsm8k, data), [](const RequestText&) { return "[\"\\n\"]"; }) ==
          trim(read_file(hashes + "gsm8k-v0-greedy_until")));
}
