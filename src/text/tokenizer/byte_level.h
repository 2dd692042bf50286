#pragma once
// GPT-2's table of bytes and printable characters: every byte has a character of its own, so that
// any text can be spelled in a vocabulary of strings. Source: openai/gpt-2 src/encoder.py.

#include <array>
#include <string>
#include <string_view>

namespace muster {

/// Appends the spelling of `bytes` ("Ġhello" for " hello").
void append_byte_level(std::string& out, std::string_view bytes);
/// Appends the bytes that `token` spells, or `token` itself if one of its characters spells no
/// byte.
void append_byte_level_decoded(std::string& out, std::string_view token);

}  // namespace muster
