#pragma once
// What no caller of the engine should ask for.

#include <cstdint>
#include <vector>

#include "muster/engine/request.h"

namespace muster {

/// Throws InternalError for requests that make no sense.
void check_requests(const std::vector<Request>& requests, std::int64_t vocab_size);

}  // namespace muster
