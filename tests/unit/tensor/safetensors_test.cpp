#include <doctest/doctest.h>

#include <limits>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/tensor/checkpoint.h"
#include "safetensors_bytes.h"

using namespace muster;
using test::safetensors_bytes;

namespace {

// The complaint about a file with these bytes, without its path.
std::string problem_of(std::string_view bytes) {
    test::TemporaryFolder folder;
    std::string path = folder.write("a.safetensors", bytes);
    std::string message = test::error_message<UserError>([&] { SafeTensorsFile file(path); });
    std::string prefix = path + ": ";
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}
std::string problem_of(std::string_view header, std::string_view data) {
    return problem_of(safetensors_bytes(header, data));
}
const std::string kNothing = "nothing was thrown";

}  // namespace

// Made by safetensors 0.8.0:
//   save({"b": torch.tensor([[1, 2], [3, 4]], dtype=torch.int8),
//         "a": torch.tensor([1.5, -2], dtype=torch.bfloat16),
//         "s": torch.tensor(7, dtype=torch.int64)}, metadata={"format": "pt"})
TEST_CASE("a file written by safetensors itself") {
    const std::string header =
        R"({"__metadata__":{"format":"pt"},"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
        R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},)"
        R"("b":{"dtype":"I8","shape":[2,2],"data_offsets":[12,16]}}     )";
    const std::string data("\x07\0\0\0\0\0\0\0\xC0\x3F\0\xC0\x01\x02\x03\x04", 16);
    test::TemporaryFolder folder;
    std::string path = folder.write("a.safetensors", safetensors_bytes(header, data));
    SafeTensorsFile file(path);
    CHECK(file.metadata().at("format") == "pt");
    REQUIRE(file.tensors().size() == 3);
    const StoredTensor& a = file.tensors()[1];
    CHECK(a.name == "a");
    CHECK(a.dtype_name == "BF16");
    CHECK(a.shape == Shape{2});
    CHECK(a.file == path);
    REQUIRE(a.bytes.size() == 4);
    CHECK(std::to_integer<int>(a.bytes[0]) == 0xC0);
    CHECK(std::to_integer<int>(file.tensors()[2].bytes[3]) == 4);
    CHECK(file.tensors()[0].shape.empty());
    CHECK(float_dtype_of(a) == DType::bf16);
    CHECK(test::error_message<UserError>([&] { float_dtype_of(file.tensors()[0]); }) ==
          path + ": tensor \"s\" has dtype I64; weights are read in F32, F16 and BF16");
}

TEST_CASE("views outlive a moved file") {
    test::TemporaryFolder folder;
    const char* header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
    SafeTensorsFile file(folder.write("a.safetensors", safetensors_bytes(header, "x")));
    SafeTensorsFile moved = std::move(file);
    CHECK(std::to_integer<char>(moved.tensors()[0].bytes[0]) == 'x');
}

TEST_CASE("empty tensors and empty files of tensors are allowed") {
    CHECK(problem_of("{}", "") == kNothing);
    CHECK(problem_of(R"({"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
                     R"("f":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                     R"("g":{"dtype":"F64","shape":[3,0],"data_offsets":[2,2]}})",
                     "xy") == kNothing);
}

TEST_CASE("every dtype of the format has its size") {
    const std::pair<const char*, int> types[] = {
        {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
        {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
        {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
    for (const auto& [name, bytes] : types) {
        std::string header = cat(R"({"t":{"dtype":")", name, R"(","shape":[3],"data_offsets":[0,)",
                                 3 * bytes, "]}}");
        CHECK(problem_of(header, std::string(static_cast<std::size_t>(3 * bytes), 'x')) ==
              kNothing);
    }
}

TEST_CASE("broken frames are refused") {
    CHECK(problem_of("").find("it has 0 bytes, fewer than 8") != std::string::npos);
    CHECK(problem_of("1234567").find("it has 7 bytes") != std::string::npos);
    CHECK(
        problem_of(std::string(8, '\xFF')).find("18446744073709551615 bytes; at most 100000000") !=
        std::string::npos);
    CHECK(problem_of(std::string("\x10\0\0\0\0\0\0\0{}", 10)).starts_with("truncated: the header"));
    CHECK(problem_of(std::string(8, '\0')) == "the header is not a JSON object");
    CHECK(problem_of("[]", "") == "the header is not a JSON object");
    CHECK(problem_of(" {}", "") == "the header is not a JSON object");
    CHECK(problem_of("{", "").find("header:1:") != std::string::npos);
    CHECK(problem_of("{}", "x") == "1 bytes after the last tensor belong to none");
    CHECK(problem_of(R"({"__metadata__":{"a":1}})", "") ==
          "__metadata__ entry \"a\" is not a string");
    CHECK(problem_of(R"({"__metadata__":[]})", "") == "__metadata__ is not an object");
}

TEST_CASE("broken entries are refused with the tensor's name") {
    const std::pair<const char*, const char*> cases[] = {
        {R"(3)", "its entry is not an object"},
        {R"({"shape":[4],"data_offsets":[0,4]})", "dtype is missing or not a string"},
        {R"({"dtype":"F99","shape":[4],"data_offsets":[0,4]})", "unknown dtype \"F99\""},
        {R"({"dtype":"U8","data_offsets":[0,4]})", "shape is not an array of sizes"},
        {R"({"dtype":"U8","shape":[-4],"data_offsets":[0,4]})", "shape is not an array of sizes"},
        {R"({"dtype":"U8","shape":[4.0],"data_offsets":[0,4]})", "shape is not an array of sizes"},
        {R"({"dtype":"U8","shape":[4]})", "data_offsets is not [begin, end]"},
        {R"({"dtype":"U8","shape":[4],"data_offsets":[0]})", "data_offsets is not [begin, end]"},
        {R"({"dtype":"U8","shape":[4],"data_offsets":[-1,3]})", "data_offsets is not [begin, end]"},
        {R"({"dtype":"U8","shape":[4],"data_offsets":[4,0]})",
         "data_offsets [4, 0] lie outside the 4 bytes of data"},
        {R"({"dtype":"U8","shape":[5],"data_offsets":[0,5]})",
         "data_offsets [0, 5] lie outside the 4 bytes of data"},
        {R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})",
         "F32 [2] takes 8 bytes, but data_offsets span 4"},
        {R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1})",
         "unknown key \"x\" in its entry"},
        {R"({"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,4]})",
         "shape [4294967296, 4294967296] is too large"},
        {R"({"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]})",
         "shape is not an array of sizes"},
    };
    for (const auto& [entry, expected] : cases) {
        CAPTURE(expected);
        CHECK(problem_of(cat(R"({"t":)", entry, "}"), "abcd") == cat("tensor \"t\": ", expected));
    }
}

TEST_CASE("tensors must cover the data once") {
    auto two = [](int begin_a, int end_a, int begin_b, int end_b) {
        return problem_of(
            cat(R"({"a":{"dtype":"U8","shape":[)", end_a - begin_a, R"(],"data_offsets":[)",
                begin_a, ",", end_a, R"(]},"b":{"dtype":"U8","shape":[)", end_b - begin_b,
                R"(],"data_offsets":[)", begin_b, ",", end_b, "]}}"),
            "0123456789");
    };
    CHECK(two(0, 4, 4, 10) == kNothing);
    CHECK(two(4, 10, 0, 4) == kNothing);
    CHECK(two(0, 5, 4, 10) ==
          "tensor \"b\" begins at byte 4 of the data; expected 5 (it overlaps the one before)");
    CHECK(two(0, 4, 5, 10) ==
          "tensor \"b\" begins at byte 5 of the data; expected 4 (there is a gap before it)");
    CHECK(two(1, 4, 4, 10).find("tensor \"a\" begins at byte 1") == 0);
    CHECK(two(0, 4, 4, 9) == "1 bytes after the last tensor belong to none");
    CHECK(two(0, 10, 0, 10).find("overlaps") != std::string::npos);
    CHECK(problem_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                     R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                     "xy")
              .find("key \"a\" appears twice") != std::string::npos);
}
