#include "cuda/group_probe.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"

namespace muster::cuda {

namespace {

constexpr std::size_t kSmall = std::size_t{1} << 20, kLarge = std::size_t{16} << 20;
constexpr int kRepeats = 8;
// Below this, devices of one node do not reach each other directly: PCIe 4 brings 20 GB/s and more.
constexpr double kSlow = 20e9;

/// A stream and memory of its own, for the time of the probe. Every step is taken by all ranks.
class Probe {
 public:
    Probe(GroupCopies& copies, const Communicator& group, std::size_t large,
          double deadline_seconds)
        : copies_(copies), large_(large), deadline_seconds_(deadline_seconds) {
        rank_ = static_cast<std::size_t>(group.rank());
        size_ = static_cast<std::size_t>(group.size());
    }
    ~Probe() {
        if (device_is_lost()) return;
        if (in_) cudaFree(in_);
        if (out_) cudaFree(out_);
        if (stream_) cudaStreamDestroy(stream_);
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    void allocate() {
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
        check(cudaMalloc(&in_, size_ * kSmall), "cudaMalloc for the trial of the group");
        check(cudaMalloc(&out_, size_ * large_), "cudaMalloc for the trial of the group");
    }

    void try_bytes() {
        std::vector<Word> gathered(size_ * kSmall / sizeof(Word)), exchanged(gathered);
        fill(exchanged, [&](std::size_t part, std::size_t i) { return word(rank_, part, i); });
        send(exchanged);
        copies_.all_gather(in_, out_, kSmall, stream_);
        receive(gathered);
        copies_.all_to_all(in_, out_, kSmall, stream_);
        receive(exchanged);
        compare("all_gather", gathered,
                [&](std::size_t part, std::size_t i) { return word(part, 0, i); });
        compare("all_to_all", exchanged,
                [&](std::size_t part, std::size_t i) { return word(part, rank_, i); });
    }

    double seconds_of_all_gather(std::size_t bytes) {
        double best = 1e9;
        for (int i = 0; i < kRepeats; ++i) {
            const auto start = std::chrono::steady_clock::now();
            copies_.all_gather(out_ + rank_ * bytes, out_, bytes, stream_);
            wait();
            best = std::min(
                best,
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        }
        return best;
    }

 private:
    using Word = std::uint64_t;

    /// Word `i` of what rank `from` has for rank `to`.
    static Word word(std::size_t from, std::size_t to, std::size_t i) {
        return (from * 1009 + to * 31 + i) * 0x9e3779b97f4a7c15u;
    }
    template <typename F>
    void fill(std::vector<Word>& host, const F& word_at) {
        const std::size_t words = host.size() / size_;
        for (std::size_t at = 0; at < host.size(); ++at) host[at] = word_at(at / words, at % words);
    }
    template <typename F>
    void compare(const char* call, const std::vector<Word>& host, const F& expected) {
        const std::size_t words = host.size() / size_;
        for (std::size_t at = 0; at < host.size(); ++at) {
            if (host[at] == expected(at / words, at % words)) continue;
            throw SystemError(cat(
                copies_.description(), ", ", call, ": byte ", at % words * sizeof(Word),
                " from rank ", at / words, " of the tensor-parallel group arrived changed at ",
                copies_.member(),
                "; if devices reach each other through PCIe, its access control (ACS, IOMMU) must "
                "be off; NCCL_P2P_DISABLE=1 or --device-transport staged goes around it"));
        }
    }
    void send(const std::vector<Word>& host) {
        check(cudaMemcpyAsync(in_, host.data(), host.size() * sizeof(Word), cudaMemcpyHostToDevice,
                              stream_),
              "cudaMemcpyAsync");
        check(cudaMemsetAsync(out_, 0xff, size_ * large_, stream_), "cudaMemsetAsync");
        wait();
    }
    void receive(std::vector<Word>& host) {
        wait();
        check(cudaMemcpyAsync(host.data(), out_, host.size() * sizeof(Word), cudaMemcpyDeviceToHost,
                              stream_),
              "cudaMemcpyAsync");
        wait();
    }
    void wait() { wait_for(stream_, &copies_, deadline_seconds_, "a trial of the group's copies"); }

    GroupCopies& copies_;
    std::size_t large_;
    double deadline_seconds_;
    std::size_t rank_ = 0, size_ = 1;
    cudaStream_t stream_ = nullptr;
    std::byte *in_ = nullptr, *out_ = nullptr;
};

}  // namespace

double GroupSpeed::bandwidth() const {
    return static_cast<double>(large_bytes) * (ranks - 1) / std::max(large_seconds, 1e-9);
}

GroupSpeed probe_group(GroupCopies& copies, const Communicator& group, DeviceTransport transport,
                       double deadline_seconds) {
    GroupSpeed speed;
    speed.ranks = group.size();
    speed.one_node = group.split_by_node().size() == group.size();
    speed.large_bytes = transport == DeviceTransport::nccl ? kLarge : kSmall;
    Probe probe(copies, group, speed.large_bytes, deadline_seconds);
    agree(group, "make room for a trial of the group", [&] { probe.allocate(); });
    agree(group, "try the copies of the group", [&] { probe.try_bytes(); });
    agree(group, "measure the copies of the group", [&] {
        speed.small_seconds = probe.seconds_of_all_gather(kSmall);
        speed.large_seconds = probe.seconds_of_all_gather(speed.large_bytes);
    });
    for (double* seconds : {&speed.small_seconds, &speed.large_seconds})
        *seconds = static_cast<double>(group.max(static_cast<std::int64_t>(*seconds * 1e9))) / 1e9;
    return speed;
}

std::string format_speed(const GroupSpeed& speed) {
    const auto tenths = static_cast<std::int64_t>(speed.bandwidth() / 1e8 + 0.5);
    return cat(format_bytes(kSmall), " of every rank in ",
               static_cast<std::int64_t>(speed.small_seconds * 1e6 + 0.5), " µs, ", tenths / 10,
               ".", tenths % 10, " GB/s");
}

std::string slow_group_hint(const GroupSpeed& speed, DeviceTransport transport) {
    if (transport != DeviceTransport::nccl || !speed.one_node || speed.bandwidth() >= kSlow)
        return "";
    return cat(
        "the devices of a tensor-parallel group on one node exchange ", format_speed(speed),
        "; expected at least 20 GB/s. If every rank sees its own device only, the launcher "
        "keeps them from each other: srun --gpu-bind=none, or --tres-bind=gres/gpu:none for "
        "--gpus-per-task. Else compare `nvidia-smi topo -m`, NCCL_DEBUG=INFO (\"via P2P\" is "
        "wanted, \"via SHM\" or \"via NET\" is slow) and, in a container, --ipc=host and "
        "room in /dev/shm");
}

}  // namespace muster::cuda
