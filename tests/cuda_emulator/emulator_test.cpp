// The emulated device, tried on kernels of known result before anything is believed that runs on
// it.

#include <cuda_runtime.h>
#include <doctest/doctest.h>
#include <emulated_ptx.h>

#include <csignal>
#include <numeric>
#include <vector>

namespace {

cudaLaunchConfig_t config(dim3 grid, dim3 block, std::size_t shared = 0,
                          cudaStream_t stream = nullptr) {
    return {grid, block, shared, stream, nullptr, 0};
}
template <typename T>
std::vector<T> fetch(const T* device, std::size_t n) {
    std::vector<T> host(n);
    cudaMemcpy(host.data(), device, n * sizeof(T), cudaMemcpyDeviceToHost);
    return host;
}

__global__ void reverse_in_shared(int* data, int n) {
    int* shared = reinterpret_cast<int*>(emulator::dynamic_shared());
    const int i = static_cast<int>(threadIdx.x);
    shared[i] = data[static_cast<int>(blockIdx.x) * n + i];
    __syncthreads();
    data[static_cast<int>(blockIdx.x) * n + i] = shared[n - 1 - i];
}

__global__ void warp_sums(float* out) {
    float value = static_cast<float>(threadIdx.x);
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
    out[threadIdx.x] = value;
}

__global__ void half_leave(int* out) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
    out[threadIdx.x] = 1;
}

/// d = a · b of one warp, a [16, 16] and b [16, 8] bf16 in row-major order.
__global__ void one_product(const std::uint16_t* a, const std::uint16_t* b, float* d) {
    const unsigned group = emulator::lane() / 4, pair = emulator::lane() % 4 * 2;
    const auto two = [](std::uint16_t low, std::uint16_t high) {
        return std::uint32_t{low} | std::uint32_t{high} << 16;
    };
    std::uint32_t fa[4], fb[2];
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = group + (i % 2) * 8, k = pair + (i / 2) * 8;
        fa[i] = two(a[row * 16 + k], a[row * 16 + k + 1]);
    }
    for (unsigned i = 0; i < 2; ++i)
        fb[i] = two(b[(pair + i * 8) * 8 + group], b[(pair + i * 8 + 1) * 8 + group]);
    float sums[4] = {0, 0, 0, 0};
    emulator::mma_m16n8k16<muster::from_bf16>(sums, fa, fb);
    for (unsigned i = 0; i < 4; ++i) d[(group + (i / 2) * 8) * 8 + pair + i % 2] = sums[i];
}

}  // namespace

TEST_CASE("threads of a block meet at barriers; blocks follow each other") {
    int* device = nullptr;
    REQUIRE(cudaMalloc(&device, 3 * 96 * sizeof(int)) == cudaSuccess);
    std::vector<int> host(3 * 96);
    std::iota(host.begin(), host.end(), 0);
    cudaMemcpy(device, host.data(), host.size() * sizeof(int), cudaMemcpyHostToDevice);
    const cudaLaunchConfig_t launch = config(3, 96, 96 * sizeof(int));
    REQUIRE(cudaLaunchKernelEx(&launch, reverse_in_shared, device, 96) == cudaSuccess);
    const std::vector<int> result = fetch(device, host.size());
    for (int block = 0; block < 3; ++block)
        for (int i = 0; i < 96; ++i)
            CHECK(result[static_cast<std::size_t>(block * 96 + i)] == block * 96 + 95 - i);
    cudaFree(device);
}

TEST_CASE("lanes exchange values, and threads that left do not hold up a barrier") {
    float* sums = nullptr;
    int* flags = nullptr;
    cudaMalloc(&sums, 64 * sizeof(float));
    cudaMalloc(&flags, 64 * sizeof(int));
    const cudaLaunchConfig_t launch = config(1, 64);
    cudaLaunchKernelEx(&launch, warp_sums, sums);
    cudaLaunchKernelEx(&launch, half_leave, flags);
    const std::vector<float> result = fetch(sums, 64);
    CHECK(result[5] == 496);
    CHECK(result[40] == 1520);
    const std::vector<int> left = fetch(flags, 64);
    CHECK(left[39] == 1);
    CHECK(left[40] == -1);  // never written: memory starts as 0xff
    cudaFree(sums);
    cudaFree(flags);
}

TEST_CASE("the matrix instruction multiplies") {
    std::vector<std::uint16_t> a(256), b(128);
    for (std::size_t i = 0; i < a.size(); ++i)
        a[i] = muster::to_bf16(static_cast<float>(i % 7) - 3);
    for (std::size_t i = 0; i < b.size(); ++i)
        b[i] = muster::to_bf16(static_cast<float>(i % 5) - 2);
    std::uint16_t *da = nullptr, *db = nullptr;
    float* dd = nullptr;
    cudaMalloc(&da, 512);
    cudaMalloc(&db, 256);
    cudaMalloc(&dd, 512);
    cudaMemcpy(da, a.data(), 512, cudaMemcpyHostToDevice);
    cudaMemcpy(db, b.data(), 256, cudaMemcpyHostToDevice);
    const cudaLaunchConfig_t launch = config(1, 32);
    cudaLaunchKernelEx(&launch, one_product, da, db, dd);
    const std::vector<float> d = fetch(dd, 128);
    for (std::size_t row = 0; row < 16; ++row)
        for (std::size_t n = 0; n < 8; ++n) {
            float sum = 0;
            for (std::size_t k = 0; k < 16; ++k)
                sum += muster::from_bf16(a[row * 16 + k]) * muster::from_bf16(b[k * 8 + n]);
            CHECK(d[row * 8 + n] == sum);
        }
    cudaFree(da);
    cudaFree(db);
    cudaFree(dd);
}

TEST_CASE("work runs when somebody waits, and a recording can be replayed") {
    cudaStream_t stream = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    int *device = nullptr, *host = nullptr;
    cudaMalloc(&device, sizeof(int));
    cudaMallocHost(&host, sizeof(int));
    *host = 1;
    cudaMemcpyAsync(device, host, sizeof(int), cudaMemcpyHostToDevice, stream);
    *host = 2;  // too early: the copy has not run
    cudaStreamSynchronize(stream);
    CHECK(fetch(device, 1)[0] == 2);

    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    cudaMemcpyAsync(device, host, sizeof(int), cudaMemcpyHostToDevice, stream);
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&exec, graph) == cudaSuccess);
    for (*host = 3; *host < 6; ++*host) {  // a replay copies what is there then
        cudaGraphLaunch(exec, stream);
        cudaStreamSynchronize(stream);
        CHECK(fetch(device, 1)[0] == *host);
    }
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaFreeHost(host);
    cudaFree(device);
    cudaStreamDestroy(stream);
}

TEST_CASE("launches beyond a device's limits are refused") {
    int* device = nullptr;
    cudaMalloc(&device, 4096 * sizeof(int));
    for (const cudaLaunchConfig_t& wrong :
         {config(1, 1025), config(0, 32), config(dim3(1, 70000), 32), config(1, 32, 60 << 10)})
        CHECK(cudaLaunchKernelEx(&wrong, reverse_in_shared, device, 32) != cudaSuccess);
    CHECK(cudaFuncSetAttribute(reverse_in_shared, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               60 << 10) == cudaSuccess);
    const cudaLaunchConfig_t large = config(1, 32, 60 << 10);
    CHECK(cudaLaunchKernelEx(&large, reverse_in_shared, device, 32) == cudaSuccess);
    CHECK(cudaFuncSetAttribute(reverse_in_shared, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               228 << 10) != cudaSuccess);
    CHECK(cudaGetLastError() != cudaSuccess);
    CHECK(cudaGetLastError() == cudaSuccess);
    cudaFree(device);
}

TEST_CASE("streams that are held back run nothing, and go on where they were") {
    int* device = nullptr;
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    REQUIRE(cudaMalloc(&device, sizeof(int)) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    REQUIRE(cudaEventCreate(&event) == cudaSuccess);
    emulator::hold_streams(true);
    CHECK(cudaStreamQuery(stream) == cudaSuccess);  // nothing to do is done
    cudaMemsetAsync(device, 7, sizeof(int), stream);
    int* host = nullptr;
    cudaMallocHost(&host, sizeof(int));
    *host = 0;
    cudaMemcpyAsync(host, device, sizeof(int), cudaMemcpyDeviceToHost, stream);
    cudaEventRecord(event, stream);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    CHECK(cudaGetLastError() == cudaErrorNotReady);
    CHECK(*host == 0);
    emulator::hold_streams(false);
    CHECK(cudaEventQuery(event) == cudaSuccess);
    CHECK(*host == 0x07070707);
    cudaFreeHost(host);
    cudaEventDestroy(event);
    cudaStreamDestroy(stream);
    cudaFree(device);
}
