// Attributes of one value.

#include "input_file.h"
#include "muster/base/error.h"

namespace muster {

namespace {

/// The attribute's type, which must be of class `wanted`, and the attribute must hold one value.
Handle checked_type(hid_t attribute, H5T_class_t wanted, const char* expected) {
    Handle type(check_hdf5(H5Aget_type(attribute), "H5Aget_type"), H5Tclose);
    const Handle space(check_hdf5(H5Aget_space(attribute), "H5Aget_space"), H5Sclose);
    if (H5Tget_class(type) != wanted || H5Sget_simple_extent_npoints(space) != 1) {
        throw UserError(expected);
    }
    return type;
}

}  // namespace

std::string read_text_attribute(hid_t attribute) {
    const Handle stored = checked_type(attribute, H5T_STRING, "expected one string");
    if (H5Tis_variable_str(stored) <= 0) {
        throw UserError("expected a string of variable length");
    }
    const Handle type = make_string_type();
    char* pointer = nullptr;
    check_hdf5(H5Aread(attribute, type, &pointer), "H5Aread");
    const std::string text = pointer == nullptr ? "" : pointer;
    H5free_memory(pointer);
    return text;
}

std::int64_t read_integer_attribute(hid_t attribute) {
    checked_type(attribute, H5T_INTEGER, "expected one integer");
    std::int64_t value = 0;
    check_hdf5(H5Aread(attribute, H5T_NATIVE_INT64, &value), "H5Aread");
    return value;
}

double read_real_attribute(hid_t attribute) {
    checked_type(attribute, H5T_FLOAT, "expected one real number");
    double value = 0;
    check_hdf5(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), "H5Aread");
    return value;
}

}  // namespace muster
