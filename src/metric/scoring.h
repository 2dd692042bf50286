#pragma once
// The scores of one sample. A metric function sees one sample, its prediction and (for generation)
// the filtered responses, and returns one number; NaN says that the sample does not take part in
// this metric.

#include <span>
#include <string>
#include <vector>

#include "muster/metric/metric.h"

namespace muster {

struct SampleView {
    const Sample& sample;
    const Prediction& prediction;
    const std::vector<std::string>& responses;  ///< filtered; empty but for generation
    bool usable;  ///< false: the model could not be asked, or the text does not fit it
};

/// A number, and what it is weighed with or compared to: words, bytes, or the right index.
struct Score {
    double value = 0;
    double weight = 0;
};

/// numpy.argmax: the first of the largest; a NaN counts as the largest.
std::size_t argmax(std::span<const double> values);

// accuracy.cpp
Score score_accuracy(const SampleView& view);
Score score_accuracy_by_characters(const SampleView& view);
Score score_accuracy_by_bytes(const SampleView& view);
Score score_mutual_information(const SampleView& view);
Score score_greedy_gold(const SampleView& view);
Score score_brier(const SampleView& view);
/// value: the predicted index; weight: the right one.
Score score_prediction_pair(const SampleView& view);
Score score_greedy(const SampleView& view);

// perplexity.cpp
Score score_log_likelihood(const SampleView& view);
Score score_per_word(const SampleView& view);
Score score_per_byte(const SampleView& view);

}  // namespace muster
