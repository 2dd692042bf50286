#pragma once
// Derived MPI types for byte ranges that an int cannot count.

#include <cstddef>

#include "mpi_api.h"

namespace muster {

/// `count` elements of `type` stand for the bytes; freed with the object when derived.
class ByteType {
 public:
    /// `bytes` consecutive bytes: MPI_BYTE if one piece holds them, else one element made of
    /// pieces.
    static ByteType consecutive(std::size_t bytes);
    /// One element of `bytes` bytes whose successor starts `stride` bytes further on.
    static ByteType strided(std::size_t bytes, std::size_t stride);

    ByteType(ByteType&& other) noexcept;
    ByteType& operator=(ByteType&&) = delete;
    ~ByteType();

    MPI_Datatype type() const { return type_; }
    int count() const { return count_; }

 private:
    ByteType() = default;

    MPI_Datatype type_ = MPI_BYTE;
    int count_ = 0;
};

}  // namespace muster
