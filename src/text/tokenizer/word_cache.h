#pragma once
// Remembers the tokens of recent short words. One direct-mapped table of fixed size (about 1.5 MB)
// per thread, shared by all models of that thread.

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "muster/text/tokenizer.h"

namespace muster {

class WordCache {
 public:
    /// Of the calling thread.
    static WordCache& of_this_thread() {
        thread_local WordCache instance;
        return instance;
    }

    static bool accepts(std::string_view word) { return word.size() <= kMaxBytes; }

    /// Appends the tokens of `word` if it is known for the model `serial`.
    bool find(std::uint64_t serial, std::string_view word, std::vector<TokenId>& out) const {
        const Entry& entry = (*entries_)[index_of(serial, word)];
        if (entry.serial != serial || entry.num_bytes != word.size() ||
            std::memcmp(entry.word.data(), word.data(), word.size()) != 0) {
            return false;
        }
        out.insert(out.end(), entry.ids.begin(), entry.ids.begin() + entry.num_ids);
        return true;
    }

    void store(std::uint64_t serial, std::string_view word, const std::vector<TokenId>& ids) {
        if (ids.size() > kMaxIds) return;
        Entry& entry = (*entries_)[index_of(serial, word)];
        entry.serial = serial;
        entry.num_bytes = static_cast<std::uint8_t>(word.size());
        entry.num_ids = static_cast<std::uint8_t>(ids.size());
        std::memcpy(entry.word.data(), word.data(), word.size());
        std::copy(ids.begin(), ids.end(), entry.ids.begin());
    }

 private:
    static constexpr std::size_t kEntries = 1 << 14, kMaxBytes = 38, kMaxIds = 12;
    struct Entry {
        std::uint64_t serial = 0;  // no model has serial 0
        std::uint8_t num_bytes = 0, num_ids = 0;
        std::array<char, kMaxBytes> word{};
        std::array<TokenId, kMaxIds> ids{};
    };
    static std::size_t index_of(std::uint64_t serial, std::string_view word) {
        return (std::hash<std::string_view>()(word) + serial) & (kEntries - 1);
    }

    std::unique_ptr<std::array<Entry, kEntries>> entries_ =
        std::make_unique<std::array<Entry, kEntries>>();
};

}  // namespace muster
