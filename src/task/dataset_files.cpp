#include "dataset_files.h"

#include <filesystem>
#include <set>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"

namespace muster {

namespace {

namespace fs = std::filesystem;

std::string expand(std::string pattern, const TaskSpec& spec) {
    constexpr std::string_view kName = "{dataset_name}";
    for (std::size_t at; (at = pattern.find(kName)) != std::string::npos;)
        pattern.replace(at, kName.size(), spec.dataset_name);
    if (!spec.dataset_options.data_dir.empty() && !fs::path(pattern).is_absolute())
        pattern = (fs::path(spec.dataset_options.data_dir) / pattern).string();
    return pattern;
}

/// The patterns of `split` in data_files. A plain pattern is the split "train", as in the
/// `datasets` library, or the only split that the task names.
std::vector<std::string> patterns_of(const TaskSpec& spec, const std::string& split) {
    const auto texts = [](const Value& value) {
        std::vector<std::string> patterns;
        if (value.is_string()) return std::vector<std::string>{value.as_string()};
        for (const Value& element : value.as_array()) patterns.push_back(element.as_string());
        return patterns;
    };
    const std::string place =
        cat(spec.source_file, ": task ", spec.name, ": dataset_kwargs/data_files");
    if (spec.data_files.is_object()) {
        if (const Value* value = spec.data_files.find(split)) return texts(*value);
        std::vector<std::string> known;
        for (const auto& [name, unused] : spec.data_files.as_object().members())
            known.push_back(name);
        throw UserError(
            cat(place, ": no files for split \"", split, "\"; given: ", join(known, ", ")));
    }
    std::set<std::string> splits;
    for (const std::string& name : {spec.training_split, spec.validation_split, spec.test_split,
                                    spec.fewshot_split, spec.fewshot.split})
        if (!name.empty()) splits.insert(name);
    if (split != "train" && splits.size() > 1)
        throw UserError(cat(place, ": one pattern for several splits; write {", split,
                            ": pattern, …} to say which files are \"", split, "\""));
    return texts(spec.data_files);
}

std::vector<std::string> find_pattern(const TaskSpec& spec, const std::string& split,
                                      const std::string& pattern, const std::string& data_dir) {
    std::vector<std::string> tried;
    const fs::path expanded = expand(pattern, spec);
    if (!expanded.is_absolute() && !data_dir.empty())
        tried.push_back((fs::path(data_dir) / expanded).string());
    tried.push_back(expanded.string());
    if (!expanded.is_absolute()) {
        const std::string beside = (fs::path(spec.source_file).parent_path() / expanded).string();
        if (beside != tried.back()) tried.push_back(beside);
    }
    for (const std::string& candidate : tried) {
        std::vector<std::string> files = glob_files(candidate);
        if (!files.empty()) return files;
    }
    throw UserError(cat("task ", spec.name, ": split \"", split, "\": no file matches \"",
                        expanded.string(), "\"; searched: ", join(tried, ", "),
                        data_dir.empty() ? "; give the folder of the data with --data-dir" : ""));
}

/// Folders below data_dir where a dataset of the hub may lie, most specific first.
std::vector<fs::path> hub_folders(const TaskSpec& spec, const std::string& data_dir) {
    const fs::path full = fs::path(data_dir) / spec.dataset_path;
    const fs::path last = fs::path(data_dir) / fs::path(spec.dataset_path).filename();
    std::vector<fs::path> folders;
    for (const fs::path& base : {full, last})
        if (!spec.dataset_name.empty()) folders.push_back(base / spec.dataset_name);
    // A folder without the configuration's name cannot tell its configurations apart, "default" and
    // "main" excepted.
    if (spec.dataset_name.empty() || spec.dataset_name == "default" || spec.dataset_name == "main")
        for (const fs::path& base : {full, last}) folders.push_back(base);
    return folders;
}

/// Files of the hub dataset's split in `folder` with extension `extension`: <split>.<ext>,
/// <split>-*.<ext>, <split>_*.<ext>, <split>/*.<ext>.
std::vector<std::string> hub_files(const fs::path& folder, const std::string& split,
                                   const std::string& extension) {
    for (const std::string& form : {cat(split, ".", extension), cat(split, "-*.", extension),
                                    cat(split, "_*.", extension), cat(split, "/*.", extension)}) {
        std::vector<std::string> files = glob_files((folder / form).string());
        if (!files.empty()) return files;
    }
    return {};
}

std::vector<std::string> find_hub_split(const TaskSpec& spec, const std::string& split,
                                        const std::string& data_dir) {
    const std::string place =
        cat("task ", spec.name, ": dataset ", spec.dataset_path, ", split \"", split, "\"");
    const fs::path path(spec.dataset_path);
    for (const fs::path& part : path)
        if (part == ".." || path.is_absolute())
            throw UserError(cat(place,
                                ": expected json, csv, tsv or the name of a dataset; "
                                "files go under dataset_kwargs: {data_files: …}"));
    if (data_dir.empty())
        throw UserError(
            cat(place,
                ": muster downloads nothing; give the folder that holds the data with --data-dir"));
    std::vector<std::string> searched;
    std::string parquet;
    for (const fs::path& folder : hub_folders(spec, data_dir)) {
        for (const char* extension : {"jsonl", "json", "csv", "tsv"}) {
            std::vector<std::string> files = hub_files(folder, split, extension);
            if (!files.empty()) return files;
        }
        searched.push_back((folder / cat(split, "{.,-*.,_*.,/*.}{jsonl,json,csv,tsv}")).string());
        const std::vector<std::string> found = hub_files(folder, split, "parquet");
        if (!found.empty()) parquet = found.front();
    }
    throw UserError(cat(
        place, ": not found; searched: ", join(searched, ", "),
        parquet.empty() ? ""
                        : cat("; ", parquet,
                              " is there, but parquet is not read yet: convert it to JSON Lines")));
}

}  // namespace

bool is_file_format(const std::string& dataset_path) {
    return dataset_path == "json" || dataset_path == "csv" || dataset_path == "tsv";
}

std::vector<std::string> find_split_files(const TaskSpec& spec, const std::string& split,
                                          const std::string& data_dir) {
    if (spec.dataset_path == "parquet" || spec.dataset_path == "arrow")
        throw UserError(cat(spec.source_file, ": task ", spec.name, ": dataset_path ",
                            spec.dataset_path, " is not read yet; expected json, csv or tsv"));
    if (spec.data_files.is_null()) {
        if (!is_file_format(spec.dataset_path)) return find_hub_split(spec, split, data_dir);
        throw UserError(cat(spec.source_file, ": task ", spec.name, ": dataset_path ",
                            spec.dataset_path, " needs dataset_kwargs: {data_files: {", split,
                            ": pattern}}"));
    }
    std::vector<std::string> files;
    for (const std::string& pattern : patterns_of(spec, split)) {
        const std::vector<std::string> found = find_pattern(spec, split, pattern, data_dir);
        files.insert(files.end(), found.begin(), found.end());
    }
    return files;
}

}  // namespace muster
