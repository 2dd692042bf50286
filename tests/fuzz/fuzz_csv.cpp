// Any bytes are either refused with a UserError or give rows that all have the header's columns,
// read as CSV, as TSV and as rows of JSON.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "muster/base/error.h"
#include "muster/task/dataset.h"

using namespace muster;

namespace {

void read_csv(std::string_view text, const DatasetOptions& options) {
    try {
        const std::vector<Value> rows = parse_csv(text, options, "fuzz");
        for (const Value& row : rows)
            if (row.as_object().size() != rows.front().as_object().size()) std::abort();
    } catch (const UserError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    DatasetOptions options;
    read_csv(text, options);
    options.separator = '\t';
    options.keep_default_na = false;
    options.features.set("q", "string");
    options.features.set("a", "int64");
    read_csv(text, options);
    options.column_names = {"q", "a"};
    options.has_header = false;
    read_csv(text, options);
    try {
        for (const Value& row : parse_json_rows(text, "fuzz"))
            if (!row.is_object()) std::abort();
    } catch (const UserError&) {
    }
    return 0;
}
