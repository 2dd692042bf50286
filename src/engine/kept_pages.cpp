#include "kept_pages.h"

#include <algorithm>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

std::int64_t KeptPages::num_idle() const {
    return std::count_if(pages_.begin(), pages_.end(),
                         [&](std::int32_t page) { return pool_.num_owners(page) == 1; });
}

void KeptPages::replace(std::vector<std::int32_t> pages, std::int64_t num_tokens) {
    if (static_cast<std::int64_t>(pages.size()) != pages_for_tokens(num_tokens)) {
        throw InternalError(
            cat("engine: ", pages.size(), " pages are kept for ", num_tokens, " tokens"));
    }
    pool_.give_back(pages_);
    pages_ = std::move(pages);
    num_tokens_ = num_tokens;
}

void KeptPages::make_room(std::int64_t count) {
    while (pool_.num_free() < count && !pages_.empty()) {
        pool_.give_back(std::span(pages_).last(1));
        pages_.pop_back();
        num_tokens_ = static_cast<std::int64_t>(pages_.size()) * kKvPageTokens;
    }
}

}  // namespace muster
