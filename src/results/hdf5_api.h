#pragma once
// HDF5's C API with its two chores done once: ids are closed by their owner, and a failed call
// becomes an exception with the library's own text.

#include <hdf5.h>

#include <string>
#include <utility>

namespace muster {

/// An HDF5 id with the function that closes it.
class Handle {
 public:
    Handle() = default;
    Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    Handle(Handle&& other) noexcept
        : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    ~Handle() {
        if (id_ >= 0) close_(id_);
    }
    operator hid_t() const { return id_; }

 private:
    hid_t id_ = H5I_INVALID_HID;
    herr_t (*close_)(hid_t) = nullptr;
};

/// Stops HDF5 from printing its errors and from loading filter plug-ins that a file asks for. Call
/// before use.
void prepare_hdf5();
/// The newest error as one line: the system's own words if there are any, else the innermost
/// message.
std::string hdf5_error_text();
/// Throws SystemError "<call>: <HDF5's text>" for a negative `result`, and returns it otherwise.
hid_t check_hdf5(hid_t result, const char* call);

/// Variable-length UTF-8.
Handle make_string_type();
/// An enumeration of 8 bits, FALSE and TRUE, which h5dump prints as such and h5py reads as bool.
Handle make_bool_type();

}  // namespace muster
