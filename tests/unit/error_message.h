#pragma once
// The message of the error that a call is expected to throw.

#include <string>

namespace muster::test {

/// what() of the `E` that `call` throws, or "nothing was thrown".
template <typename E, typename F>
std::string error_message(F&& call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    }
    return "nothing was thrown";
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace muster::test
