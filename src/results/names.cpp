// Names of tasks, metrics and filters as names of HDF5 links. Only what HDF5 cannot have in a name
// is escaped, in the manner of URLs: "/" becomes %2F, "%" becomes %25, and the name "." becomes
// %2E.

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/results/result_file.h"

namespace muster {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string escape_name(const std::string& name) {
    if (name.empty()) throw UserError("the empty name cannot be stored in a result file");
    if (name == ".") return "%2E";
    std::string result;
    for (const char c : storable_text(name)) {
        if (c == '/') {
            result += "%2F";
        } else if (c == '%') {
            result += "%25";
        } else {
            result += c;
        }
    }
    return result;
}

std::string unescape_name(const std::string& name) {
    std::string result;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '%' && i + 2 < name.size()) {
            const int high = hex_digit(name[i + 1]), low = hex_digit(name[i + 2]);
            if (high >= 0 && low >= 0) {
                result += static_cast<char>(16 * high + low);
                i += 2;
                continue;
            }
        }
        result += name[i];
    }
    return result;
}

std::string child_path(const std::string& group, const std::string& name) {
    return cat(group == "/" ? "" : group, '/', escape_name(name));
}

}  // namespace muster
