#include "cuda/recordings.h"

#include <algorithm>

#include "cuda/check.h"
#include "cuda/wait.h"

namespace muster::cuda {

Recordings::Recordings(cudaStream_t stream, Arena& arena) : stream_(stream), arena_(arena) {
    arena.on_free([this](std::uint64_t block) {
        for (auto& [key, entry] : entries_)
            if (block < entry.first_later_block) forget(entry);
    });
}

Recordings::~Recordings() {
    arena_.on_free(nullptr);
    for (auto& [key, entry] : entries_) forget(entry);
}

void Recordings::forget(Entry& entry) {
    if (entry.graph != nullptr && !device_is_lost()) (void)cudaGraphExecDestroy(entry.graph);
    entry.graph = nullptr;
}

std::size_t Recordings::size() const {
    return static_cast<std::size_t>(std::count_if(
        entries_.begin(), entries_.end(), [](auto& e) { return e.second.graph != nullptr; }));
}

void Recordings::run(const RecordingKey& key, const std::function<void()>& body) {
    const auto [at, fresh] = entries_.try_emplace(key);
    at->second.last_use = ++uses_;
    if (fresh) {
        if (entries_.size() > kMost) {
            const auto oldest = std::min_element(
                entries_.begin(), entries_.end(),
                [](auto& a, auto& b) { return a.second.last_use < b.second.last_use; });
            forget(oldest->second);
            entries_.erase(oldest);
        }
        body();
        return;
    }
    Entry& entry = at->second;
    if (entry.graph == nullptr) record(entry, body);
    check(cudaGraphLaunch(entry.graph, stream_), "cudaGraphLaunch");
    ++replays_;
}

void Recordings::record(Entry& entry, const std::function<void()>& body) {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
    recording_ = true;
    cudaGraph_t graph = nullptr;
    try {
        body();
    } catch (...) {
        recording_ = false;
        (void)cudaStreamEndCapture(stream_, &graph);
        if (graph != nullptr) (void)cudaGraphDestroy(graph);
        throw;
    }
    recording_ = false;
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    const cudaError_t status = cudaGraphInstantiate(&entry.graph, graph, 0);
    (void)cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
    entry.first_later_block = arena_.count();
}

}  // namespace muster::cuda
