#pragma once
// A small result file with every kind of content.

#include <limits>
#include <string>
#include <vector>

#include "muster/results/result_file.h"

inline std::vector<muster::Column> sample_columns() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    using Integers = std::vector<std::int64_t>;
    using Reals = std::vector<double>;
    using Bytes = std::vector<std::uint8_t>;
    using Texts = std::vector<std::string>;
    return {
        {"doc_id", "row of the document", Integers{0, 1, 7}, 0},
        {"acc", "1 if right", Reals{1, 0, -0.25}, 0},
        {"status", "see docs", Bytes{0, 1, 255}, 0},
        {"prompt", "what was asked",
         Texts{"Gr\xc3\xbc\xc3\x9f"
               "e",
               "", "two\nlines \"quoted\""},
         0},
        {"loglikelihood", "per choice", Reals{-1.5, nan, -1e-300, -2, -3, nan}, 2},
        {"num_tokens", "per choice", Integers{1, -1, 2, 3, 4, -1}, 2},
        {"is_greedy", "per choice", Bytes{0, 1, 1, 0, 0, 0}, 2},
        {"choices", "texts", Texts{"a", "b", "c", "", "d", "e"}, 2},
    };
}

inline std::vector<muster::SummaryRow> sample_summary() {
    return {{"mmlu", "acc", "none", 0.25, 0.01, 400, true, true},
            {"gsm8k", "exact_match", "strict-match", 0.5, 0.0, 10, true, false}};
}

inline void write_sample_file(const std::string& path) {
    muster::ResultWriter writer(path, true);
    writer.write_summary("/summary", sample_summary());
    writer.write_group("/tasks/mmlu", "a task");
    writer.write_columns("/tasks/mmlu/samples", sample_columns());
    writer.write_attribute("/tasks/mmlu", "output_type", "multiple_choice");
    writer.write_attribute("/tasks/mmlu", "num_fewshot", std::int64_t{5});
    writer.write_attribute("/tasks/mmlu", "weight", 0.5);
    writer.write_text("/run/config", "{\n  \"seed\": 1234\n}\n");
    writer.commit();
}
