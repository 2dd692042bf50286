// A libnccl.so.2 that is older than what is needed.

#include <nccl.h>

ncclResult_t ncclGetVersion(int* version) {
    *version = 21403;
    return ncclSuccess;
}
