#pragma once
// A CUDA device made of ordinary C++, so that kernels and everything around them can be tested
// where there is none. It stands in for the toolkit's header of this name: .cu files are compiled
// as C++ with this folder in front of the include path.
//
// What it is faithful to, and strict about:
//   * threads of a block are fibers that meet at barriers, shuffles and matrix instructions; lanes
//     that do not meet are reported with their kernel's block instead of hanging;
//   * work on a stream runs as late as it can (when somebody waits), so that a host buffer that is
//     reused too early shows;
//   * device memory is unreadable for the host outside of copies and kernels, and starts as NaNs;
//   * copies stay inside of one allocation and go the way they say; those of memory that is not
//     pinned wait for their stream, as the driver may;
//   * while a stream is captured, its thread may not wait, ask or allocate: the capture is lost;
//   * vectors of elements are read and written at multiples of their size (kernels are compiled
//     with a check of every access);
//   * asynchronous copies to shared memory land when their thread waits for them, not before;
//   * launch limits: threads, shared memory (and the opt-in above 48 KiB), grid sizes;
//   * matrix instructions add as tensor cores of sm_90 or sm_80 do (tensor_core.h);
//   * races and accesses outside of what is allocated, in kernels that are compiled for it
//   (races.h).
// What it is not: fast or parallel.

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __shared__ static
#define __align__(n) alignas(n)
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct uint3 {
    unsigned x = 0, y = 0, z = 0;
};
#define MUSTER_VECTOR_TYPES(T, name, bytes)                \
    struct alignas(bytes / 2) name##2 {                    \
        T x, y;                                            \
    };                                                     \
    struct alignas(bytes) name##4 {                        \
        T x, y, z, w;                                      \
    };                                                     \
    constexpr name##2 make_##name##2(T x, T y) {           \
        return {x, y};                                     \
    }                                                      \
    constexpr name##4 make_##name##4(T x, T y, T z, T w) { \
        return {x, y, z, w};                               \
    }
MUSTER_VECTOR_TYPES(float, float, 16)
MUSTER_VECTOR_TYPES(int, int, 16)
MUSTER_VECTOR_TYPES(unsigned, uint, 16)
#undef MUSTER_VECTOR_TYPES

/// Of the thread that is running.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// --- errors -----------------------------------------------------------------------------------
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureIsolation = 905,
    cudaErrorCapturedEvent = 907,
};
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

// --- devices ----------------------------------------------------------------------------------
struct cudaUUID_t {
    char bytes[16];
};
struct cudaDeviceProp {
    char name[256];
    cudaUUID_t uuid;
    std::size_t totalGlobalMem;
    int major, minor, multiProcessorCount, l2CacheSize;
    int pciDomainID, pciBusID, pciDeviceID;
    std::size_t sharedMemPerBlockOptin;
};
enum cudaDeviceAttr {
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrL2CacheSize = 38,
};
/// EMULATED_DEVICES in the environment, 1 without it.
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaDeviceSynchronize();

// --- memory -----------------------------------------------------------------------------------
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault,
};
using cudaStream_t = struct CudaEmulatorStream*;
using cudaEvent_t = struct CudaEmulatorEvent*;
using cudaGraph_t = struct CudaEmulatorGraph*;
using cudaGraphExec_t = struct CudaEmulatorGraphExec*;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes);
template <typename T>
cudaError_t cudaMalloc(T** pointer, std::size_t bytes) {
    return cudaMalloc(reinterpret_cast<void**>(pointer), bytes);
}
cudaError_t cudaFree(void* pointer);
inline constexpr unsigned cudaHostAllocDefault = 0;
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes);
template <typename T>
cudaError_t cudaMallocHost(T** pointer, std::size_t bytes) {
    return cudaMallocHost(reinterpret_cast<void**>(pointer), bytes);
}
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream = nullptr);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream = nullptr);

// --- streams, events, graphs ------------------------------------------------------------------
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2,
                          cudaEventDefault = 0;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
/// Runs what is queued; then there is nothing left, unless streams are held back.
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
/// `function` may not touch device memory.
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed,
};
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive,
};
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

// --- launches ---------------------------------------------------------------------------------
struct cudaLaunchAttribute {
    int id;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute* attrs;
    unsigned numAttrs;
};
enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};

namespace emulator {

/// Checks the launch and queues it; `body` is what each thread of the grid runs.
cudaError_t launch(const void* kernel, const cudaLaunchConfig_t& config,
                   std::function<void()> body);
/// Queues an operation that may use device memory, as a library of the toolkit would.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> operation);
/// The device's clock, which events read: each operation takes kOperationMilliseconds, and one that
/// calls this so much longer.
void spend(double milliseconds);
inline constexpr double kOperationMilliseconds = 0.001;
/// The same for one that waits for others: it is called until it returns true, and the stream
/// stands still meanwhile. Recorded and replayed, it begins anew.
cudaError_t enqueue_until(cudaStream_t stream, std::function<bool()> operation);
cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value);
/// The dynamic shared memory of the running block.
unsigned char* dynamic_shared();
/// Waits for the live threads of the block; whether one of them voted.
bool meet_block(bool vote = false);
/// Waits for the live lanes of `mask` in this thread's warp, and makes what they wrote visible to
/// each other.
void sync_warp(unsigned mask);
/// The words of the live lanes of `mask`, of which each gives one: that of lane `source`, or
/// `word` if it is not in the mask. As other exchanges, it makes no memory visible.
std::uint64_t exchange_words(unsigned mask, std::uint64_t word, unsigned source);
/// The lanes of `mask` that vote.
unsigned ballot(unsigned mask, bool vote);
unsigned lane();
/// This thread has its arguments and begins with the kernel's code.
void enter_kernel();
/// This thread is about to read and write `bytes` at `at` in one piece.
void note_atomic(const void* at, std::size_t bytes);
/// From now on, kernels that are launched may touch these bytes of an allocation, and others that
/// are handed out of it, but not the rest; `false`: they are taken back.
void hand_out(const void* begin, std::size_t bytes, bool out);
/// Threads of a block go on in descending order from now on, or ascending again: what depends on
/// who comes first shows as a difference.
void run_threads_backwards(bool on);
/// Streams run nothing from now on, as on a device that hangs, or go on. Whoever waits for one
/// without asking, which would be for ever, ends the process with his name. EMULATED_HANG=N in the
/// environment: so from the Nth kernel on.
void hold_streams(bool on);
/// Recordings fail from now on, as if a library had done what cannot be recorded or the device had
/// no memory for a graph; or they work again.
enum class Refusal { none, of_capture, of_graph };
void refuse_recordings(Refusal refusal);
/// Ends the process with the block and thread that did it.
[[noreturn]] void fail(const char* what);

template <typename T>
T exchange(unsigned mask, T value, unsigned source) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(T));
    word = exchange_words(mask, word, source);
    std::memcpy(&value, &word, sizeof(T));
    return value;
}

}  // namespace emulator

template <typename... Expected, typename... Actual>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...),
                               Actual&&... actual) {
    std::tuple<std::decay_t<Expected>...> values(static_cast<std::decay_t<Expected>>(actual)...);
    const auto body = [kernel, values] {
        const auto code = kernel;  // on the thread's own stack, as the arguments
        const auto arguments = values;
        emulator::enter_kernel();
        std::apply(code, arguments);
    };
    return emulator::launch(reinterpret_cast<const void*>(kernel), *config, body);
}
template <typename... Expected>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Expected...), cudaFuncAttribute attribute,
                                 int value) {
    return emulator::set_attribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

// --- inside kernels ---------------------------------------------------------------------------
inline void __syncthreads() {
    emulator::meet_block();
}
inline int __syncthreads_or(int predicate) {
    return emulator::meet_block(predicate != 0);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
    emulator::sync_warp(mask);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const unsigned base = emulator::lane() & ~static_cast<unsigned>(width - 1);
    return emulator::exchange(mask, value, base + static_cast<unsigned>(source & (width - 1)));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
    const unsigned source = emulator::lane() ^ static_cast<unsigned>(lanes);
    const bool inside =
        source / static_cast<unsigned>(width) == emulator::lane() / static_cast<unsigned>(width);
    return emulator::exchange(mask, value, inside ? source : emulator::lane());
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
    const unsigned source = emulator::lane() + lanes;
    const bool inside =
        source / static_cast<unsigned>(width) == emulator::lane() / static_cast<unsigned>(width);
    return emulator::exchange(mask, value, inside ? source : emulator::lane());
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
    const unsigned at = emulator::lane() % static_cast<unsigned>(width);
    return emulator::exchange(mask, value,
                              at >= lanes ? emulator::lane() - lanes : emulator::lane());
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return emulator::ballot(mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == mask;
}

#define MUSTER_ATOMIC     \
    template <typename T> \
    __attribute__((no_sanitize("thread")))
MUSTER_ATOMIC T atomicAdd(T* at, std::type_identity_t<T> value) {
    emulator::note_atomic(at, sizeof(T));
    const T old = *at;
    *at = static_cast<T>(old + value);
    return old;
}
MUSTER_ATOMIC T atomicMax(T* at, std::type_identity_t<T> value) {
    emulator::note_atomic(at, sizeof(T));
    const T old = *at;
    if (value > old) *at = value;
    return old;
}
MUSTER_ATOMIC T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    emulator::note_atomic(at, sizeof(T));
    const T old = *at;
    if (old == expected) *at = value;
    return old;
}
MUSTER_ATOMIC T atomicExch(T* at, std::type_identity_t<T> value) {
    emulator::note_atomic(at, sizeof(T));
    const T old = *at;
    *at = value;
    return old;
}
#undef MUSTER_ATOMIC

template <typename T>
T __ldg(const T* pointer) {
    return *pointer;
}
inline float __expf(float x) {
    return std::exp(x);
}
inline float __logf(float x) {
    return std::log(x);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float rsqrtf(float x) {
    return 1.0f / std::sqrt(x);
}
inline float __frcp_rn(float x) {
    return 1.0f / x;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline float __fdiv_rn(float a, float b) {
    return a / b;
}
inline float __fsqrt_rn(float a) {
    return std::sqrt(a);
}
inline int __float_as_int(float x) {
    return std::bit_cast<int>(x);
}
inline unsigned __float_as_uint(float x) {
    return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
    return std::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned x) {
    return std::bit_cast<float>(x);
}
inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline int __ffs(int x) {
    return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline int __clz(int x) {
    return std::countl_zero(static_cast<unsigned>(x));
}
constexpr int min(int a, int b) {
    return a < b ? a : b;
}
constexpr int max(int a, int b) {
    return a > b ? a : b;
}
constexpr unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}
constexpr unsigned max(unsigned a, unsigned b) {
    return a > b ? a : b;
}
constexpr long min(long a, long b) {
    return a < b ? a : b;
}
constexpr long max(long a, long b) {
    return a > b ? a : b;
}
