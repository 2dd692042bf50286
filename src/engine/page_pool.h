#pragma once
// Which pages of the KV cache are free, and how many owners each of the others has. Pure
// bookkeeping: the same calls give the same page ids on every rank.

#include <cstdint>
#include <span>
#include <vector>

namespace muster {

class PagePool {
 public:
    explicit PagePool(std::int32_t num_pages);

    std::int32_t num_pages() const { return static_cast<std::int32_t>(owners_.size()); }
    std::int32_t num_free() const { return static_cast<std::int32_t>(free_.size()); }
    /// Owners of `page`; 0 if it is free. Throws InternalError for a page that does not exist.
    std::int32_t num_owners(std::int32_t page) const;
    /// `count` free pages, each with one owner from now on. Throws InternalError if fewer are free.
    std::vector<std::int32_t> take(std::int64_t count);
    /// One more owner for each of `pages`. Throws InternalError for a free page.
    void share(std::span<const std::int32_t> pages);
    /// One owner less for each of `pages`; the last one frees the page. Throws InternalError for a
    /// free page.
    void give_back(std::span<const std::int32_t> pages);

 private:
    std::int32_t& owners_of_taken(std::int32_t page, const char* what);

    std::vector<std::int32_t> free_;    ///< used as a stack
    std::vector<std::int32_t> owners_;  ///< [pages]
};

/// Pages that hold `tokens` tokens.
std::int64_t pages_for_tokens(std::int64_t tokens);
/// Pages that a run of positions [begin, end) cannot share with what lies before it: all that it
/// touches, the one with the positions before `begin` included, since that one is copied.
std::int64_t own_pages(std::int64_t begin, std::int64_t end);

}  // namespace muster
