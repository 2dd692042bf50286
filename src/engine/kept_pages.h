#pragma once
// The pages of a token prefix that was computed in an earlier Engine::run and may serve again. They
// are kept on sufferance: whoever needs pages gets these too, the last first.

#include <cstdint>
#include <span>
#include <vector>

#include "page_pool.h"

namespace muster {

class KeptPages {
 public:
    /// `pool` must outlive this object.
    explicit KeptPages(PagePool& pool) : pool_(pool) {}

    std::int64_t num_tokens() const { return num_tokens_; }
    /// Pages that cover positions [0, num_tokens).
    std::span<const std::int32_t> pages() const { return pages_; }
    /// Pages that would be free without this object.
    std::int64_t num_idle() const;
    /// Gives up what is kept and keeps `pages` instead, which cover [0, num_tokens); takes over one
    /// ownership of each.
    void replace(std::vector<std::int32_t> pages, std::int64_t num_tokens);
    /// Gives up pages until the pool has `count` free ones or nothing is kept any more.
    void make_room(std::int64_t count);

 private:
    PagePool& pool_;
    std::vector<std::int32_t> pages_;
    std::int64_t num_tokens_ = 0;
};

}  // namespace muster
