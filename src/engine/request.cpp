// Messages are host-order and meant for ranks of one build. Every count is checked against the
// bytes that are left before anything is allocated.

#include "muster/engine/request.h"

#include <cstring>
#include <type_traits>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {
namespace {

constexpr std::uint32_t kRequestsMark = 0x5145524d;     // "MREQ"
constexpr std::uint32_t kCompletionsMark = 0x4d4f434d;  // "MCOM"
constexpr std::size_t kMinRequestBytes = 101;           // one with empty lists
constexpr std::size_t kMinCompletionBytes = 42;

class Writer {
 public:
    template <typename T>
    void number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        raw(&value, sizeof value);
    }
    void string(const std::string& text) {
        number<std::uint64_t>(text.size());
        raw(text.data(), text.size());
    }
    template <typename T>
    void numbers(const std::vector<T>& values) {
        number<std::uint64_t>(values.size());
        raw(values.data(), values.size() * sizeof(T));
    }
    std::string take() { return std::move(bytes_); }

 private:
    void raw(const void* data, std::size_t size) {
        if (size > 0) bytes_.append(static_cast<const char*>(data), size);
    }

    std::string bytes_;
};

class Reader {
 public:
    Reader(const std::string& bytes, const char* what) : bytes_(bytes), what_(what) {}

    template <typename T>
    T number() {
        T value;
        raw(&value, sizeof value);
        return value;
    }
    /// A number of elements of at least `element_bytes` bytes each.
    std::size_t count(std::size_t element_bytes) {
        const auto value = number<std::uint64_t>();
        if (value > (bytes_.size() - pos_) / element_bytes) malformed(cat("a count of ", value));
        return static_cast<std::size_t>(value);
    }
    std::string string() {
        std::string text(count(1), '\0');
        raw(text.data(), text.size());
        return text;
    }
    template <typename T>
    std::vector<T> numbers() {
        std::vector<T> values(count(sizeof(T)));
        raw(values.data(), values.size() * sizeof(T));
        return values;
    }
    /// An enumerator or flag below `end`.
    std::uint8_t below(std::uint8_t end) {
        const auto value = number<std::uint8_t>();
        if (value >= end)
            malformed(cat("a value of ", int{value}, ", expected less than ", int{end}));
        return value;
    }
    void mark(std::uint32_t expected) {
        if (number<std::uint32_t>() != expected) malformed("another kind of message");
    }
    void end() {
        if (pos_ != bytes_.size()) malformed(cat(bytes_.size() - pos_, " bytes too many"));
    }

 private:
    void raw(void* to, std::size_t size) {
        if (size > bytes_.size() - pos_) malformed(cat(size, " bytes wanted beyond its end"));
        if (size > 0) std::memcpy(to, bytes_.data() + pos_, size);
        pos_ += size;
    }
    [[noreturn]] void malformed(const std::string& fact) const {
        throw InternalError(cat("engine: malformed ", what_, " message of ", bytes_.size(),
                                " bytes: ", fact, " at byte ", pos_));
    }

    const std::string& bytes_;
    const char* what_;
    std::size_t pos_ = 0;
};

void write(Writer& out, const SamplingOptions& sampling) {
    out.number(sampling.temperature);
    out.number(sampling.top_k);
    out.number(sampling.top_p);
    out.number(sampling.min_p);
    out.number(sampling.repetition_penalty);
    out.number(sampling.seed);
}

SamplingOptions read_sampling(Reader& in) {
    SamplingOptions sampling;
    sampling.temperature = in.number<double>();
    sampling.top_k = in.number<std::int64_t>();
    sampling.top_p = in.number<double>();
    sampling.min_p = in.number<double>();
    sampling.repetition_penalty = in.number<double>();
    sampling.seed = in.number<std::uint64_t>();
    return sampling;
}

}  // namespace

std::string pack_requests(const std::vector<Request>& requests) {
    Writer out;
    out.number(kRequestsMark);
    out.number<std::uint64_t>(requests.size());
    for (const Request& request : requests) {
        out.number(request.id);
        out.number(static_cast<std::uint8_t>(request.kind));
        out.numbers(request.tokens);
        out.number(request.first_scored);
        out.number(request.max_new_tokens);
        out.number<std::uint64_t>(request.stop_strings.size());
        for (const std::string& stop : request.stop_strings) out.string(stop);
        out.numbers(request.stop_ids);
        write(out, request.sampling);
        out.number(request.sample_key);
        out.number(request.repeat);
    }
    return out.take();
}

std::vector<Request> unpack_requests(const std::string& bytes) {
    Reader in(bytes, "request");
    in.mark(kRequestsMark);
    std::vector<Request> requests(in.count(kMinRequestBytes));
    for (Request& request : requests) {
        request.id = in.number<std::uint64_t>();
        request.kind = static_cast<Request::Kind>(in.below(2));
        request.tokens = in.numbers<std::int32_t>();
        request.first_scored = in.number<std::int32_t>();
        request.max_new_tokens = in.number<std::int32_t>();
        request.stop_strings.resize(in.count(sizeof(std::uint64_t)));
        for (std::string& stop : request.stop_strings) stop = in.string();
        request.stop_ids = in.numbers<std::int32_t>();
        request.sampling = read_sampling(in);
        request.sample_key = in.number<std::uint64_t>();
        request.repeat = in.number<std::uint32_t>();
    }
    in.end();
    return requests;
}

std::string pack_completions(const std::vector<Completion>& completions) {
    Writer out;
    out.number(kCompletionsMark);
    out.number<std::uint64_t>(completions.size());
    for (const Completion& completion : completions) {
        out.number(completion.id);
        out.numbers(completion.token_logprobs);
        out.number(completion.log_likelihood);
        out.number(static_cast<std::uint8_t>(completion.is_greedy));
        out.numbers(completion.tokens);
        out.string(completion.text);
        out.number(static_cast<std::uint8_t>(completion.finish));
    }
    return out.take();
}

std::vector<Completion> unpack_completions(const std::string& bytes) {
    Reader in(bytes, "completion");
    in.mark(kCompletionsMark);
    std::vector<Completion> completions(in.count(kMinCompletionBytes));
    for (Completion& completion : completions) {
        completion.id = in.number<std::uint64_t>();
        completion.token_logprobs = in.numbers<float>();
        completion.log_likelihood = in.number<double>();
        completion.is_greedy = in.below(2) == 1;
        completion.tokens = in.numbers<std::int32_t>();
        completion.text = in.string();
        completion.finish = static_cast<FinishReason>(in.below(4));
    }
    in.end();
    return completions;
}

}  // namespace muster
