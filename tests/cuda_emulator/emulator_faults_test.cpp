// Mistakes that the emulated device must catch, each made in a child process whose end is looked
// at.

#include <cuda_runtime.h>
#include <doctest/doctest.h>
#include <emulated_ptx.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "child_process.h"
#include "cuda/ptx.cuh"

using muster::test::End;
using muster::test::end_of;
using muster::test::says;

namespace {

template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), unsigned threads, Arguments... arguments) {
    const cudaLaunchConfig_t config{2, threads, 1024, nullptr, nullptr, 0};
    cudaLaunchKernelEx(&config, kernel, arguments...);
    cudaDeviceSynchronize();
}

__global__ void all_but_one_at_the_barrier(int without) {
    if (static_cast<int>(threadIdx.x) == without)
        __syncwarp();
    else
        __syncthreads();
}
__global__ void a_lane_does_not_shuffle(int* out) {
    if (threadIdx.x != 5) out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
    __syncthreads();
}
__global__ void a_lane_outside_of_its_mask(int* out) {
    out[threadIdx.x] = __shfl_sync(0xfffffffeu, 1, 1);
}
__global__ void half_vote_and_half_shuffle(int* out) {
    out[threadIdx.x] =
        threadIdx.x < 16 ? __any_sync(0xffffffffu, 1) : __shfl_sync(0xffffffffu, 1, 0);
}
__global__ void copies(const int* from, int* out, int groups, bool wait, int shift) {
    int* shared = muster::cuda::dynamic_shared<int>();
    if (threadIdx.x == 0) {
        for (int i = 0; i < groups; ++i) {
            muster::cuda::copy_async_16(shared + i * 4, from + i * 4 + shift);
            muster::cuda::copy_async_commit();
        }
        if (wait) muster::cuda::copy_async_wait<1>();
        for (int i = 0; i < groups * 4; ++i) out[i] = shared[i];
    }
}
/// Every thread takes what its left neighbour has written, with a barrier before or without.
__global__ void neighbours(int* out, bool barrier) {
    int* shared = muster::cuda::dynamic_shared<int>();
    shared[threadIdx.x] = static_cast<int>(threadIdx.x);
    if (barrier) __syncthreads();
    out[threadIdx.x] = shared[(threadIdx.x + 63) % 64];
}
__global__ void vote(int* out, int voter) {
    for (int round = 0; round < 3; ++round)
        out[round * 64 + static_cast<int>(threadIdx.x)] =
            __syncthreads_or(static_cast<int>(threadIdx.x) == voter + round && round != 1);
}

int* device_ints(std::size_t n) {
    int* data = nullptr;
    REQUIRE(cudaMalloc(&data, n * sizeof(int)) == cudaSuccess);
    return data;
}
std::vector<int> fetch(const int* device, std::size_t n) {
    std::vector<int> host(n);
    cudaMemcpy(host.data(), device, n * sizeof(int), cudaMemcpyDeviceToHost);
    return host;
}

}  // namespace

TEST_CASE("threads that wait for ever are reported, with block and thread") {
    const End barrier = end_of([] { run(all_but_one_at_the_barrier, 64, 40); });
    CHECK(barrier.signal == SIGABRT);
    CHECK(says(barrier, "threads wait for each other"));
    CHECK(says(barrier, "block (0, 0, 0), thread"));
    int* out = device_ints(64);
    const End shuffle = end_of([&] { run(a_lane_does_not_shuffle, 32, out); });
    CHECK(shuffle.signal == SIGABRT);
    CHECK(says(shuffle, "threads wait for each other"));
    const End mask = end_of([&] { run(a_lane_outside_of_its_mask, 32, out); });
    CHECK(mask.signal == SIGABRT);
    CHECK(says(mask, "not in the mask"));
    const End branches = end_of([&] { run(half_vote_and_half_shuffle, 32, out); });
    CHECK(branches.signal == SIGABRT);
    CHECK(says(branches, "lanes of a warp meet that do different things"));
    cudaFree(out);
}

TEST_CASE("the host cannot touch device memory, by itself or from a stream") {
    int* device = device_ints(64);
    CHECK(end_of([&] { *static_cast<volatile int*>(device) = 1; }).signal == SIGSEGV);
    CHECK(end_of([&] { std::printf("%d", *static_cast<volatile int*>(device)); }).signal ==
          SIGSEGV);
    const End function = end_of([&] {
        cudaLaunchHostFunc(
            nullptr, [](void* data) { *static_cast<volatile int*>(data) = 1; }, device);
        cudaDeviceSynchronize();
    });
    CHECK(function.signal == SIGSEGV);
    // After a kernel it is as closed as before, and a process that keeps to copies lives.
    CHECK(end_of([&] {
              run(vote, 64, device_ints(192), 0);
              *static_cast<volatile int*>(device) = 1;
          }).signal == SIGSEGV);
    CHECK(end_of([&] { (void)fetch(device, 64); }).signal == 0);
    cudaFree(device);
}

TEST_CASE("an asynchronous copy lands when it is waited for") {
    int *from = device_ints(16), *out = device_ints(8);
    const std::vector<int> host = {1, 2, 3, 4, 5, 6, 7, 8};
    cudaMemcpy(from, host.data(), 32, cudaMemcpyHostToDevice);
    run(copies, 32, from, out, 2, true, 0);
    CHECK(fetch(out, 8) == std::vector<int>{1, 2, 3, 4, -1, -1, -1, -1});  // one may be pending
    run(copies, 32, from, out, 2, false, 0);
    CHECK(fetch(out, 8) == std::vector<int>(8, -1));
    const End unaligned = end_of([&] { run(copies, 32, from, out, 1, true, 1); });
    CHECK(unaligned.signal == SIGABRT);
    CHECK(says(unaligned, "not aligned to 16 bytes"));
    cudaFree(from);
    cudaFree(out);
}

TEST_CASE("a missing barrier shows in one of the two orders of threads") {
    int* out = device_ints(64);
    const auto result = [&](bool backwards, bool barrier) {
        emulator::run_threads_backwards(backwards);
        run(neighbours, 64, out, barrier);
        const std::vector<int> host = fetch(out, 64);
        emulator::run_threads_backwards(false);
        return host;
    };
    CHECK(result(false, true) == result(true, true));
    CHECK(result(false, false) != result(true, false));
    cudaFree(out);
}

TEST_CASE("a barrier counts votes, each round anew") {
    int* out = device_ints(192);
    for (const bool backwards : {false, true}) {
        emulator::run_threads_backwards(backwards);
        run(vote, 64, out, 17);
        const std::vector<int> host = fetch(out, 192);
        for (std::size_t i = 0; i < 192; ++i) CHECK((host[i] != 0) == (i / 64 != 1));
    }
    emulator::run_threads_backwards(false);
    cudaFree(out);
}

TEST_CASE("who waits for a stream that hangs without asking is caught, whatever he calls") {
    const auto held = [](auto wait) {
        return end_of([&] {
            void* device = nullptr;
            void* pinned = nullptr;
            cudaStream_t stream = nullptr;
            cudaMalloc(&device, 4);
            cudaMallocHost(&pinned, 4);
            cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
            emulator::hold_streams(true);
            cudaMemsetAsync(device, 0, 4, stream);
            wait(stream, device, pinned);
        });
    };
    const auto caught = [](const End& end, const std::string& who) {
        CHECK(end.signal == SIGABRT);
        INFO(end.said);
        CHECK(end.said.find(who) != std::string::npos);
        CHECK(end.said.find("waits for a stream that hangs") != std::string::npos);
    };
    caught(held([](cudaStream_t stream, void*, void*) { cudaStreamSynchronize(stream); }),
           "cudaStreamSynchronize");
    caught(held([](cudaStream_t stream, void*, void*) { cudaStreamDestroy(stream); }),
           "cudaStreamDestroy");
    caught(held([](cudaStream_t, void* device, void*) { cudaFree(device); }), "cudaFree");
    caught(held([](cudaStream_t, void*, void* pinned) { cudaFreeHost(pinned); }), "cudaFree");
    CHECK(held([](cudaStream_t stream, void*, void*) { cudaStreamQuery(stream); }).signal == 0);
}
