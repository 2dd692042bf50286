#include "hdf5_api.h"

#include <cstdint>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/results/result_file.h"

namespace muster {

namespace {

extern "C" herr_t keep_innermost(unsigned n, const H5E_error2_t* error, void* out) {
    if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
}

}  // namespace

void prepare_hdf5() {
    // HDF5 1.10 cannot close a file whose flush has failed, and crashes on it when the process
    // ends. All files are closed by their owners, so nothing is lost without its work at exit.
    // Works before the first call only.
    static const herr_t no_exit_handler = H5dont_atexit();
    static_cast<void>(no_exit_handler);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
}

std::string hdf5_error_text() {
    std::string text;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &text);
    H5Eclear2(H5E_DEFAULT);
    // "file write failed: time = …, filename = …, errno = 28, error message = 'No space left on
    // device', …"
    const std::string key = "error message = '";
    const std::size_t begin = text.find(key);
    if (begin != std::string::npos) {
        const std::size_t end = text.find('\'', begin + key.size());
        text = text.substr(begin + key.size(), end - begin - key.size());
    }
    return text.empty() ? "no reason given" : text;
}

hid_t check_hdf5(hid_t result, const char* call) {
    if (result < 0) throw SystemError(cat(call, ": ", hdf5_error_text()));
    return result;
}

Handle make_string_type() {
    Handle type(check_hdf5(H5Tcopy(H5T_C_S1), "H5Tcopy"), H5Tclose);
    check_hdf5(H5Tset_size(type, H5T_VARIABLE), "H5Tset_size");
    check_hdf5(H5Tset_cset(type, H5T_CSET_UTF8), "H5Tset_cset");
    return type;
}

Handle make_bool_type() {
    Handle type(check_hdf5(H5Tenum_create(H5T_STD_I8LE), "H5Tenum_create"), H5Tclose);
    const std::int8_t no = 0, yes = 1;
    check_hdf5(H5Tenum_insert(type, "FALSE", &no), "H5Tenum_insert");
    check_hdf5(H5Tenum_insert(type, "TRUE", &yes), "H5Tenum_insert");
    return type;
}

std::string hdf5_version() {
    unsigned major = 0, minor = 0, release = 0;
    check_hdf5(H5get_libversion(&major, &minor, &release), "H5get_libversion");
    return cat(major, '.', minor, '.', release);
}

}  // namespace muster
