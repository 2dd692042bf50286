#pragma once
// The HDF5 file that a ResultWriter is filling.

#include <string>
#include <vector>

#include "hdf5_api.h"

namespace muster {

class OpenFile {
 public:
    /// Creates or truncates `path`.
    explicit OpenFile(const std::string& path);
    /// Gives the file up (see detach()) if it is still open, and removes it.
    ~OpenFile();
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    hid_t id() const { return file_; }
    /// Makes the group `path` and those above it where they are missing, and opens it.
    Handle open_group(const std::string& path);
    /// Opens what is at `path`, group or dataset.
    Handle open_object(const std::string& path);
    Handle create_dataset(const std::string& path, hid_t type, const std::vector<hsize_t>& dims,
                          hid_t creation);
    /// Writes `data` and lets it reach the disk, so that closing the dataset cannot fail.
    void write(hid_t dataset, hid_t type, const void* data);
    /// Sets or replaces an attribute of one value.
    void set_attribute(hid_t object, const std::string& name, hid_t file_type, hid_t type,
                       const void* value);
    void set_text_attribute(hid_t object, const std::string& name, const std::string& value);
    /// Flushes and closes.
    void close();
    /// Nothing is to be removed any more: the file has got its name.
    void keep() { keep_ = true; }

    /// `result`, or SystemError for a negative one; then the file is given up.
    hid_t check(hid_t result, const char* call);

 private:
    /// Cuts HDF5 off from the disk: what it still writes goes nowhere, and the space is free.
    /// Without this, HDF5 1.10 that could not write cannot close its objects either.
    void detach() noexcept;

    std::string path_;
    hid_t file_ = H5I_INVALID_HID;
    int descriptor_ = -1;
    bool keep_ = false;
};

/// A creation property list of `kind` without time stamps, so that equal content gives equal files.
Handle make_creation_list(hid_t kind);

}  // namespace muster
