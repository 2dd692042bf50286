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
};
struct CudaEmulatorEvent {
    cudaStream_t stream = nullptr;
    std::shared_ptr<double> time = std::make_shared<double>(0);  ///< when it came
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
long launches = 0;

/// The launch from which on streams are held back; 0: none.
long hang_from() {
    static const long launch = [] {
        const char* set = std::getenv("EMULATED_HANG");
        return set != nullptr ? std::atol(set) : 0;
    }();
    return launch;
}

/// Runs what can run now; whether that is all.
bool progress(CudaEmulatorStream& stream) {
    if (stream.queue.empty() || draining) return true;
    if (held) return false;
    draining = true;
    open_memory(true);
    bool ended = true;
    while (!stream.queue.empty() && ended) {
        const Operation operation = std::move(stream.queue.front());
        stream.queue.pop_front();
        ended = operation();
        if (ended)
            now += kOperationMilliseconds;
        else
            stream.queue.push_front(operation);
    }
    open_memory(false);
    draining = false;
    return ended;
}

/// Waits, as a call of the runtime does that does not return before the stream is done.
void drain(CudaEmulatorStream& stream, const char* who) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!progress(stream)) {
        if (held || std::chrono::steady_clock::now() > end)
            fail((std::string(who) + " waits for a stream that hangs").c_str());
        sched_yield();
    }
}

}  // namespace

void spend(double milliseconds) {
    now += milliseconds;
}

void hold_streams(bool on) {
    held = on;
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
    drain(*stream, "cudaStreamDestroy");
    std::erase(all_streams(), stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (resolve(stream).recording) return failed(cudaErrorStreamCaptureUnsupported);
    drain(resolve(stream), "cudaStreamSynchronize");
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (resolve(stream).recording) return failed(cudaErrorStreamCaptureUnsupported);
    return progress(resolve(stream)) ? cudaSuccess : failed(cudaErrorNotReady);
}
cudaError_t cudaDeviceSynchronize() {
    drain(default_stream, "cudaDeviceSynchronize or cudaFree");
    for (const cudaStream_t stream : all_streams()) {
        if (stream->recording) return failed(cudaErrorStreamCaptureUnsupported);
        drain(*stream, "cudaDeviceSynchronize or cudaFree");
    }
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
    return enqueue(stream, [=] {
        open_memory(false);
        function(data);
        open_memory(true);
    });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new CudaEmulatorEvent;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->stream = stream;
    return enqueue(stream, [time = event->time] { *time = now; });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return cudaStreamSynchronize(event->stream);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    return cudaStreamQuery(event->stream);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t event, unsigned) {
    return cudaEventSynchronize(event);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    *milliseconds = static_cast<float>(*end->time - *begin->time);
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr || stream->recording) return failed(cudaErrorStreamCaptureUnsupported);
    stream->recording = std::make_unique<CudaEmulatorGraph>();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (!stream->recording) return failed(cudaErrorStreamCaptureInvalidated);
    *graph = stream->recording.release();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
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
