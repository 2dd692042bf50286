#include "task_selector.h"

#include <algorithm>
#include <filesystem>

#include "group_spec.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

namespace fs = std::filesystem;

Object merged(const Object& base, const Object& overrides) {
    Object result = base;
    for (const auto& [key, value] : overrides.members()) result.set(key, value);
    return result;
}

Object without(Object object, std::initializer_list<std::string_view> keys) {
    for (std::string_view key : keys) object.erase(key);
    return object;
}

bool has_wildcard(const std::string& pattern) {
    return pattern.find_first_of("*?") != std::string::npos;
}

}  // namespace

void TaskSelector::add(const TaskRequest& request) {
    request_overrides_ = request.overrides;
    add_pattern(request.pattern, {}, "");
}

TaskSelector::Names TaskSelector::add_pattern(const std::string& pattern, const Object& overrides,
                                              const std::string& wanted_by) {
    if (catalogue_.definitions.contains(pattern)) return add_name(pattern, overrides);
    if (const auto tag = catalogue_.tags.find(pattern); tag != catalogue_.tags.end()) {
        const Names tasks = tag->second;
        for (const std::string& task : tasks) add_name(task, overrides);
        return tasks;
    }
    if (has_wildcard(pattern)) {
        Names matching;
        for (const auto& [name, definition] : catalogue_.definitions)
            if (matches_glob(pattern, name)) matching.push_back(name);
        for (const std::string& name : matching) add_name(name, overrides);
        if (!matching.empty()) return matching;
    }
    std::error_code error;
    if (fs::is_regular_file(pattern, error)) return add_file(pattern, overrides);
    throw_unknown(pattern, wanted_by);
}

TaskSelector::Names TaskSelector::add_name(const std::string& name, const Object& overrides) {
    const TaskDefinition definition = catalogue_.definitions.at(name);
    if (!definition.also_in.empty())
        throw UserError(cat("task \"", name, "\" is defined twice: in ", definition.file,
                            " and in ", definition.also_in));
    if (definition.is_group)
        add_group(name, definition.content, definition.file, overrides);
    else
        add_task(name, definition.content, definition.file, overrides);
    return {name};
}

TaskSelector::Names TaskSelector::add_file(const std::string& path, const Object& overrides) {
    const Object content = load_task_file(path);
    const Value* group = content.find("group");
    if (group != nullptr && group->is_string()) {
        // A group given by path may have its members beside it.
        TaskCatalogue beside;
        const std::string folder = fs::path(path).parent_path().string();
        scan_task_folder(beside, folder.empty() ? "." : folder, false);
        for (auto& [name, definition] : beside.definitions)
            catalogue_.definitions.try_emplace(name, std::move(definition));
        index_tags(catalogue_);
        add_group(group->as_string(), content, path, overrides);
        return {group->as_string()};
    }
    const Value* task = content.find("task");
    if (task == nullptr || !task->is_string())
        throw UserError(cat(path, ": neither a task (key \"task\") nor a group (key \"group\")"));
    add_task(task->as_string(), content, path, overrides);
    return {task->as_string()};
}

void TaskSelector::add_task(const std::string& name, const Object& content, const std::string& file,
                            const Object& overrides) {
    Object resolved = merged(merged(content, overrides), request_overrides_);
    resolved.set("task", name);
    const auto [it, inserted] = chosen_.emplace(name, Value(resolved));
    if (!inserted) {
        if (it->second == Value(resolved)) return;
        throw UserError(
            cat("task \"", name, "\" is asked for twice with different settings",
                open_groups_.empty() ? "" : cat(", once in group ", open_groups_.back()),
                "; give one of them another name"));
    }
    selection_.tasks.push_back(read_task_spec(Value(std::move(resolved)), file));
}

void TaskSelector::add_group(const std::string& name, const Object& content,
                             const std::string& file, const Object& overrides) {
    if (std::find(open_groups_.begin(), open_groups_.end(), name) != open_groups_.end())
        throw UserError(cat(file, ": group \"", name,
                            "\" contains itself: ", join(open_groups_, " → "), " → ", name));
    open_groups_.push_back(name);
    const Object defaults = without(
        content, {"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"});
    const Object member_overrides = merged(defaults, overrides);
    GroupSpec group = read_group_spec(name, content, file);
    const Value* members = content.find("task");
    Array list;
    if (members != nullptr && members->is_string()) list.push_back(*members);
    if (members != nullptr && members->is_array()) list = members->as_array();
    if (list.empty())
        throw UserError(
            cat(file, ": group \"", name, "\": /task: expected a list of tasks and groups"));
    for (const Value& member : list)
        for (const std::string& added : add_member(member, name, file, member_overrides))
            if (std::find(group.members.begin(), group.members.end(), added) == group.members.end())
                group.members.push_back(added);
    open_groups_.pop_back();
    for (const GroupSpec& other : selection_.groups)
        if (other.name == name)
            return;  // reached by two ways; its tasks were checked to be the same
    selection_.groups.push_back(std::move(group));
}

TaskSelector::Names TaskSelector::add_member(const Value& member, const std::string& group,
                                             const std::string& file, const Object& overrides) {
    const std::string place = cat(file, ": group \"", group, "\"");
    if (member.is_string()) return add_pattern(member.as_string(), overrides, place);
    const Value* subgroup = member.find("group");
    const Value* name = subgroup != nullptr ? subgroup : member.find("task");
    if (name == nullptr || !name->is_string())
        throw UserError(cat(place, ": /task: expected names, {task: name, …} or {group: name, …}"));
    const std::string& key = name->as_string();
    const bool known = catalogue_.definitions.contains(key) || catalogue_.tags.contains(key);
    if (subgroup != nullptr && !known) {
        const std::string inline_name = cat(group, "::", key);
        add_group(inline_name, merge_includes(member.as_object(), file), file, overrides);
        return {inline_name};
    }
    const Object own = without(member.as_object(), {"task", "group"});
    if (known) return add_pattern(key, merged(overrides, own), place);
    const Object content = merged(overrides, merge_includes(own, file));
    if (!content.contains("dataset_path")) throw_unknown(key, place);  // no definition either
    const std::string inline_name = cat(group, "::", key);
    add_task(inline_name, content, file, {});
    return {inline_name};
}

void TaskSelector::throw_unknown(const std::string& name, const std::string& wanted_by) const {
    for (const auto& [file, why] : catalogue_.broken)
        if (fs::path(file).stem() == name) throw UserError(why);
    std::string message = wanted_by.empty() ? "" : cat(wanted_by, ": ");
    message += has_wildcard(name)
                   ? cat("no task matches \"", name, "\"")
                   : cat("unknown task \"", name, "\"", did_you_mean(name, catalogue_.names()));
    if (!catalogue_.broken.empty())
        message +=
            cat("; ", catalogue_.broken.size(),
                " task files could not be read, the first: ", catalogue_.broken.begin()->second);
    throw UserError(message);
}

}  // namespace muster
