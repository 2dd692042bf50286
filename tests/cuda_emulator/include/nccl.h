#pragma once
// What src/backend/cuda uses of NCCL, for the emulated device: ranks are processes of one machine
// and meet in a file that they share. Stands in for the library's header of this name.
//
// It is as awkward as the library may be: set-up and calls are "in progress" until somebody asks,
// and a call that nobody asked about is not on its stream. EMULATED_NCCL in the environment lets
// things fail: "init" or "memory" (this rank's set-up ends in an error), "absent" (it never comes
// to an end), "lost" (copies work; then the communicator reports a failed peer).
// Two ranks with the same NCCL_HOSTID, CUDA_VISIBLE_DEVICES and ordinal are on one GPU, which is
// refused, as by the library.

#include <cuda_runtime.h>

#include <climits>
#include <cstddef>

using ncclComm_t = struct EmulatedNcclComm*;
struct ncclUniqueId {
    char internal[128];
};
enum ncclResult_t {
    ncclSuccess = 0,
    ncclUnhandledCudaError = 1,
    ncclSystemError = 2,
    ncclInternalError = 3,
    ncclInvalidArgument = 4,
    ncclInvalidUsage = 5,
    ncclRemoteError = 6,
    ncclInProgress = 7,
};
struct ncclConfig_t {
    int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
    { 1 }
enum ncclDataType_t { ncclInt8 = 0 };

extern "C" {
ncclResult_t ncclGetVersion(int* version);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclCommAbort(ncclComm_t comm);
const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclAllGather(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
ncclResult_t ncclSend(const void* in, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclRecv(void* out, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream);
}  // extern "C"
