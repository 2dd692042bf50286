#include "muster/base/hash.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "muster/base/error.h"

namespace muster {

namespace {

// The one checker of OpenSSL calls.
void check_openssl(int result, const char* call) {
    if (result == 1) return;
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    throw SystemError(std::string(call) + ": " + reason.data());
}

}  // namespace

struct Sha256::State {
    State() : context(EVP_MD_CTX_new()) {
        if (context == nullptr) throw SystemError("EVP_MD_CTX_new: out of memory");
    }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    check_openssl(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr), "EVP_DigestInit_ex");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
    if (!state_) throw InternalError("Sha256::update: the digest was already taken");
    check_openssl(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()),
                  "EVP_DigestUpdate");
}

std::string Sha256::hex_digest() {
    if (!state_) throw InternalError("Sha256::hex_digest: the digest was already taken");
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    check_openssl(EVP_DigestFinal_ex(state_->context, digest.data(), &size), "EVP_DigestFinal_ex");
    state_.reset();
    static constexpr std::string_view kHex = "0123456789abcdef";
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
        hex += kHex[digest[i] >> 4];
        hex += kHex[digest[i] & 15];
    }
    return hex;
}

std::string sha256(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.hex_digest();
}

std::string sha256_file(const std::string& path) {
    auto close = [](std::FILE* file) { std::fclose(file); };
    std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
    if (!file) throw SystemError(path + ": cannot open: " + std::strerror(errno));
    Sha256 hash;
    std::vector<char> buffer(1 << 20);
    errno = 0;
    while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get()))
        hash.update({buffer.data(), got});
    if (std::ferror(file.get())) throw SystemError(path + ": cannot read: " + std::strerror(errno));
    return hash.hex_digest();
}

}  // namespace muster
