// NVIDIA's driver by dlopen. Its functions are declared here, so that finding devices needs no CUDA
// to build and no driver to start; no context is made. The library stays loaded: the driver does
// not support being closed.
//
// MIG: a process sees an instance as a device of its own. cuDeviceGetUuid_v2 gives the instance's
// UUID where the first version of that function gives the GPU's (cuda.h of CUDA 12), and
// nvidia-smi and NVML write the former as "MIG-…".

#include "driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "muster/backend/device.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

using CuResult = int;
using CuDevice = int;
using CuUuid = std::array<unsigned char, 16>;
static_assert(sizeof(CuUuid) == 16);  // struct CUuuid

constexpr CuResult kSuccess = 0, kStubLibrary = 34, kNoDevice = 100;
constexpr int kComputeMode = 20, kCapabilityMajor = 75, kCapabilityMinor = 76,
              kMpsEnabled = 133;                       // CUdevice_attribute
constexpr int kProhibited = 2, kExclusiveProcess = 3;  // CUcomputemode

/// The driver API, as far as it is needed.
struct Cuda {
    CuResult (*init)(unsigned) = nullptr;
    CuResult (*driver_version)(int*) = nullptr;
    CuResult (*count)(int*) = nullptr;
    CuResult (*get)(CuDevice*, int) = nullptr;
    CuResult (*name)(char*, int, CuDevice) = nullptr;
    CuResult (*uuid)(CuUuid*, CuDevice) = nullptr;
    CuResult (*parent_uuid)(CuUuid*, CuDevice) = nullptr;  ///< may be missing
    CuResult (*total_memory)(std::size_t*, CuDevice) = nullptr;
    CuResult (*pci_bus_id)(char*, int, CuDevice) = nullptr;
    CuResult (*attribute)(int*, int, CuDevice) = nullptr;
    CuResult (*error_text)(CuResult, const char**) = nullptr;

    std::string describe(CuResult code) const {
        const char* text = nullptr;
        if (error_text(code, &text) != kSuccess || text == nullptr) text = "unknown error";
        return cat(text, " (error ", code, ")");
    }
};

template <typename Function>
bool find(void* library, const char* symbol, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, symbol));
    return function != nullptr;
}

std::optional<Cuda> open_cuda(std::string& why) {
    void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        why = dlerror();
        return std::nullopt;
    }
    Cuda cuda;
    find(library, "cuDeviceGetUuid", cuda.parent_uuid);
    if (find(library, "cuInit", cuda.init) &&
        find(library, "cuDriverGetVersion", cuda.driver_version) &&
        find(library, "cuDeviceGetCount", cuda.count) && find(library, "cuDeviceGet", cuda.get) &&
        find(library, "cuDeviceGetName", cuda.name) &&
        find(library, "cuDeviceGetUuid_v2", cuda.uuid) &&
        find(library, "cuDeviceTotalMem_v2", cuda.total_memory) &&
        find(library, "cuDeviceGetPCIBusId", cuda.pci_bus_id) &&
        find(library, "cuDeviceGetAttribute", cuda.attribute) &&
        find(library, "cuGetErrorString", cuda.error_text))
        return cuda;
    why = cat("libcuda.so.1 is older than CUDA 11.4: ", dlerror());
    return std::nullopt;
}

/// Free memory, which the driver API tells inside a context only. Everything here may be missing:
/// containers often come without NVML.
class Nvml {
 public:
    Nvml() {
        void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
        int (*init)() = nullptr;
        usable_ = library != nullptr && find(library, "nvmlInit_v2", init) &&
                  find(library, "nvmlShutdown", shutdown_) &&
                  find(library, "nvmlDeviceGetHandleByUUID", by_uuid_) &&
                  find(library, "nvmlDeviceGetMemoryInfo", memory_) && init() == 0;
    }
    ~Nvml() {
        if (usable_) shutdown_();
    }
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    bool knows(const std::string& uuid) const { return handle_of(uuid) != nullptr; }

    std::optional<std::uint64_t> free_bytes(const std::string& uuid) const {
        Memory memory{};
        void* const device = handle_of(uuid);
        if (device == nullptr || memory_(device, &memory) != 0) return std::nullopt;
        return memory.free;
    }

 private:
    struct Memory {  // nvmlMemory_t
        unsigned long long total, free, used;
    };

    void* handle_of(const std::string& uuid) const {
        void* device = nullptr;
        return usable_ && by_uuid_(uuid.c_str(), &device) == 0 ? device : nullptr;
    }

    bool usable_ = false;
    int (*shutdown_)() = nullptr;
    int (*by_uuid_)(const char*, void**) = nullptr;
    int (*memory_)(void*, Memory*) = nullptr;
};

/// As nvidia-smi -L prints it, without the kind in front.
std::string format_uuid(const CuUuid& uuid) {
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        std::array<char, 3> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", uuid[i]);
        text += digits.data();
    }
    return text;
}

class Driver : public DeviceLister {
 public:
    Driver(Cuda cuda, bool no_device) : cuda_(cuda), no_device_(no_device) {}

    std::vector<Device> visible() const override {
        std::vector<Device> devices;
        if (no_device_) return devices;
        int count = 0;
        check(cuda_.count(&count), "cuDeviceGetCount", -1);
        const Nvml nvml;
        for (int ordinal = 0; ordinal < count; ++ordinal) devices.push_back(look_up(ordinal, nvml));
        return devices;
    }

 private:
    void check(CuResult code, const char* call, int ordinal) const {
        if (code == kSuccess) return;
        throw SystemError(
            cat(call, ordinal < 0 ? "" : cat(" of device ", ordinal), ": ", cuda_.describe(code)));
    }

    Device look_up(int ordinal, const Nvml& nvml) const {
        Device device;
        device.ordinal = ordinal;
        CuDevice handle = 0;
        check(cuda_.get(&handle, ordinal), "cuDeviceGet", ordinal);
        std::array<char, 256> text{};
        check(cuda_.name(text.data(), text.size() - 1, handle), "cuDeviceGetName", ordinal);
        device.name = text.data();
        text.fill('\0');
        check(cuda_.pci_bus_id(text.data(), text.size() - 1, handle), "cuDeviceGetPCIBusId",
              ordinal);
        device.pci_bus_id = text.data();
        std::size_t total = 0;
        check(cuda_.total_memory(&total, handle), "cuDeviceTotalMem", ordinal);
        device.total_bytes = total;
        int major = 0, minor = 0;
        check(cuda_.attribute(&major, kCapabilityMajor, handle), "cuDeviceGetAttribute", ordinal);
        check(cuda_.attribute(&minor, kCapabilityMinor, handle), "cuDeviceGetAttribute", ordinal);
        device.compute_capability = 10 * major + minor;
        int mode = 0, mps = 0;
        check(cuda_.attribute(&mode, kComputeMode, handle), "cuDeviceGetAttribute", ordinal);
        // A driver that does not know this attribute leaves 0.
        (void)cuda_.attribute(&mps, kMpsEnabled, handle);
        device.prohibited = mode == kProhibited;
        device.exclusive = mode == kExclusiveProcess && mps == 0;

        CuUuid uuid{}, parent{};
        check(cuda_.uuid(&uuid, handle), "cuDeviceGetUuid", ordinal);
        const std::string digits = format_uuid(uuid);
        const bool other_parent = cuda_.parent_uuid != nullptr &&
                                  cuda_.parent_uuid(&parent, handle) == kSuccess && parent != uuid;
        device.mig = other_parent || device.name.find(" MIG ") != std::string::npos ||
                     (!nvml.knows("GPU-" + digits) && nvml.knows("MIG-" + digits));
        device.uuid = (device.mig ? "MIG-" : "GPU-") + digits;
        device.free_bytes =
            std::min(nvml.free_bytes(device.uuid).value_or(device.total_bytes), device.total_bytes);
        return device;
    }

    Cuda cuda_;
    bool no_device_;
};

}  // namespace

std::unique_ptr<DeviceLister> open_driver(std::string& why) {
    const std::optional<Cuda> cuda = open_cuda(why);
    if (!cuda) return nullptr;
    const CuResult code = cuda->init(0);
    if (code == kSuccess || code == kNoDevice)
        return std::make_unique<Driver>(*cuda, code == kNoDevice);
    why = code == kStubLibrary
              ? "libcuda.so.1 is the CUDA toolkit's stub for linking, not a driver; take its "
                "folder out of LD_LIBRARY_PATH"
              : cat("cuInit: ", cuda->describe(code));
    return nullptr;
}

int cuda_driver_version(std::string& why) {
    const std::optional<Cuda> cuda = open_cuda(why);
    if (!cuda) return 0;
    int version = 0;
    const CuResult code = cuda->driver_version(&version);
    if (code == kSuccess && version > 0) return version;
    why = cat("cuDriverGetVersion: ", cuda->describe(code));
    return 0;
}

}  // namespace muster
