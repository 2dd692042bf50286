// Copies between the ranks of a group: bytes, pieces, and what happens when a rank does not come.

#include "cuda/group_copies.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "cuda/check.h"
#include "cuda/group_probe.h"
#include "cuda/rendezvous.h"
#include "cuda/wait.h"
#include "mpi_test.h"
#include "muster/base/error.h"
#include "unit/error_message.h"

using namespace muster;
using namespace muster::cuda;
using muster::test::error_message;

namespace {

constexpr double kLong = 60, kShort = 0.3;  // seconds

const auto kRanks = [] { return static_cast<std::size_t>(test_world().size()); };
const auto kRank = [] { return static_cast<std::size_t>(test_world().rank()); };

/// MUSTER_TEST_TRANSPORT=nccl in the environment, else staged.
DeviceTransport transport() {
    const char* set = std::getenv("MUSTER_TEST_TRANSPORT");
    return set && std::string(set) == "nccl" ? DeviceTransport::nccl : DeviceTransport::staged;
}
std::unique_ptr<GroupCopies> make_copies() {
    // Ranks of one device, if they are, must each be a node of its own for NCCL.
    setenv("NCCL_HOSTID", std::to_string(test_world().rank()).c_str(), 0);
    return make_group_copies(transport(), test_world(), kLong);
}

using Bytes = std::vector<unsigned char>;

/// What rank `from` has for rank `to`.
Bytes block(std::size_t from, std::size_t to, std::size_t bytes) {
    std::uint32_t state = static_cast<std::uint32_t>(from * 100 + to * 10 + bytes);
    Bytes block(bytes);
    for (unsigned char& byte : block)
        byte = static_cast<unsigned char>((state = state * 1664525 + 1013904223) >> 24);
    return block;
}
Bytes joined(const std::vector<Bytes>& blocks) {
    Bytes all;
    for (const Bytes& each : blocks) all.insert(all.end(), each.begin(), each.end());
    return all;
}

/// Device memory with a margin that nobody may touch.
class DeviceBytes {
 public:
    explicit DeviceBytes(std::size_t bytes) : size_(bytes) {
        check(cudaMalloc(&data_, bytes + 2 * kMargin), "cudaMalloc");
        fill({});
    }
    DeviceBytes(const DeviceBytes&) = delete;
    DeviceBytes& operator=(const DeviceBytes&) = delete;
    ~DeviceBytes() { cudaFree(data_); }
    unsigned char* data() const { return data_ + kMargin; }
    void fill(const Bytes& values) {
        Bytes all(size_ + 2 * kMargin, 0xab);
        std::copy(values.begin(), values.end(), all.begin() + kMargin);
        check(cudaMemcpy(data_, all.data(), all.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }
    Bytes values() const {
        Bytes all(size_ + 2 * kMargin);
        check(cudaMemcpy(all.data(), data_, all.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
        for (std::size_t i = 0; i < kMargin; ++i) {
            CHECK(all[i] == 0xab);
            CHECK(all[all.size() - 1 - i] == 0xab);
        }
        return {all.begin() + kMargin, all.end() - kMargin};
    }

 private:
    static constexpr std::ptrdiff_t kMargin = 64;
    std::size_t size_;
    unsigned char* data_ = nullptr;
};

class Stream {
 public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { cudaStreamDestroy(stream_); }
    operator cudaStream_t() const { return stream_; }

 private:
    cudaStream_t stream_ = nullptr;
};

void check_all_gather(GroupCopies& copies, std::size_t bytes, bool in_place, cudaStream_t stream) {
    DeviceBytes in(bytes), out(bytes * kRanks());
    unsigned char* from = in_place ? out.data() + kRank() * bytes : in.data();
    const Bytes mine = block(kRank(), 0, bytes);
    // Still on its way when the copy is asked for.
    check(cudaMemcpyAsync(from, mine.data(), bytes, cudaMemcpyHostToDevice, stream), "copy");
    copies.all_gather(from, out.data(), bytes, stream);
    wait_for(stream, &copies, kLong);
    std::vector<Bytes> expected;
    for (std::size_t rank = 0; rank < kRanks(); ++rank) expected.push_back(block(rank, 0, bytes));
    CHECK(out.values() == joined(expected));
}

void check_all_to_all(GroupCopies& copies, std::size_t bytes, cudaStream_t stream) {
    DeviceBytes in(bytes * kRanks()), out(bytes * kRanks());
    std::vector<Bytes> mine, expected;
    for (std::size_t rank = 0; rank < kRanks(); ++rank) {
        mine.push_back(block(kRank(), rank, bytes));
        expected.push_back(block(rank, kRank(), bytes));
    }
    const Bytes all = joined(mine);
    check(cudaMemcpyAsync(in.data(), all.data(), all.size(), cudaMemcpyHostToDevice, stream),
          "copy");
    copies.all_to_all(in.data(), out.data(), bytes, stream);
    wait_for(stream, &copies, kLong);
    CHECK(out.values() == joined(expected));
}

/// Every rank's copies of a faulty link: one byte of what comes from rank 0 is another.
class FaultyCopies : public GroupCopies {
 public:
    explicit FaultyCopies(std::unique_ptr<GroupCopies> inner) : inner_(std::move(inner)) {}
    std::string description() const override { return "a faulty link"; }
    std::string member() const override { return inner_->member(); }
    bool recordable() const override { return false; }
    void check() override {}
    void all_gather(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        inner_->all_gather(in, out, bytes, stream);
        if (test_world().rank() == test_world().size() - 1)
            cudaMemsetAsync(static_cast<std::byte*>(out) + bytes / 2, 0x55, 1, stream);
    }
    void all_to_all(const void* in, void* out, std::size_t bytes, cudaStream_t stream) override {
        inner_->all_to_all(in, out, bytes, stream);
    }

 private:
    std::unique_ptr<GroupCopies> inner_;
};

double seconds_of(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("bytes of every rank in rank order, whatever their number") {
    const auto copies = make_copies();
    if (kRanks() == 1) {
        CHECK(copies == nullptr);
        return;
    }
    CHECK(copies->description().find(transport() == DeviceTransport::nccl ? "NCCL 2." : "MPI") ==
          0);
    CHECK(copies->recordable() == (transport() == DeviceTransport::nccl));
    copies->check();
    const Stream stream, other;
    const std::size_t pinned = std::size_t{4} << 20, piece = pinned / kRanks();
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{1000}, piece - 1, piece,
          piece + 1, 2 * piece + 77}) {
        CAPTURE(bytes);
        check_all_gather(*copies, bytes, false, stream);
        check_all_gather(*copies, bytes, true, other);
        check_all_to_all(*copies, bytes, stream);
    }
}

TEST_CASE("work queued before and after a copy keeps its place") {
    const auto copies = make_copies();
    if (!copies) return;
    const Stream stream;
    DeviceBytes in(8), out(8 * kRanks());
    Bytes last(8 * kRanks());
    for (int round = 0; round < 5; ++round) {
        cudaMemsetAsync(in.data(), round * 10 + test_world().rank(), 8, stream);
        copies->all_gather(in.data(), out.data(), 8, stream);
        cudaMemcpyAsync(last.data(), out.data(), last.size(), cudaMemcpyDeviceToHost, stream);
        cudaMemsetAsync(out.data(), 0, last.size(), stream);
        wait_for(stream, copies.get(), kLong);
        for (std::size_t i = 0; i < last.size(); ++i)
            CHECK(last[i] == static_cast<unsigned char>(round * 10 + static_cast<int>(i / 8)));
    }
}

TEST_CASE("ranks that ask for different copies are told so") {
    if (kRanks() == 1) return;
    const auto copies = make_staged_copies(test_world(), kLong);
    const Stream stream;
    DeviceBytes in(64), out(64 * kRanks());
    const std::string message = error_message<InternalError>(
        [&] { copies->all_gather(in.data(), out.data(), kRank() == 0 ? 64 : 32, stream); });
    CHECK(message.find("disagree") != std::string::npos);
    CHECK(message.find("all_gather of 64 bytes") != std::string::npos);
    CHECK(message.find("all_gather of 32 bytes") != std::string::npos);
}

TEST_CASE("a rank that does not come is an error within the deadline") {
    if (kRanks() == 1) return;
    const auto copies = make_staged_copies(test_world(), kShort);
    const Stream stream;
    DeviceBytes in(64), out(64 * kRanks());
    if (!test_world().is_root()) {
        std::string message;
        const double seconds = seconds_of([&] {
            message = error_message<SystemError>(
                [&] { copies->all_gather(in.data(), out.data(), 64, stream); });
        });
        CHECK(message == "rank " + std::to_string(kRank()) +
                             " of the tensor-parallel group waited 0.3 s for rank 0 of it to come "
                             "to all_gather");
        CHECK(seconds >= kShort);
        CHECK(seconds < kLong);  // a busy machine may let it wait
    }
    test_world().barrier();  // where rank 0 was all the time
}

TEST_CASE("rounds of a rendezvous do not mix, though some ranks are ahead") {
    Rendezvous ranks(test_world(), kLong);
    for (int round = 0; round < 50; ++round) {
        if (round % 10 == test_world().rank())
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        const std::vector<std::string> all =
            ranks.meet(std::to_string(round) + " of " + std::to_string(kRank()), "a round");
        REQUIRE(all.size() == kRanks());
        for (std::size_t rank = 0; rank < all.size(); ++rank)
            CHECK(all[rank] == std::to_string(round) + " of " + std::to_string(rank));
    }
}

TEST_CASE("a link that changes bytes is found before anybody relies on it") {
    if (kRanks() == 1) return;
    FaultyCopies faulty(make_staged_copies(test_world(), kLong));
    const std::string message = error_message<SystemError>(
        [&] { probe_group(faulty, test_world(), DeviceTransport::staged, kLong); });
    CHECK(message.find("a faulty link, all_gather: byte ") != std::string::npos);
    CHECK(message.find("from rank 0 of the tensor-parallel group arrived changed at rank " +
                       std::to_string(kRanks() - 1)) != std::string::npos);
}

TEST_CASE("a slow group of one node is told which flags help") {
    GroupSpeed speed;
    speed.ranks = 4;
    speed.large_bytes = std::size_t{16} << 20;
    speed.small_seconds = 50e-6;
    speed.large_seconds = 5e-3;
    CHECK(speed.bandwidth() == doctest::Approx(3 * 16.777216e6 / 5e-3));
    CHECK(format_speed(speed) == "1.0 MiB of every rank in 50 µs, 10.1 GB/s");
    const std::string hint = slow_group_hint(speed, DeviceTransport::nccl);
    CHECK(hint.find("--gpu-bind=none") != std::string::npos);
    CHECK(hint.find("--tres-bind=gres/gpu:none") != std::string::npos);
    CHECK(slow_group_hint(speed, DeviceTransport::staged).empty());
    speed.one_node = false;
    CHECK(slow_group_hint(speed, DeviceTransport::nccl).empty());
    speed.one_node = true;
    speed.large_seconds = 2e-3;
    CHECK(slow_group_hint(speed, DeviceTransport::nccl).empty());
}
