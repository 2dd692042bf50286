// Reading and indexing task files, as lm-evaluation-harness 0.4.13 does it
// (lm_eval/tasks/_yaml_loader.py, _index.py).
#include "task_catalogue.h"

#include <algorithm>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

namespace muster {

namespace {

namespace fs = std::filesystem;

/// Larger .json files are data that lie beside the tasks.
constexpr std::uintmax_t kMaxTaskFileBytes = 4 << 20;

using Stack = std::vector<std::string>;

Object load_with_includes(const std::string& path, Stack& stack);

Object merge_with(const Object& content, const std::string& file, Stack& stack) {
    const Value* include = content.find("include");
    if (include == nullptr) return content;
    if (!include->is_string() && !include->is_array())
        throw UserError(cat(file, ": /include: expected a file or a list of files, got ",
                            kind_name(include->kind())));
    Object merged;
    for (const std::string& name : string_or_list(include)) {
        const fs::path included =
            fs::path(name).is_absolute() ? fs::path(name) : fs::path(file).parent_path() / name;
        if (!fs::is_regular_file(included))
            throw UserError(cat(file, ": /include: no file ", included.string()));
        const Object below = load_with_includes(included.string(), stack);
        for (const auto& [key, value] : below.members()) merged.set(key, value);
    }
    for (const auto& [key, value] : content.members())
        if (key != "include") merged.set(key, value);  // own keys win
    return merged;
}

Object load_with_includes(const std::string& path, Stack& stack) {
    const std::string canonical = fs::weakly_canonical(path).string();
    if (std::find(stack.begin(), stack.end(), canonical) != stack.end())
        throw UserError(cat(stack.front(), ": /include: the files include each other: ",
                            join(stack, " → "), " → ", canonical));
    stack.push_back(canonical);
    const Value content = parse_config_file(path, DuplicateKeys::last_wins);
    if (!content.is_object())
        throw UserError(
            cat(path, ": expected an object with keys, got ", kind_name(content.kind())));
    Object merged = merge_with(content.as_object(), path, stack);
    stack.pop_back();
    return merged;
}

std::vector<std::string> task_files(const std::string& folder, bool recursive) {
    std::vector<std::string> files;
    const auto consider = [&](const fs::directory_entry& entry) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".yaml" && extension != ".yml" && extension != ".json") return;
        std::error_code error;
        if (!entry.is_regular_file(error) ||
            (extension == ".json" && entry.file_size(error) > kMaxTaskFileBytes))
            return;
        files.push_back(entry.path().string());
    };
    if (recursive) {
        for (auto it = fs::recursive_directory_iterator(
                 folder, fs::directory_options::skip_permission_denied);
             it != fs::recursive_directory_iterator(); ++it) {
            if (it->path().filename().string().starts_with(".") && it->is_directory())
                it.disable_recursion_pending();
            consider(*it);
        }
    } else {
        for (const fs::directory_entry& entry : fs::directory_iterator(folder)) consider(entry);
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// The name that a file defines, or "" for files that are only included by others.
std::string defined_name(const Object& content, bool& is_group) {
    const Value* group = content.find("group");
    const Value* task = content.find("task");
    is_group = group != nullptr && group->is_string() && !content.contains("class");
    if (is_group) return group->as_string();
    return task != nullptr && task->is_string() ? task->as_string() : "";
}

}  // namespace

std::vector<std::string> string_or_list(const Value* value) {
    std::vector<std::string> strings;
    if (value == nullptr) return strings;
    if (value->is_string()) strings.push_back(value->as_string());
    if (value->is_array())
        for (const Value& element : value->as_array())
            if (element.is_string()) strings.push_back(element.as_string());
    return strings;
}

Object load_task_file(const std::string& path) {
    Stack stack;
    return load_with_includes(path, stack);
}

Object merge_includes(const Object& content, const std::string& file) {
    Stack stack;
    return merge_with(content, file, stack);
}

std::vector<std::string> TaskCatalogue::names() const {
    std::vector<std::string> all;
    for (const auto& [name, definition] : definitions) all.push_back(name);
    for (const auto& [tag, tasks] : tags) all.push_back(tag);
    return all;
}

void scan_task_folder(TaskCatalogue& catalogue, const std::string& folder, bool recursive) {
    if (!fs::is_directory(folder)) throw UserError(cat("task folder ", folder, ": not a folder"));
    std::map<std::string, TaskDefinition> found;
    for (const std::string& file : task_files(folder, recursive)) {
        try {
            TaskDefinition definition;
            definition.file = file;
            definition.content = load_task_file(file);
            const std::string name = defined_name(definition.content, definition.is_group);
            if (name.empty()) continue;
            const auto [it, inserted] = found.emplace(name, std::move(definition));
            if (!inserted) it->second.also_in = file;
        } catch (const UserError& error) {
            catalogue.broken[file] = error.what();
        }
    }
    for (auto& [name, definition] : found) catalogue.definitions[name] = std::move(definition);
    index_tags(catalogue);
}

void index_tags(TaskCatalogue& catalogue) {
    catalogue.tags.clear();
    for (const auto& [name, definition] : catalogue.definitions) {
        if (definition.is_group) continue;
        for (const std::string& tag : string_or_list(definition.content.find("tag")))
            if (!catalogue.definitions.contains(tag)) catalogue.tags[tag].push_back(name);
    }
}

}  // namespace muster
