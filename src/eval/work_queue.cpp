// Messages between a leader and rank 0, all on the leaders' communicator:
//   kAsk       leader → 0   "one more chunk"; two are under way at any time
//   kWork      0 → leader   the chunk's requests; empty once all work is handed out
//   kProgress  leader → 0   tokens done so far, at most one a second
//   kDone      leader → 0   tokens done in all; the last message of this leader

#include "muster/eval/work_queue.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

constexpr int kAsk = 1, kWork = 2, kProgress = 3, kDone = 4;
constexpr int kAhead = 2;

std::string pack_count(std::uint64_t count) {
    return {reinterpret_cast<const char*>(&count), sizeof count};
}

std::uint64_t unpack_count(const std::string& bytes) {
    std::uint64_t count = 0;
    if (bytes.size() != sizeof count) throw InternalError("progress message of wrong size");
    std::memcpy(&count, bytes.data(), sizeof count);
    return count;
}

std::uint64_t tokens_done(const EngineCounters& counters) {
    return counters.tokens_computed;
}

std::vector<Request> requests_of(const WorkPlan& plan, const Chunk& chunk) {
    return {plan.requests.begin() + static_cast<std::ptrdiff_t>(chunk.begin),
            plan.requests.begin() + static_cast<std::ptrdiff_t>(chunk.end)};
}

/// Rank 0's side: the queue, the other leaders' wishes, and the progress of all.
class Server {
 public:
    Server(const Communicator& leaders, const WorkPlan& plan, std::uint64_t min_chunk_cost)
        : leaders_(&leaders),
          plan_(&plan),
          queue_(plan, leaders.size(), min_chunk_cost),
          done_(static_cast<std::size_t>(leaders.size())),
          total_(plan.total_cost()),
          progress_("evaluate", "tokens", total_) {}

    Chunk take() { return queue_.next(); }

    /// Answers whatever has arrived.
    void serve(std::uint64_t own_tokens) {
        done_[0] = own_tokens;
        while (const auto message = leaders_->try_receive()) {
            const auto from = static_cast<std::size_t>(message->from);
            if (message->tag != kAsk) {
                done_[from] = unpack_count(message->bytes);
                leaders_done_ += message->tag == kDone;
                continue;
            }
            const Chunk chunk = queue_.next();
            const std::string bytes = chunk.begin == chunk.end
                                          ? std::string()
                                          : pack_requests(requests_of(*plan_, chunk));
            sends_.push_back(leaders_->start_send(message->from, kWork, bytes));
        }
        std::erase_if(sends_, [](const auto& send) { return send->done(); });
        // What several ranks begin with is planned once but computed by each.
        progress_.update(std::min(total_done(), total_));
    }

    /// Serves until every other leader is done.
    void finish(std::uint64_t own_tokens) {
        serve(own_tokens);
        while (leaders_done_ < leaders_->size() - 1) {
            serve(own_tokens);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        sends_.clear();
        // Generations that ended early never cost what they might have; what several ranks begin
        // with cost more than was planned.
        progress_.set_total(total_done());
        progress_.update(total_done());
        progress_.finish();
    }

 private:
    std::uint64_t total_done() const {
        return std::accumulate(done_.begin(), done_.end(), std::uint64_t{0});
    }

    const Communicator* leaders_;
    const WorkPlan* plan_;
    ChunkQueue queue_;
    std::vector<std::uint64_t> done_;
    std::vector<std::unique_ptr<PendingSend>> sends_;
    std::uint64_t total_;
    Progress progress_;
    int leaders_done_ = 0;
};

/// Runs one chunk on every rank of the group; empty `bytes` tells the members that the run is over.
std::vector<Completion> run_in_group(const Communicator& group, Engine& engine, std::string bytes,
                                     const Engine::StepCallback& on_step) {
    group.broadcast(bytes, 0);
    if (bytes.empty()) return {};
    return engine.run(unpack_requests(bytes), on_step);
}

void append(std::vector<Completion>& all, std::vector<Completion> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

std::vector<Completion> lead_as_root(const Topology& topology, const WorkPlan& plan, Engine& engine,
                                     std::uint64_t min_chunk_cost, GroupWork& work) {
    std::vector<Completion> completions;
    Server server(*topology.leaders, plan, min_chunk_cost);
    const auto on_step = [&](const EngineCounters& counters) {
        server.serve(tokens_done(counters));
    };
    for (Chunk chunk = server.take(); chunk.begin != chunk.end; chunk = server.take()) {
        server.serve(tokens_done(engine.counters()));
        append(completions, run_in_group(topology.group, engine,
                                         pack_requests(requests_of(plan, chunk)), on_step));
        ++work.chunks;
    }
    run_in_group(topology.group, engine, "", on_step);
    server.finish(tokens_done(engine.counters()));
    return completions;
}

std::vector<Completion> lead_elsewhere(const Topology& topology, Engine& engine, GroupWork& work) {
    const Communicator& leaders = *topology.leaders;
    std::vector<Completion> completions;
    auto last_report = std::chrono::steady_clock::now();
    const auto on_step = [&](const EngineCounters& counters) {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_report < std::chrono::seconds(1)) return;
        last_report = now;
        leaders.send(0, kProgress, pack_count(tokens_done(counters)));
    };
    for (int i = 0; i < kAhead; ++i) leaders.send(0, kAsk, "");
    for (int pending = kAhead; pending > 0;) {
        std::string bytes = leaders.receive(0, kWork).bytes;
        --pending;
        if (bytes.empty()) continue;
        leaders.send(0, kAsk, "");
        ++pending;
        append(completions, run_in_group(topology.group, engine, std::move(bytes), on_step));
        ++work.chunks;
    }
    run_in_group(topology.group, engine, "", on_step);
    leaders.send(0, kDone, pack_count(tokens_done(engine.counters())));
    return completions;
}

void follow(const Topology& topology, Engine& engine) {
    for (;;) {
        std::string bytes;
        topology.group.broadcast(bytes, 0);
        if (bytes.empty()) return;
        engine.run(unpack_requests(bytes), [](const EngineCounters&) {});
    }
}

}  // namespace

std::vector<Completion> run_work(const Topology& topology, const WorkPlan* plan, Engine& engine,
                                 std::uint64_t min_chunk_cost, GroupWork& work) {
    std::vector<Completion> completions;
    if (!topology.leaders)
        follow(topology, engine);
    else if (topology.leaders->is_root())
        completions = lead_as_root(topology, *plan, engine, min_chunk_cost, work);
    else
        completions = lead_elsewhere(topology, engine, work);
    work.counters = engine.counters();
    return completions;
}

std::vector<Completion> gather_completions(const Communicator& leaders,
                                           const std::vector<Completion>& mine,
                                           std::size_t expected) {
    const std::vector<std::string> parts = leaders.gather(pack_completions(mine));
    if (!leaders.is_root()) return {};
    std::vector<Completion> all(expected);
    std::vector<bool> seen(expected, false);
    for (const std::string& part : parts)
        for (Completion& completion : unpack_completions(part)) {
            const std::uint64_t id = completion.id;
            if (id >= expected)
                throw InternalError(
                    cat("gather: request id ", id, " is not in the plan of ", expected));
            if (seen[id]) throw InternalError(cat("gather: request id ", id, " arrived twice"));
            seen[id] = true;
            all[id] = std::move(completion);
        }
    const auto missing = std::find(seen.begin(), seen.end(), false);
    if (missing != seen.end())
        throw InternalError(cat("gather: request id ", missing - seen.begin(), " is missing, and ",
                                std::count(seen.begin(), seen.end(), false) - 1, " more"));
    return all;
}

}  // namespace muster
