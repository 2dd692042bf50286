#pragma once
// What a piece of code writes to standard error.

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "../temporary_folder.h"
#include "muster/base/file.h"

namespace muster::test {

/// Runs `work` with standard error led into a file and returns the file's content.
inline std::string stderr_of(const std::function<void()>& work) {
    TemporaryFolder folder;
    std::string path = folder.write("stderr", "");
    int saved = dup(STDERR_FILENO), file = open(path.c_str(), O_WRONLY | O_APPEND);
    dup2(file, STDERR_FILENO);
    work();
    dup2(saved, STDERR_FILENO);
    close(file);
    close(saved);
    return read_file(path);
}

}  // namespace muster::test
