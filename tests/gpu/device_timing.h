#pragma once
// Memory and time of a device, for benchmarks of kernels by themselves.

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/check.h"

namespace muster::cuda {

class DeviceArray {
 public:
    explicit DeviceArray(std::uint64_t bytes) {
        check(cudaMalloc(&data_, std::max<std::uint64_t>(bytes, 16)), "cudaMalloc");
    }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    void* data() const { return data_; }
    template <typename T>
    T* holding(const std::vector<T>& host) const {
        check(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
              "cudaMemcpy");
        return static_cast<T*>(data_);
    }

 private:
    void* data_ = nullptr;
};

class Event {
 public:
    Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    operator cudaEvent_t() const { return event_; }

 private:
    cudaEvent_t event_ = nullptr;
};

/// Milliseconds of one call, per repeat, in ascending order; a repeat lasts about `milliseconds`.
/// `call(i)` enqueues the i-th call.
inline std::vector<double> milliseconds_of(const std::function<void(int)>& call, int repeats,
                                           double milliseconds) {
    const Event begin, end;
    int calls = 0;
    const auto run = [&](int times) {
        check(cudaEventRecord(begin), "cudaEventRecord");
        for (int i = 0; i < times; ++i) call(calls++);
        check(cudaEventRecord(end), "cudaEventRecord");
        check(cudaEventSynchronize(end), "a call that is timed");
        float taken = 0;
        check(cudaEventElapsedTime(&taken, begin, end), "cudaEventElapsedTime");
        return static_cast<double>(taken) / times;
    };
    run(1);  // loads the kernels
    const int times = std::clamp(static_cast<int>(milliseconds / std::max(run(3), 1e-3)), 1, 1000);
    std::vector<double> all;
    for (int i = 0; i < repeats; ++i) all.push_back(run(times));
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace muster::cuda
