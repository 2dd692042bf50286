#include "input_file.h"

#include <array>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Most that deflate, the strongest filter that HDF5 brings along, makes of a byte.
constexpr std::uint64_t kMostBytesPerStoredByte = 1032;

std::string link_name(hid_t group, hsize_t i, H5_index_t index) {
    const auto length =
        H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    check_hdf5(length < 0 ? -1 : 0, "H5Lget_name_by_idx");
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    check_hdf5(H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, name.data(), name.size(),
                                  H5P_DEFAULT) < 0
                   ? -1
                   : 0,
               "H5Lget_name_by_idx");
    name.pop_back();
    return name;
}

/// True if `group` has a member `name`; UserError if it is a link that leads elsewhere.
bool has_member(hid_t group, const std::string& name) {
    if (check_hdf5(H5Lexists(group, name.c_str(), H5P_DEFAULT), "H5Lexists") == 0) return false;
    H5L_info_t info;
    check_hdf5(H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT), "H5Lget_info");
    if (info.type != H5L_TYPE_HARD) {
        throw UserError(cat(name, " is a soft or external link, expected a group or dataset"));
    }
    return true;
}

bool is_dataset(hid_t group, const std::string& name) {
    const Handle object(check_hdf5(H5Oopen(group, name.c_str(), H5P_DEFAULT), "H5Oopen"), H5Oclose);
    return H5Iget_type(object) == H5I_DATASET;
}

bool keeps_order(hid_t group) {
    const Handle list(check_hdf5(H5Gget_create_plist(group), "H5Gget_create_plist"), H5Pclose);
    unsigned flags = 0;
    check_hdf5(H5Pget_link_creation_order(list, &flags), "H5Pget_link_creation_order");
    return (flags & H5P_CRT_ORDER_INDEXED) != 0;
}

}  // namespace

InputFile::InputFile(const std::string& path) {
    prepare_hdf5();
    std::error_code failure;
    const auto status = std::filesystem::status(path, failure);
    if (!std::filesystem::exists(status)) throw UserError(cat(path, ": there is no such file"));
    if (!std::filesystem::is_regular_file(status)) {
        throw UserError(cat(path, ": is no regular file, expected a result file"));
    }
    size_bytes_ = std::filesystem::file_size(path, failure);
    const Handle access(check_hdf5(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate"), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
    check_hdf5(H5Pset_file_locking(access, false, true), "H5Pset_file_locking");
#endif
    file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
    if (file_ < 0) {
        throw UserError(cat(path, ": cannot be opened as an HDF5 file: ", hdf5_error_text()));
    }
}

Handle InputFile::open_object(const std::string& path) const {
    Handle object(check_hdf5(H5Oopen(file_, "/", H5P_DEFAULT), "H5Oopen"), H5Oclose);
    for (const auto& name : split(path, '/')) {
        if (name.empty()) continue;
        if (H5Iget_type(object) != H5I_GROUP || !has_member(object, name)) {
            throw UserError("there is no such object");
        }
        object =
            Handle(check_hdf5(H5Oopen(object, name.c_str(), H5P_DEFAULT), "H5Oopen"), H5Oclose);
    }
    return object;
}

bool InputFile::exists(const std::string& path) const {
    Handle object(check_hdf5(H5Oopen(file_, "/", H5P_DEFAULT), "H5Oopen"), H5Oclose);
    for (const auto& name : split(path, '/')) {
        if (name.empty()) continue;
        if (H5Iget_type(object) != H5I_GROUP || !has_member(object, name)) return false;
        object =
            Handle(check_hdf5(H5Oopen(object, name.c_str(), H5P_DEFAULT), "H5Oopen"), H5Oclose);
    }
    return true;
}

Handle InputFile::open_group(const std::string& path) const {
    Handle object = open_object(path);
    if (H5Iget_type(object) != H5I_GROUP) throw UserError("expected a group");
    return object;
}

std::vector<std::string> InputFile::members(const std::string& path, bool datasets_only,
                                            bool by_creation) const {
    const Handle group = open_group(path);
    H5G_info_t info;
    check_hdf5(H5Gget_info(group, &info), "H5Gget_info");
    const auto index = by_creation && keeps_order(group) ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
    std::vector<std::string> names;
    for (hsize_t i = 0; i < info.nlinks; ++i) {
        const std::string name = link_name(group, i, index);
        if (!has_member(group, name)) continue;
        if (!datasets_only || is_dataset(group, name)) names.push_back(name);
    }
    return names;
}

/// HDF5 allocates a whole chunk before it reads one.
void InputFile::check_chunk(hid_t dataset, hid_t list) const {
    std::array<hsize_t, H5S_MAX_RANK> chunk{};
    const int rank = H5Pget_chunk(list, H5S_MAX_RANK, chunk.data());
    check_hdf5(rank, "H5Pget_chunk");
    const Handle type(check_hdf5(H5Dget_type(dataset), "H5Dget_type"), H5Tclose);
    hsize_t bytes = H5Tget_size(type);
    for (int i = 0; i < rank; ++i) {
        if (__builtin_mul_overflow(bytes, chunk[static_cast<std::size_t>(i)], &bytes))
            bytes = -1ULL;
    }
    if (bytes / kMostBytesPerStoredByte > size_bytes_) {
        throw UserError("claims chunks larger than the file can hold");
    }
}

Handle InputFile::open_dataset(const std::string& path) const {
    Handle dataset = open_object(path);
    if (H5Iget_type(dataset) != H5I_DATASET) throw UserError("expected a dataset");
    const Handle list(check_hdf5(H5Dget_create_plist(dataset), "H5Dget_create_plist"), H5Pclose);
    if (H5Pget_layout(list) == H5D_VIRTUAL || H5Pget_external_count(list) != 0) {
        throw UserError("its data is in another file");
    }
    if (H5Pget_layout(list) == H5D_CHUNKED) check_chunk(dataset, list);
    return dataset;
}

std::optional<Handle> InputFile::open_attribute(const std::string& path,
                                                const std::string& name) const {
    const Handle object = open_object(path);
    if (check_hdf5(H5Aexists(object, name.c_str()), "H5Aexists") == 0) return std::nullopt;
    return Handle(check_hdf5(H5Aopen(object, name.c_str(), H5P_DEFAULT), "H5Aopen"), H5Aclose);
}

std::vector<hsize_t> InputFile::checked_dims(hid_t dataset, std::size_t element_bytes) const {
    const Handle space(check_hdf5(H5Dget_space(dataset), "H5Dget_space"), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space);
    if (H5Sget_simple_extent_type(space) == H5S_NULL || rank < 0 || rank > 2) {
        throw UserError(cat("has ", rank, " dimensions, expected at most 2"));
    }
    std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
    check_hdf5(H5Sget_simple_extent_dims(space, dims.data(), nullptr), "H5Sget_simple_extent_dims");
    hsize_t bytes = element_bytes;
    bool overflow = false;
    for (const hsize_t dim : dims) overflow |= __builtin_mul_overflow(bytes, dim, &bytes);
    const hsize_t stored = H5Dget_storage_size(dataset);
    if (overflow || stored > size_bytes_ || bytes / kMostBytesPerStoredByte > stored ||
        (bytes > 0 && stored == 0)) {
        throw UserError(cat("claims more values than its ", stored, " stored bytes can hold"));
    }
    return dims;
}

}  // namespace muster
