#pragma once
// Tokens for rows that want more than their argmax. Where the temperature is all that counts the
// model draws; else they come from the best logits where these tell what can be chosen, and from
// all logits where they do not: which of the two depends on the row alone, and both give the same
// token.

#include <functional>
#include <optional>
#include <vector>

#include "muster/model/model.h"
#include "sequences.h"
#include "step.h"

namespace muster {

class RowSampler {
 public:
    explicit RowSampler(Model& model) : model_(model) {}

    /// Called for each generation that got a token; the node that it is in.
    using Accept = std::function<void(std::int32_t node, std::int32_t token)>;

    /// Chooses for all generations that draw from `rows` and need more than the argmax; `hidden`
    /// [rows, hidden]. Collective over the group.
    void sample(const Tensor& hidden, std::span<const OutputRow> rows, Sequences& sequences,
                const Accept& accept);

    /// Rows that sample() has chosen for, and those of them whose logits all went to the host.
    std::uint64_t rows() const { return rows_; }
    std::uint64_t rows_of_logits() const { return rows_of_logits_; }

 private:
    /// A generation that draws from a row.
    struct Draw {
        std::size_t row = 0;
        std::int32_t node = 0;
        std::optional<double> total;  ///< once Model::candidates has given it
    };
    /// Chooses for the draws from rows [begin, end) that their best logits are enough for; the
    /// others go to undecided_.
    void sample_best(const Tensor& hidden, std::size_t begin, std::size_t end,
                     std::vector<Draw> draws, Sequences& sequences, const Accept& accept);
    /// Has the model choose for `draws`.
    void sample_by_model(const Tensor& hidden, std::span<const Draw> draws, Sequences& sequences,
                         const Accept& accept);
    /// Chooses for the draws in undecided_.
    void sample_logits(const Tensor& hidden, Sequences& sequences, const Accept& accept);

    Model& model_;
    std::uint64_t rows_ = 0, rows_of_logits_ = 0;
    std::vector<Draw> undecided_;
    // Reused from call to call.
    std::vector<float> inverse_temperatures_, logits_, copy_;
    RowCandidates found_;
    std::vector<TokenDraw> model_draws_;
    std::vector<std::int32_t> tokens_;
};

}  // namespace muster
