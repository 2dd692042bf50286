// Files are not trusted: whatever they hold, the reader answers with UserError or with what was
// written.

#include <doctest/doctest.h>
#include <hdf5.h>

#include <fstream>
#include <functional>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "sample_file.h"

using namespace muster;
using namespace muster::test;

namespace {

std::string opening(const std::string& path) {
    return error_message<UserError>([&] { const ResultReader reader(path); });
}

/// A valid result file to which `change` does something with the HDF5 library.
void write_changed_file(const std::string& path, const std::function<void(hid_t)>& change) {
    write_sample_file(path);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    REQUIRE(file >= 0);
    change(file);
    H5Fclose(file);
}

/// Makes a dataset `name` of `dims` without writing it.
void make_dataset(hid_t file, const char* name, hid_t type, std::vector<hsize_t> dims,
                  hid_t creation = H5P_DEFAULT) {
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    CHECK(dataset >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
}

hid_t chunked(std::vector<hsize_t> chunk) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
    return list;
}

void read_everything(const std::string& path) {
    const ResultReader reader(path);
    reader.read_summary("/summary");
    reader.read_columns("/tasks/mmlu/samples");
    reader.read_text("/run/config");
    reader.members("/tasks");
    reader.read_string_attribute("/tasks/mmlu", "output_type");
    reader.read_integer_attribute("/tasks/mmlu", "num_fewshot");
    reader.read_real_attribute("/tasks/mmlu", "weight");
}

}  // namespace

TEST_CASE("files that are no result files") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    CHECK(contains(opening(path), "x.h5: there is no such file"));
    CHECK(contains(opening(folder.path()), "is no regular file"));
    write_file_atomically(path, "");
    CHECK(contains(opening(path), "x.h5: cannot be opened as an HDF5 file"));
    write_file_atomically(path, "{\"not\": \"hdf5\"}");
    CHECK(contains(opening(path), "x.h5: cannot be opened as an HDF5 file"));

    H5Fclose(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    CHECK(contains(opening(path), "no result file of muster"));
    write_changed_file(path, [](hid_t file) { H5Adelete(file, "schema_version"); });
    CHECK(contains(opening(path), "has schema version none, expected 1"));
    {
        ResultWriter writer(path, true);
        writer.write_attribute("/", "schema_version", std::int64_t{2});
        writer.commit();
    }
    CHECK(contains(opening(path), "has schema version 2, expected 1"));
    {
        ResultWriter writer(path, true);
        writer.write_attribute("/", "format", std::int64_t{2});
        writer.commit();
    }
    CHECK(contains(opening(path), "/@format: expected one string"));
}

TEST_CASE("objects that are missing or of another kind") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    write_sample_file(path);
    const ResultReader reader(path);
    const auto refusal = [](auto step) { return error_message<UserError>(step); };
    CHECK(contains(refusal([&] { reader.read_columns("/tasks/none"); }),
                   "x.h5: /tasks/none: there is no such object"));
    CHECK(contains(refusal([&] { reader.read_columns("/summary"); }), "expected a group"));
    CHECK(contains(refusal([&] { reader.members("/summary"); }), "expected a group"));
    CHECK(contains(refusal([&] { reader.read_column("/tasks", "mmlu"); }), "expected a dataset"));
    CHECK(contains(refusal([&] { reader.read_column("/", "summary"); }), "its type is none of"));
    CHECK(contains(refusal([&] { reader.read_column("/run", "config"); }), "is a single value"));
    CHECK(contains(refusal([&] { reader.read_summary("/run/config"); }), "a compound type"));
    CHECK(contains(refusal([&] { reader.read_text("/tasks/mmlu/samples/acc"); }),
                   "a string of variable length"));
    CHECK(contains(refusal([&] { reader.read_text("/tasks/mmlu/samples/prompt"); }),
                   "a single value"));
    CHECK(contains(refusal([&] { reader.read_string_attribute("/none", "a"); }), "no such object"));
}

TEST_CASE("datasets that claim more than they hold") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    const hsize_t huge = hsize_t{1} << 60;
    write_changed_file(path, [&](hid_t file) {
        const hid_t small_chunks = chunked({1000}), large_chunks = chunked({hsize_t{1} << 28});
        const hid_t pairs = chunked({1, 100});
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, H5T_VARIABLE);
        make_dataset(file, "/run/numbers", H5T_STD_I64LE, {huge}, small_chunks);
        make_dataset(file, "/run/contiguous", H5T_IEEE_F64LE, {1 << 20});
        make_dataset(file, "/run/texts", text, {huge}, small_chunks);
        make_dataset(file, "/run/chunk", H5T_STD_U8LE, {hsize_t{1} << 28}, large_chunks);
        make_dataset(file, "/run/overflow", H5T_STD_I64LE, {huge, 100}, pairs);
        make_dataset(file, "/run/cube", H5T_STD_I64LE, {1, 1, 1});
        make_dataset(file, "/run/no_width", H5T_STD_I64LE, {5, 0});
        make_dataset(file, "/run/short", H5T_STD_I32LE, {1});
        H5Tclose(text);
        for (const hid_t list : {small_chunks, large_chunks, pairs}) H5Pclose(list);
    });
    const ResultReader reader(path);
    const auto refusal = [&](const char* name) {
        return error_message<UserError>([&] { reader.read_column("/run", name); });
    };
    CHECK(contains(refusal("numbers"), "claims more values than its 0 stored bytes can hold"));
    CHECK(contains(refusal("contiguous"), "claims more values"));
    CHECK(contains(refusal("texts"), "claims more values"));
    CHECK(contains(refusal("chunk"), "claims chunks larger"));
    CHECK(contains(refusal("overflow"), "claims more values"));
    CHECK(contains(refusal("cube"), "has 3 dimensions"));
    CHECK(contains(refusal("no_width"), "has rows of no values"));
    CHECK(contains(refusal("short"), "x.h5: "));
}

TEST_CASE("nothing is followed out of the file") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    write_sample_file(folder / "other.h5");
    write_changed_file(path, [&](hid_t file) {
        H5Lcreate_soft("/summary", file, "/run/soft", H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_external((folder / "other.h5").c_str(), "/tasks", file, "/run/external",
                           H5P_DEFAULT, H5P_DEFAULT);
        const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_external(list, (folder / "other.h5").c_str(), 0, 80);
        make_dataset(file, "/run/elsewhere", H5T_STD_I64LE, {10}, list);
        H5Pclose(list);
    });
    const ResultReader reader(path);
    const auto refusal = [](auto step) { return error_message<UserError>(step); };
    CHECK(contains(refusal([&] { reader.read_summary("/run/soft"); }), "soft or external link"));
    CHECK(contains(refusal([&] { reader.members("/run/external"); }), "soft or external link"));
    CHECK(contains(refusal([&] { reader.exists("/run/external/mmlu"); }), "soft or external"));
    CHECK(contains(refusal([&] { reader.members("/run"); }), "soft or external link"));
    CHECK(contains(refusal([&] { reader.read_column("/run", "elsewhere"); }), "another file"));
}

TEST_CASE("summaries with missing or strange members") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    struct Row {
        const char* task;
        double value;
    };
    write_changed_file(path, [](hid_t file) {
        H5Ldelete(file, "/summary", H5P_DEFAULT);
        const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(Row));
        H5Tinsert(type, "task", HOFFSET(Row, value), H5T_NATIVE_DOUBLE);
        make_dataset(file, "/summary", type, {1});
        H5Tclose(type);
    });
    const ResultReader reader(path);
    CHECK(contains(error_message<UserError>([&] { reader.read_summary("/summary"); }),
                   "x.h5: /summary: its member task has another type than expected"));
    write_changed_file(path, [](hid_t file) {
        H5Ldelete(file, "/summary", H5P_DEFAULT);
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, H5T_VARIABLE);
        const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(Row));
        H5Tinsert(type, "task", HOFFSET(Row, task), text);
        make_dataset(file, "/summary", type, {1});
        H5Tclose(type);
        H5Tclose(text);
    });
    const ResultReader second(path);
    CHECK(contains(error_message<UserError>([&] { second.read_summary("/summary"); }),
                   "its type has no member metric"));
}

TEST_CASE("columns of different length in one group") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    {
        ResultWriter writer(path, true);
        writer.write_columns("/g", {{"a", "", std::vector<std::int64_t>{1}, 0}});
        writer.write_columns("/g", {{"b", "", std::vector<std::int64_t>{1, 2}, 0}});
        writer.commit();
    }
    CHECK(contains(error_message<UserError>([&] { ResultReader(path).read_columns("/g"); }),
                   "/g: column b has 2 rows, column a has 1"));
}

TEST_CASE("changed content does not fit its checksum") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    write_changed_file(path, [](hid_t file) {
        const hid_t dataset = H5Dopen2(file, "/tasks/mmlu/samples/acc", H5P_DEFAULT);
        const double values[3] = {1, 1, 1};
        H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        H5Dclose(dataset);
        H5Adelete_by_name(file, "/tasks/mmlu/samples/status", "sha256", H5P_DEFAULT);
    });
    const ResultReader reader(path);
    CHECK(contains(error_message<UserError>([&] { reader.read_columns("/tasks/mmlu/samples"); }),
                   "x.h5: /tasks/mmlu/samples/acc: does not fit its checksum"));
    CHECK(contains(
        error_message<UserError>([&] { reader.read_column("/tasks/mmlu/samples", "status"); }),
        "has no checksum"));
    CHECK(reader.read_columns("/tasks/mmlu/samples", false).size() == sample_columns().size());
}

TEST_CASE("a file that was cut short") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.h5";
    write_sample_file(path);
    const std::string whole = read_file(path);
    for (std::size_t length = 0; length < whole.size(); length += 97) {
        std::ofstream(path, std::ios::binary) << whole.substr(0, length);
        CAPTURE(length);
        CHECK(contains(error_message<UserError>([&] { read_everything(path); }), "x.h5: "));
    }
}
