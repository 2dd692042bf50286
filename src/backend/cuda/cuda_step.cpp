// Steps: what describes the rows is uploaded once, and steps that only decode are recorded.

#include <algorithm>
#include <bit>

#include "cuda/attention.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// The context that a recorded step is launched for: few values, so that few steps are recorded,
/// and no more runs of attention than those of `most`, for which there is memory.
std::int32_t rounded_context(std::int32_t context, std::int64_t most) {
    constexpr std::int64_t kRun = kSplitPages * kKvPageTokens;
    const auto rounded = static_cast<std::int64_t>(
        std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(context, kRun))));
    const std::int64_t whole_runs = (most + kRun - 1) / kRun * kRun;
    return std::max(context, static_cast<std::int32_t>(std::min(rounded, whole_runs)));
}

bool only_decodes(const StepInput& step) {
    return std::all_of(step.sequences.begin(), step.sequences.end(),
                       [](const AttentionSequence& s) { return s.num_rows == 1; }) &&
           step.ids.size() == step.sequences.size();
}

template <typename T>
bool same_span(std::span<const T> a, std::span<const T> b) {
    return a.data() == b.data() && a.size() == b.size();
}

}  // namespace

void CudaBackend::run_step(const StepInput& step, const std::function<void()>& body) {
    if (step_ != nullptr) throw InternalError("run_step: a step inside a step");
    step_data_.upload(step.ids, step.sequences);
    const bool record = options_.record_steps && step.may_record && only_decodes(step) &&
                        (!copies_ || copies_->recordable());
    const std::int32_t context = step_data_.max_context();
    step_context_ = record ? rounded_context(context, most_context_) : context;
    struct Running {
        const StepInput*& step;
        ~Running() { step = nullptr; }
    } running{step_};
    step_ = &step;
    if (record)
        recordings_.run({step.memory, step_data_.rows(), step_context_}, body);
    else
        body();
}

bool CudaBackend::all_record(const std::string& problem) {
    std::vector<std::byte> failed(static_cast<std::size_t>(tp_size()));
    const std::byte own{!problem.empty()};
    all_gather_host({&own, 1}, failed);
    const auto first = std::find(failed.begin(), failed.end(), std::byte{1});
    if (first == failed.end()) return true;
    if (first - failed.begin() == tp_rank())
        warn_here(
            cat("steps are not recorded from now on, which makes decoding slower: ", problem));
    return false;
}

const StepData& CudaBackend::device_sequences(std::span<const AttentionSequence> sequences) {
    if (step_ != nullptr && same_span(sequences, step_->sequences)) return step_data_;
    if (recordings_.recording())
        throw InternalError("sequences that are not the step's cannot be recorded");
    loose_data_.upload({}, sequences);
    return loose_data_;
}

void CudaBackend::reserve_ids(std::int64_t count) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(count) * sizeof(std::int32_t);
    if (bytes <= loose_ids_bytes_) return;
    loose_ids_.reset();
    loose_ids_bytes_ = 0;
    loose_ids_ = arena_->allocate(bytes);
    loose_ids_bytes_ = bytes;
}

const std::int32_t* CudaBackend::device_ids(std::span<const std::int32_t> ids) {
    if (step_ != nullptr && same_span(ids, step_->ids)) return step_data_.ids();
    if (recordings_.recording())
        throw InternalError("ids that are not the step's cannot be recorded");
    reserve_ids(static_cast<std::int64_t>(ids.size()));
    staging_.upload(loose_ids_.get(), ids.data(), ids.size_bytes());
    return static_cast<const std::int32_t*>(loose_ids_.get());
}

}  // namespace muster::cuda
