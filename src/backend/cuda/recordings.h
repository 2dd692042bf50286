#pragma once
// Steps that only decode, recorded as graphs and replayed: one launch instead of hundreds. Where
// the driver or a library refuses to be recorded, all steps run as they are from then on.
//
// Whether a copy of NCCL is recorded must be the same on all ranks of a group (NCCL user guide,
// "Using NCCL with CUDA Graphs"): they agree before they replay.

#include <cuda_runtime.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "cuda/arena.h"

namespace muster::cuda {

/// Steps with equal keys run the same kernels with the same arguments.
struct RecordingKey {
    std::array<const void*, 2> memory{};  ///< StepInput::memory
    std::int32_t rows = 0;
    std::int32_t max_context = 0;  ///< rounded up, as the kernels are launched with
    auto operator<=>(const RecordingKey&) const = default;
};

class Recordings {
 public:
    static constexpr std::size_t kMost = 64;

    /// Whether no rank of the group has a problem, of which this one's is `mine` or "". Collective
    /// over the group.
    using Agree = std::function<bool(const std::string& mine)>;

    /// Recordings that use a block of `arena` end with it.
    Recordings(cudaStream_t stream, Arena& arena, Agree agree);
    ~Recordings();
    Recordings(const Recordings&) = delete;
    Recordings& operator=(const Recordings&) = delete;

    /// Runs `body` the first time, records and replays it from the second time on: what a kernel or
    /// library does only once is done by then, and a step that comes once costs nothing more. Keeps
    /// the kMost keys that were used last. The ranks of a group make the same calls.
    void run(const RecordingKey& key, const std::function<void()>& body);
    bool recording() const { return recording_; }
    /// Whether a step could not be recorded on some rank of the group; no other one will be.
    bool refused() const { return refused_; }
    std::size_t size() const;  ///< recordings kept
    std::uint64_t replays() const { return replays_; }

 private:
    struct Entry {
        cudaGraphExec_t graph = nullptr;
        std::uint64_t first_later_block = 0;  ///< it uses no arena block from this number on
        std::uint64_t last_use = 0;
    };
    /// On all ranks of the group, or false on all of them.
    bool record(Entry& entry, const std::function<void()>& body);
    /// Why this rank cannot; "" if it could.
    std::string try_to_record(Entry& entry, const std::function<void()>& body);
    void stop_recording(cudaGraph_t& graph);
    void forget(Entry& entry);

    cudaStream_t stream_;
    Arena& arena_;
    Agree agree_;
    std::map<RecordingKey, Entry> entries_;
    std::uint64_t uses_ = 0, replays_ = 0;
    bool recording_ = false, refused_ = false;
};

}  // namespace muster::cuda
