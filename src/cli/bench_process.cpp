#include "cli/bench_process.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "muster/base/text.h"

namespace muster {

namespace {

/// The value behind "<key>:" in a file of such lines.
std::optional<std::string> line_of(const char* path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (colon != std::string::npos && trim(line.substr(0, colon)) == key)
            return std::string(trim(line.substr(colon + 1)));
    }
    return std::nullopt;
}

/// A line of /proc/self/status in bytes.
std::optional<std::uint64_t> status_bytes(const char* key) {
    const auto text = line_of("/proc/self/status", key);
    if (!text) return std::nullopt;
    return std::stoull(*text) * 1024;  // "1234 kB"
}

}  // namespace

std::string processor_name() {
    return line_of("/proc/cpuinfo", "model name").value_or("");
}

PeakMemory::PeakMemory() {
    std::ofstream reset("/proc/self/clear_refs");
    reset << "5" << std::flush;
    const auto resident = status_bytes("VmRSS"), of_files = status_bytes("RssFile");
    known_ = reset.good() && resident && of_files && status_bytes("VmHWM");
    resident_ = resident.value_or(0);
    of_files_ = of_files.value_or(0);
}

std::uint64_t PeakMemory::bytes() const {
    if (!known_) return 0;
    const std::uint64_t peak = status_bytes("VmHWM").value_or(0),
                        of_files = status_bytes("RssFile").value_or(0);
    const std::uint64_t other = resident_ + (of_files > of_files_ ? of_files - of_files_ : 0);
    return peak > other ? peak - other : 0;
}

}  // namespace muster
