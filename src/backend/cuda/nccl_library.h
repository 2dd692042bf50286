#pragma once
// NCCL by dlopen, for the groups that want it: whoever computes on one device, or sends through
// host memory, needs none. Its header gives the types; no symbol of it is linked.

#include <nccl.h>

#include <string>

namespace muster::cuda {

/// The functions that are used, each by the name that it has in NCCL without its prefix.
struct NcclLibrary {
    decltype(&::ncclGetVersion) get_version = nullptr;
    decltype(&::ncclGetErrorString) get_error_string = nullptr;
    decltype(&::ncclGetLastError) get_last_error = nullptr;
    decltype(&::ncclGetUniqueId) get_unique_id = nullptr;
    decltype(&::ncclCommInitRankConfig) comm_init_rank_config = nullptr;
    decltype(&::ncclCommGetAsyncError) comm_get_async_error = nullptr;
    decltype(&::ncclCommFinalize) comm_finalize = nullptr;
    decltype(&::ncclCommDestroy) comm_destroy = nullptr;
    decltype(&::ncclCommAbort) comm_abort = nullptr;
    decltype(&::ncclAllGather) all_gather = nullptr;
    decltype(&::ncclGroupStart) group_start = nullptr;
    decltype(&::ncclGroupEnd) group_end = nullptr;
    decltype(&::ncclSend) send = nullptr;
    decltype(&::ncclRecv) recv = nullptr;

    std::string path;     ///< of the file
    std::string version;  ///< "2.28.9"
};

/// Loads the library at the first call, and keeps it: its threads outlive any communicator. The
/// file is MUSTER_NCCL_LIBRARY if that is set, else the loader's libnccl.so.2. Throws UserError
/// that says what is missing and where it was looked for; a later call tries again.
const NcclLibrary& nccl_library();

}  // namespace muster::cuda
