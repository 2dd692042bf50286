// Runs a fuzz target without libFuzzer: every file of a corpus folder, then mutations of them. The
// sequence is the same at every run; a slow machine only sees less of it. An input that kills the
// program is left in fuzz-crash.bin.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kMutations = 100000;
constexpr std::chrono::seconds kTimeLimit{4};
constexpr std::size_t kLargestInput = 1 << 16;

std::string current;  // what the target is looking at

void leave_input(int signal) {
    int fd = ::open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        [[maybe_unused]] ssize_t written = ::write(fd, current.data(), current.size());
        ::close(fd);
    }
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void run(const std::string& input) {
    current = input;
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

class Mutator {
 public:
    explicit Mutator(std::vector<std::string> corpus) : corpus_(std::move(corpus)) {}

    std::string next() {
        std::string input = corpus_[below(corpus_.size())];
        for (std::size_t step = 0, steps = 1 + below(4); step < steps; ++step) mutate(input);
        if (input.size() > kLargestInput) input.resize(kLargestInput);
        return input;
    }

 private:
    // xorshift64 (Marsaglia 2003) with a fixed seed.
    std::size_t below(std::size_t limit) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return limit == 0 ? 0 : static_cast<std::size_t>(state_ % limit);
    }
    void mutate(std::string& input) {
        static constexpr std::string_view kMarks = "{}[]()\"'\\,:;-+.0129eE<>%|&*!#?~ \n\t\r";
        static constexpr std::array<std::uint64_t, 8> kExtremes{
            0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
        std::size_t at = below(input.size() + 1), count = 1 + below(16);
        switch (below(8)) {
            case 0:
                flip(input);
                break;
            case 1:
                input.insert(at, 1, kMarks[below(kMarks.size())]);
                break;
            case 2:
                input.insert(at, 1, static_cast<char>(below(256)));
                break;
            case 3:
                input.erase(at, count);
                break;
            case 4:
                input.resize(at);
                break;
            case 5:
                input.insert(at, input.substr(below(input.size()), 4 * count));
                break;
            case 6:
                splice(input, at);
                break;
            default:
                for (std::size_t i = 0, value = below(8); i < 8 && at + i < input.size(); ++i)
                    input[at + i] = static_cast<char>(kExtremes[value] >> (8 * i) & 0xFF);
        }
    }
    void flip(std::string& input) {
        if (!input.empty()) input[below(input.size())] ^= static_cast<char>(1u << below(8));
    }
    void splice(std::string& input, std::size_t at) {
        const std::string& other = corpus_[below(corpus_.size())];
        input.replace(at, below(64), other.substr(below(other.size()), 1 + below(64)));
    }

    std::vector<std::string> corpus_;
    std::uint64_t state_ = 0x9E3779B97F4A7C15u;
};

std::vector<std::string> read_corpus(const std::string& folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.is_regular_file()) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> corpus;
    for (const auto& path : paths) {
        std::ifstream file(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return corpus;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s <corpus folder or one input>\n", argv[0]);
        return 2;
    }
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, leave_input);
    if (std::filesystem::is_regular_file(argv[1])) {
        std::ifstream file(argv[1], std::ios::binary);
        run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
        return 0;
    }
    std::vector<std::string> corpus = read_corpus(argv[1]);
    if (corpus.empty()) {
        std::fprintf(stderr, "%s: the corpus is empty\n", argv[1]);
        return 1;
    }
    auto start = std::chrono::steady_clock::now();
    for (const std::string& input : corpus) run(input);
    Mutator mutator(corpus);
    int mutations = 0;
    for (; mutations < kMutations; ++mutations) {
        if (std::chrono::steady_clock::now() - start > kTimeLimit) break;
        run(mutator.next());
    }
    std::printf("%zu inputs of the corpus and %d mutations of them\n", corpus.size(), mutations);
    return 0;
}
