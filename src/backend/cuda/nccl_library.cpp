#include "cuda/nccl_library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "cuda/group_copies.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr const char* kName = "libnccl.so.2";
constexpr const char* kVariable = "MUSTER_NCCL_LIBRARY";
// 2.18 is the first in which all calls of a communicator may be non-blocking, its end included
// (NCCL release notes); ncclGetVersion writes it so.
constexpr int kLeastVersion = 21800;
constexpr const char* kHint =
    "; expected NCCL 2.18 or later: load the site's module, or set LD_LIBRARY_PATH to its folder "
    "or "
    "MUSTER_NCCL_LIBRARY to its file; --device-transport staged works without it";

std::string version_text(int version) {
    // Until 2.8, the major version counted thousands.
    const int major = version < 10000 ? 1000 : 10000;
    return cat(version / major, '.', version % major / 100, '.', version % 100);
}

const char* variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

/// Where the loader looks, as far as it can be told.
std::string looked() {
    if (const char* set = variable(kVariable)) return cat(kVariable, "=", set);
    const char* folders = variable("LD_LIBRARY_PATH");
    return cat("looked in ", folders ? cat("LD_LIBRARY_PATH=", folders, ", ") : std::string(),
               "the folders of this build and those of the system");
}

void* open() {
    const char* set = variable(kVariable);
    void* const library = dlopen(set ? set : kName, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        throw UserError(cat("NCCL cannot be loaded: ", dlerror(), " (", looked(), ")", kHint));
    return library;
}

template <typename Function>
void find(void* library, const char* symbol, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, symbol));
    if (function == nullptr)
        throw UserError(cat("NCCL has no function ", symbol, " (", looked(), ")", kHint));
}

NcclLibrary load() {
    void* const library = open();
    NcclLibrary nccl;
    find(library, "ncclGetVersion", nccl.get_version);
    Dl_info place{};
    if (dladdr(reinterpret_cast<void*>(nccl.get_version), &place) != 0 && place.dli_fname)
        nccl.path = place.dli_fname;
    int version = 0;
    if (nccl.get_version(&version) != ncclSuccess || version < kLeastVersion)
        throw UserError(cat(nccl.path, ": NCCL ", version_text(version), " is too old", kHint));
    nccl.version = version_text(version);
    find(library, "ncclGetErrorString", nccl.get_error_string);
    find(library, "ncclGetLastError", nccl.get_last_error);
    find(library, "ncclGetUniqueId", nccl.get_unique_id);
    find(library, "ncclCommInitRankConfig", nccl.comm_init_rank_config);
    find(library, "ncclCommGetAsyncError", nccl.comm_get_async_error);
    find(library, "ncclCommFinalize", nccl.comm_finalize);
    find(library, "ncclCommDestroy", nccl.comm_destroy);
    find(library, "ncclCommAbort", nccl.comm_abort);
    find(library, "ncclAllGather", nccl.all_gather);
    find(library, "ncclGroupStart", nccl.group_start);
    find(library, "ncclGroupEnd", nccl.group_end);
    find(library, "ncclSend", nccl.send);
    find(library, "ncclRecv", nccl.recv);
    return nccl;
}

}  // namespace

const NcclLibrary& nccl_library() {
    static const NcclLibrary library = load();
    return library;
}

std::string why_no_nccl() {
    try {
        nccl_library();
        return "";
    } catch (const UserError& e) {
        return e.what();
    }
}

}  // namespace muster::cuda
