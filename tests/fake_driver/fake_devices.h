#pragma once
// The devices of the made-up driver, from MUSTER_FAKE_DEVICES: entries separated by ';', each
//
//     NAME,UUID,PCI BUS ID,COMPUTE CAPABILITY,TOTAL MIB,FREE MIB[,UUID:GI:CI:MIB]...
//
// UUIDs without "GPU-" or "MIG-" in front; the last fields are the MIG instances of a GPU in MIG
// mode. A number N instead stands for N alike H200. Unset: no device.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace muster::fake {

struct Instance {
    std::string uuid;
    int gpu_instance = 0, compute_instance = 0;
    std::uint64_t bytes = 0;
};

struct Gpu {
    std::string name, uuid, pci_bus_id;
    int compute_capability = 0;
    std::uint64_t total_bytes = 0, free_bytes = 0;
    std::vector<Instance> instances;
};

/// What a process may see: a GPU, or an instance of one.
struct Visible {
    int gpu = 0;
    int instance = -1;  ///< -1: the whole GPU
};

/// All of the machine, in the order of CUDA_DEVICE_ORDER.
std::vector<Gpu> machine();
/// What CUDA_VISIBLE_DEVICES, nothing if it is unset, leaves of `gpus`.
std::vector<Visible> visible(const std::vector<Gpu>& gpus, const std::optional<std::string>& list);
/// 16 octets of a UUID as text.
std::array<unsigned char, 16> octets(const std::string& uuid);

/// An environment variable, if it is set.
std::optional<std::string> variable(const char* name);

}  // namespace muster::fake
