// One block runs at a time, its threads as fibers on one kernel thread: each runs until it has to
// wait for others (barrier, shuffle, matrix instruction), then the next one goes on. A fiber starts
// by ucontext and is switched to by setjmp and longjmp, which need no system call.

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks

#include "cuda_runtime.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::size_t kMaxShared = 227 << 10, kFreeShared = 48 << 10;
constexpr std::size_t kDeviceBytes = std::size_t{1} << 30;

// --- threads of a block -----------------------------------------------------------------------
struct Fiber {
    jmp_buf at;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[kStackBytes]};
    uint3 index;
    unsigned number = 0;
    bool started = false, done = false, released = false;
    unsigned meets = 0;  ///< the mask it waits for in its warp; 0: it does not
};
struct Warp {
    std::array<std::uint64_t, 32> words{};
    unsigned arrived = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
Fiber* running = nullptr;
jmp_buf scheduler;
const std::function<void()>* body = nullptr;
unsigned num_threads = 0, alive = 0, at_barrier = 0, barrier_round = 0;
bool progress = false;
alignas(1024) unsigned char shared[kMaxShared];

void run_fiber() {
    (*body)();
    running->done = true;
    progress = true;
    --alive;
    if (alive > 0 && at_barrier == alive) {  // those that left do not count
        at_barrier = 0;
        ++barrier_round;
    }
    _longjmp(scheduler, 1);
}

void resume(Fiber& fiber) {
    running = &fiber;
    threadIdx = fiber.index;
    if (_setjmp(scheduler) != 0) return;
    if (fiber.started) _longjmp(fiber.at, 1);
    fiber.started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = kStackBytes;
    context.uc_link = nullptr;
    makecontext(&context, run_fiber, 0);
    setcontext(&context);
}

void yield() {
    if (_setjmp(running->at) == 0) _longjmp(scheduler, 1);
}

void run_block(std::size_t shared_bytes) {
    std::memset(shared, 0xff, shared_bytes);
    alive = num_threads;
    at_barrier = 0;
    warps.assign((num_threads + 31) / 32, {});
    for (unsigned i = 0; i < num_threads; ++i) {
        if (i == fibers.size()) fibers.push_back(std::make_unique<Fiber>());
        Fiber& fiber = *fibers[i];
        fiber.number = i;
        fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        fiber.started = fiber.done = fiber.released = false;
        fiber.meets = 0;
    }
    while (alive > 0) {
        progress = false;
        for (unsigned i = 0; i < num_threads; ++i)
            if (!fibers[i]->done) resume(*fibers[i]);
        if (!progress) {
            running = fibers[0].get();
            for (unsigned i = 0; i < num_threads; ++i)
                if (!fibers[i]->done) running = fibers[i].get();
            fail(
                "threads wait for each other: some do not come to a barrier, shuffle or matrix "
                "instruction that others wait at");
        }
    }
    running = nullptr;
}

// --- memory -----------------------------------------------------------------------------------
struct Region {
    unsigned char* base = nullptr;
    std::size_t used = 0;  ///< bytes up to the end of the last allocation
    std::map<std::size_t, std::size_t> blocks;
};
Region& region() {
    static Region* made = [] {
        auto* r = new Region;
        void* base = mmap(nullptr, kDeviceBytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) fail("no address space for the device's memory");
        r->base = static_cast<unsigned char*>(base);
        return r;
    }();
    return *made;
}
void open_memory(bool open) {
    Region& r = region();
    if (r.used > 0 && mprotect(r.base, r.used, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
        fail("mprotect of the device's memory");
}

std::unordered_map<const void*, int>& opted_in() {
    static std::unordered_map<const void*, int> map;
    return map;
}
cudaError_t last = cudaSuccess;
cudaError_t failed(cudaError_t error) {
    if (error != cudaSuccess) last = error;
    return error;
}
int device_count() {
    const char* text = std::getenv("EMULATED_DEVICES");
    return text != nullptr ? std::atoi(text) : 1;
}
int current_device = 0;

}  // namespace

void fail(const char* what) {
    std::fprintf(stderr, "CUDA emulator: block (%u, %u, %u), thread (%u, %u, %u): %s\n", blockIdx.x,
                 blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, what);
    std::abort();
}
unsigned lane() {
    return running->number % 32;
}
std::array<std::uint64_t, 32>& warp_words() {
    return warps[running->number / 32].words;
}
unsigned char* dynamic_shared() {
    return shared;
}

void meet_block() {
    if (running->meets != 0) fail("a barrier inside a warp's exchange");
    ++at_barrier;
    progress = true;
    const unsigned round = barrier_round;
    if (at_barrier == alive) {
        at_barrier = 0;
        ++barrier_round;
    }
    while (round == barrier_round) yield();
    progress = true;
}

void meet_warp(unsigned mask) {
    const unsigned first = running->number / 32 * 32;
    const unsigned present =
        num_threads - first >= 32 ? 0xffffffffu : (1u << (num_threads - first)) - 1;
    if ((mask >> lane() & 1u) == 0) fail("a lane meets others under a mask without it");
    if ((mask & ~present) != 0 && mask != 0xffffffffu) fail("a mask names lanes that do not exist");
    mask &= present;
    Warp& warp = warps[running->number / 32];
    running->meets = mask;
    warp.arrived |= 1u << lane();
    progress = true;
    bool all = (warp.arrived & mask) == mask;
    for (unsigned i = 0; all && i < 32; ++i)
        if ((mask >> i & 1u) != 0 && fibers[first + i]->meets != mask) all = false;
    if (all) {
        warp.arrived &= ~mask;
        for (unsigned i = 0; i < 32; ++i)
            if ((mask >> i & 1u) != 0) fibers[first + i]->released = true;
    }
    while (!running->released) yield();
    running->released = false;
    running->meets = 0;
    progress = true;
}

}  // namespace emulator

// --- streams ------------------------------------------------------------------------------------
struct CudaEmulatorGraph {
    std::vector<std::function<void()>> operations;
};
struct CudaEmulatorGraphExec {
    std::vector<std::function<void()>> operations;
};
struct CudaEmulatorStream {
    std::deque<std::function<void()>> queue;
    std::unique_ptr<CudaEmulatorGraph> recording;
};
struct CudaEmulatorEvent {
    cudaStream_t stream = nullptr;
};

namespace emulator {
namespace {

CudaEmulatorStream default_stream;
CudaEmulatorStream& resolve(cudaStream_t stream) {
    return stream ? *stream : default_stream;
}
bool draining = false;

void drain(CudaEmulatorStream& stream) {
    if (stream.queue.empty() || draining) return;
    draining = true;
    open_memory(true);
    while (!stream.queue.empty()) {
        const std::function<void()> operation = std::move(stream.queue.front());
        stream.queue.pop_front();
        operation();
    }
    open_memory(false);
    draining = false;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, std::function<void()> operation) {
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
    return enqueue(config.stream, [=, shared_bytes = config.dynamicSmemBytes] {
        body = &body_of_thread;
        gridDim = grid;
        blockDim = block;
        num_threads = static_cast<unsigned>(threads);
        for (unsigned z = 0; z < grid.z; ++z)
            for (unsigned y = 0; y < grid.y; ++y)
                for (unsigned x = 0; x < grid.x; ++x) {
                    blockIdx = {x, y, z};
                    run_block(shared_bytes);
                }
    });
}

cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) > kMaxShared)
        return failed(cudaErrorInvalidValue);
    opted_in()[kernel] = value;
    return cudaSuccess;
}

}  // namespace emulator

using namespace emulator;

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "cudaSuccess";
        case cudaErrorInvalidValue:
            return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation:
            return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration:
            return "cudaErrorInvalidConfiguration";
        case cudaErrorInsufficientDriver:
            return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice:
            return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice:
            return "cudaErrorInvalidDevice";
        case cudaErrorInvalidResourceHandle:
            return "cudaErrorInvalidResourceHandle";
        case cudaErrorNotReady:
            return "cudaErrorNotReady";
        case cudaErrorIllegalAddress:
            return "cudaErrorIllegalAddress";
        case cudaErrorStreamCaptureUnsupported:
            return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated:
            return "cudaErrorStreamCaptureInvalidated";
    }
    return "unknown";
}
const char* cudaGetErrorString(cudaError_t error) {
    return cudaGetErrorName(error);
}
cudaError_t cudaGetLastError() {
    return std::exchange(last, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
    return last;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = device_count();
    return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
    *device = current_device;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
    if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
    *p = {};
    std::snprintf(p->name, sizeof(p->name), "Emulated device");
    p->uuid.bytes[15] = static_cast<char>(device + 1);
    p->totalGlobalMem = kDeviceBytes;
    p->major = 9;
    p->multiProcessorCount = 4;
    p->l2CacheSize = 1 << 20;
    p->pciBusID = device + 1;
    p->sharedMemPerBlockOptin = kMaxShared;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp p;
    if (const cudaError_t error = cudaGetDeviceProperties(&p, device)) return error;
    switch (attribute) {
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(p.sharedMemPerBlockOptin);
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = p.multiProcessorCount;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *value = p.major;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = p.minor;
            break;
        case cudaDevAttrL2CacheSize:
            *value = p.l2CacheSize;
            break;
    }
    return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
    std::snprintf(id, static_cast<std::size_t>(length), "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    return cudaDriverGetVersion(version);
}

// --- memory: first fit, blocks 512 bytes apart
// ----------------------------------------------------
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
    Region& r = region();
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + 511) / 512 * 512;
    std::size_t at = 0;
    for (const auto& [begin, length] : r.blocks) {
        if (begin - at >= size) break;
        at = begin + length;
    }
    if (at + size > kDeviceBytes) return failed(cudaErrorMemoryAllocation);
    r.blocks[at] = size;
    r.used = std::max(r.used, (at + size + 4095) / 4096 * 4096);
    open_memory(true);
    if (size <= std::size_t{64} << 20) std::memset(r.base + at, 0xff, size);
    if (!draining) open_memory(false);
    *pointer = r.base + at;
    return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
    if (pointer == nullptr) return cudaSuccess;
    cudaDeviceSynchronize();
    Region& r = region();
    const auto at = static_cast<std::size_t>(static_cast<unsigned char*>(pointer) - r.base);
    return r.blocks.erase(at) == 1 ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
    *pointer = std::malloc(bytes);
    return *pointer != nullptr ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) {
    std::free(pointer);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    std::size_t used = 0;
    for (const auto& [begin, length] : region().blocks) used += length;
    *total_bytes = kDeviceBytes;
    *free_bytes = kDeviceBytes - used;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    return enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind, cudaStream_t stream) {
    if (width > to_pitch || width > from_pitch) return failed(cudaErrorInvalidValue);
    return enqueue(stream, [=] {
        for (std::size_t row = 0; row < height; ++row)
            std::memcpy(static_cast<char*>(to) + row * to_pitch,
                        static_cast<const char*>(from) + row * from_pitch, width);
    });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    return enqueue(stream, [=] { std::memset(to, value, bytes); });
}

// --- streams, events, graphs --------------------------------------------------------------------
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
    drain(*stream);
    std::erase(all_streams(), stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (resolve(stream).recording) return failed(cudaErrorStreamCaptureUnsupported);
    drain(resolve(stream));
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    return cudaStreamSynchronize(stream);
}
cudaError_t cudaDeviceSynchronize() {
    drain(default_stream);
    for (const cudaStream_t stream : all_streams()) {
        if (stream->recording) return failed(cudaErrorStreamCaptureUnsupported);
        drain(*stream);
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
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return cudaStreamSynchronize(event->stream);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    return cudaEventSynchronize(event);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t event, unsigned) {
    return cudaEventSynchronize(event);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = 1;
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
    return enqueue(stream, [operations = exec->operations] {
        for (const auto& operation : operations) operation();
    });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
