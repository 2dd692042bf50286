// Encoding speed: tokenizer_bench <tokenizer.json or directory> <text file> [repeats]
// Prints load time and min, median, max of MB/s for the text as a whole and line by line, on one thread.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/text/tokenizer.h"

namespace {

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void report(const char* what, std::size_t bytes, std::size_t tokens, int repeats,
            const std::function<void()>& work) {
    std::vector<double> speeds;
    for (int i = 0; i < repeats; i++) {
        speeds.push_back(static_cast<double>(bytes) / 1e6 / seconds(work));
    }
    std::sort(speeds.begin(), speeds.end());
    std::printf("%-12s %10zu bytes %9zu tokens   MB/s min %.1f median %.1f max %.1f\n", what, bytes, tokens,
                speeds.front(), speeds[speeds.size() / 2], speeds.back());
}

int run(const std::string& path, const std::string& text_path, int repeats) {
    std::vector<muster::Tokenizer> loaded;
    const double load = seconds([&] {
        if (std::filesystem::is_directory(path)) {
            loaded.push_back(muster::Tokenizer::load(path));
        } else {
            loaded.push_back(muster::Tokenizer::from_json(muster::read_file(path), "", path));
        }
    });
    const muster::Tokenizer& tokenizer = loaded.front();
    std::printf("%s\nloaded in %.3f s: %s\n", path.c_str(), load, tokenizer.description().c_str());
    const std::string text = muster::read_file(text_path);
    const std::vector<std::string> lines = muster::split(text, '\n');
    const std::vector<muster::TokenId> ids = tokenizer.encode(text, false);
    report("whole text", text.size(), ids.size(), repeats, [&] { tokenizer.encode(text, false); });
    report("line by line", text.size(), ids.size(), repeats, [&] {
        for (const std::string& line : lines) tokenizer.encode(line, false);
    });
    report("decode", text.size(), ids.size(), repeats, [&] { tokenizer.decode(ids, true); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4) {
        std::fprintf(stderr, "usage: tokenizer_bench <tokenizer.json or directory> <text> [repeats]\n");
        return 2;
    }
    try {
        return run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 5);
    } catch (const muster::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    }
}
