#include <algorithm>
#include <iostream>

#include "cli/options.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/task/task.h"
#include "muster/task/task_library.h"

namespace po = boost::program_options;

namespace muster {

namespace {

std::vector<std::string> task_folders(const Options& options) {
    std::vector<std::string> folders;
    if (const std::string data = data_folder(); !data.empty()) folders.push_back(data + "/tasks");
    for (const std::string& folder : split(options.string_or("task-path", ""), ','))
        if (!folder.empty()) folders.push_back(folder);
    return folders;
}

void list_tasks(const TaskLibrary& library) {
    std::size_t width = 4;
    const std::vector<LibraryEntry> entries = library.entries();
    for (const LibraryEntry& entry : entries) width = std::max(width, entry.name.size());
    for (const LibraryEntry& entry : entries)
        std::cout << entry.name << std::string(width - entry.name.size() + 2, ' ') << entry.kind
                  << std::string(7 - entry.kind.size(), ' ') << entry.description << "\n";
}

void show_task(const TaskSpec& spec, const Options& options) {
    std::cout << spec.name << " (" << name_of(spec.output_type) << ", " << spec.num_fewshot
              << "-shot) from " << spec.source_file << "\n\n"
              << to_json(spec.resolved, 2) << "\n\n";
    const Task task = Task::load(spec, options.string_or("data-dir", ""));
    const std::int64_t doc = parse_integer("--doc", options.get<std::string>("doc"));
    if (doc < 0 || static_cast<std::size_t>(doc) >= task.num_documents())
        throw UserError(cat("--doc ", doc, ": task ", spec.name, " has documents 0 to ",
                            static_cast<std::int64_t>(task.num_documents()) - 1));
    const Sample sample = task.build({doc + 1, 1234}).back();
    std::cout << task.num_documents() << " documents; prompt of document " << sample.doc_id << ":\n"
              << std::string(80, '-') << "\n"
              << sample.prompt << "\n"
              << std::string(80, '-') << "\n";
    if (!sample.error.empty()) std::cout << "error: " << sample.error << "\n";
    for (std::size_t i = 0; i < sample.choices.size(); ++i)
        std::cout << (std::find(sample.gold.begin(), sample.gold.end(),
                                static_cast<std::int64_t>(i)) != sample.gold.end()
                          ? "* "
                          : "  ")
                  << to_json(sample.choices[i]) << "\n";
    if (!sample.target.empty()) std::cout << "target: " << to_json(sample.target) << "\n";
}

}  // namespace

int tasks_command(const Arguments& arguments) {
    po::options_description description("Options", 110);
    description.add_options()("task-path", po::value<std::string>()->value_name("DIR,DIR"),
                              "more folders with task files")(
        "data-dir", po::value<std::string>()->value_name("DIR"),
        "folder of the datasets (default: the working directory)")(
        "doc", po::value<std::string>()->value_name("N")->default_value("0"),
        "document whose prompt is shown");
    const Options options(arguments, "tasks [NAME] [options]",
                          "Lists the tasks, groups and tags that a run can name, or shows one "
                          "task: its definition and a rendered prompt.",
                          description, {"name"});
    if (options.help()) {
        std::cout << options.help_text();
        return 0;
    }
    const TaskLibrary library(task_folders(options));
    if (!options.has("name")) {
        list_tasks(library);
        return 0;
    }
    const TaskSelection selection = library.select({{options.get<std::string>("name"), {}}});
    for (const GroupSpec& group : selection.groups)
        std::cout << "group " << group.name << ": " << join(group.members, ", ") << "\n";
    if (!selection.groups.empty()) std::cout << "\nIts first task:\n";
    show_task(selection.tasks.front(), options);
    return 0;
}

}  // namespace muster
