#pragma once
// What the system says of this process and its machine.

#include <cstdint>
#include <string>

namespace muster {

/// "AMD EPYC 9754 128-Core Processor", or "" where /proc/cpuinfo does not say.
std::string processor_name();

/// Follows the memory of this process from construction on.
class PeakMemory {
 public:
    /// Forgets earlier peaks, which Linux allows a process to do (proc(5), clear_refs).
    PeakMemory();
    /// Most bytes resident at once since then beyond those at the start; mapped files do not count.
    /// 0 if this system does not say.
    std::uint64_t bytes() const;

 private:
    bool known_ = false;
    std::uint64_t resident_ = 0, of_files_ = 0;
};

}  // namespace muster
