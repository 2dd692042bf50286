#include "muster/task/dataset.h"

#include <filesystem>

#include "dataset_files.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

namespace muster {

namespace {

/// json, csv or tsv: what dataset_path says, else what the file's extension says.
std::string format_of(const TaskSpec& spec, const std::string& path) {
    if (is_file_format(spec.dataset_path)) return spec.dataset_path;
    const std::string extension = std::filesystem::path(path).extension().string();
    if (extension == ".csv" || extension == ".tsv") return extension.substr(1);
    return "json";
}

std::vector<Value> rows_of_field(std::string_view text, const std::string& field,
                                 const std::string& path) {
    const Value document = parse_json(text, path);
    const Value* rows = document.find(field);
    if (rows == nullptr || !rows->is_array())
        throw UserError(cat(path, ": dataset_kwargs/field: no list of rows under \"", field, "\""));
    return parse_json_rows(to_json(*rows), cat(path, ": field ", field));
}

std::vector<Value> read_rows(const TaskSpec& spec, const std::string& path) {
    const std::string text = read_file(path);
    const std::string format = format_of(spec, path);
    if (format == "json")
        return spec.dataset_options.field.empty()
                   ? parse_json_rows(text, path)
                   : rows_of_field(text, spec.dataset_options.field, path);
    DatasetOptions options = spec.dataset_options;
    if (options.separator == '\0') options.separator = format == "tsv" ? '\t' : ',';
    return parse_csv(text, options, path);
}

}  // namespace

Split load_split(const TaskSpec& spec, const std::string& split, const std::string& data_dir) {
    Split loaded;
    loaded.files = find_split_files(spec, split, data_dir);
    for (const std::string& path : loaded.files) {
        std::vector<Value> rows = read_rows(spec, path);
        loaded.rows.insert(loaded.rows.end(), std::make_move_iterator(rows.begin()),
                           std::make_move_iterator(rows.end()));
    }
    return loaded;
}

}  // namespace muster
