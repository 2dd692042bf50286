#include "muster/task/task_library.h"

#include <algorithm>

#include "muster/base/text.h"
#include "task_catalogue.h"
#include "task_selector.h"

namespace muster {

namespace {

std::string text_of(const Object& content, std::string_view key, std::string fallback) {
    const Value* value = content.find(key);
    return value != nullptr && value->is_string() ? value->as_string() : fallback;
}

std::string describe(const TaskDefinition& definition) {
    const Object& content = definition.content;
    if (definition.is_group) {
        const Value* members = content.find("task");
        const std::size_t count =
            members != nullptr && members->is_array() ? members->as_array().size() : 1;
        return cat("group of ", count, count == 1 ? " member" : " members");
    }
    const Value* shots = content.find("num_fewshot");
    return cat(text_of(content, "output_type", "generate_until"), ", ",
               shots != nullptr && shots->is_integer() ? shots->as_integer() : 0, "-shot");
}

}  // namespace

TaskLibrary::TaskLibrary(const std::vector<std::string>& folders) {
    auto catalogue = std::make_shared<TaskCatalogue>();
    for (const std::string& folder : folders) scan_task_folder(*catalogue, folder, true);
    catalogue_ = std::move(catalogue);
}

std::vector<LibraryEntry> TaskLibrary::entries() const {
    std::vector<LibraryEntry> entries;
    for (const auto& [name, definition] : catalogue_->definitions)
        entries.push_back(
            {name, definition.is_group ? "group" : "task", definition.file, describe(definition)});
    for (const auto& [tag, tasks] : catalogue_->tags)
        entries.push_back(
            {tag, "tag", "", cat(tasks.size(), tasks.size() == 1 ? " task" : " tasks")});
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
}

TaskSelection TaskLibrary::select(const std::vector<TaskRequest>& requests) const {
    TaskSelector selector(*catalogue_);
    for (const TaskRequest& request : requests) selector.add(request);
    return selector.finish();
}

}  // namespace muster
