#include "fake_devices.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace muster::fake {

namespace {

std::vector<std::string> parts_of(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
    return parts;
}

std::uint64_t mib(const std::string& text) {
    return std::stoull(text) << 20;
}

Gpu parse_gpu(const std::string& entry) {
    const std::vector<std::string> f = parts_of(entry, ',');
    Gpu gpu{f.at(0), f.at(1), f.at(2), std::stoi(f.at(3)), mib(f.at(4)), mib(f.at(5)), {}};
    for (std::size_t i = 6; i < f.size(); ++i) {
        const std::vector<std::string> m = parts_of(f[i], ':');
        gpu.instances.push_back({m.at(0), std::stoi(m.at(1)), std::stoi(m.at(2)), mib(m.at(3))});
    }
    return gpu;
}

Gpu h200(int index) {
    std::array<char, 64> uuid{}, pci{};
    // Unlike from the first digit on, so that short prefixes are unique.
    std::snprintf(uuid.data(), uuid.size(), "%02x000000-0000-4000-8000-0000000000%02x",
                  0xa0 + index, index);
    std::snprintf(pci.data(), pci.size(), "0000:%02x:00.0", 0x18 + index);
    return {"NVIDIA H200",
            uuid.data(),
            pci.data(),
            90,
            std::uint64_t{143771} << 20,
            std::uint64_t{143000} << 20,
            {}};
}

}  // namespace

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
}

std::vector<Gpu> machine() {
    const std::string text = variable("MUSTER_FAKE_DEVICES").value_or("");
    std::vector<Gpu> gpus;
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
        for (int i = 0; i < std::stoi(text); ++i) gpus.push_back(h200(i));
        return gpus;
    }
    for (const std::string& entry : parts_of(text, ';')) gpus.push_back(parse_gpu(entry));
    if (variable("CUDA_DEVICE_ORDER") == "PCI_BUS_ID")
        std::stable_sort(gpus.begin(), gpus.end(),
                         [](const Gpu& a, const Gpu& b) { return a.pci_bus_id < b.pci_bus_id; });
    else  // FASTEST_FIRST
        std::stable_sort(gpus.begin(), gpus.end(), [](const Gpu& a, const Gpu& b) {
            return a.compute_capability > b.compute_capability;
        });
    return gpus;
}

std::array<unsigned char, 16> octets(const std::string& uuid) {
    std::string digits;
    for (const char c : uuid)
        if (c != '-') digits += c;
    std::array<unsigned char, 16> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<unsigned char>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
    return bytes;
}

}  // namespace muster::fake
