// libnvidia-ml.so.1 of the made-up driver: free memory by UUID, of all devices, whatever
// CUDA_VISIBLE_DEVICES says. MUSTER_FAKE_NVML=off: it cannot be initialised, as in containers that
// hide it. An instance has 1 GiB less free than it has.

#include "fake_devices.h"

using namespace muster::fake;

namespace {

struct Memory {
    unsigned long long total, free, used;
};

struct Entry {
    std::string uuid;
    Memory memory;
};

std::vector<Entry> entries;

Memory memory_of(std::uint64_t total, std::uint64_t free) {
    return {total, free, total - free};
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
    if (variable("MUSTER_FAKE_NVML") == "off") return 12;  // NVML_ERROR_LIBRARY_NOT_FOUND
    entries.clear();
    for (const Gpu& gpu : machine()) {
        entries.push_back({"GPU-" + gpu.uuid, memory_of(gpu.total_bytes, gpu.free_bytes)});
        for (const Instance& instance : gpu.instances)
            entries.push_back(
                {"MIG-" + instance.uuid, memory_of(instance.bytes, instance.bytes - (1ull << 30))});
    }
    return 0;
}

int nvmlShutdown() {
    entries.clear();
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
    for (Entry& entry : entries)
        if (entry.uuid == uuid) {
            *device = &entry;
            return 0;
        }
    return 6;  // NVML_ERROR_NOT_FOUND
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
    *memory = static_cast<Entry*>(device)->memory;
    return 0;
}

}  // extern "C"
