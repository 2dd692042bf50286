#pragma once
// Which pages of the KV cache are free. Pure bookkeeping: the same calls give the same page ids on
// every rank.

#include <cstdint>
#include <vector>

namespace muster {

class PagePool {
 public:
    explicit PagePool(std::int32_t num_pages);

    std::int32_t num_pages() const { return static_cast<std::int32_t>(taken_.size()); }
    std::int32_t num_free() const { return static_cast<std::int32_t>(free_.size()); }
    /// `count` pages, or none at all (an empty vector) if fewer are free.
    std::vector<std::int32_t> take(std::int32_t count);
    /// Gives pages back. Throws InternalError for a page that is not taken.
    void give_back(const std::vector<std::int32_t>& pages);

 private:
    std::vector<std::int32_t> free_;  ///< used as a stack
    std::vector<bool> taken_;         ///< [pages]
};

/// Pages that hold `tokens` tokens.
std::int64_t pages_for_tokens(std::int64_t tokens);

}  // namespace muster
