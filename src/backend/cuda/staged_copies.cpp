// Device → pinned memory → MPI → pinned memory → device, in pieces that fit the pinned memory. MPI
// may be called by the main thread only, so a call here ends when its bytes have arrived: stream
// order holds because nothing is left to order.

#include <algorithm>
#include <cstdint>
#include <span>

#include "cuda/check.h"
#include "cuda/group_copies.h"
#include "cuda/rendezvous.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr std::size_t kPinnedBytes = std::size_t{4} << 20;

class PinnedBytes {
 public:
    explicit PinnedBytes(std::size_t bytes) : size_(bytes) {
        void* memory = nullptr;
        check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
        data_ = static_cast<std::byte*>(memory);
    }
    ~PinnedBytes() {
        if (!device_is_lost()) cudaFreeHost(data_);
    }
    PinnedBytes(const PinnedBytes&) = delete;
    PinnedBytes& operator=(const PinnedBytes&) = delete;
    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::span<std::byte> first(std::size_t bytes) const { return {data_, bytes}; }

 private:
    std::byte* data_ = nullptr;
    std::size_t size_;
};

class StagedCopies : public GroupCopies {
 public:
    StagedCopies(const Communicator& group, double deadline_seconds)
        : group_(group, deadline_seconds), deadline_seconds_(deadline_seconds) {}

    std::string description() const override { return "MPI through host memory"; }
    std::string member() const override {
        return cat("rank ", group_.ranks().rank(), " of ", size(), " of its tensor-parallel group");
    }
    bool recordable() const override { return false; }
    /// A rank that dies takes the whole MPI job with it; one that hangs is missed by the next call.
    void check() override {}

    void all_gather(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        for (std::size_t begin = 0; begin < bytes; begin += piece_) {
            const std::size_t part = std::min(piece_, bytes - begin);
            fetch(static_cast<const std::byte*>(in) + begin, bytes, part, 1, stream);
            come_together("all_gather", bytes, begin);
            group_.ranks().all_gather(sent_.first(part), received_.first(part * size()));
            deliver(static_cast<std::byte*>(out) + begin, bytes, part, stream);
        }
    }

    void all_to_all(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        for (std::size_t begin = 0; begin < bytes; begin += piece_) {
            const std::size_t part = std::min(piece_, bytes - begin);
            fetch(static_cast<const std::byte*>(in) + begin, bytes, part, size(), stream);
            come_together("all_to_all", bytes, begin);
            group_.ranks().all_to_all(sent_.first(part * size()), received_.first(part * size()));
            deliver(static_cast<std::byte*>(out) + begin, bytes, part, stream);
        }
    }

 private:
    std::size_t size() const { return static_cast<std::size_t>(group_.ranks().size()); }

    /// `blocks` blocks of `part` bytes, `pitch` apart on the device, into sent_.
    void fetch(const std::byte* from, std::size_t pitch, std::size_t part, std::size_t blocks,
               cudaStream_t stream) {
        cuda::check(cudaMemcpy2DAsync(sent_.data(), part, from, pitch, part, blocks,
                                      cudaMemcpyDeviceToHost, stream),
                    "copy to pinned memory");
        wait_for(stream, this, deadline_seconds_, "what the other ranks are to get");
    }
    void deliver(std::byte* to, std::size_t pitch, std::size_t part, cudaStream_t stream) {
        cuda::check(cudaMemcpy2DAsync(to, pitch, received_.data(), part, part, size(),
                                      cudaMemcpyHostToDevice, stream),
                    "copy from pinned memory");
        wait_for(stream, this, deadline_seconds_, "what the other ranks sent");
    }
    /// Every rank is about to exchange the same piece: MPI's call will not wait.
    void come_together(const char* call, std::size_t bytes, std::size_t begin) {
        const std::string mine = cat(call, " of ", bytes, " bytes from ", begin);
        const std::vector<std::string> all = group_.meet(mine, call);
        for (std::size_t rank = 0; rank < all.size(); ++rank)
            if (all[rank] != mine)
                throw InternalError(cat("ranks of a tensor-parallel group disagree: rank ",
                                        group_.ranks().rank(), " is at ", mine, ", rank ", rank,
                                        " at ", all[rank]));
    }

    Rendezvous group_;
    double deadline_seconds_;
    /// Bytes of one block that travel at once.
    std::size_t piece_ = std::max<std::size_t>(1, kPinnedBytes / size());
    PinnedBytes sent_{piece_ * size()}, received_{piece_ * size()};
};

}  // namespace

std::unique_ptr<GroupCopies> make_staged_copies(const Communicator& group,
                                                double deadline_seconds) {
    return std::make_unique<StagedCopies>(group, deadline_seconds);
}

}  // namespace muster::cuda
