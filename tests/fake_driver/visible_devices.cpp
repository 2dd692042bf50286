// CUDA_VISIBLE_DEVICES as the driver reads it: the CUDA Programming Guide (5.2, "CUDA environment
// variables"), and where that is silent, torch/cuda/__init__.py of PyTorch, which mirrors the
// driver. Per rule, in the order of the code:
//   * unset: all devices; empty: none;
//   * the beginning of the list says whether it has indices, GPU UUIDs or MIG UUIDs; the first
//     element of another kind, and the first that names no device, end it;
//   * indices are read as strtoul does: blanks in front and letters behind are ignored;
//   * of a UUID a prefix suffices that fits one device only;
//   * the same device twice: no device at all;
//   * of MIG instances, the first alone: a process has one.

#include <algorithm>
#include <cstdlib>

#include "fake_devices.h"

namespace muster::fake {

namespace {

std::vector<std::string> elements(const std::string& list) {
    std::vector<std::string> elements;
    std::size_t begin = 0;
    while (begin <= list.size()) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        std::string element = list.substr(begin, end - begin);
        element.erase(0, element.find_first_not_of(" \t"));
        element.erase(element.find_last_not_of(" \t") + 1);
        elements.push_back(element);
        begin = end + 1;
    }
    return elements;
}

/// A GPU in MIG mode shows its first instance.
Visible whole(const std::vector<Gpu>& gpus, std::size_t gpu) {
    return {static_cast<int>(gpu), gpus[gpu].instances.empty() ? -1 : 0};
}

std::optional<Visible> by_index(const std::vector<Gpu>& gpus, const std::string& element) {
    char* end = nullptr;
    const long index = std::strtol(element.c_str(), &end, 10);
    if (end == element.c_str() || index < 0 || index >= static_cast<long>(gpus.size()))
        return std::nullopt;
    return whole(gpus, static_cast<std::size_t>(index));
}

std::optional<Visible> by_uuid(const std::vector<Gpu>& gpus, const std::string& element) {
    std::optional<Visible> found;
    for (std::size_t gpu = 0; gpu < gpus.size(); ++gpu) {
        if (!("GPU-" + gpus[gpu].uuid).starts_with(element)) continue;
        if (found) return std::nullopt;  // ambiguous
        found = whole(gpus, gpu);
    }
    return found;
}

/// "MIG-<UUID>", or as before driver R470 "MIG-GPU-<UUID of the GPU>/<GI>/<CI>".
std::optional<Visible> by_mig(const std::vector<Gpu>& gpus, const std::string& element) {
    for (std::size_t gpu = 0; gpu < gpus.size(); ++gpu)
        for (std::size_t i = 0; i < gpus[gpu].instances.size(); ++i) {
            const Instance& instance = gpus[gpu].instances[i];
            const std::string old = "MIG-GPU-" + gpus[gpu].uuid + "/" +
                                    std::to_string(instance.gpu_instance) + "/" +
                                    std::to_string(instance.compute_instance);
            if (element == "MIG-" + instance.uuid || element == old)
                return Visible{static_cast<int>(gpu), static_cast<int>(i)};
        }
    return std::nullopt;
}

bool same(const Visible& a, const Visible& b) {
    return a.gpu == b.gpu && a.instance == b.instance;
}

}  // namespace

std::vector<Visible> visible(const std::vector<Gpu>& gpus, const std::optional<std::string>& list) {
    std::vector<Visible> devices;
    if (!list) {
        for (std::size_t gpu = 0; gpu < gpus.size(); ++gpu)
            if (gpus[gpu].instances.empty()) devices.push_back(whole(gpus, gpu));
        if (devices.empty() && !gpus.empty()) devices.push_back(whole(gpus, 0));
        return devices;
    }
    const bool uuids = list->starts_with("GPU-"), migs = list->starts_with("MIG-");
    for (const std::string& element : elements(*list)) {
        if (uuids != element.starts_with("GPU-") || migs != element.starts_with("MIG-")) break;
        const std::optional<Visible> device = uuids  ? by_uuid(gpus, element)
                                              : migs ? by_mig(gpus, element)
                                                     : by_index(gpus, element);
        if (!device) break;
        for (const Visible& earlier : devices)
            if (same(earlier, *device)) return {};
        devices.push_back(*device);
    }
    const auto is_instance = [](const Visible& device) { return device.instance >= 0; };
    const auto first = std::find_if(devices.begin(), devices.end(), is_instance);
    if (first != devices.end()) devices = {*first};
    return devices;
}

}  // namespace muster::fake
