#include "faulty_kernels.h"

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/ptx.cuh"

namespace muster::test {
namespace {

using cuda::copy_async_16, cuda::copy_async_commit, cuda::copy_async_wait, cuda::dynamic_shared;

constexpr unsigned kAll = 0xffffffffu;

__device__ int me() {
    return static_cast<int>(threadIdx.x);
}

/// Dynamic shared memory with something in it, so that all that can be wrong is an order.
__device__ int* filled_shared() {
    int* shared = dynamic_shared<int>();
    for (int i = me(); i < 512; i += static_cast<int>(blockDim.x)) shared[i] = 0;
    __syncthreads();
    return shared;
}

// --- order within a block
__global__ void neighbours(int* out, bool barrier) {
    int* shared = filled_shared();
    shared[me()] = me();
    if (barrier) __syncthreads();
    out[me()] = shared[(me() + 32) % 64];
}
__global__ void write_behind_readers(int* out, bool barrier) {
    __shared__ int value;
    if (me() == 0) value = 1;
    __syncthreads();
    out[me()] = value;
    if (barrier) __syncthreads();
    if (me() == 0) value = 2;
}
__global__ void two_writers(int* out, bool atomically) {
    if (atomically)
        atomicExch(out, 1);
    else
        *out = 1;
}
__global__ void halves_of_a_word(std::uint16_t* out, bool own) {
    out[own ? me() : me() / 2] = 1;
}
enum class Between { sync_warp, half, shuffle, vote, product };
/// Lanes take what their neighbours in the warp have written, after something they did together.
__global__ void lanes(int* out, Between between, int away) {
    int* shared = filled_shared();
    shared[me()] = me();
    float sums[4] = {};
    const std::uint32_t a[4] = {}, b[2] = {};
    switch (between) {
        case Between::sync_warp:
            __syncwarp();
            break;
        case Between::half:
            __syncwarp(me() % 32 < 16 ? 0xffffu : 0xffff0000u);
            break;
        case Between::shuffle:
            (void)__shfl_xor_sync(kAll, me(), 1);
            break;
        case Between::vote:
            (void)__ballot_sync(kAll, 1);
            break;
        case Between::product:
            cuda::mma_m16n8k16<__nv_bfloat16>(sums, a, b);
            break;
    }
    out[me()] = shared[me() ^ away];
}
__global__ void counted(int* out, bool first, bool last) {
    __shared__ int count;
    if (me() == 0) count = 0;
    if (first) __syncthreads();
    atomicAdd(&count, 1);
    if (last) __syncthreads();
    out[me()] = count;
}
/// Every lane writes the row that it points to.
__global__ void matrix(std::uint32_t* out, bool together) {
    auto* row = dynamic_shared<std::uint32_t>() + me() * 4;
    for (int i = 0; i < 4; ++i) row[i] = 1;
    if (together) __syncwarp();
    std::uint32_t r[4];
    cuda::ldmatrix_x4(r, row);
    out[me()] = r[0];
}

// --- blocks
__global__ void blocks(int* out, bool apart) {
    if (me() == 0) out[apart ? blockIdx.x : 0] = 1;
}
__global__ void blocks_that_read(int* out, bool apart) {
    if (blockIdx.x == 1 && me() == 0) out[apart ? 1 : 0] = 1;
    if (blockIdx.x != 1) out[64 + static_cast<int>(blockIdx.x) * 64 + me()] = out[0];
}
__global__ void blocks_that_count(int* out, bool look) {
    const int before = atomicAdd(out, 1);
    if (look && blockIdx.x == 1 && before == 127) out[1] = *out;
}

// --- asynchronous copies
/// Stages of a ring that 64 threads fill and all read.
__global__ void ring(const int* from, int* out, bool barrier) {
    int* stages = dynamic_shared<int>();  // [2, 256]
    const auto start = [&](int stage) {
        copy_async_16(stages + stage % 2 * 256 + me() * 4, from + me() * 4);
        copy_async_commit();
    };
    start(0);
    int sum = 0;
    for (int stage = 0; stage < 4; ++stage) {
        start(stage + 1);
        copy_async_wait<1>();
        __syncthreads();
        sum += stages[stage % 2 * 256 + (me() * 4 + 132) % 256];
        if (barrier) __syncthreads();
    }
    out[me()] = sum;
}
/// The last thread of a block goes on first after a barrier.
__global__ void waits(const int* from, int* out, bool wait, bool meet) {
    int* shared = filled_shared();
    if (me() == 63) {
        copy_async_16(shared, from);
        copy_async_commit();
    }
    __syncthreads();
    if (wait) copy_async_wait<0>();
    if (meet) __syncthreads();
    if (me() == 0) *out = shared[0];
}
__global__ void copies_twice(const int* from, int* out, bool wait) {
    int* shared = dynamic_shared<int>();
    for (int i = 0; i < 2; ++i) {
        copy_async_16(shared + me() * 4, from + (me() + i) * 4);
        copy_async_commit();
        if (wait) copy_async_wait<0>();
    }
    out[me()] = 0;
}
__global__ void source_changes(int* from, bool barrier) {
    copy_async_16(dynamic_shared<int>() + me() * 4, from + me() * 4);
    copy_async_commit();
    if (barrier) {
        copy_async_wait<0>();
        __syncthreads();
    }
    from[(me() * 4 + 128) % 256] = 0;
    copy_async_wait<0>();
}

// --- what may be read and written at all
__global__ void reads_unwritten(int* out, bool all) {
    int* shared = dynamic_shared<int>();
    __shared__ int fixed[64];
    shared[me()] = 0;
    if (all || blockIdx.x == 0) fixed[me()] = 0;  // memory of the block before is another
    out[me() + 64 * static_cast<int>(blockIdx.x)] = shared[me()] + fixed[me()];
}
__global__ void beyond_shared(int at) {
    dynamic_shared<int>()[at] = 1;
}
__global__ void touch(const int* from, int* to) {
    if (me() == 0 && blockIdx.x == 0) *to = *from;
}

int* device_ints(std::size_t n) {
    int* data = nullptr;
    cudaMalloc(&data, n * sizeof(int));
    cudaMemsetAsync(data, 0, n * sizeof(int));
    return data;
}
template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), unsigned threads, Arguments... arguments) {
    const cudaLaunchConfig_t config{2, threads, 2048, nullptr, nullptr, 0};
    cudaLaunchKernelEx(&config, kernel, arguments...);
    cudaDeviceSynchronize();
}
/// One block.
template <typename... Parameters, typename... Arguments>
void run_one(void (*kernel)(Parameters...), unsigned threads, Arguments... arguments) {
    const cudaLaunchConfig_t config{1, threads, 2048, nullptr, nullptr, 0};
    cudaLaunchKernelEx(&config, kernel, arguments...);
    cudaDeviceSynchronize();
}
void run_lanes(bool right, Between wrong) {
    run_one(lanes, 64, device_ints(64), right ? Between::sync_warp : wrong, 17);
}

const Fault kFaults[] = {
    {"no barrier between a write and another warp's read",
     [](bool right) { run_one(neighbours, 64, device_ints(64), right); },
     "a race, since no __syncthreads is between them"},
    {"no barrier between reads and a write",
     [](bool right) { run_one(write_behind_readers, 64, device_ints(64), right); },
     "shared variable value, byte 0 of 4, which thread"},
    {"two threads write the same value",
     [](bool right) { run_one(two_writers, 64, device_ints(1), right); }, "device memory, byte 0"},
    {"two threads write one half of a word",
     [](bool right) {
         run_one(halves_of_a_word, 64, reinterpret_cast<std::uint16_t*>(device_ints(32)), right);
     },
     "no __syncthreads or __syncwarp is between"},
    {"a shuffle is taken for __syncwarp", [](bool right) { run_lanes(right, Between::shuffle); },
     "no __syncthreads or __syncwarp is between"},
    {"a vote is taken for __syncwarp", [](bool right) { run_lanes(right, Between::vote); },
     "no __syncthreads or __syncwarp is between"},
    {"a matrix instruction is taken for __syncwarp",
     [](bool right) { run_lanes(right, Between::product); },
     "no __syncthreads or __syncwarp is between"},
    {"a __syncwarp does not name the lane that wrote",
     [](bool right) { run_one(lanes, 64, device_ints(64), Between::half, right ? 3 : 19); },
     "no __syncthreads or __syncwarp is between"},
    {"a counter is set while others count",
     [](bool right) { run_one(counted, 64, device_ints(64), right, true); },
     "changes atomically shared variable count"},
    {"a counter is read while others count",
     [](bool right) { run_one(counted, 64, device_ints(64), true, right); },
     "shared variable count, byte 0 of 4"},
    {"rows of a matrix are read that other lanes write",
     [](bool right) {
         run_one(matrix, 32, reinterpret_cast<std::uint32_t*>(device_ints(32)), right);
     },
     "no __syncthreads or __syncwarp is between"},
    {"two blocks write one place", [](bool right) { run(blocks, 64, device_ints(2), right); },
     "of block (0, 0, 0) has written: a race, since nothing orders blocks"},
    {"a block writes what another has read",
     [](bool right) { run(blocks_that_read, 64, device_ints(256), right); },
     "of block (0, 0, 0) has read: a race, since nothing orders blocks"},
    {"the last block reads what others count",
     [](bool right) { run(blocks_that_count, 64, device_ints(2), !right); },
     "has changed atomically: a race"},
    {"a stage of a ring is overwritten that others still read",
     [](bool right) { run_one(ring, 64, device_ints(256), device_ints(64), right); },
     "where an asynchronous copy of thread"},
    {"a copy is not waited for",
     [](bool right) { run_one(waits, 64, device_ints(4), device_ints(1), right, true); },
     "where an asynchronous copy of thread 63 (lane 31 of warp 1) is under way"},
    {"another thread's copy is read between its wait and a barrier",
     [](bool right) { run_one(waits, 64, device_ints(4), device_ints(1), true, right); },
     "which thread 63 (lane 31 of warp 1) has written: a race, since no __syncthreads is between"},
    {"two copies to one place",
     [](bool right) { run_one(copies_twice, 64, device_ints(512), device_ints(64), right); },
     "is under way: it has not waited for it"},
    {"the source of a copy changes",
     [](bool right) { run_one(source_changes, 64, device_ints(256), right); },
     "reads device memory, byte 512 of 1024, which thread 0"},
    {"shared memory is read that its block has not written",
     [](bool right) { run(reads_unwritten, 64, device_ints(128), right); },
     "shared variable fixed, byte 0 of 256, which no thread of its block has written yet"},
    {"beyond dynamic shared memory",
     [](bool right) { run_one(beyond_shared, 1, right ? 511 : 512); },
     "writes shared memory, byte 2048 of 2048, which is more than the launch has"},
    {"behind the end of a block of device memory",
     [](bool right) { run_one(touch, 1, device_ints(9), device_ints(9) + (right ? 8 : 9)); },
     "writes device memory, 0 bytes behind the end of 36, which is not allocated"},
    {"memory of the host",
     [](bool right) {
         int* const heap = new int[1];
         run_one(touch, 1, right ? device_ints(1) : heap, device_ints(1));
         delete[] heap;
     },
     "which is the host's"},
    {"a neighbour in an allocation that is handed out in parts",
     [](bool right) {
         int* const all = device_ints(100);
         emulator::hand_out(all, 40, true);
         emulator::hand_out(all + 50, 40, true);
         run_one(touch, 1, all, all + 50);
         run_one(touch, 1, all + 59, all + (right ? 9 : 10));
     },
     "writes device memory, 0 bytes behind the end of 40, which is not allocated"},
    {"a part that was taken back before the launch",
     [](bool right) {
         int* const all = device_ints(100);
         emulator::hand_out(all, 40, true);
         emulator::hand_out(all + 50, 40, true);
         if (!right) emulator::hand_out(all + 50, 40, false);
         run_one(touch, 1, all, all + 50);
     },
     "which is not allocated"},
};

}  // namespace

std::span<const Fault> faults() {
    return kFaults;
}

}  // namespace muster::test
