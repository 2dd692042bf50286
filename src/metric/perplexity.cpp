// Log-likelihoods that perplexities are made of. A text that could not be scored does not take
// part: lm-eval would have stopped, and no finite number stands for it.
#include <cmath>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "scoring.h"

namespace muster {

Score score_log_likelihood(const SampleView& view) {
    if (!view.usable) return {std::numeric_limits<double>::quiet_NaN()};
    if (view.prediction.log_likelihoods.empty())
        throw InternalError(cat("document ", view.sample.doc_id, ": no log-likelihood"));
    return {view.prediction.log_likelihoods.front()};
}

Score score_per_word(const SampleView& view) {
    return {score_log_likelihood(view).value, static_cast<double>(view.sample.num_words)};
}

Score score_per_byte(const SampleView& view) {
    return {score_log_likelihood(view).value, static_cast<double>(view.sample.num_bytes)};
}

}  // namespace muster
