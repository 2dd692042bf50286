// Errors and what the runtime says about its devices.

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "parts.h"

namespace emulator {
namespace {

cudaError_t last = cudaSuccess;
int current_device = 0;

int device_count() {
    const char* text = std::getenv("EMULATED_DEVICES");
    return text != nullptr ? std::atoi(text) : 1;
}

}  // namespace

const Architecture& architecture() {
    static const Architecture chosen = [] {
        const char* set = std::getenv("EMULATED_ARCH");
        const std::string_view name = set != nullptr ? set : "sm_90";
        if (name == "sm_80") return Architecture{8, 0, 163 << 10, kAmpere};
        if (name != "sm_90") fail("EMULATED_ARCH is neither sm_80 nor sm_90");
        return Architecture{9, 0, kMaxShared, kHopper};
    }();
    return chosen;
}
const TensorCore& tensor_core() {
    return architecture().tensor_core;
}

cudaError_t failed(cudaError_t error) {
    if (error != cudaSuccess) last = error;
    return error;
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
        case cudaErrorStreamCaptureIsolation:
            return "cudaErrorStreamCaptureIsolation";
        case cudaErrorCapturedEvent:
            return "cudaErrorCapturedEvent";
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
    p->major = architecture().major;
    p->minor = architecture().minor;
    p->multiProcessorCount = 4;
    p->l2CacheSize = 1 << 20;
    p->pciBusID = device + 1;
    p->sharedMemPerBlockOptin = architecture().max_shared;
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
