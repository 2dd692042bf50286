#pragma once
// The names that this program's own symbol table has for addresses, without namespaces of the
// project and parameters.

#include <cstdint>
#include <string>

namespace emulator {

/// Of the function that begins at `at`.
std::string name_of_function(const void* at);

struct NamedPlace {
    std::string name;  ///< empty: unknown
    std::size_t offset = 0, bytes = 0;
};
NamedPlace variable_at(std::uintptr_t at);

}  // namespace emulator
