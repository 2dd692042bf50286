// Streams, events and graphs: queues of operations that run when somebody waits for them.

#include <sched.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "parts.h"
#include "races.h"

namespace {
/// False: not at its end yet, to be called again.
using Operation = std::function<bool()>;
}  // namespace

struct CudaEmulatorGraph {
    std::vector<Operation> operations;
};
struct CudaEmulatorGraphExec {
    std::vector<Operation> operations;
};
struct CudaEmulatorStream {
    std::deque<Operation> queue;
    std::unique_ptr<CudaEmulatorGraph> recording;
    bool lost = false;  ///< the recording, by something that is forbidden meanwhile
};
/// A place in a stream's work.
struct Mark {
    bool reached = false;
    double time = 0;
};
struct CudaEmulatorEvent {
    bool timed = true, captured = false;
    cudaStream_t stream = nullptr;
    std::shared_ptr<Mark> mark;  ///< where it was recorded last; null: nowhere
};

namespace emulator {
namespace {

CudaEmulatorStream default_stream;
CudaEmulatorStream& resolve(cudaStream_t stream) {
    return stream ? *stream : default_stream;
}
bool draining = false;
double now = 0;  ///< milliseconds by the device's made-up clock

std::unordered_map<const void*, int>& opted_in() {
    static std::unordered_map<const void*, int> map;
    return map;
}

bool held = false;
Refusal refusal_of_recordings = Refusal::none;
long launches = 0;

/// The launch from which on streams are held back; 0: none.
long hang_from() {
    static const long launch = [] {
        const char* set = std::getenv("EMULATED_HANG");
        return set != nullptr ? std::atol(set) : 0;
    }();
    return launch;
}

/// Runs the stream's work up to `mark`, or all of it, as far as that can run now.
void run(CudaEmulatorStream& stream, const Mark* mark) {
    while (!held && !stream.queue.empty() && !(mark != nullptr && mark->reached)) {
        const Operation operation = std::move(stream.queue.front());
        stream.queue.pop_front();
        if (!operation()) return stream.queue.push_front(operation);
        now += kOperationMilliseconds;
    }
}

/// The same for the host; whether that is done.
bool progress(CudaEmulatorStream& stream, const Mark* mark = nullptr) {
    const auto done = [&] { return mark != nullptr ? mark->reached : stream.queue.empty(); };
    if (done() || draining) return true;
    if (held) return false;
    draining = true;
    open_memory(true);
    run(stream, mark);
    open_memory(false);
    draining = false;
    return done();
}

/// Waits, as a call of the runtime does that does not return before the stream is done.
void wait_for(CudaEmulatorStream& stream, const Mark* mark, const char* who) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!progress(stream, mark)) {
        if (held || std::chrono::steady_clock::now() > end)
            fail((std::string(who) + " waits for a stream that hangs").c_str());
        sched_yield();
    }
}

/// Streams that this thread captures; what is forbidden meanwhile ends their captures.
thread_local std::vector<CudaEmulatorStream*> captured;

}  // namespace

void spend(double milliseconds) {
    now += milliseconds;
}

bool breaks_capture() {
    for (CudaEmulatorStream* const stream : captured) stream->lost = true;
    return !captured.empty();
}
bool is_captured(cudaStream_t stream) {
    return resolve(stream).recording != nullptr;
}
void lose_capture(cudaStream_t stream) {
    resolve(stream).lost = true;
}
void drain(cudaStream_t stream, const char* who) {
    wait_for(resolve(stream), nullptr, who);
}

void hold_streams(bool on) {
    held = on;
}

void refuse_recordings(Refusal refusal) {
    refusal_of_recordings = refusal;
}

bool running_operations() {
    return draining;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> operation) {
    return enqueue_until(stream, [operation = std::move(operation)] {
        operation();
        return true;
    });
}

cudaError_t enqueue_until(cudaStream_t stream, std::function<bool()> operation) {
    CudaEmulatorStream& s = resolve(stream);
    // It would be left out of what this thread records.
    if (stream == nullptr && breaks_capture()) return failed(cudaErrorStreamCaptureUnsupported);
    if (s.lost) return failed(cudaErrorStreamCaptureInvalidated);
    if (s.recording)
        s.recording->operations.push_back(std::move(operation));
    else
        s.queue.push_back(std::move(operation));
    return cudaSuccess;
}

cudaError_t launch(const void* kernel, const cudaLaunchConfig_t& config,
                   std::function<void()> body_of_thread) {
    const dim3 grid = config.gridDim, block = config.blockDim;
    const std::size_t threads = std::size_t{block.x} * block.y * block.z;
    const auto opted = opted_in().find(kernel);
    const std::size_t most_shared =
        opted == opted_in().end() ? kFreeShared : static_cast<std::size_t>(opted->second);
    if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 ||
        grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return failed(cudaErrorInvalidConfiguration);
    if (config.dynamicSmemBytes > most_shared) return failed(cudaErrorInvalidValue);
    if (++launches == hang_from()) held = true;
    const Launch queued{kernel,
                        grid,
                        block,
                        config.dynamicSmemBytes,
                        std::move(body_of_thread),
                        races::on ? live_extents() : nullptr};
    return enqueue(config.stream, [queued] { run_grid(queued); });
}

cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) > architecture().max_shared)
        return failed(cudaErrorInvalidValue);
    opted_in()[kernel] = value;
    return cudaSuccess;
}

}  // namespace emulator

using namespace emulator;

namespace {
std::vector<cudaStream_t>& all_streams() {
    static std::vector<cudaStream_t> streams;
    return streams;
}
}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new CudaEmulatorStream;
    all_streams().push_back(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    wait_for(*stream, nullptr, "cudaStreamDestroy");
    std::erase(captured, stream);
    std::erase(all_streams(), stream);
    delete stream;
    return cudaSuccess;
}
/// Refuses to wait for a stream, or to ask after it, while it or another of this thread's is
/// captured.
static cudaError_t allow_waiting(cudaStream_t stream) {
    const bool forbidden = breaks_capture();
    if (!forbidden && !is_captured(stream)) return cudaSuccess;
    if (is_captured(stream)) lose_capture(stream);
    return failed(cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (const cudaError_t error = allow_waiting(stream)) return error;
    drain(stream, "cudaStreamSynchronize");
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (const cudaError_t error = allow_waiting(stream)) return error;
    return progress(resolve(stream)) ? cudaSuccess : failed(cudaErrorNotReady);
}
cudaError_t cudaDeviceSynchronize() {
    constexpr const char* kWho = "cudaDeviceSynchronize or cudaFree";
    for (const cudaStream_t stream : all_streams())
        if (const cudaError_t error = allow_waiting(stream)) return error;
    drain(nullptr, kWho);
    for (const cudaStream_t stream : all_streams()) drain(stream, kWho);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
    return enqueue(stream, [=] {
        open_memory(false);
        function(data);
        open_memory(true);
    });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    *event = new CudaEmulatorEvent{(flags & cudaEventDisableTiming) == 0, false, nullptr, nullptr};
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->stream = stream;
    event->mark = std::make_shared<Mark>();
    event->captured = is_captured(stream);
    if (event->captured) return cudaSuccess;  // a mark between recorded operations, never reached
    return enqueue(stream, [mark = event->mark] { *mark = {true, now}; });
}
/// What cudaEventSynchronize and cudaEventQuery refuse.
static cudaError_t allow_asking(cudaEvent_t event) {
    if (breaks_capture()) return failed(cudaErrorStreamCaptureUnsupported);
    if (!event->captured) return cudaSuccess;
    if (is_captured(event->stream)) lose_capture(event->stream);
    return failed(cudaErrorCapturedEvent);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (const cudaError_t error = allow_asking(event)) return error;
    if (event->mark && !event->mark->reached)
        wait_for(resolve(event->stream), event->mark.get(), "cudaEventSynchronize");
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (const cudaError_t error = allow_asking(event)) return error;
    if (!event->mark || event->mark->reached) return cudaSuccess;
    return progress(resolve(event->stream), event->mark.get()) ? cudaSuccess
                                                               : failed(cudaErrorNotReady);
}
// Captures of several streams are not emulated: a dependency into or out of one is refused.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (!event->mark || event->mark->reached) return cudaSuccess;
    if (event->captured != is_captured(stream) ||
        (event->captured && &resolve(event->stream) != &resolve(stream))) {
        if (is_captured(stream)) lose_capture(stream);
        if (is_captured(event->stream)) lose_capture(event->stream);
        return failed(cudaErrorStreamCaptureIsolation);
    }
    if (event->captured) return cudaSuccess;  // behind it anyway
    return enqueue_until(stream, [mark = event->mark, &other = resolve(event->stream)] {
        if (!mark->reached) run(other, mark.get());  // a stream that is gone has reached its marks
        return mark->reached;
    });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    for (const cudaEvent_t event : {begin, end}) {
        if (!event->timed || !event->mark || event->captured)
            return failed(cudaErrorInvalidResourceHandle);
        if (!event->mark->reached) return failed(cudaErrorNotReady);
    }
    *milliseconds = static_cast<float>(end->mark->time - begin->mark->time);
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    if (stream == nullptr || stream->recording) return failed(cudaErrorStreamCaptureUnsupported);
    stream->recording = std::make_unique<CudaEmulatorGraph>();
    stream->lost = false;
    if (mode != cudaStreamCaptureModeRelaxed) captured.push_back(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = nullptr;
    if (!stream->recording) return failed(cudaErrorInvalidValue);
    std::erase(captured, stream);
    const std::unique_ptr<CudaEmulatorGraph> recording = std::move(stream->recording);
    const bool lost = std::exchange(stream->lost, false);
    if (lost || refusal_of_recordings == Refusal::of_capture)
        return failed(cudaErrorStreamCaptureInvalidated);
    *graph = new CudaEmulatorGraph(*recording);
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    *status =
        resolve(stream).recording ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
    if (refusal_of_recordings == Refusal::of_graph) return failed(cudaErrorMemoryAllocation);
    *exec = new CudaEmulatorGraphExec{graph->operations};
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    for (const Operation& operation : exec->operations) enqueue_until(stream, operation);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
