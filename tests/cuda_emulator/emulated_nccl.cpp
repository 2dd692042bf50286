// Ranks share a file with one slot per pair of them. A call moves pieces: all write their slots,
// meet, read, and meet again. On its stream it goes as far as its peers let it, and no further if
// one of them has aborted: as a kernel that waits for them, it ends when its own communicator
// aborts. What the library does not survive ends the process: a call that some ranks have recorded
// and others not, and a communicator that ends before the graphs with its calls.

#include <fcntl.h>
#include <nccl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kSlot = 512 << 10;  // only the pages that are written take memory
constexpr int kMost = 16;

struct Shared {
    std::array<std::atomic<std::size_t>, kMost> gpus;  ///< by rank
    std::array<std::atomic<bool>, kMost> recorded;     ///< whether a rank's current call is
    std::atomic<int> joined;
    std::atomic<bool> aborted;
    std::atomic<unsigned> arrived, round;
};
static_assert(std::atomic<int>::is_always_lock_free);

bool fails(const char* how) {
    const char* set = std::getenv("EMULATED_NCCL");
    return set != nullptr && std::strcmp(set, how) == 0;
}

/// What no two ranks may have in common.
std::size_t gpu_of_this_process() {
    const auto text = [](const char* name) {
        const char* set = std::getenv(name);
        return std::string(set != nullptr ? set : "") + "|";
    };
    int ordinal = 0;
    cudaGetDevice(&ordinal);
    return std::hash<std::string>()(text("NCCL_HOSTID") + text("CUDA_VISIBLE_DEVICES") +
                                    std::to_string(ordinal));
}

struct Send {
    const void* data;
    std::size_t bytes;
    int peer;
};
struct Receive {
    void* data;
    std::size_t bytes;
    int peer;
};
/// Where the ranks of a communicator meet next.
struct Meeting {
    bool arrived = false;
    unsigned round = 0;
};
/// How far a call has come.
struct Place {
    std::size_t begin = 0;  ///< of the piece, in each of its blocks
    bool written = false;
    Meeting meeting;
};
struct Call {
    std::vector<Send> sends;
    std::vector<Receive> receives;
    cudaStream_t stream = nullptr;
    bool recorded = false;
    Place place;
};

std::string last_words;

}  // namespace

struct EmulatedNcclComm {
    std::string path;
    int rank = 0, ranks = 1, polls = 0, calls = 0;
    bool ready = false, broken = false, ended = false;
    Shared* shared = nullptr;
    std::vector<Call> begun;  ///< not yet on their streams
    /// False once this is gone: what is on a stream then does nothing.
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
    ~EmulatedNcclComm() { *alive = false; }

    std::size_t bytes() const {
        return 4096 + static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks) * kSlot;
    }
    unsigned char* slot(int from, int to) const {
        return reinterpret_cast<unsigned char*>(shared) + 4096 +
               static_cast<std::size_t>(from * ranks + to) * kSlot;
    }
    /// Opens the file, which the first one to come makes, and counts itself.
    void join() {
        const int file = open(path.c_str(), O_RDWR | O_CREAT, 0600);
        if (file < 0 || ftruncate(file, static_cast<off_t>(bytes())) != 0)
            emulator::fail("NCCL: no file to share");
        void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
        if (memory == MAP_FAILED) emulator::fail("NCCL: cannot map the file to share");
        shared = static_cast<Shared*>(memory);
        shared->gpus[static_cast<std::size_t>(rank)] = gpu_of_this_process();
        shared->joined.fetch_add(1);
    }
    bool alone_on_its_gpu() const {
        const auto gpu = [this](int of) {
            return shared->gpus[static_cast<std::size_t>(of)].load();
        };
        for (int other = 0; other < ranks; ++other)
            if (other != rank && gpu(other) == gpu(rank)) return false;
        return true;
    }
    /// Whether all ranks have come to this meeting. Gives them a moment.
    bool met(Meeting& meeting) const {
        if (!meeting.arrived) {
            meeting = {true, shared->round.load()};
            if (shared->arrived.fetch_add(1) + 1 == static_cast<unsigned>(ranks)) {
                shared->arrived = 0;
                shared->round.fetch_add(1);
            }
        }
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
        while (shared->round.load() == meeting.round || shared->aborted.load()) {
            if (std::chrono::steady_clock::now() > end) return false;
            sched_yield();
        }
        meeting = {};
        return true;
    }
    void check_all_recorded(bool own) const {
        for (int other = 0; other < ranks; ++other)
            if (shared->recorded[static_cast<std::size_t>(other)] != own)
                emulator::fail("NCCL: a call is recorded on some ranks only");
    }
    /// Goes on with a call; whether it is at its end.
    bool run(Call& call) const {
        std::size_t most = 0;
        for (const Send& send : call.sends) most = std::max(most, send.bytes);
        for (const Receive& receive : call.receives) most = std::max(most, receive.bytes);
        const auto part = [](std::size_t bytes, std::size_t begin) {
            return bytes > begin ? std::min(kSlot, bytes - begin) : 0;
        };
        for (Place& at = call.place; at.begin < most; at.begin += kSlot) {
            const std::size_t begin = at.begin;
            if (!at.written) {
                if (!at.meeting.arrived) {
                    shared->recorded[static_cast<std::size_t>(rank)] = call.recorded;
                    for (const Send& send : call.sends)
                        std::memcpy(
                            slot(rank, send.peer),
                            static_cast<const char*>(send.data) + std::min(begin, send.bytes),
                            part(send.bytes, begin));
                }
                if (!met(at.meeting)) return false;
                at.written = true;
                check_all_recorded(call.recorded);
                for (const Receive& receive : call.receives)
                    std::memcpy(static_cast<char*>(receive.data) + std::min(begin, receive.bytes),
                                slot(receive.peer, rank), part(receive.bytes, begin));
            }
            if (!met(at.meeting)) return false;
            at.written = false;
        }
        call.place = {};
        return true;
    }
    ncclResult_t begin(Call call) {
        if (!begun.empty()) {
            last_words = "a call before the last one was settled";
            return ncclInvalidUsage;
        }
        begun.push_back(std::move(call));
        ++calls;
        polls = 0;
        return ncclInProgress;
    }
    ncclResult_t state() {
        if (broken) return ncclRemoteError;
        if (!ready) {
            if (fails("absent")) return ncclInProgress;
            if (fails("init")) {
                last_words = "the emulated network is down";
                return ncclSystemError;
            }
            if (fails("memory")) {
                last_words = "Cuda failure 2 'out of memory'";
                return ncclUnhandledCudaError;
            }
            if (shared == nullptr) join();
            if (shared->joined.load() < ranks) return ncclInProgress;
            unlink(path.c_str());
            if (!alone_on_its_gpu()) {
                last_words = "Duplicate GPU detected";
                broken = true;
                return ncclInvalidUsage;
            }
            ready = true;
        }
        if (shared->aborted.load() && !ended) {
            last_words = "a peer has aborted";
            broken = true;
            return ncclRemoteError;
        }
        if (polls++ < 2) return ncclInProgress;
        for (Call& call : begun) {
            cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
            cudaStreamIsCapturing(call.stream, &status);
            call.recorded = status == cudaStreamCaptureStatusActive;
            emulator::enqueue_until(call.stream, [this, call, lives = alive]() mutable {
                return !*lives || run(call);
            });
        }
        begun.clear();
        if (calls > 0 && fails("lost")) {
            last_words = "the emulated peer is lost";
            broken = true;
            return ncclRemoteError;
        }
        return ncclSuccess;
    }
};

namespace {
int group_depth = 0;
Call group_call;
ncclComm_t group_comm = nullptr;
}  // namespace

ncclResult_t ncclGetVersion(int* version) {
    *version = 22809;
    return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    std::random_device random;
    std::snprintf(id->internal, sizeof(id->internal), "/tmp/emulated-nccl-%d-%08x%08x",
                  static_cast<int>(getpid()), random(), random());
    return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
    *comm = nullptr;
    if (ranks < 1 || ranks > kMost || rank < 0 || rank >= ranks || config->blocking != 0) {
        last_words = "only non-blocking communicators of 1 to 16 ranks";
        return ncclInvalidArgument;
    }
    *comm = new EmulatedNcclComm;
    (*comm)->path = id.internal;
    (*comm)->rank = rank;
    (*comm)->ranks = ranks;
    return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
    *state = comm->state();
    return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    if (comm->alive.use_count() > 1)
        emulator::fail("NCCL: a communicator ends before a graph with its calls");
    comm->ended = true;
    comm->polls = 0;
    return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    if (!comm->ended) {
        last_words = "destroyed before it was finalized";
        return ncclInvalidUsage;
    }
    if (comm->shared != nullptr) munmap(comm->shared, comm->bytes());
    delete comm;
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    if (comm->shared != nullptr) {
        comm->shared->aborted = true;
        munmap(comm->shared, comm->bytes());
    }
    unlink(comm->path.c_str());
    delete comm;
    return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
    constexpr const char* kTexts[] = {
        "no error",         "unhandled cuda error", "unhandled system error", "internal error",
        "invalid argument", "invalid usage",        "remote process exited",  "in progress"};
    return kTexts[result];
}
const char* ncclGetLastError(ncclComm_t) {
    return last_words.c_str();
}
ncclResult_t ncclAllGather(const void* in, void* out, std::size_t count, ncclDataType_t,
                           ncclComm_t comm, cudaStream_t stream) {
    Call call;
    call.stream = stream;
    for (int peer = 0; peer < comm->ranks; ++peer) {
        call.sends.push_back({in, count, peer});
        call.receives.push_back(
            {static_cast<char*>(out) + static_cast<std::size_t>(peer) * count, count, peer});
    }
    return comm->begin(std::move(call));
}
ncclResult_t ncclGroupStart() {
    if (group_depth++ == 0) group_call = {};
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
    if (--group_depth > 0) return ncclSuccess;
    return group_comm->begin(std::move(group_call));
}
ncclResult_t ncclSend(const void* in, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    group_comm = comm;
    group_call.stream = stream;
    group_call.sends.push_back({in, count, peer});
    return ncclSuccess;
}
ncclResult_t ncclRecv(void* out, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    group_comm = comm;
    group_call.stream = stream;
    group_call.receives.push_back({out, count, peer});
    return ncclSuccess;
}
