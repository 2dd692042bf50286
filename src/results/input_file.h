#pragma once
// An HDF5 file that is not trusted. Nothing is followed out of the file (soft and external links,
// external and virtual storage), and no size is believed before it is compared with what the file
// really stores. Errors here say what is wrong; result_reader.cpp adds where.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hdf5_api.h"
#include "muster/results/table.h"

namespace muster {

class InputFile {
 public:
    /// Throws UserError (complete with the path) if it cannot be opened.
    explicit InputFile(const std::string& path);

    std::uint64_t size_bytes() const { return size_bytes_; }
    bool exists(const std::string& path) const;
    /// Names below a group as stored; datasets only if `datasets_only`. In order of creation if
    /// `by_creation` and the group knows it, else by name.
    std::vector<std::string> members(const std::string& path, bool datasets_only,
                                     bool by_creation) const;
    Handle open_dataset(const std::string& path) const;
    /// The attribute if the object at `path` has it. Throws UserError if there is no such object.
    std::optional<Handle> open_attribute(const std::string& path, const std::string& name) const;

    /// Dimensions of a dataset whose elements take `element_bytes`, at most two, believable.
    std::vector<hsize_t> checked_dims(hid_t dataset, std::size_t element_bytes) const;

 private:
    Handle open_group(const std::string& path) const;
    Handle open_object(const std::string& path) const;
    void check_chunk(hid_t dataset, hid_t list) const;

    std::uint64_t size_bytes_ = 0;
    Handle file_;
};

/// The value of a text attribute.
std::string read_text_attribute(hid_t attribute);
std::int64_t read_integer_attribute(hid_t attribute);
double read_real_attribute(hid_t attribute);

/// The content of a column without its name; `file` bounds what is believed.
Column read_column_data(const InputFile& file, hid_t dataset);
/// The text of a scalar string dataset.
std::string read_scalar_text(const InputFile& file, hid_t dataset);
std::vector<SummaryRow> read_summary_data(const InputFile& file, hid_t dataset);

}  // namespace muster
