#include "muster/base/hash.h"

#include <doctest/doctest.h>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "crc32c.h"
#include "muster/base/error.h"

using namespace muster;

// Digests: FIPS 180-4 examples, as sha256sum of GNU coreutils prints them.
TEST_CASE("sha256 of known texts") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("pieces hash like the whole, and a digest is taken once") {
    std::string text(100000, 'm');
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += 777)
        hash.update(std::string_view(text).substr(at, 777));
    Sha256 moved = std::move(hash);
    CHECK(moved.hex_digest() == sha256(text));
    CHECK_THROWS_AS(moved.hex_digest(), InternalError);
    CHECK_THROWS_AS(moved.update("x"), InternalError);
}

TEST_CASE("sha256_file reads the whole file and names one that it cannot read") {
    test::TemporaryFolder folder;
    std::string text(3 << 20, 'x');
    CHECK(sha256_file(folder.write("a", text)) == sha256(text));
    std::string missing = folder.path() + "/missing";
    std::string message = test::error_message<SystemError>([&] { sha256_file(missing); });
    CHECK(message == missing + ": cannot open: No such file or directory");
    CHECK_THROWS_AS(sha256_file(folder.path()), SystemError);
}

// RFC 3720, appendix B.4.
TEST_CASE("crc32c of known texts") {
    CHECK(crc32c("123456789") == 0xE3069283u);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
    CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);
    CHECK(crc32c("") == 0);
}

TEST_CASE("crc32c continues from a seed, and the fast one equals the table") {
    std::string text;
    for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7 + i / 13);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        std::string_view head = std::string_view(text).substr(0, cut);
        std::uint32_t seed = crc32c(head);
        CHECK(seed == crc32c_table(head, 0));
        CHECK(crc32c(std::string_view(text).substr(cut), seed) == crc32c_table(text, 0));
    }
}
