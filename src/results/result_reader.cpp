#include <functional>

#include "checksum.h"
#include "input_file.h"
#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/results/result_file.h"

namespace muster {

struct ResultReader::State {
    std::string path;
    InputFile file;

    /// Runs `step`; whatever fails in it is the file's fault and is reported with file and object.
    template <typename Step>
    auto at(const std::string& object, Step step) const {
        try {
            return step();
        } catch (const UserError& error) {
            throw UserError(cat(path, ": ", object, ": ", error.what()));
        } catch (const SystemError& error) {
            throw UserError(cat(path, ": ", object, ": cannot be read: ", error.what()));
        }
    }

    void check_sum(const std::string& object, const std::string& actual) const {
        const auto attribute = file.open_attribute(object, "sha256");
        if (!attribute) throw UserError("has no checksum (attribute sha256)");
        if (read_text_attribute(*attribute) != actual) {
            throw UserError("does not fit its checksum; the file was damaged or changed");
        }
    }

    /// `name` as stored, that is, escaped.
    Column read_column(const std::string& group, const std::string& name, bool check) const {
        const std::string object = cat(group == "/" ? "" : group, '/', name);
        return at(object, [&] {
            Column column = read_column_data(file, file.open_dataset(object));
            column.name = unescape_name(name);
            if (const auto description = file.open_attribute(object, "description")) {
                column.description = read_text_attribute(*description);
            }
            if (check) check_sum(object, checksum(column));
            return column;
        });
    }

    template <typename Read>
    auto read_attribute(const std::string& object, const std::string& name, Read read) const {
        using Value = decltype(read(hid_t{}));
        return at(cat(object, '@', name), [&]() -> std::optional<Value> {
            const auto attribute = file.open_attribute(object, name);
            if (!attribute) return std::nullopt;
            return read(*attribute);
        });
    }
};

ResultReader::ResultReader(const std::string& path)
    : state_(std::make_unique<State>(State{path, InputFile(path)})) {
    if (read_string_attribute("/", "format") != "muster result") {
        throw UserError(cat(path, ": is an HDF5 file, but no result file of muster"));
    }
    const auto version = read_integer_attribute("/", "schema_version");
    if (version != kResultSchemaVersion) {
        throw UserError(cat(path, ": has schema version ",
                            version ? std::to_string(*version) : "none", ", expected ",
                            kResultSchemaVersion));
    }
}

ResultReader::~ResultReader() = default;

bool ResultReader::exists(const std::string& path) const {
    return state_->at(path, [&] { return state_->file.exists(path); });
}

std::vector<std::string> ResultReader::members(const std::string& path) const {
    if (!exists(path)) return {};
    return state_->at(path, [&] {
        auto names = state_->file.members(path, false, false);
        for (auto& name : names) name = unescape_name(name);
        return names;
    });
}

std::vector<Column> ResultReader::read_columns(const std::string& path, bool check) const {
    const auto names = state_->at(path, [&] { return state_->file.members(path, true, true); });
    std::vector<Column> columns;
    for (const auto& name : names) {
        columns.push_back(state_->read_column(path, name, check));
        if (columns.back().rows() != columns.front().rows()) {
            throw UserError(cat(state_->path, ": ", path, ": column ", columns.back().name, " has ",
                                columns.back().rows(), " rows, column ", columns.front().name,
                                " has ", columns.front().rows()));
        }
    }
    return columns;
}

Column ResultReader::read_column(const std::string& group, const std::string& name) const {
    return state_->read_column(group, escape_name(name), true);
}

std::vector<SummaryRow> ResultReader::read_summary(const std::string& path) const {
    return state_->at(path, [&] {
        auto rows = read_summary_data(state_->file, state_->file.open_dataset(path));
        state_->check_sum(path, checksum(rows));
        return rows;
    });
}

std::string ResultReader::read_text(const std::string& path) const {
    return state_->at(path, [&] {
        std::string text = read_scalar_text(state_->file, state_->file.open_dataset(path));
        state_->check_sum(path, sha256(text));
        return text;
    });
}

std::optional<std::string> ResultReader::read_string_attribute(const std::string& path,
                                                               const std::string& name) const {
    return state_->read_attribute(path, name, read_text_attribute);
}

std::optional<std::int64_t> ResultReader::read_integer_attribute(const std::string& path,
                                                                 const std::string& name) const {
    return state_->read_attribute(path, name, muster::read_integer_attribute);
}

std::optional<double> ResultReader::read_real_attribute(const std::string& path,
                                                        const std::string& name) const {
    return state_->read_attribute(path, name, muster::read_real_attribute);
}

}  // namespace muster
