#pragma once
// Which pages of a mapped file are at hand and which are resident.

#include <cstddef>
#include <cstdint>
#include <span>

#include "muster/base/file.h"

namespace muster {

/// Has `part` of file.bytes() in the system's cache before it is touched page by page: announced on
/// a local disk, read from end to end where the file lies on a network file system, for which
/// single pages are a hundred times slower.
void read_ahead(const MappedFile& file, std::span<const std::byte> part);
/// The second way, wherever the file lies.
void read_through(const MappedFile& file, std::span<const std::byte> part);
/// True for f_type of statfs(2) of a file system whose files come over a network, or through another
/// process that may fetch them there.
bool is_network_file_system(std::uint32_t type);

/// Takes the pages of a mapped file that hold `part` out of this process's resident memory; they
/// come back from the system's cache when they are touched. Only for bytes of a MappedFile.
void forget_pages(std::span<const std::byte> part);

}  // namespace muster
