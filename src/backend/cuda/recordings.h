#pragma once
// Steps that only decode, recorded as graphs and replayed: one launch instead of hundreds.

#include <cuda_runtime.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>

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

    /// Recordings that use a block of `arena` end with it.
    Recordings(cudaStream_t stream, Arena& arena);
    ~Recordings();
    Recordings(const Recordings&) = delete;
    Recordings& operator=(const Recordings&) = delete;

    /// Runs `body` the first time, records and replays it from the second time on: what a kernel or
    /// library does only once is done by then, and a step that comes once costs nothing more. Keeps
    /// the kMost keys that were used last.
    void run(const RecordingKey& key, const std::function<void()>& body);
    bool recording() const { return recording_; }
    std::size_t size() const;  ///< recordings kept
    std::uint64_t replays() const { return replays_; }

 private:
    struct Entry {
        cudaGraphExec_t graph = nullptr;
        std::uint64_t first_later_block = 0;  ///< it uses no arena block from this number on
        std::uint64_t last_use = 0;
    };
    void record(Entry& entry, const std::function<void()>& body);
    void forget(Entry& entry);

    cudaStream_t stream_;
    Arena& arena_;
    std::map<RecordingKey, Entry> entries_;
    std::uint64_t uses_ = 0, replays_ = 0;
    bool recording_ = false;
};

}  // namespace muster::cuda
