// The least work of each phase. The output head costs where rows are scored; what is only moved
// about (embeddings, activations) is left out.

#include <algorithm>
#include <cmath>

#include "cli/bench_phases.h"

namespace muster {

namespace {

/// Rows [first, first + rows) of one sequence, of which the last `scored` go to the output head.
struct Segment {
    std::int64_t first, rows, scored;
};

/// The layers' matrices that a step of `rows` rows reads; of a mixture, as many experts as rows
/// reach that choose evenly at random, which is what random weights do.
double matrix_bytes(const ModelConfig& model, double rows) {
    const auto all = static_cast<double>(model.num_experts),
               chosen = static_cast<double>(model.experts_per_token);
    const double reached = all > 0 ? all * (1 - std::pow(1 - chosen / all, rows)) : 0;
    return layer_elements(model, reached) * static_cast<double>(size_of(model.dtype));
}
double head_elements(const ModelConfig& model) {
    return static_cast<double>(model.hidden_size) * static_cast<double>(model.vocab_size);
}
double head_bytes(const ModelConfig& model) {
    return head_elements(model) * static_cast<double>(size_of(model.dtype));
}

/// The work of segments packed one behind another into full steps.
PhaseWork packed_work(const std::vector<Segment>& segments, const ModelConfig& model,
                      std::int64_t step_tokens) {
    const auto kv = static_cast<double>(kv_bytes_per_token(model, 1));
    PhaseWork work;
    std::int64_t rows_left = 0;
    for (const Segment& segment : segments) rows_left += segment.rows;
    std::int64_t room = 0;      // rows left in the current step
    bool head_is_read = false;  // in the current step
    for (const Segment& segment : segments) {
        const std::int64_t end = segment.first + segment.rows, first_scored = end - segment.scored;
        for (std::int64_t position = segment.first; position < end;) {
            if (room == 0) {
                room = step_tokens;
                head_is_read = false;
                work.bytes +=
                    matrix_bytes(model, static_cast<double>(std::min(step_tokens, rows_left)));
                rows_left -= step_tokens;
            }
            const std::int64_t stop = std::min(end, position + room);
            room -= stop - position;
            // Keys and values: this piece's are written, the earlier ones read.
            const double earlier = keys_seen(model, static_cast<double>(position + 1)) - 1;
            work.bytes += kv * (static_cast<double>(stop - position) + earlier);
            if (stop > first_scored && !head_is_read) {
                work.bytes += head_bytes(model);
                head_is_read = true;
            }
            for (; position < stop; ++position) {
                work.flops += flops_per_token(model, static_cast<double>(position + 1));
                if (position >= first_scored) work.flops += 2 * head_elements(model);
            }
        }
        work.tokens += static_cast<double>(segment.rows);
    }
    return work;
}

PhaseWork decode_work(const ModelConfig& model, const PhaseRun& run) {
    const auto rows = static_cast<double>(run.tokens_computed),
               steps = static_cast<double>(run.steps);
    const double context = run.keys / rows;
    const double read = rows * keys_seen(model, context);
    PhaseWork work;
    work.tokens = rows;
    work.flops = rows * (flops_per_token(model, context) + 2 * head_elements(model));
    work.bytes = steps * (matrix_bytes(model, rows / steps) + head_bytes(model)) +
                 read * static_cast<double>(kv_bytes_per_token(model, 1));
    return work;
}

}  // namespace

PhaseWork work_of(const std::string& phase, const BenchConfig& bench, const ModelConfig& model,
                  const PhaseRun& run) {
    if (phase == "decode") return decode_work(model, run);
    std::vector<Segment> segments;
    if (phase != "mmlu-like") {
        segments.assign(static_cast<std::size_t>(bench.batch),
                        {0, bench.prompt_tokens, phase == "score" ? bench.prompt_tokens : 1});
        return packed_work(segments, model, bench.step_tokens);
    }
    segments.push_back({0, kPrefixTokens, 0});
    for (std::int64_t i = 0; i < bench.questions; ++i)
        segments.push_back({kPrefixTokens, kQuestionTokens, 1});
    PhaseWork work = packed_work(segments, model, bench.step_tokens);
    work.tokens = static_cast<double>(run.tokens_asked);
    return work;
}

}  // namespace muster
