// A world of one without MPI: collectives are copies, messages to oneself wait in a queue.

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "muster/base/error.h"
#include "transport.h"

namespace muster {

namespace {

class DeliveredSend : public PendingSend {
 public:
    bool done() override { return true; }
};

class SelfTransport : public Transport {
 public:
    int rank() const override { return 0; }
    int size() const override { return 1; }

    std::unique_ptr<Transport> split(int color, int /*key*/) override {
        return color < 0 ? nullptr : make_self_transport();
    }
    std::unique_ptr<Transport> split_by_node() override { return make_self_transport(); }
    std::unique_ptr<Transport> duplicate() override { return make_self_transport(); }

    void barrier() override {}
    void broadcast(std::span<std::byte> /*bytes*/, int /*root*/) override {}
    std::vector<std::string> gather(const std::string& bytes, int /*root*/) override {
        return {bytes};
    }
    std::vector<std::string> all_gather(const std::string& bytes) override { return {bytes}; }
    void all_gather(std::span<const std::byte> in, std::span<std::byte> out) override {
        if (!in.empty()) std::memmove(out.data(), in.data(), in.size());
    }
    void all_to_all(std::span<const std::byte> in, std::span<std::byte> out) override {
        if (!in.empty()) std::memmove(out.data(), in.data(), in.size());
    }
    std::int64_t reduce(std::int64_t value, Reduction /*reduction*/) override { return value; }

    void send(int /*to*/, int tag, const std::string& bytes) override {
        queue_.push_back({0, tag, bytes});
    }
    std::unique_ptr<PendingSend> start_send(int /*to*/, int tag, std::string bytes) override {
        queue_.push_back({0, tag, std::move(bytes)});
        return std::make_unique<DeliveredSend>();
    }
    Communicator::Message receive(int from, int tag) override {
        auto message = try_receive(from, tag);
        if (!message) {
            throw InternalError(
                "receive: nothing was sent in this world of one; would wait for ever");
        }
        return std::move(*message);
    }
    std::optional<Communicator::Message> try_receive(int /*from*/, int tag) override {
        const auto found = std::find_if(queue_.begin(), queue_.end(), [tag](const auto& message) {
            return tag == Communicator::any_tag || message.tag == tag;
        });
        if (found == queue_.end()) return std::nullopt;
        Communicator::Message message = std::move(*found);
        queue_.erase(found);
        return message;
    }

 private:
    std::deque<Communicator::Message> queue_;
};

}  // namespace

std::unique_ptr<Transport> make_self_transport() {
    return std::make_unique<SelfTransport>();
}

}  // namespace muster
