#pragma once
// What a loaded task holds.

#include <set>
#include <string>
#include <vector>

#include "muster/task/task.h"

namespace muster {

struct Task::State {
    TaskSpec spec;
    std::string split;             ///< the evaluated one
    std::vector<Value> documents;  ///< of the evaluated split
    std::string
        fewshot_source;  ///< split of the examples, or "fewshot_config/samples"; for messages
    std::vector<Value> fewshot_pool;  ///< empty if it is the evaluated split, or without examples
    bool pool_is_documents = false;
    bool drop_tested = false;  ///< the tested document must not be its own example
    std::vector<std::string> files;

    const std::vector<Value>& pool() const { return pool_is_documents ? documents : fewshot_pool; }
};

}  // namespace muster
