#pragma once
// Which device each rank of a node computes on. Devices are looked up through the driver, and what
// CUDA_VISIBLE_DEVICES makes of them is the driver's affair; nothing here reads that variable or
// computes anything from a world rank. Nothing here needs CUDA to build.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace muster {

/// One device that the driver shows to this process.
struct Device {
    int ordinal = 0;             ///< index among the visible devices
    std::string name;            ///< "NVIDIA H200"
    std::string uuid;            ///< "GPU-…", or "MIG-…" of an instance
    std::string pci_bus_id;      ///< "0000:18:00.0"
    bool mig = false;            ///< a MIG instance
    int compute_capability = 0;  ///< 90 for sm_90
    bool exclusive = false;      ///< for one process at a time (and MPS does not stand between)
    bool prohibited = false;     ///< for none at all: compute mode PROHIBITED
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes =
        0;  ///< when it was looked up; total_bytes where the system does not tell
};

/// Asks for devices. Another implementation stands in for the driver in tests.
class DeviceLister {
 public:
    virtual ~DeviceLister() = default;
    /// Visible devices by ordinal; may be none.
    virtual std::vector<Device> visible() const = 0;
};

/// The NVIDIA driver, found by its library. Null, with the reason in `why` ("libcuda.so.1: cannot
/// open …"), where there is none. First touched here, so not before MPI is initialised.
std::unique_ptr<DeviceLister> open_driver(std::string& why);

/// What one rank of a node sees.
struct RankDevices {
    int rank = 0, local_rank = 0;
    std::vector<Device> visible;
};

/// The ordinal that each rank of one node takes, in the order of `ranks`, which is by local rank.
/// All see the same devices: the local rank's own; each sees its own: 0; anything else: distinct
/// devices by UUID. Throws UserError naming host, ranks and UUIDs if two ranks would share a device
/// and `allow_sharing` is false.
std::vector<int> bind_devices(const std::string& host, std::span<const RankDevices> ranks,
                              bool allow_sharing);

}  // namespace muster
