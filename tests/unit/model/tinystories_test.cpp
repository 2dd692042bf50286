// A trained model against float64 values of another implementation; runs where the shared data are.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "model_test.h"
#include "muster/base/file.h"
#include "muster/config/parse.h"

using namespace muster;

namespace {

std::string shared_data() {
    const char* named = std::getenv("MUSTER_SHARED");
    return (named ? std::string(named) : std::string(MUSTER_SOURCE_DIR) + "/../shared") + "/data/";
}

std::vector<std::int32_t> ids_of(const Value& value) {
    std::vector<std::int32_t> ids;
    for (const Value& id : value.as_array())
        ids.push_back(static_cast<std::int32_t>(id.as_integer()));
    return ids;
}

}  // namespace

TEST_CASE("TinyStories-656K: first logits and greedy continuations") {
    const std::string path = shared_data() + "golden/tinystories-656k/greedy.json";
    if (!std::filesystem::exists(path)) {
        MESSAGE("did not run: no ", path);
        return;
    }
    TestModel test(shared_data() + "models/tinystories-656k");
    const Value cases = parse_json(read_file(path), path);
    for (const Value& golden : cases.as_array()) {
        std::vector<std::int32_t> ids = ids_of(*golden.find("prompt_ids"));
        const std::vector<std::int32_t> expected = ids_of(*golden.find("greedy_ids"));
        std::vector<std::int32_t> pages(8);
        std::iota(pages.begin(), pages.end(), 0);
        std::size_t done = 0;
        std::vector<std::int32_t> generated;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            StepBatch batch;
            batch.tokens.assign(ids.begin() + static_cast<std::ptrdiff_t>(done), ids.end());
            batch.sequences.push_back({0, static_cast<std::int32_t>(ids.size() - done),
                                       static_cast<std::int32_t>(done), pages});
            batch.output_rows = {static_cast<std::int32_t>(ids.size() - done - 1)};
            const Tensor hidden = test.model->forward(batch, test.kv);
            if (i == 0) {
                std::vector<float> logits;
                test.model->logits(hidden, std::vector<std::int32_t>{0}, logits);
                for (const Value& pair : golden.find("first_step_top8_logits")->as_array()) {
                    const auto id = static_cast<std::size_t>(pair.as_array()[0].as_integer());
                    CHECK(std::abs(logits[id] - pair.as_array()[1].as_real()) < 1e-4);
                }
            }
            std::vector<RowScore> rows;
            std::vector<float> unused;
            test.model->score(hidden, {}, rows, unused);
            generated.push_back(rows[0].argmax);
            done = ids.size();
            ids.push_back(rows[0].argmax);
        }
        CHECK(generated == expected);
    }
}
