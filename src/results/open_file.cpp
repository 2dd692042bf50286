#include "open_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/results/table.h"

namespace muster {

namespace {

/// Groups remember the order in which their members were made.
void keep_order(hid_t list) {
    check_hdf5(H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
               "H5Pset_link_creation_order");
}

}  // namespace

Handle make_creation_list(hid_t kind) {
    Handle list(check_hdf5(H5Pcreate(kind), "H5Pcreate"), H5Pclose);
    check_hdf5(H5Pset_obj_track_times(list, false), "H5Pset_obj_track_times");
    return list;
}

OpenFile::OpenFile(const std::string& path) : path_(path) {
    prepare_hdf5();
    const Handle creation = make_creation_list(H5P_FILE_CREATE);
    keep_order(creation);
    const Handle access(check_hdf5(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate"), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
    // Locks fail on many cluster file systems, and the temporary name is ours alone.
    check_hdf5(H5Pset_file_locking(access, false, true), "H5Pset_file_locking");
#endif
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
    if (file_ < 0) {
        const std::string text = hdf5_error_text();
        unlink(path_.c_str());
        throw SystemError(cat("H5Fcreate: ", text));
    }
    void* handle = nullptr;
    if (H5Fget_vfd_handle(file_, H5P_DEFAULT, &handle) >= 0 && handle != nullptr) {
        descriptor_ = *static_cast<int*>(handle);
    }
}

OpenFile::~OpenFile() {
    if (file_ >= 0) {
        detach();
        H5Fclose(file_);
    }
    if (!keep_) unlink(path_.c_str());
}

void OpenFile::detach() noexcept {
    if (descriptor_ < 0) return;
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0) return;
    dup2(nowhere, descriptor_);
    ::close(nowhere);
    descriptor_ = -1;
}

hid_t OpenFile::check(hid_t result, const char* call) {
    if (result >= 0) return result;
    const std::string text = hdf5_error_text();
    detach();
    throw SystemError(cat(call, ": ", text));
}

void OpenFile::close() {
    check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "H5Fflush");
    check(H5Fclose(file_), "H5Fclose");
    file_ = H5I_INVALID_HID;
}

Handle OpenFile::open_group(const std::string& path) {
    const Handle creation = make_creation_list(H5P_GROUP_CREATE);
    keep_order(creation);
    Handle group(check(H5Gopen2(file_, "/", H5P_DEFAULT), "H5Gopen2"), H5Gclose);
    for (const auto& name : split(path, '/')) {
        if (name.empty()) continue;
        const bool exists = check(H5Lexists(group, name.c_str(), H5P_DEFAULT), "H5Lexists") > 0;
        group = Handle(
            exists ? check(H5Gopen2(group, name.c_str(), H5P_DEFAULT), "H5Gopen2")
                   : check(H5Gcreate2(group, name.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT),
                           "H5Gcreate2"),
            H5Gclose);
    }
    return group;
}

Handle OpenFile::open_object(const std::string& path) {
    return Handle(check(H5Oopen(file_, path.c_str(), H5P_DEFAULT), "H5Oopen"), H5Oclose);
}

Handle OpenFile::create_dataset(const std::string& path, hid_t type,
                                const std::vector<hsize_t>& dims, hid_t creation) {
    const std::size_t slash = path.rfind('/');
    const Handle group = open_group(path.substr(0, slash));
    const Handle space(
        check(dims.empty() ? H5Screate(H5S_SCALAR)
                           : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
              "H5Screate_simple"),
        H5Sclose);
    return Handle(check(H5Dcreate2(group, path.c_str() + slash + 1, type, space, H5P_DEFAULT,
                                   creation, H5P_DEFAULT),
                        "H5Dcreate2"),
                  H5Dclose);
}

void OpenFile::write(hid_t dataset, hid_t type, const void* data) {
    check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "H5Dwrite");
    check(H5Dflush(dataset), "H5Dflush");
}

void OpenFile::set_attribute(hid_t object, const std::string& name, hid_t file_type, hid_t type,
                             const void* value) {
    if (check(H5Aexists(object, name.c_str()), "H5Aexists") > 0) {
        check(H5Adelete(object, name.c_str()), "H5Adelete");
    }
    const Handle space(check(H5Screate(H5S_SCALAR), "H5Screate"), H5Sclose);
    const Handle attribute(
        check(H5Acreate2(object, name.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT),
              "H5Acreate2"),
        H5Aclose);
    check(H5Awrite(attribute, type, value), "H5Awrite");
}

void OpenFile::set_text_attribute(hid_t object, const std::string& name, const std::string& value) {
    const std::string text = storable_text(value);
    const char* pointer = text.c_str();
    const Handle type = make_string_type();
    set_attribute(object, name, type, type, &pointer);
}

}  // namespace muster
