// Prints the devices that the driver shows, one per line; exits 77, which test runners take for
// "skipped", with the reason where there is none.

#include <iostream>

#include "muster/backend/device.h"
#include "muster/base/text.h"

int main() {
    std::string why;
    const auto driver = muster::open_driver(why);
    if (!driver) {
        std::cout << "no device: " << why << "\n";
        return 77;
    }
    const std::vector<muster::Device> devices = driver->visible();
    for (const muster::Device& device : devices)
        std::cout << "device " << device.ordinal << ": " << device.name << ", " << device.uuid
                  << ", PCI " << device.pci_bus_id << ", sm_" << device.compute_capability << ", "
                  << muster::format_bytes(device.free_bytes) << " of "
                  << muster::format_bytes(device.total_bytes) << " free"
                  << (device.mig ? ", an instance of a larger one" : "") << "\n";
    if (devices.empty()) std::cout << "no device: the driver is there and shows none\n";
    return devices.empty() ? 77 : 0;
}
