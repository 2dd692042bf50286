#include "page_pool.h"

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

PagePool::PagePool(std::int32_t num_pages) : taken_(static_cast<std::size_t>(num_pages), false) {
    free_.reserve(taken_.size());
    for (std::int32_t page = num_pages; page > 0; --page) free_.push_back(page - 1);
}

std::vector<std::int32_t> PagePool::take(std::int32_t count) {
    if (count > num_free()) return {};
    std::vector<std::int32_t> pages;
    pages.reserve(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) {
        pages.push_back(free_.back());
        taken_[static_cast<std::size_t>(free_.back())] = true;
        free_.pop_back();
    }
    return pages;
}

void PagePool::give_back(const std::vector<std::int32_t>& pages) {
    for (const std::int32_t page : pages) {
        const bool known = page >= 0 && page < num_pages();
        if (!known || !taken_[static_cast<std::size_t>(page)]) {
            throw InternalError(
                cat("engine: page ", page, " of ", num_pages(), " is given back but not taken"));
        }
        taken_[static_cast<std::size_t>(page)] = false;
        free_.push_back(page);
    }
}

std::int64_t pages_for_tokens(std::int64_t tokens) {
    return (tokens + kKvPageTokens - 1) / kKvPageTokens;
}

}  // namespace muster
