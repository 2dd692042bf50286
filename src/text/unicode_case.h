#pragma once
// Case of single code points as Python sees it: Unicode's full mappings (ß → SS) and derived
// properties.

#include <string>

namespace muster {

/// Appends what Python's chr(c).upper(), .title() and .lower() give. The final sigma needs its
/// neighbours and is python_lower's business.
void append_upper(std::string& out, char32_t c);
void append_title(std::string& out, char32_t c);
void append_lower(std::string& out, char32_t c);

/// The derived properties Uppercase, Lowercase, Cased and Case_Ignorable.
bool is_uppercase(char32_t c);
bool is_lowercase(char32_t c);
bool is_titlecase(char32_t c);
bool is_cased(char32_t c);
bool is_case_ignorable(char32_t c);

/// str.isalpha(), isdigit(), isdecimal(), isnumeric(), isalnum(), isprintable() of one code point.
bool is_python_alpha(char32_t c);
bool is_python_digit(char32_t c);
bool is_python_decimal(char32_t c);
bool is_python_numeric(char32_t c);
bool is_python_alnum(char32_t c);
bool is_python_printable(char32_t c);

}  // namespace muster
