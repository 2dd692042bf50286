#pragma once
// Template source to tokens, with Jinja's whitespace control. Ported from jinja2 3.1.6 lexer.py.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/text/template.h"

namespace muster::jinja {

/// Where something stands in the source, from 1; columns count characters.
struct Position {
    std::uint32_t line = 1, column = 1;
};

enum class TokenKind : std::uint8_t {
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    text,
    integer,
    real,
    op,
    end
};

struct Token {
    TokenKind kind;
    Position position;
    std::string value;  ///< data, name, operator or decoded string
    std::int64_t integer = 0;
    double real = 0;

    bool is_op(std::string_view text) const { return kind == TokenKind::op && value == text; }
    bool is_name(std::string_view text) const { return kind == TokenKind::name && value == text; }
};

/// "<place>:<line>:<column>: <message>" as UserError.
[[noreturn]] void fail_at(const std::string& place, Position position, std::string_view message);

/// All tokens, the last of kind end. Throws UserError with `place`.
std::vector<Token> tokenize(std::string_view source, const std::string& place,
                            const TemplateOptions& options);

}  // namespace muster::jinja
