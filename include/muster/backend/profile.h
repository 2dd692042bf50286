#pragma once
// Where the time of a forward pass goes: a backend around another one that adds up what every
// operation took. Without it nothing is measured and nothing is paid.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "muster/backend/backend.h"

namespace muster {

/// One kind of operation; products with weights are told apart by the shape of the weights.
struct OperationKey {
    std::string name;           ///< "matmul_add"
    std::int64_t n = 0, k = 0;  ///< weights [n, k] of this rank; 0 without
    auto operator<=>(const OperationKey&) const = default;
};

struct OperationTotal {
    std::uint64_t calls = 0;
    double seconds = 0;
    double flops = 0;  ///< 2 per multiply-add; 0 for operations that only move or round
    double bytes = 0;  ///< that it must read and write once: weights, inputs, outputs, keys, values
};

struct Profile {
    std::map<OperationKey, OperationTotal> operations;

    void add(const Profile& other);
    double seconds() const;
};

/// All operations go to `inner` and are added to `profile`; memory and loading are passed on
/// uncounted. Both must outlive the backend. Sizes and times are this rank's.
std::unique_ptr<Backend> make_profiling_backend(Backend& inner, Profile& profile);

}  // namespace muster
