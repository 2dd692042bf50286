#pragma once
// What the engine must give on the fake model, computed without engine, pages or steps.

#include "muster/engine/request.h"
#include "muster/text/tokenizer.h"

namespace muster::test {

/// The completion of `request`, one token after the other.
Completion expected_completion(const Request& request, const Tokenizer& tokenizer);

}  // namespace muster::test
