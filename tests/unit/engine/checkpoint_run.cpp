#include "checkpoint_run.h"

#include <algorithm>
#include <filesystem>

namespace muster::test {

LoadedModel::LoadedModel(const std::string& directory, int threads, const Communicator& group,
                         std::int64_t max_step_rows)
    : LoadedModel(directory, make_cpu_backend(threads, group), max_step_rows) {}

LoadedModel::LoadedModel(const std::string& directory, std::unique_ptr<Backend> backend,
                         std::int64_t max_step_rows)
    : checkpoint_(Checkpoint::open(directory)),
      backend_(std::move(backend)),
      model_(Model::load(checkpoint_, ModelConfig::load(directory, ""), *backend_, max_step_rows,
                         [](std::uint64_t, std::uint64_t) {})) {}

std::vector<std::string> golden_models() {
    std::vector<std::string> directories;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(MUSTER_SOURCE_DIR) +
                                                                 "/tests/golden/models")) {
        if (std::filesystem::exists(entry.path() / "config.json"))
            directories.push_back(entry.path().string());
    }
    std::sort(directories.begin(), directories.end());
    return directories;
}

std::vector<Request> sample_requests(std::int64_t vocab_size, std::int64_t max_positions) {
    std::uint64_t state = 5;
    const auto below = [&](std::int64_t end) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(end));
    };
    const std::int64_t longest = std::min<std::int64_t>(150, max_positions - 12);
    std::vector<Request> requests;
    for (int document = 0; document < 8; ++document) {
        Request request;
        for (std::int64_t t = 1 + below(longest); t > 0; --t)
            request.tokens.push_back(below(vocab_size));
        const auto context = request.tokens;
        for (int choice = 0; choice < 3; ++choice) {
            request.tokens = context;
            for (int t = 0; t <= document % 3; ++t) request.tokens.push_back(below(vocab_size));
            request.first_scored = choice == 2 ? 1 : static_cast<std::int32_t>(context.size());
            requests.push_back(request);
        }
        request.kind = Request::Kind::generate;
        request.tokens = context;
        request.max_new_tokens = 10;
        if (document % 3 == 1) request.sampling.repetition_penalty = 1.2;
        if (document == 2) request.sampling = {.temperature = 0.8, .top_p = 0.9, .seed = 7};
        if (document == 6) request.sampling = {.temperature = 0.8, .seed = 7};
        if (document == 5) {
            request.sampling = {.temperature = 0.8, .top_k = 20, .top_p = 0.95, .seed = 7};
        }
        request.sample_key = static_cast<std::uint64_t>(document);
        requests.push_back(request);
    }
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].id = i;
    return requests;
}

std::vector<Request> few_shot_requests(std::int64_t vocab_size, std::int64_t max_positions) {
    std::vector<std::int32_t> shots;
    const auto longest =
        static_cast<std::int32_t>(std::clamp<std::int64_t>(max_positions - 41, 20, 200));
    for (std::int32_t t = 0; t < longest; ++t)
        shots.push_back(t * 7919 % static_cast<std::int32_t>(vocab_size));
    std::vector<Request> requests = sample_requests(vocab_size, 40);
    for (Request& request : requests) {
        const auto added = static_cast<std::ptrdiff_t>(request.id / 3 % 2 ? longest : longest / 2);
        request.tokens.insert(request.tokens.begin(), shots.begin(), shots.begin() + added);
        if (request.kind == Request::Kind::score)
            request.first_scored += static_cast<std::int32_t>(added);
    }
    return requests;
}

std::vector<Completion> run_in_calls(Engine& engine, const std::vector<Request>& requests,
                                     std::size_t chunk) {
    std::vector<Completion> completions;
    for (std::size_t begin = 0; begin < requests.size(); begin += chunk) {
        const std::size_t end = std::min(begin + chunk, requests.size());
        for (Completion& completion :
             engine.run({requests.begin() + static_cast<std::ptrdiff_t>(begin),
                         requests.begin() + static_cast<std::ptrdiff_t>(end)},
                        {}))
            completions.push_back(std::move(completion));
    }
    return completions;
}

std::vector<Completion> run_checkpoint(const std::string& directory, int threads,
                                       const Communicator& group, const Tokenizer& tokenizer,
                                       const EngineOptions& options,
                                       const std::vector<Request>& requests) {
    LoadedModel model(directory, threads, group, options.max_step_rows);
    return Engine(*model, tokenizer, options).run(requests, {});
}

}  // namespace muster::test
