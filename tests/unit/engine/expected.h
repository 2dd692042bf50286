#pragma once
// What the engine must give on the fake model, computed without engine, pages or steps.

#include "muster/engine/request.h"
#include "muster/model/model_config.h"
#include "muster/text/tokenizer.h"

namespace muster::test {

/// The completion of `request`, one token after the other, on a model of that rope.
Completion expected_completion(const Request& request, const Tokenizer& tokenizer,
                               RopeType rope = RopeType::standard);

}  // namespace muster::test
