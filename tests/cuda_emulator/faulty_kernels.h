#pragma once
// Kernels with one mistake each, to be compiled as those in which races are looked for.

#include <span>

namespace muster::test {

struct Fault {
    const char* what;
    void (*run)(bool right);  ///< with the mistake, or without
    const char* said;         ///< in the message that ends the process
};
std::span<const Fault> faults();

}  // namespace muster::test
