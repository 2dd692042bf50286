#pragma once
// datetime.strftime of a fixed moment, in the C locale.

#include <string>
#include <string_view>

namespace muster::jinja {

/// `now` ("2026-11-20" or "2026-11-20T10:30:00") written as `format` says. Throws UserError.
std::string format_date(const std::string& now, std::string_view format);

}  // namespace muster::jinja
