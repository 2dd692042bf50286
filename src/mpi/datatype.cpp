#include "datatype.h"

#include <array>
#include <utility>

#include "pieces.h"

namespace muster {

ByteType::ByteType(ByteType&& other) noexcept
    : type_(std::exchange(other.type_, MPI_BYTE)), count_(std::exchange(other.count_, 0)) {}

ByteType::~ByteType() {
    if (type_ != MPI_BYTE) MPI_Type_free(&type_);
}

ByteType ByteType::consecutive(std::size_t bytes) {
    ByteType result;
    const std::size_t piece = piece_bytes();
    if (bytes <= piece) {
        result.count_ = static_cast<int>(bytes);
        return result;
    }
    const std::size_t pieces = bytes / piece;
    MPI_Datatype one_piece = MPI_BYTE;
    check_mpi(MPI_Type_contiguous(static_cast<int>(piece), MPI_BYTE, &one_piece),
              "MPI_Type_contiguous");
    const std::array<int, 2> lengths{static_cast<int>(pieces), static_cast<int>(bytes % piece)};
    const std::array<MPI_Aint, 2> offsets{0, static_cast<MPI_Aint>(pieces * piece)};
    const std::array<MPI_Datatype, 2> types{one_piece, MPI_BYTE};
    check_mpi(
        MPI_Type_create_struct(2, lengths.data(), offsets.data(), types.data(), &result.type_),
        "MPI_Type_create_struct");
    MPI_Type_free(&one_piece);
    check_mpi(MPI_Type_commit(&result.type_), "MPI_Type_commit");
    result.count_ = 1;
    return result;
}

ByteType ByteType::strided(std::size_t bytes, std::size_t stride) {
    ByteType result;
    MPI_Datatype block = MPI_BYTE;
    check_mpi(MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &block),
              "MPI_Type_contiguous");
    check_mpi(MPI_Type_create_resized(block, 0, static_cast<MPI_Aint>(stride), &result.type_),
              "MPI_Type_create_resized");
    MPI_Type_free(&block);
    check_mpi(MPI_Type_commit(&result.type_), "MPI_Type_commit");
    result.count_ = 1;
    return result;
}

}  // namespace muster
