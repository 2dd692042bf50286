// The disk fills up at any point: one clear error, nothing left, and HDF5 still in order. A limit
// on the size of files stands for the disk wherever the test runs; a real full file system is tried
// where one can be mounted.

#include <doctest/doctest.h>
#include <hdf5.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "sample_file.h"

using namespace muster;
using namespace muster::test;

namespace {

/// Files cannot grow beyond `bytes` while this object lives.
class FileSizeLimit {
 public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
    void (*handler_)(int);
    rlimit before_{};
};

/// Objects inside files that HDF5 still has open. (A file may stay open: HDF5 1.10 cannot close one
/// whose flush failed. That it does not crash on it at exit is seen in the exit code of this
/// program.)
ssize_t open_objects() {
    return H5Fget_obj_count(H5F_OBJ_ALL,
                            H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_DATATYPE | H5F_OBJ_ATTR);
}

void write_large_file(const std::string& path) {
    ResultWriter writer(path, false);
    for (int task = 0; task < 3; ++task) {
        const std::string group = "/tasks/t" + std::to_string(task) + "/samples";
        std::vector<std::string> texts;
        for (int i = 0; i < 400; ++i) texts.push_back("prompt number " + std::to_string(i));
        writer.write_columns(group, {{"prompt", "text", texts, 0},
                                     {"ll", "numbers", std::vector<double>(1600, -1.0), 4}});
        writer.write_text("/run/config" + std::to_string(task), std::string(5000, 'c'));
    }
    writer.write_summary("/summary", sample_summary());
    writer.commit();
}

}  // namespace

TEST_CASE("a disk that is full at any point") {
    const TemporaryFolder folder;
    const std::string path = folder / "out.h5";
    write_large_file(path);
    const auto full_size = static_cast<rlim_t>(std::filesystem::file_size(path));
    std::filesystem::remove(path);

    for (rlim_t limit = 0; limit < full_size; limit += 1013) {
        CAPTURE(limit);
        std::string message;
        {
            const FileSizeLimit guard(limit);
            message = error_message<SystemError>([&] { write_large_file(path); });
        }
        CHECK(contains(message, path + ": cannot be written: "));
        CHECK(contains(message, "File too large"));
        CHECK_FALSE(contains(message, "\n"));
        CHECK(folder.content().empty());
        CHECK(open_objects() == 0);
    }
    write_large_file(path);
    CHECK(ResultReader(path).read_summary("/summary") == sample_summary());
}

TEST_CASE("a real file system that is full") {
    const TemporaryFolder folder;
    if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
        MESSAGE("did not run: no file system can be mounted here");
        return;
    }
    const std::string path = folder / "out.h5";
    const auto message = error_message<SystemError>([&] { write_large_file(path); });
    CHECK(contains(message, path + ": cannot be written: "));
    CHECK(contains(message, "No space left on device"));
    CHECK(folder.content().empty());
    CHECK(open_objects() == 0);
    umount(folder.path().c_str());
}
