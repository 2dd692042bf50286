// NCCL without blocking calls: whatever does not finish at once is asked for until a deadline, so
// that a dead peer ends in an error. Work that NCCL has begun in the background counts as queued on
// the stream only when ncclCommGetAsyncError no longer says "in progress", hence settle() after
// every call (NCCL user guide, "Error handling and communicator abort").

#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "cuda/group_copies.h"
#include "cuda/nccl_library.h"
#include "cuda/rendezvous.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/host.h"

namespace muster::cuda {

namespace {

// How long a communicator may take to end, well or not, before it is left to the process's end.
constexpr double kEndSeconds = 10;

// What NCCL calls ranks that share a GPU, above all.
constexpr const char* kInvalidUsageHint =
    "; if ranks of a group share a GPU, expected --device-transport staged";

/// "ncclAllGather: unhandled cuda error: <the library's last words>".
std::string nccl_error(const char* call, ncclResult_t result, ncclComm_t comm) {
    const char* words = nccl_library().get_last_error(comm);
    const std::string last = words != nullptr ? words : "";
    std::string text =
        cat(call, ": ", nccl_library().get_error_string(result), last.empty() ? "" : ": ", last);
    if (last.find("out of memory") != std::string::npos)
        text += "; a smaller --gpu-memory-fraction leaves NCCL more of the device";
    return text;
}

/// Runs `call` on a thread; false if it has not returned after kEndSeconds, and then never mind it.
bool ends_in_time(int device, std::function<void()> call) {
    auto done = std::make_shared<std::promise<void>>();
    std::future<void> end = done->get_future();
    std::thread([device, call = std::move(call), done] {
        (void)cudaSetDevice(device);
        call();
        done->set_value();
    }).detach();
    return end.wait_for(std::chrono::duration<double>(kEndSeconds)) == std::future_status::ready;
}

/// A communicator from the first call of its set-up to its end.
class NcclComm {
 public:
    NcclComm() { (void)cudaGetDevice(&device_); }  // without a driver, NCCL is the one to say so
    NcclComm(const NcclComm&) = delete;
    NcclComm& operator=(const NcclComm&) = delete;
    ~NcclComm() {
        if (!comm_) return;
        const bool orderly = !broken_ && !device_is_lost() &&
                             std::uncaught_exceptions() == exceptions_at_start_ && finalize();
        const ncclComm_t comm = comm_;
        // A thread cannot always be had: then the communicator stays, as with one that hangs.
        try {
            if (!ends_in_time(device_, [comm, orderly] {
                    (void)(orderly ? nccl_library().comm_destroy(comm)
                                   : nccl_library().comm_abort(comm));
                }))
                declare_device_lost();
        } catch (const std::exception&) {
            declare_device_lost();
        }
    }

    /// Begins to set up; "" or what is wrong.
    std::string begin(const Communicator& group, const ncclUniqueId& id) {
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        config.blocking = 0;
        const ncclResult_t result =
            nccl_library().comm_init_rank_config(&comm_, group.size(), id, group.rank(), &config);
        if (result == ncclSuccess || result == ncclInProgress) return "";
        broken_ = true;
        return nccl_error("ncclCommInitRankConfig", result, comm_);
    }

    ncclComm_t get() const { return comm_; }
    void declare_broken() { broken_ = true; }

    /// The state of what was begun last: ncclInProgress, ncclSuccess or an error.
    ncclResult_t state() const {
        ncclResult_t state = ncclSuccess;
        const ncclResult_t asked = nccl_library().comm_get_async_error(comm_, &state);
        return asked == ncclSuccess ? state : asked;
    }

 private:
    bool finalize() {
        ncclResult_t result = nccl_library().comm_finalize(comm_);
        for (Patience patience(kEndSeconds); result == ncclInProgress && patience.pause();)
            result = state();
        return result == ncclSuccess;
    }

    ncclComm_t comm_ = nullptr;
    int device_ = 0;
    bool broken_ = false;
    int exceptions_at_start_ = std::uncaught_exceptions();
};

class NcclCopies : public GroupCopies {
 public:
    NcclCopies(std::unique_ptr<NcclComm> comm, const Communicator& group, double deadline_seconds)
        : comm_(std::move(comm)),
          rank_(group.rank()),
          size_(group.size()),
          deadline_seconds_(deadline_seconds) {}

    std::string description() const override { return cat("NCCL ", nccl_.version); }
    std::string member() const override {
        return cat("rank ", rank_, " of ", size_, " of its tensor-parallel group");
    }
    bool recordable() const override { return true; }

    void check() override {
        const ncclResult_t state = comm_->state();
        if (state != ncclSuccess && state != ncclInProgress) fail("a peer has failed", state);
    }

    void all_gather(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        if (bytes == 0) return;
        settle("ncclAllGather", nccl_.all_gather(in, out, bytes, ncclInt8, comm_->get(), stream));
    }

    void all_to_all(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        if (bytes == 0) return;
        expect("ncclGroupStart", nccl_.group_start());
        ncclResult_t result = ncclSuccess;
        for (int peer = 0; peer < size_; ++peer) {
            const std::size_t at = static_cast<std::size_t>(peer) * bytes;
            for (const ncclResult_t each : {nccl_.send(static_cast<const std::byte*>(in) + at,
                                                       bytes, ncclInt8, peer, comm_->get(), stream),
                                            nccl_.recv(static_cast<std::byte*>(out) + at, bytes,
                                                       ncclInt8, peer, comm_->get(), stream)})
                if (each != ncclSuccess && each != ncclInProgress) result = each;
        }
        const ncclResult_t end = nccl_.group_end();  // also after an error, or the group stays open
        expect("ncclSend, ncclRecv", result);
        settle("ncclGroupEnd", end);
    }

 private:
    [[noreturn]] void fail(const char* call, ncclResult_t result) {
        comm_->declare_broken();
        declare_device_lost();
        throw SystemError(cat(member(), ": ", nccl_error(call, result, comm_->get())));
    }
    void expect(const char* call, ncclResult_t result) {
        if (result != ncclSuccess) fail(call, result);
    }
    /// Waits until the call is on its stream.
    void settle(const char* call, ncclResult_t result) {
        for (Patience patience(deadline_seconds_); result == ncclInProgress;
             result = comm_->state()) {
            if (patience.pause()) continue;
            comm_->declare_broken();
            declare_device_lost();
            throw SystemError(cat(member(), ": ", call, " did not begin within ",
                                  format_duration(deadline_seconds_), "; a peer is missing"));
        }
        expect(call, result);
    }

    const NcclLibrary& nccl_ = nccl_library();
    std::unique_ptr<NcclComm> comm_;
    int rank_, size_;
    double deadline_seconds_;
};

/// The same id on all ranks, from rank 0. Collective.
ncclUniqueId share_id(const Communicator& group) {
    ncclUniqueId id{};
    std::string bytes;
    if (group.is_root()) {
        const ncclResult_t result = nccl_library().get_unique_id(&id);
        bytes = result == ncclSuccess ? std::string(id.internal, sizeof(id.internal))
                                      : nccl_error("ncclGetUniqueId", result, nullptr);
    }
    group.broadcast(bytes);
    if (bytes.size() != sizeof(id.internal)) throw SystemError(bytes);
    std::memcpy(id.internal, bytes.data(), sizeof(id.internal));
    return id;
}

/// Waits until all ranks are connected. `problem`: why this rank cannot be. Throws SystemError on
/// all ranks if one fails, as soon as it does.
void connect(NcclComm& comm, std::string problem, const Communicator& group,
             double deadline_seconds) {
    Rendezvous ranks(group, deadline_seconds);
    const auto say = [&](const std::string& words) {
        ranks.announce(words.empty() ? "" : cat(host_name(), ": ", words));
    };
    Patience patience(deadline_seconds);
    for (bool said = false, all = false; !all;) {
        if (!said) {
            const ncclResult_t state = problem.empty() ? comm.state() : ncclInProgress;
            if (state != ncclInProgress && state != ncclSuccess)
                problem = cat(nccl_error("ncclCommInitRankConfig", state, comm.get()),
                              state == ncclInvalidUsage ? kInvalidUsageHint : "");
            if (problem.empty() && !patience.pause())
                problem =
                    cat("no connection to its peers within ", format_duration(deadline_seconds),
                        ": ", nccl_error("ncclCommInitRankConfig", ncclInProgress, comm.get()));
            said = state == ncclSuccess || !problem.empty();
            if (said) say(problem);
        } else if (!patience.pause()) {
            throw SystemError(cat("NCCL: rank ", group.rank(), " of the tensor-parallel group has ",
                                  "connected; no word of ", ranks.missing(), " of it within ",
                                  format_duration(deadline_seconds)));
        }
        all = ranks.complete();
        for (int rank = 0; rank < group.size(); ++rank)
            if (const auto& words = ranks.words_of(rank); words && !words->empty())
                throw SystemError(
                    cat("NCCL: rank ", rank, " of the tensor-parallel group on ", *words));
    }
}

}  // namespace

std::unique_ptr<GroupCopies> make_nccl_copies(const Communicator& group, double deadline_seconds) {
    agree(group, "load NCCL", [] { nccl_library(); });
    if (group.is_root()) detail(cat("NCCL ", nccl_library().version, ": ", nccl_library().path));
    // Connections and their memory are made now and not while a step is recorded (as TensorRT-LLM
    // does, cpp/tensorrt_llm/common/opUtils.cpp). NVLink's multicast brings nothing to copies that
    // every rank has to receive anyway, takes memory, and where it is set up badly, as in many
    // containers, no communicator can be made (NVIDIA/nccl, issue 1672). What the user has set
    // stays.
    for (const char* name : {"NCCL_RUNTIME_CONNECT", "NCCL_GRAPH_REGISTER", "NCCL_NVLS_ENABLE"})
        setenv(name, "0", 0);
    const ncclUniqueId id = share_id(group);
    auto comm = std::make_unique<NcclComm>();
    try {
        connect(*comm, comm->begin(group, id), group, deadline_seconds);
    } catch (...) {
        comm->declare_broken();
        throw;
    }
    return std::make_unique<NcclCopies>(std::move(comm), group, deadline_seconds);
}

}  // namespace muster::cuda
