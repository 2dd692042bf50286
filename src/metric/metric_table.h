#pragma once
// One line per metric.

#include <string>
#include <vector>

#include "aggregation.h"
#include "scoring.h"

namespace muster {

struct MetricDefinition {
    std::string name;
    OutputType output_type;
    ScoreKind kind;
    std::string aggregation;  ///< lm-eval's default
    Score (*function)(
        const SampleView&);  ///< nullptr: exact_match of generated text, which has options
};

/// The metric as the output type defines it, or nullptr.
const MetricDefinition* find_metric(const std::string& name, OutputType type);

}  // namespace muster
