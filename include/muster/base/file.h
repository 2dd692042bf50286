#pragma once
// Files as muster uses them: read whole, mapped read-only, or written atomically.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

/// The whole file as bytes. Throws UserError naming the path and the system's reason.
std::string read_file(const std::string& path);
/// Writes `content` to a temporary neighbour, syncs it, and renames it over `path`. Throws SystemError.
void write_file_atomically(const std::string& path, std::string_view content);
/// Paths that match a shell pattern (*, ?, [..], ** for any depth), sorted. A pattern without wildcards is
/// returned if it exists.
std::vector<std::string> glob_files(const std::string& pattern);

/// A file mapped read-only into memory, shared with every process that maps it.
class MappedFile {
 public:
    MappedFile() = default;
    /// Throws UserError if the file cannot be opened or mapped. An empty file maps to an empty span.
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }

 private:
    std::string path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace muster
