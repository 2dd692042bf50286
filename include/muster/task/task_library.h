#pragma once
// The task files that a run can name: those installed with muster and those of --task-path folders.

#include <memory>
#include <string>
#include <vector>

#include "muster/config/value.h"
#include "muster/task/task_spec.h"

namespace muster {

/// What the user asked for: a name, a glob ("mmlu_*"), a path of a task file, or a tag, with
/// overrides of task keys.
struct TaskRequest {
    std::string pattern;
    Object overrides;  ///< num_fewshot, limit-free task keys as in the file
};

/// The tasks of a run in order, each once, and the groups that aggregate them (children before
/// parents).
struct TaskSelection {
    std::vector<TaskSpec> tasks;
    std::vector<GroupSpec> groups;
};

struct LibraryEntry {
    std::string name;
    std::string kind;  ///< "task", "group" or "tag"
    std::string file;
    std::string description;  ///< output type and shots, or members
};

class TaskLibrary {
 public:
    /// Scans `folders` (recursively, *.yaml *.yml *.json; later folders win over earlier ones). A
    /// file that cannot be parsed is an error only when something it defines is asked for. Throws
    /// UserError if a folder does not exist.
    explicit TaskLibrary(const std::vector<std::string>& folders);

    /// All entries, sorted by name.
    std::vector<LibraryEntry> entries() const;
    /// Resolves names, globs, paths, groups (nested, with inline overrides) and tags; `include` is
    /// followed. Throws UserError for an unknown name (with suggestions) or a cycle.
    TaskSelection select(const std::vector<TaskRequest>& requests) const;

 private:
    std::shared_ptr<const struct TaskCatalogue> catalogue_;
};

}  // namespace muster
