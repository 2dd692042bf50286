#include "muster/tensor/checkpoint.h"

#include <doctest/doctest.h>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "safetensors_bytes.h"

using namespace muster;

namespace {

const char* kIndex = "model.safetensors.index.json";

// A file with one tensor of `text`'s bytes.
std::string one_tensor(const std::string& name, const std::string& text) {
    return test::safetensors_bytes(cat(R"({")", name, R"(":{"dtype":"U8","shape":[)", text.size(),
                                       R"(],"data_offsets":[0,)", text.size(), "]}}"),
                                   text);
}
// The complaint about the folder, without its path.
std::string problem_of(const test::TemporaryFolder& folder) {
    std::string message = test::error_message<UserError>([&] { Checkpoint::open(folder.path()); });
    return message.starts_with(folder.path()) ? message.substr(folder.path().size()) : message;
}

}  // namespace

TEST_CASE("a single file") {
    test::TemporaryFolder folder;
    std::string path = folder.write("model.safetensors", one_tensor("w", "abc"));
    Checkpoint checkpoint = Checkpoint::open(folder.path());
    CHECK(checkpoint.directory() == folder.path());
    CHECK(checkpoint.files() == std::vector<std::string>{path});
    CHECK(checkpoint.names() == std::vector<std::string>{"w"});
    CHECK(checkpoint.total_bytes() == 3);
    REQUIRE(checkpoint.find("w") != nullptr);
    CHECK(checkpoint.find("w")->shape == Shape{3});
    CHECK(checkpoint.find("v") == nullptr);
}

TEST_CASE("shards are found through the index, and views survive a move") {
    test::TemporaryFolder folder;
    folder.write("b.safetensors", one_tensor("w.b", "bb"));
    folder.write("a.safetensors", one_tensor("w.a", "aaa"));
    folder.write(kIndex, R"({"metadata":{"total_size":5},
        "weight_map":{"w.b":"b.safetensors","w.a":"a.safetensors"}})");
    Checkpoint opened = Checkpoint::open(folder.path());
    Checkpoint checkpoint = std::move(opened);
    CHECK(checkpoint.files().size() == 2);
    CHECK(checkpoint.files()[0] == folder.path() + "/a.safetensors");
    CHECK(checkpoint.names() == std::vector<std::string>{"w.a", "w.b"});
    CHECK(checkpoint.total_bytes() == 5);
    CHECK(checkpoint.find("w.b")->file == folder.path() + "/b.safetensors");
    CHECK(std::to_integer<char>(checkpoint.find("w.b")->bytes[1]) == 'b');
}

TEST_CASE("folders without safetensors are refused with a hint") {
    test::TemporaryFolder folder;
    CHECK(problem_of(folder) == ": no model.safetensors and no model.safetensors.index.json");
    folder.write("pytorch_model.bin", "x");
    CHECK(problem_of(folder).find("safe_serialization=True") != std::string::npos);
    CHECK(test::error_message<UserError>([&] { Checkpoint::open(folder.path() + "/no"); }) ==
          folder.path() + "/no: no such directory; expected a Hugging Face checkpoint");
}

TEST_CASE("an index may only name files beside it that hold its tensors") {
    for (const char* name : {"\"../x\"", "\"/etc/passwd\"", "\"..\"", "\"\"", "3", "\"a/b\""}) {
        test::TemporaryFolder folder;
        folder.write(kIndex, cat(R"({"weight_map":{"w":)", name, "}}"));
        CHECK(problem_of(folder) == cat("/", kIndex, ": /weight_map/w: ", name,
                                        " is not the name of a file in this directory"));
    }
    test::TemporaryFolder folder;
    folder.write(kIndex, R"({"weight_map":{"w":"a.safetensors"}})");
    CHECK(problem_of(folder).find("/weight_map names a.safetensors, which is not there") !=
          std::string::npos);
    folder.write("a.safetensors", one_tensor("v", "x"));
    CHECK(problem_of(folder).find("/weight_map/w: a.safetensors has no such tensor") !=
          std::string::npos);
    folder.write("b.safetensors", one_tensor("w", "x"));
    folder.write(kIndex, R"({"weight_map":{"w":"a.safetensors","v":"b.safetensors"}})");
    CHECK(problem_of(folder).find("a.safetensors has no such tensor; it is in ") !=
          std::string::npos);
    folder.write("b.safetensors", one_tensor("v", "x"));
    CHECK(problem_of(folder).find("/b.safetensors: tensor \"v\" is also in ") == 0);
}

TEST_CASE("an index without a map is refused") {
    for (const char* text : {"{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})", "x"}) {
        test::TemporaryFolder folder;
        folder.write(kIndex, text);
        CHECK(problem_of(folder).starts_with(cat("/", kIndex, ":")));
    }
}
