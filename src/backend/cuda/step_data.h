#pragma once
// What the rows of a step are, in device memory: token ids, sequences with their pages, and where
// the keys and values of every row go. Uploaded once per step by one copy.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cuda/arena.h"
#include "cuda/attention.h"
#include "cuda/rows.h"
#include "cuda/staging.h"
#include "muster/backend/backend.h"

namespace muster::cuda {

class StepData {
 public:
    StepData(Arena& arena, Staging& staging) : arena_(arena), staging_(staging) {}

    /// Room for steps of these sizes.
    void reserve(std::int64_t rows, std::int64_t sequences, std::int64_t pages);
    /// `ids` may be empty. The rows of the sequences follow each other.
    void upload(std::span<const std::int32_t> ids, std::span<const AttentionSequence> sequences);

    // Of the last upload. For equal numbers of rows and sequences they lie at the same places.
    const std::int32_t* ids() const { return ids_; }
    const DeviceSequence* sequences() const { return sequences_; }
    const RowPlace* places() const { return places_; }
    const std::int32_t* pages() const { return pages_; }
    std::int32_t num_sequences() const { return num_sequences_; }
    std::int32_t rows() const { return rows_; }
    /// Of one sequence, at most.
    std::int32_t max_rows() const { return max_rows_; }
    std::int32_t max_context() const { return max_context_; }

 private:
    Arena& arena_;
    Staging& staging_;
    std::shared_ptr<void> memory_;
    std::uint64_t capacity_ = 0;
    std::vector<std::byte> block_;  ///< what is uploaded
    const std::int32_t *ids_ = nullptr, *pages_ = nullptr;
    const DeviceSequence* sequences_ = nullptr;
    const RowPlace* places_ = nullptr;
    std::int32_t num_sequences_ = 0, rows_ = 0, max_rows_ = 0, max_context_ = 0;
};

}  // namespace muster::cuda
