#include "page_pool.h"

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

PagePool::PagePool(std::int32_t num_pages) : owners_(static_cast<std::size_t>(num_pages), 0) {
    free_.reserve(owners_.size());
    for (std::int32_t page = num_pages; page > 0; --page) free_.push_back(page - 1);
}

std::int32_t PagePool::num_owners(std::int32_t page) const {
    if (page < 0 || page >= num_pages()) {
        throw InternalError(cat("engine: page ", page, " of ", num_pages(), " does not exist"));
    }
    return owners_[static_cast<std::size_t>(page)];
}

std::int32_t& PagePool::owners_of_taken(std::int32_t page, const char* what) {
    if (num_owners(page) == 0) {
        throw InternalError(
            cat("engine: page ", page, " of ", num_pages(), " is ", what, " but not taken"));
    }
    return owners_[static_cast<std::size_t>(page)];
}

std::vector<std::int32_t> PagePool::take(std::int64_t count) {
    if (count > num_free()) {
        throw InternalError(
            cat("engine: ", count, " pages are asked for, ", num_free(), " are free"));
    }
    std::vector<std::int32_t> pages;
    pages.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        pages.push_back(free_.back());
        owners_[static_cast<std::size_t>(free_.back())] = 1;
        free_.pop_back();
    }
    return pages;
}

void PagePool::share(std::span<const std::int32_t> pages) {
    for (const std::int32_t page : pages) ++owners_of_taken(page, "shared");
}

void PagePool::give_back(std::span<const std::int32_t> pages) {
    for (const std::int32_t page : pages) {
        if (--owners_of_taken(page, "given back") == 0) free_.push_back(page);
    }
}

std::int64_t pages_for_tokens(std::int64_t tokens) {
    return (tokens + kKvPageTokens - 1) / kKvPageTokens;
}

std::int64_t own_pages(std::int64_t begin, std::int64_t end) {
    return end > begin ? pages_for_tokens(end) - begin / kKvPageTokens : 0;
}

}  // namespace muster
