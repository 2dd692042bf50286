#include <fnmatch.h>

#include <algorithm>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"

namespace muster {

namespace fs = std::filesystem;

namespace {

// Below a `**` no deeper than this: a guard against directories mounted into themselves.
constexpr int kMaxDepth = 64;

bool has_wildcard(std::string_view text) {
    return text.find_first_of("*?[") != text.npos;
}

std::vector<std::string> entries_of(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(directory.empty() ? "." : directory, error), end;
    for (; !error && entry != end; entry.increment(error))
        names.push_back(entry->path().filename().string());
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory)
        throw UserError(directory + ": cannot list: " + error.message());
    return names;
}

bool is_directory(const std::string& path) {
    std::error_code error;
    return fs::is_directory(path.empty() ? "." : path, error);
}

// Matches components[i..] below `base`, which is "" or ends with a slash.
void expand(const std::string& base, const std::vector<std::string>& components, std::size_t i,
            int depth, std::vector<std::string>& found) {
    if (i == components.size()) return;
    const std::string& component = components[i];
    bool last = i + 1 == components.size();
    auto accept = [&](const std::string& path) {
        if (!last) return expand(path + "/", components, i + 1, depth, found);
        std::error_code error;
        if (fs::exists(path, error) && !fs::is_directory(path, error)) found.push_back(path);
    };
    if (component == "**") {
        std::vector<std::string> rest{"*"};
        if (last)
            expand(base, rest, 0, depth, found);  // a final ** means every file below
        else
            expand(base, components, i + 1, depth, found);
        if (depth >= kMaxDepth) return;
        for (const std::string& name : entries_of(base)) {
            std::error_code error;
            bool link = fs::is_symlink(base + name, error);
            if (name[0] != '.' && !link && is_directory(base + name))
                expand(base + name + "/", components, i, depth + 1, found);
        }
    } else if (!has_wildcard(component)) {
        accept(base + component);
    } else {
        for (const std::string& name : entries_of(base))
            if (fnmatch(component.c_str(), name.c_str(), FNM_PERIOD) == 0) accept(base + name);
    }
}

}  // namespace

std::vector<std::string> glob_files(const std::string& pattern) {
    std::error_code error;
    std::vector<std::string> found;
    if (!has_wildcard(pattern)) {
        if (fs::exists(pattern, error)) found.push_back(pattern);
        return found;
    }
    bool absolute = pattern.starts_with('/');
    std::vector<std::string> components;
    for (std::string& part : split(pattern, '/'))
        if (!part.empty()) components.push_back(std::move(part));
    expand(absolute ? "/" : "", components, 0, 0, found);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

}  // namespace muster
