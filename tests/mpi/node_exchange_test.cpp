// Blocks through shared memory: every size around the pieces, each way to share, waiting awake and
// asleep, ranks that arrive late.

#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "mpi_test.h"
#include "muster/base/text.h"
#include "muster/mpi/node_exchange.h"
#include "pattern.h"

using namespace muster;
using Way = SharedMemory::Way;

namespace {

NodeExchange::Options options(std::size_t slot_bytes, bool spin,
                              std::vector<Way> ways = {Way::memfd}) {
    return {slot_bytes, spin, std::move(ways)};
}

/// The block that `rank` contributes to call number `call`.
std::string block_of(int rank, int call, std::size_t bytes) {
    return pattern(rank + 16 * call, bytes);
}

void check_all_gather(NodeExchange& exchange, int call, std::size_t bytes, bool in_place) {
    const auto size = static_cast<std::size_t>(exchange.size());
    const auto rank = static_cast<std::size_t>(exchange.rank());
    const std::string mine = block_of(exchange.rank(), call, bytes);
    std::string expected, out(size * bytes, '?');
    for (int r = 0; r < exchange.size(); ++r) expected += block_of(r, call, bytes);
    std::span<std::byte> all = std::as_writable_bytes(std::span(out));
    std::span<const std::byte> in = std::as_bytes(std::span(mine));
    if (in_place) {
        out.replace(rank * bytes, bytes, mine);
        in = all.subspan(rank * bytes, bytes);
    }
    exchange.all_gather(in, all);
    CHECK(out == expected);
}

/// Names in /dev/shm that this process made; other tests may run beside it.
int names_left() {
    const std::string mine = cat("muster-", getpid(), "-");
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        count += entry.path().filename().string().starts_with(mine);
    return count;
}

}  // namespace

TEST_CASE("a rank alone, and ranks that cannot share, have no exchange") {
    CHECK(NodeExchange::make(Communicator::self()) == nullptr);
    CHECK(NodeExchange::make(test_world(), options(64, true, {})) == nullptr);
    CHECK((NodeExchange::make(test_world()) != nullptr) == (test_world().size() > 1));
}

TEST_CASE("all-gathers of every size around a piece") {
    for (const Way way : {Way::memfd, Way::dev_shm}) {
        for (const bool spin : {true, false}) {
            const auto exchange = NodeExchange::make(test_world(), options(192, spin, {way}));
            if (!exchange) continue;
            CHECK(exchange->way() == way);
            CHECK(exchange->rank() == test_world().rank());
            int call = 0;
            for (const std::size_t bytes :
                 {0u, 1u, 63u, 191u, 192u, 193u, 383u, 384u, 385u, 576u, 5000u})
                for (const bool in_place : {false, true})
                    check_all_gather(*exchange, call++, bytes, in_place);
        }
    }
    if (const auto exchange = NodeExchange::make(test_world()))
        for (const std::size_t bytes :
             {exchange->slot_bytes() - 1, exchange->slot_bytes(), 2 * exchange->slot_bytes() + 4})
            check_all_gather(*exchange, 7, bytes, false);
}

TEST_CASE("pieces and all-gathers mixed, by ranks that come early and late") {
    const auto seed =
        static_cast<unsigned>(test_world().max(static_cast<std::int64_t>(std::random_device{}())));
    if (test_world().is_root()) MESSAGE("seed ", seed);
    const auto exchange = NodeExchange::make(test_world(), options(256, seed % 2 == 0));
    if (!exchange) return;
    std::mt19937 common(seed), own(seed + 1 + static_cast<unsigned>(exchange->rank()));
    for (int call = 0; call < 2000; ++call) {
        if (own() % 200 == 0) std::this_thread::sleep_for(std::chrono::microseconds(own() % 3000));
        const std::size_t bytes = common() % 257;
        if (common() % 2 == 0) {
            check_all_gather(*exchange, call, 3 * bytes, common() % 2 == 0);
            continue;
        }
        block_of(exchange->rank(), call, bytes)
            .copy(reinterpret_cast<char*>(exchange->own_slot()), bytes);
        exchange->publish();
        bool right = true;
        for (int r = exchange->size() - 1; r >= 0; --r) {
            const auto* piece = reinterpret_cast<const char*>(exchange->piece_of(r));
            right = right && std::string(piece, bytes) == block_of(r, call, bytes);
        }
        CHECK(right);
    }
}

TEST_CASE("two groups at once, and one exchange after another") {
    const auto part = test_world().split(test_world().rank() % 2, test_world().rank());
    const auto whole = NodeExchange::make(test_world()), half = NodeExchange::make(*part);
    for (int call = 0; call < 50; ++call) {
        if (half) check_all_gather(*half, call, 1000, false);
        if (whole) check_all_gather(*whole, call, 1000, true);
    }
    for (int i = 0; i < 20; ++i)
        if (const auto next = NodeExchange::make(test_world(), options(64, false)))
            check_all_gather(*next, i, 100, false);
}

TEST_CASE("shared memory: what one rank writes all see; nothing stays behind") {
    for (const Way way : {Way::memfd, Way::dev_shm}) {
        for (const auto access :
             {SharedMemory::Access::all_write, SharedMemory::Access::others_read}) {
            const auto memory = SharedMemory::make(test_world(), 10000, access, {way});
            REQUIRE(memory != nullptr);
            REQUIRE(memory->bytes().size() == 10000);
            CHECK(memory->way() == way);
            CHECK(memory->bytes()[9999] == std::byte{0});
            test_world().barrier();
            if (test_world().is_root()) memory->bytes()[9999] = std::byte{42};
            test_world().barrier();
            CHECK(memory->bytes()[9999] == std::byte{42});
            test_world().barrier();
        }
    }
    test_world().barrier();
    CHECK(names_left() == 0);
}

TEST_CASE("a segment beyond the limit of /dev/shm is refused, not cut short") {
    struct statvfs limits {};
    REQUIRE(statvfs("/dev/shm", &limits) == 0);
    const std::uint64_t all = std::uint64_t{limits.f_blocks} * limits.f_frsize;
    CHECK(SharedMemory::make(test_world(), all + (1 << 20), SharedMemory::Access::all_write,
                             {Way::dev_shm}) == nullptr);
    CHECK(names_left() == 0);
}
