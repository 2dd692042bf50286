#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

std::string reason() {
    return std::strerror(errno);
}

std::string folder_of(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

void sync_path(const std::string& path, int flags) {
    const int file = open(path.c_str(), flags | O_CLOEXEC);
    if (file < 0) throw SystemError(cat(path, ": cannot be opened for syncing: ", reason()));
    // Some file systems cannot sync a folder and say EINVAL.
    const bool synced = fsync(file) == 0 || ((flags & O_DIRECTORY) != 0 && errno == EINVAL);
    const std::string why = synced ? "" : reason();
    close(file);
    if (!synced) throw SystemError(cat(path, ": cannot be synced: ", why));
}

}  // namespace

void check_output(const std::string& path, bool overwrite) {
    namespace fs = std::filesystem;
    if (path.empty()) throw UserError("the name of the result file is empty");
    std::error_code ignored;
    const auto status = fs::status(path, ignored);
    if (fs::is_directory(status)) throw UserError(cat(path, ": is a folder, expected a file"));
    if (fs::exists(status) && !fs::is_regular_file(status)) {
        throw UserError(cat(path, ": is no regular file"));
    }
    if (fs::exists(status) && !overwrite) {
        throw UserError(cat(path, ": exists already; choose another name or give --overwrite"));
    }
    const std::string folder = folder_of(path);
    if (!fs::is_directory(folder, ignored)) {
        throw UserError(cat(path, ": there is no folder ", folder, "; make it first"));
    }
    const std::string probe = cat(path, ".probe-", getpid());
    const int file = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) throw UserError(cat(path, ": cannot be written: ", reason()));
    close(file);
    unlink(probe.c_str());
}

void publish_file(const std::string& from, const std::string& to) {
    sync_path(from, O_RDONLY);
    if (std::rename(from.c_str(), to.c_str()) != 0) {
        throw SystemError(cat(from, ": cannot be renamed to ", to, ": ", reason()));
    }
    sync_path(folder_of(to), O_RDONLY | O_DIRECTORY);
}

}  // namespace muster
