#include <doctest/doctest.h>

#include <cmath>

#include "aggregation.h"

using namespace muster;

namespace {

double aggregate(const char* name, const std::vector<double>& values,
                 const std::vector<double>& weights = {}) {
    return find_aggregation(name)->function(values, weights);
}

}  // namespace

TEST_CASE("sums are compensated as in Python 3.12") {
    CHECK(compensated_sum({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}) == 1.0);
    CHECK(compensated_sum({1e100, 1.0, -1e100}) == 1.0);
    CHECK(compensated_sum({}) == 0.0);
    CHECK(std::isinf(compensated_sum({INFINITY, 1.0})));
}

TEST_CASE("aggregations") {
    CHECK(aggregate("mean", {1, 0, 0, 1}) == 0.5);
    CHECK(aggregate("median", {5, 1, 3, 2}) == 3);  // sorted[n // 2]
    CHECK(aggregate("perplexity", {-1, -3}) == std::exp(2.0));
    CHECK(aggregate("weighted_perplexity", {-4, -8}, {1, 3}) == std::exp(3.0));
    CHECK(aggregate("bits_per_byte", {-4, -8}, {10, 2}) ==
          doctest::Approx(1 / std::log(2.0)).epsilon(1e-15));
    CHECK(aggregate("f1", {1, 1, 0, 0}, {1, 0, 1, 0}) == 0.5);
    CHECK(aggregate("f1", {0, 0}, {0, 0}) == 0);
    CHECK(std::isnan(aggregate("f1", {2}, {1})));
    CHECK(aggregate("matthews_corrcoef", {1, 0, 2}, {1, 0, 2}) == 1);
    CHECK(aggregate("matthews_corrcoef", {1, 1}, {1, 0}) == 0);
    CHECK(find_aggregation("bleu") == nullptr);
}

TEST_CASE("standard errors are absent where lm-eval says N/A") {
    const std::vector<double> values = {0, 1, 1};
    CHECK(*standard_error(*find_aggregation("mean"), values, {}, 1) ==
          doctest::Approx(1.0 / 3).epsilon(1e-15));
    CHECK_FALSE(standard_error(*find_aggregation("mean"), values, {}, 0));
    CHECK_FALSE(standard_error(*find_aggregation("mean"), {1}, {}, 100));
    CHECK_FALSE(standard_error(*find_aggregation("weighted_perplexity"), values, values, 100));
    CHECK_FALSE(standard_error(*find_aggregation("perplexity"), values, {}, 1));
    CHECK(standard_error(*find_aggregation("perplexity"), values, {}, 2));
}
