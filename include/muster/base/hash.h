#pragma once
// SHA-256, used for provenance (it equals the object id that the Hugging Face hub shows for large
// files) and for prompt hashes.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace muster {

/// Incremental SHA-256.
class Sha256 {
 public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    void update(std::string_view bytes);
    /// Lower-case hex digest of everything so far; the object is used up.
    std::string hex_digest();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Hex SHA-256 of `bytes`.
std::string sha256(std::string_view bytes);
/// Hex SHA-256 of a file's content. Throws SystemError if it cannot be read.
std::string sha256_file(const std::string& path);
/// CRC-32C (Castagnoli) of `bytes`, continuing from `seed`.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace muster
