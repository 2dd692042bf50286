// Strings are stored with variable length, so that any HDF5 reader shows them as text; numbers
// carry a Fletcher32 checksum per chunk, and every dataset the SHA-256 of its content as attribute.

#include <algorithm>
#include <deque>
#include <functional>

#include "checksum.h"
#include "muster/base/error.h"
#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/results/result_file.h"
#include "open_file.h"
#include "output_file.h"
#include "summary_type.h"

namespace muster {

namespace {

constexpr std::size_t kChunkBytes = 1 << 18;

/// Chunks of whole rows; no chunks where there is nothing to store.
Handle make_layout(const std::vector<hsize_t>& dims, std::size_t element_bytes, bool fixed_size) {
    Handle list = make_creation_list(H5P_DATASET_CREATE);
    if (dims[0] == 0) return list;
    std::vector<hsize_t> chunk = dims;
    const std::size_t row_bytes = element_bytes * (dims.size() > 1 ? dims[1] : 1);
    chunk[0] = std::clamp<hsize_t>(kChunkBytes / row_bytes, 1, dims[0]);
    check_hdf5(H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data()), "H5Pset_chunk");
    if (fixed_size) check_hdf5(H5Pset_fletcher32(list), "H5Pset_fletcher32");
    return list;
}

std::vector<hsize_t> dims_of(const Column& column) {
    std::vector<hsize_t> dims{static_cast<hsize_t>(column.rows())};
    if (column.width > 0) dims.push_back(static_cast<hsize_t>(column.width));
    return dims;
}

/// Strings in the form in which they can be stored; copies only those that must change.
class StorableStrings {
 public:
    explicit StorableStrings(const std::vector<std::string>& strings) {
        pointers_.reserve(strings.size());
        views_.reserve(strings.size());
        for (const auto& text : strings) {
            const std::string& stored =
                is_storable_text(text) ? text : changed_.emplace_back(storable_text(text));
            pointers_.push_back(stored.c_str());
            views_.push_back(stored);
        }
    }
    const char* const* pointers() const { return pointers_.data(); }
    const std::vector<std::string_view>& views() const { return views_; }

 private:
    std::deque<std::string> changed_;
    std::vector<const char*> pointers_;
    std::vector<std::string_view> views_;
};

struct NumberTypes {
    hid_t file, memory;
};
NumberTypes types_of(const std::vector<std::int64_t>&) {
    return {H5T_STD_I64LE, H5T_NATIVE_INT64};
}
NumberTypes types_of(const std::vector<double>&) {
    return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
}
NumberTypes types_of(const std::vector<std::uint8_t>&) {
    return {H5T_STD_U8LE, H5T_NATIVE_UINT8};
}

}  // namespace

struct ResultWriter::State {
    std::string path, temporary;
    std::optional<OpenFile> file;

    /// Runs `step`; names file and object in its errors, after which nothing is left of the file.
    void at(const std::string& object, const std::function<void()>& step) {
        if (!file) throw InternalError(cat(path, ": written to after its end"));
        try {
            step();
        } catch (const SystemError& error) {
            file.reset();
            throw SystemError(cat(path, ": cannot be written: ", object, ": ", error.what()));
        }
    }

    void describe(hid_t dataset, const std::string& description, const std::string& sha256) {
        file->set_text_attribute(dataset, "description", description);
        file->set_text_attribute(dataset, "sha256", sha256);
    }

    template <typename T>
    void write_values(const std::string& where, const Column& column,
                      const std::vector<T>& values) {
        const auto dims = dims_of(column);
        const auto types = types_of(values);
        const Handle dataset =
            file->create_dataset(where, types.file, dims, make_layout(dims, sizeof(T), true));
        if (!values.empty()) file->write(dataset, types.memory, values.data());
        describe(dataset, column.description, checksum(column));
    }

    void write_values(const std::string& where, const Column& column,
                      const std::vector<std::string>& values) {
        const auto dims = dims_of(column);
        const Handle type = make_string_type();
        const Handle dataset =
            file->create_dataset(where, type, dims, make_layout(dims, 16, false));
        const StorableStrings strings(values);
        if (!values.empty()) file->write(dataset, type, strings.pointers());
        describe(dataset, column.description,
                 checksum(strings.views(), column.rows(), column.width));
    }
};

void ResultWriter::check_writable(const std::string& path, bool overwrite) {
    check_output(path, overwrite);
}

ResultWriter::ResultWriter(const std::string& path, bool overwrite)
    : state_(std::make_unique<State>()) {
    check_output(path, overwrite);
    state_->path = path;
    state_->temporary = path + ".tmp";
    try {
        state_->file.emplace(state_->temporary);
    } catch (const SystemError& error) {
        throw SystemError(cat(path, ": cannot be written: ", error.what()));
    }
    write_attribute("/", "format", "muster result");
    write_attribute("/", "schema_version", std::int64_t{kResultSchemaVersion});
}

ResultWriter::~ResultWriter() = default;

void ResultWriter::write_group(const std::string& path, const std::string& description) {
    state_->at(path, [&] {
        const Handle group = state_->file->open_group(path);
        state_->file->set_text_attribute(group, "description", description);
    });
}

void ResultWriter::write_columns(const std::string& path, const std::vector<Column>& columns) {
    state_->at(path, [&] { state_->file->open_group(path); });
    for (const Column& column : columns) {
        if (column.rows() != columns.front().rows()) {
            throw InternalError(cat(path, ": column ", column.name, " has ", column.rows(),
                                    " rows, column ", columns.front().name, " has ",
                                    columns.front().rows()));
        }
        const std::string where = child_path(path, column.name);
        state_->at(where, [&] {
            std::visit([&](const auto& values) { state_->write_values(where, column, values); },
                       column.data);
        });
    }
}

void ResultWriter::write_summary(const std::string& path, const std::vector<SummaryRow>& rows) {
    std::vector<SummaryRow> storable = rows;
    std::vector<StoredSummaryRow> stored;
    for (SummaryRow& row : storable) {
        for (std::string* text : {&row.task, &row.metric, &row.filter}) {
            *text = storable_text(*text);
        }
        stored.push_back({row.task.c_str(), row.metric.c_str(), row.filter.c_str(), row.value,
                          row.stderr_value, row.n, static_cast<std::int8_t>(row.higher_is_better),
                          static_cast<std::int8_t>(row.is_group)});
    }
    state_->at(path, [&] {
        const Handle type = make_summary_type();
        const Handle packed(check_hdf5(H5Tcopy(type), "H5Tcopy"), H5Tclose);
        check_hdf5(H5Tpack(packed), "H5Tpack");
        const std::vector<hsize_t> dims{stored.size()};
        const Handle dataset = state_->file->create_dataset(
            path, packed, dims, make_layout(dims, sizeof(StoredSummaryRow), false));
        if (!stored.empty()) state_->file->write(dataset, type, stored.data());
        state_->describe(dataset, "One row per task or group, metric and filter",
                         checksum(storable));
    });
}

void ResultWriter::write_text(const std::string& path, const std::string& text) {
    state_->at(path, [&] {
        const Handle type = make_string_type();
        const Handle dataset =
            state_->file->create_dataset(path, type, {}, make_creation_list(H5P_DATASET_CREATE));
        const std::vector<std::string> texts{text};
        const StorableStrings stored(texts);
        state_->file->write(dataset, type, stored.pointers());
        state_->file->set_text_attribute(dataset, "sha256", sha256(stored.views().front()));
    });
}

void ResultWriter::write_attribute(const std::string& path, const std::string& name,
                                   const std::string& value) {
    state_->at(cat(path, '@', name), [&] {
        state_->file->set_text_attribute(state_->file->open_object(path), name, value);
    });
}

void ResultWriter::write_attribute(const std::string& path, const std::string& name,
                                   std::int64_t value) {
    state_->at(cat(path, '@', name), [&] {
        state_->file->set_attribute(state_->file->open_object(path), name, H5T_STD_I64LE,
                                    H5T_NATIVE_INT64, &value);
    });
}

void ResultWriter::write_attribute(const std::string& path, const std::string& name, double value) {
    state_->at(cat(path, '@', name), [&] {
        state_->file->set_attribute(state_->file->open_object(path), name, H5T_IEEE_F64LE,
                                    H5T_NATIVE_DOUBLE, &value);
    });
}

void ResultWriter::commit() {
    state_->at("commit", [&] {
        state_->file->close();
        publish_file(state_->temporary, state_->path);
        state_->file->keep();
    });
    state_->file.reset();
}

}  // namespace muster
