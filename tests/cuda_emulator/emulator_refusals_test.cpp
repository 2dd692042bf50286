// Calls that a device would refuse, or that would do there what their words do not say.

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "child_process.h"

using muster::test::End;
using muster::test::end_of;
using muster::test::says;

namespace {

cudaStream_t new_stream() {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    return stream;
}
/// Two streams, and eight ints each on the device, pinned and as the host has them.
struct Scene {
    static constexpr std::size_t kBytes = 8 * sizeof(int);
    cudaStream_t stream = new_stream(), other = new_stream();
    cudaEvent_t event = nullptr, timed = nullptr;
    int *device = nullptr, *pinned = nullptr;
    std::vector<int> pageable = std::vector<int>(8, 5);

    Scene() {
        REQUIRE(cudaMalloc(&device, kBytes) == cudaSuccess);
        REQUIRE(cudaMallocHost(&pinned, kBytes) == cudaSuccess);
        cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        cudaEventCreate(&timed);
    }
    ~Scene() {
        cudaEventDestroy(event);
        cudaEventDestroy(timed);
        cudaStreamDestroy(stream);
        cudaStreamDestroy(other);
        cudaFree(device);
        cudaFreeHost(pinned);
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    /// pinned[i] becomes 0x01010101 · value, when the device comes to it.
    void write(int i, int value, cudaStream_t on) const {
        cudaMemsetAsync(device + i, value, sizeof(int), on);
        cudaMemcpyAsync(pinned + i, device + i, sizeof(int), cudaMemcpyDeviceToHost, on);
    }
};
constexpr int kOnes = 0x01010101;

__global__ void read_four(const float* from, float* out) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    out[0] = four.x + four.w;
}
void read_four_from(const float* from, float* out) {
    const cudaLaunchConfig_t config{1, 1, 0, nullptr, nullptr, 0};
    cudaLaunchKernelEx(&config, read_four, from, out);
    cudaDeviceSynchronize();
}

}  // namespace

TEST_CASE("what is forbidden while a stream is captured ends the capture") {
    Scene s;
    void* memory = nullptr;
    cudaMalloc(&memory, 4);
    void* host = nullptr;
    cudaMallocHost(&host, 4);
    cudaEvent_t outside = nullptr;
    cudaEventCreate(&outside);
    s.write(0, 1, s.other);
    cudaEventRecord(outside, s.other);
    void* fresh = nullptr;
    const std::vector<std::pair<const char*, std::function<cudaError_t()>>> forbidden = {
        {"cudaMalloc", [&] { return cudaMalloc(&fresh, 4); }},
        {"cudaFree", [&] { return cudaFree(memory); }},
        {"cudaMallocHost", [&] { return cudaMallocHost(&fresh, 4); }},
        {"cudaFreeHost", [&] { return cudaFreeHost(host); }},
        {"cudaMemcpy", [&] { return cudaMemcpy(s.device, s.pinned, 4, cudaMemcpyHostToDevice); }},
        {"cudaStreamSynchronize", [&] { return cudaStreamSynchronize(s.stream); }},
        {"cudaStreamSynchronize of another", [&] { return cudaStreamSynchronize(s.other); }},
        {"cudaStreamQuery", [&] { return cudaStreamQuery(s.stream); }},
        {"cudaEventQuery", [&] { return cudaEventQuery(outside); }},
        {"cudaEventSynchronize", [&] { return cudaEventSynchronize(outside); }},
        {"cudaEventQuery of what was captured", [&] { return cudaEventQuery(s.event); }},
        {"cudaDeviceSynchronize", [&] { return cudaDeviceSynchronize(); }},
        {"work on the default stream", [&] { return cudaMemsetAsync(s.device, 0, 4); }},
        {"a copy from memory that is not pinned",
         [&] {
             return cudaMemcpyAsync(s.device, s.pageable.data(), 4, cudaMemcpyHostToDevice,
                                    s.stream);
         }},
        {"a copy to memory that is not pinned",
         [&] {
             return cudaMemcpyAsync(s.pageable.data(), s.device, 4, cudaMemcpyDeviceToHost,
                                    s.stream);
         }},
        {"an event from outside", [&] { return cudaStreamWaitEvent(s.stream, outside); }},
        {"an event to the outside", [&] { return cudaStreamWaitEvent(s.other, s.event); }},
    };
    for (const auto& [name, call] : forbidden) {
        CAPTURE(name);
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        s.write(1, 1, s.stream);
        CHECK(cudaEventRecord(s.event, s.stream) == cudaSuccess);
        CHECK(call() != cudaSuccess);
        CHECK(cudaMemsetAsync(s.device, 1, 4, s.stream) == cudaErrorStreamCaptureInvalidated);
        CHECK(cudaStreamEndCapture(s.stream, &graph) == cudaErrorStreamCaptureInvalidated);
        CHECK(graph == nullptr);
        CHECK(cudaStreamSynchronize(s.stream) == cudaSuccess);
    }
    CHECK(s.pageable[0] == 5);
    // Who asks for it may allocate, but still not wait for what is only recorded.
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    CHECK(cudaMalloc(&fresh, 4) == cudaSuccess);
    CHECK(cudaStreamEndCapture(s.stream, &graph) == cudaSuccess);
    cudaGraphDestroy(graph);
    REQUIRE(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    CHECK(cudaStreamQuery(s.stream) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(s.stream, &graph) == cudaErrorStreamCaptureInvalidated);
    CHECK(cudaFree(fresh) == cudaSuccess);
    CHECK(cudaFree(memory) == cudaSuccess);
    CHECK(cudaFreeHost(host) == cudaSuccess);
    cudaEventDestroy(outside);
}

TEST_CASE("memory that is not pinned is read at once, and written before the call returns") {
    Scene s;
    cudaMemcpyAsync(s.device, s.pageable.data(), s.kBytes, cudaMemcpyHostToDevice, s.stream);
    s.pageable[0] = 6;
    std::vector<int> back(8);
    cudaMemcpyAsync(back.data(), s.device, s.kBytes, cudaMemcpyDeviceToHost, s.stream);
    CHECK(back == std::vector<int>(8, 5));
    // Both wait for what is queued before them, without a deadline.
    for (const bool download : {false, true}) {
        const End end = end_of([&] {
            emulator::hold_streams(true);
            s.write(0, 1, s.stream);
            if (download)
                cudaMemcpyAsync(back.data(), s.device, 4, cudaMemcpyDeviceToHost, s.stream);
            else
                cudaMemcpyAsync(s.device, back.data(), 4, cudaMemcpyHostToDevice, s.stream);
        });
        CHECK(end.signal == SIGABRT);
        CHECK(says(end, "a copy of memory that is not pinned waits for a stream that hangs"));
    }
}

TEST_CASE("copies stay in one allocation and go the way they say") {
    Scene s;
    int* next = nullptr;
    cudaMalloc(&next, s.kBytes);
    const auto copy = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
        const cudaError_t together = cudaMemcpyAsync(to, from, bytes, kind, s.stream);
        CHECK(cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, s.stream) == together);
        CHECK(cudaMemcpy(to, from, bytes, kind) == together);
        return together;
    };
    CHECK(copy(s.device, s.pinned, s.kBytes, cudaMemcpyHostToDevice) == cudaSuccess);
    CHECK(copy(s.device + 4, s.pinned, s.kBytes / 2, cudaMemcpyDefault) == cudaSuccess);
    CHECK(copy(next, s.device, s.kBytes, cudaMemcpyDeviceToDevice) == cudaSuccess);
    CHECK(copy(s.device, s.pinned, 0, cudaMemcpyHostToDevice) == cudaSuccess);
    // An allocation has 512 bytes at least.
    std::vector<char> large(1024);
    CHECK(copy(s.device, large.data(), 516, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(copy(large.data(), next, 516, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(s.device, s.pinned + 1, s.kBytes, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(copy(s.device, s.pinned, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(s.device, s.pinned, 4, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    CHECK(copy(s.pinned, s.device, 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemsetAsync(s.device, 0, 516, s.stream) == cudaErrorInvalidValue);
    CHECK(cudaMemsetAsync(s.pinned, 0, 4, s.stream) == cudaErrorInvalidValue);
    CHECK(cudaFreeHost(large.data()) == cudaErrorInvalidValue);
    CHECK(cudaFree(next) == cudaSuccess);
    CHECK(copy(next, s.device, 4, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    (void)cudaGetLastError();
}

TEST_CASE("a recording does not outlive the memory that it copies") {
    Scene s;
    int* gone = nullptr;
    cudaMalloc(&gone, 4);
    for (const bool copy : {false, true}) {
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t exec = nullptr;
        cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal);
        if (copy)
            cudaMemcpyAsync(s.device, gone, 4, cudaMemcpyDeviceToDevice, s.stream);
        else
            cudaMemsetAsync(gone, 1, 4, s.stream);
        REQUIRE(cudaStreamEndCapture(s.stream, &graph) == cudaSuccess);
        cudaGraphInstantiate(&exec, graph);
        const End end = end_of([&] {
            cudaGraphLaunch(exec, s.stream);
            cudaStreamSynchronize(s.stream);
            cudaFree(gone);
            cudaGraphLaunch(exec, s.stream);
            cudaStreamSynchronize(s.stream);
        });
        CHECK(end.signal == SIGABRT);
        CHECK(says(end, "of memory that has been freed"));
        cudaGraphExecDestroy(exec);
        cudaGraphDestroy(graph);
    }
    cudaFree(gone);
}

TEST_CASE("an event is a place in its stream, and who waits for it gets no further") {
    Scene s;
    const auto begin = [&] {
        for (int i = 0; i < 8; ++i) s.pinned[i] = 0;
        s.write(0, 1, s.stream);
        cudaEventRecord(s.event, s.stream);
        s.write(1, 1, s.stream);
    };
    for (const auto wait : {cudaEventSynchronize, cudaEventQuery}) {
        begin();
        CHECK(wait(s.event) == cudaSuccess);
        CHECK(s.pinned[0] == kOnes);
        CHECK(s.pinned[1] == 0);
        cudaStreamSynchronize(s.stream);
        CHECK(s.pinned[1] == kOnes);
    }
    // Another stream that does not wait for it is not behind it.
    begin();
    s.write(2, 1, s.other);
    cudaStreamSynchronize(s.other);
    CHECK(s.pinned[2] == kOnes);
    CHECK(s.pinned[0] == 0);
    cudaStreamSynchronize(s.stream);
    // One that does is, when it runs and no sooner.
    begin();
    cudaStreamWaitEvent(s.other, s.event);
    cudaEventRecord(s.event, s.stream);  // a later place: not what is waited for
    s.write(2, 1, s.other);
    CHECK(s.pinned[0] == 0);
    cudaStreamSynchronize(s.other);
    CHECK(s.pinned[0] == kOnes);
    CHECK(s.pinned[1] == 0);
    CHECK(s.pinned[2] == kOnes);
    CHECK(cudaEventQuery(s.event) == cudaSuccess);
    CHECK(s.pinned[1] == kOnes);
}

TEST_CASE("only events that have come have a time") {
    Scene s;
    float milliseconds = -1;
    cudaEvent_t end = nullptr;
    cudaEventCreate(&end);
    CHECK(cudaEventElapsedTime(&milliseconds, s.timed, end) == cudaErrorInvalidResourceHandle);
    cudaEventRecord(s.timed, s.stream);
    s.write(0, 1, s.stream);
    cudaEventRecord(end, s.stream);
    cudaEventRecord(s.event, s.stream);
    CHECK(cudaEventElapsedTime(&milliseconds, s.timed, end) == cudaErrorNotReady);
    cudaStreamSynchronize(s.stream);
    CHECK(cudaEventElapsedTime(&milliseconds, s.timed, end) == cudaSuccess);
    CHECK(milliseconds > 0);
    CHECK(cudaEventElapsedTime(&milliseconds, s.timed, s.event) == cudaErrorInvalidResourceHandle);
    cudaEventDestroy(end);
    (void)cudaGetLastError();
}

TEST_CASE("four floats are read at multiples of 16 bytes") {
    float* data = nullptr;
    REQUIRE(cudaMalloc(&data, 64) == cudaSuccess);
    CHECK(end_of([&] { read_four_from(data + 4, data); }).signal == 0);
    const End end = end_of([&] { read_four_from(data + 2, data); });
#ifdef MUSTER_CHECKS_ALIGNMENT
    CHECK(end.signal == SIGABRT);
    CHECK(says(end, "block (0, 0, 0), thread (0, 0, 0): misaligned address"));
    CHECK(says(end, "which needs 16 bytes; "));
#else
    CHECK(end.signal != 0);  // UBSan's
#endif
    cudaFree(data);
}

TEST_CASE("shared memory is what the emulated architecture has") {
    const char* set = std::getenv("EMULATED_ARCH");
    const bool ampere = set != nullptr && std::string(set) == "sm_80";
    cudaDeviceProp properties;
    REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
    CHECK(properties.major == (ampere ? 8 : 9));
    CHECK(properties.minor == 0);
    const int most = (ampere ? 163 : 227) << 10;
    CHECK(properties.sharedMemPerBlockOptin == static_cast<std::size_t>(most));
    constexpr auto kWhat = cudaFuncAttributeMaxDynamicSharedMemorySize;
    CHECK(cudaFuncSetAttribute(read_four, kWhat, most) == cudaSuccess);
    CHECK(cudaFuncSetAttribute(read_four, kWhat, most + 1) == cudaErrorInvalidValue);
    cudaFuncSetAttribute(read_four, kWhat, 0);
    (void)cudaGetLastError();
}
