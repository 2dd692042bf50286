#include "cuda/recordings.h"

#include <algorithm>
#include <utility>

#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

Recordings::Recordings(cudaStream_t stream, Arena& arena, Agree agree)
    : stream_(stream), arena_(arena), agree_(std::move(agree)) {
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
    if (refused_) return body();
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
    if (entry.graph == nullptr && !record(entry, body)) return body();
    check(cudaGraphLaunch(entry.graph, stream_), "cudaGraphLaunch");
    ++replays_;
}

bool Recordings::record(Entry& entry, const std::function<void()>& body) {
    if (agree_(try_to_record(entry, body))) return true;
    // What has been recorded under other keys only takes memory from now on.
    for (auto& [key, each] : entries_) forget(each);
    refused_ = true;
    return false;
}

// What was recorded has not run: the step can still be taken as it is, and so can the peers' steps.
std::string Recordings::try_to_record(Entry& entry, const std::function<void()>& body) {
    cudaGraph_t graph = nullptr;
    std::string problem;
    try {
        check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
              "cudaStreamBeginCapture");
        recording_ = true;
        body();
        recording_ = false;
        check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
        check(cudaGraphInstantiate(&entry.graph, graph, 0), "cudaGraphInstantiate");
    } catch (const SystemError& e) {
        stop_recording(graph);
        entry.graph = nullptr;
        if (device_is_lost())
            throw SystemError(cat(e.what(),
                                  "; this was while a step was recorded, which "
                                  "--no-step-recording does without"));
        problem = e.what();
    } catch (...) {
        stop_recording(graph);
        throw;
    }
    if (graph != nullptr) (void)cudaGraphDestroy(graph);
    entry.first_later_block = arena_.count();
    return problem;
}

void Recordings::stop_recording(cudaGraph_t& graph) {
    if (!std::exchange(recording_, false)) return;
    (void)cudaStreamEndCapture(stream_, &graph);
    (void)cudaGetLastError();
    if (graph != nullptr) (void)cudaGraphDestroy(graph);
    graph = nullptr;
}

}  // namespace muster::cuda
