#pragma once
// What the task files of some folders define.

#include <map>
#include <string>
#include <vector>

#include "muster/config/value.h"

namespace muster {

struct TaskDefinition {
    std::string file;
    bool is_group = false;
    Object content;       ///< with its includes merged
    std::string also_in;  ///< another file of the same folder that defines the name; "" if none
};

struct TaskCatalogue {
    std::map<std::string, TaskDefinition> definitions;     ///< by name of task or group
    std::map<std::string, std::vector<std::string>> tags;  ///< tag → sorted task names
    std::map<std::string, std::string> broken;             ///< file → why it could not be read

    /// Names of definitions and tags.
    std::vector<std::string> names() const;
};

/// Adds what the files below `folder` define; earlier definitions of the same names are replaced.
void scan_task_folder(TaskCatalogue& catalogue, const std::string& folder, bool recursive);
/// Recomputes `tags` from the definitions.
void index_tags(TaskCatalogue& catalogue);
/// A task file with its includes merged below its own keys. Throws UserError.
Object load_task_file(const std::string& path);
/// Merges what `content` includes, relative to the folder of `file`. Throws UserError.
Object merge_includes(const Object& content, const std::string& file);
/// The strings of a value that is a string or a list of strings; others are left out.
std::vector<std::string> string_or_list(const Value* value);

}  // namespace muster
