// TinyStories-656K against a float64 forward pass: shared data, run where they exist.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "checkpoint_run.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

using namespace muster;
using namespace muster::test;

namespace {

/// The folder of shared data, or "" with a message.
std::string shared_data() {
    const char* variable = std::getenv("MUSTER_SHARED");
    const std::string shared = variable ? variable : std::string(MUSTER_SOURCE_DIR) + "/../shared";
    if (std::filesystem::exists(shared + "/data/golden/tinystories-656k")) return shared + "/data";
    MESSAGE("did not run: no TinyStories-656K below " << shared);
    return "";
}

struct Choice {
    double log_likelihood = 0;
    bool is_greedy = false;
    std::size_t num_tokens = 0;
    int line = 0;
};

/// The choices of one document in the list of all, and the one of highest log-likelihood.
struct Document {
    std::size_t begin = 0, end = 0;
    std::int64_t prediction = 0;
};

/// Scores of what enc(context + continuation) has beyond the first |enc(context)| tokens.
std::vector<Request> multiple_choice(const std::string& path, const Tokenizer& tokenizer,
                                     std::vector<Choice>& expected,
                                     std::vector<Document>& documents) {
    std::vector<Request> requests;
    int number = 0;
    for (const std::string& line : split(read_file(path), '\n')) {
        ++number;
        if (line.empty()) continue;
        const Value document = parse_json(line, path);
        documents.push_back({requests.size(), 0, document.find("pred")->as_integer()});
        for (const Value& item : document.find("requests")->as_array()) {
            const std::string context = item.find("context")->as_string();
            Request request;
            request.id = requests.size();
            // This tokenizer merges across the border, and the golden values keep enc(context +
            // continuation) whole, where lm-evaluation-harness puts enc(context) in front. One
            // continuation has no token beyond |enc(context)|; there the golden value is that of
            // the last token.
            request.tokens =
                tokenizer.encode(context + item.find("continuation")->as_string(), true);
            const std::size_t context_size = tokenizer.encode(context, true).size();
            request.first_scored =
                static_cast<std::int32_t>(std::min(context_size, request.tokens.size() - 1));
            requests.push_back(request);
            expected.push_back({item.find("logprob")->as_real(), item.find("greedy")->as_bool(),
                                static_cast<std::size_t>(item.find("ntok")->as_integer()), number});
        }
        documents.back().end = requests.size();
    }
    return requests;
}

}  // namespace

TEST_CASE("TinyStories-656K: log-likelihoods of multiple-choice answers") {
    const std::string data = shared_data();
    if (data.empty()) return;
    const std::string directory = data + "/models/tinystories-656k";
    const Tokenizer tokenizer = Tokenizer::load(directory);
    std::vector<Choice> expected;
    std::vector<Document> documents;
    const auto requests = multiple_choice(data + "/golden/tinystories-656k/multiple_choice.jsonl",
                                          tokenizer, expected, documents);
    REQUIRE(requests.size() > 1000);

    const auto got = run_checkpoint(directory, 1, Communicator::self(), tokenizer,
                                    {.max_step_rows = 512, .kv_tokens = 8192}, requests);
    double worst = 0;
    int greedy_differs = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(expected[i].line);
        REQUIRE(got[i].token_logprobs.size() == expected[i].num_tokens);
        worst = std::max(worst, std::abs(got[i].log_likelihood - expected[i].log_likelihood));
        greedy_differs += got[i].is_greedy != expected[i].is_greedy;
    }
    MESSAGE(got.size() << " log-likelihoods, largest difference " << worst);
    CHECK(worst < 1e-3);  // float32 against float64
    CHECK(greedy_differs == 0);
    const auto less = [](const Completion& a, const Completion& b) {
        return a.log_likelihood < b.log_likelihood;
    };
    for (const Document& document : documents) {
        const auto begin = got.begin() + static_cast<std::ptrdiff_t>(document.begin);
        const auto end = got.begin() + static_cast<std::ptrdiff_t>(document.end);
        CHECK(std::max_element(begin, end, less) - begin == document.prediction);
    }
}

TEST_CASE("TinyStories-656K: greedy continuations") {
    const std::string data = shared_data();
    if (data.empty()) return;
    const std::string directory = data + "/models/tinystories-656k";
    const Tokenizer tokenizer = Tokenizer::load(directory);
    const std::string path = data + "/golden/tinystories-656k/greedy.json";
    const Value golden = parse_json(read_file(path), path);
    std::vector<Request> requests;
    std::vector<std::vector<std::int32_t>> expected;
    for (const Value& item : golden.as_array()) {
        Request request;
        request.kind = Request::Kind::generate;
        for (const Value& id : item.find("prompt_ids")->as_array()) {
            request.tokens.push_back(static_cast<std::int32_t>(id.as_integer()));
        }
        CHECK(tokenizer.encode(item.find("prompt")->as_string(), true) == request.tokens);
        expected.emplace_back();
        for (const Value& id : item.find("greedy_ids")->as_array()) {
            expected.back().push_back(static_cast<std::int32_t>(id.as_integer()));
        }
        request.max_new_tokens = static_cast<std::int32_t>(expected.back().size());
        requests.push_back(request);
    }
    REQUIRE(requests.size() == 8);
    const auto got = run_checkpoint(directory, 1, Communicator::self(), tokenizer,
                                    {.max_step_rows = 64, .kv_tokens = 1024}, requests);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i].tokens == expected[i]);
}
