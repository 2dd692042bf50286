#pragma once
// Names, globs, paths, tags and groups → the tasks of a run: lm-evaluation-harness 0.4.13,
// lm_eval/tasks/_factory.py.

#include <map>
#include <string>
#include <vector>

#include "muster/task/task_library.h"
#include "task_catalogue.h"

namespace muster {

class TaskSelector {
 public:
    explicit TaskSelector(TaskCatalogue catalogue) : catalogue_(std::move(catalogue)) {}

    void add(const TaskRequest& request);
    TaskSelection finish() { return std::move(selection_); }

 private:
    using Names = std::vector<std::string>;

    /// `overrides` are settings that groups give their members; those of the request come after all
    /// of them. Each adds what it names, unless that is there already, and returns the names of the
    /// tasks and groups added.
    Names add_pattern(const std::string& pattern, const Object& overrides,
                      const std::string& wanted_by);
    Names add_name(const std::string& name, const Object& overrides);
    Names add_file(const std::string& path, const Object& overrides);
    Names add_member(const Value& member, const std::string& group, const std::string& file,
                     const Object& overrides);
    void add_task(const std::string& name, const Object& content, const std::string& file,
                  const Object& overrides);
    void add_group(const std::string& name, const Object& content, const std::string& file,
                   const Object& overrides);
    [[noreturn]] void throw_unknown(const std::string& name, const std::string& wanted_by) const;

    TaskCatalogue catalogue_;
    TaskSelection selection_;
    std::map<std::string, Value> chosen_;  ///< resolved content by task name
    Object request_overrides_;
    Names open_groups_;  ///< from the outermost to the innermost
};

}  // namespace muster
