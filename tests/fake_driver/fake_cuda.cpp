// libcuda.so.1 of the made-up driver: the functions that finding devices takes, and no others.
//
// MUSTER_FAKE_COMPUTE_MODE, MUSTER_FAKE_MPS: what cuDeviceGetAttribute says of all devices (0 if
// unset). MUSTER_FAKE_INIT: what cuInit returns. MUSTER_FAKE_CUDA: the version, 13000 if unset. The
// real one reads its environment in the first cuInit of a process; this one in every.

#include <algorithm>
#include <cstring>

#include "fake_devices.h"

using namespace muster::fake;

namespace {

std::vector<Gpu> gpus;
std::vector<Visible> devices;

constexpr int kInvalidValue = 1, kNotInitialized = 3, kNoDevice = 100, kInvalidDevice = 101;
bool ready = false;

const Gpu* gpu_of(int device) {
    if (device < 0 || device >= static_cast<int>(devices.size())) return nullptr;
    return &gpus[static_cast<std::size_t>(devices[static_cast<std::size_t>(device)].gpu)];
}

const Instance* instance_of(int device) {
    const int instance = devices[static_cast<std::size_t>(device)].instance;
    return instance < 0 ? nullptr : &gpu_of(device)->instances[static_cast<std::size_t>(instance)];
}

int copy_text(char* to, int size, const std::string& text) {
    if (size <= 0) return kInvalidValue;
    std::strncpy(to, text.c_str(), static_cast<std::size_t>(size));
    to[size - 1] = '\0';
    return 0;
}

int copy_uuid(unsigned char* to, const std::string& uuid) {
    const auto bytes = octets(uuid);
    std::copy(bytes.begin(), bytes.end(), to);
    return 0;
}

}  // namespace

extern "C" {

int cuInit(unsigned) {
    if (const auto code = variable("MUSTER_FAKE_INIT")) return std::stoi(*code);
    gpus = machine();
    devices = visible(gpus, variable("CUDA_VISIBLE_DEVICES"));
    ready = !devices.empty();
    return ready ? 0 : kNoDevice;
}

int cuDriverGetVersion(int* version) {
    *version = std::stoi(variable("MUSTER_FAKE_CUDA").value_or("13000"));
    return 0;
}

int cuGetErrorString(int code, const char** text) {
    *text = code == kNoDevice         ? "no CUDA-capable device is detected"
            : code == kNotInitialized ? "initialization error"
            : code == 803 ? "system has unsupported display driver / cuda driver combination"
                          : nullptr;
    return *text == nullptr ? kInvalidValue : 0;
}

int cuDeviceGetCount(int* count) {
    if (!ready) return kNotInitialized;
    *count = static_cast<int>(devices.size());
    return 0;
}

// Handles are not ordinals, so that who mixes them up is found out.
int cuDeviceGet(int* device, int ordinal) {
    if (!ready) return kNotInitialized;
    if (gpu_of(ordinal) == nullptr) return kInvalidDevice;
    *device = ordinal + 1000;
    return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    if (gpu == nullptr) return kInvalidDevice;
    const Instance* instance = instance_of(device - 1000);
    return copy_text(
        name, size,
        gpu->name +
            (instance == nullptr ? "" : " MIG 1g." + std::to_string(instance->bytes >> 30) + "gb"));
}

/// The first version of this function gives the GPU's UUID, the second an instance's own.
int cuDeviceGetUuid(unsigned char* uuid, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    return gpu == nullptr ? kInvalidDevice : copy_uuid(uuid, gpu->uuid);
}

int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    if (gpu == nullptr) return kInvalidDevice;
    const Instance* instance = instance_of(device - 1000);
    return copy_uuid(uuid, instance == nullptr ? gpu->uuid : instance->uuid);
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    if (gpu == nullptr) return kInvalidDevice;
    const Instance* instance = instance_of(device - 1000);
    *bytes = instance == nullptr ? gpu->total_bytes : instance->bytes;
    return 0;
}

int cuDeviceGetPCIBusId(char* id, int size, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    return gpu == nullptr ? kInvalidDevice : copy_text(id, size, gpu->pci_bus_id);
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
    const Gpu* gpu = gpu_of(device - 1000);
    if (gpu == nullptr) return kInvalidDevice;
    switch (attribute) {
        case 20:
            *value = std::stoi(variable("MUSTER_FAKE_COMPUTE_MODE").value_or("0"));
            break;
        case 75:
            *value = gpu->compute_capability / 10;
            break;
        case 76:
            *value = gpu->compute_capability % 10;
            break;
        case 133:
            *value = std::stoi(variable("MUSTER_FAKE_MPS").value_or("0"));
            break;
        default:
            return kInvalidValue;
    }
    return 0;
}

}  // extern "C"
