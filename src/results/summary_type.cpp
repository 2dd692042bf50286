#include "summary_type.h"

namespace muster {

Handle make_summary_type() {
    const Handle text = make_string_type();
    const Handle boolean = make_bool_type();
    using Row = StoredSummaryRow;
    Handle type(check_hdf5(H5Tcreate(H5T_COMPOUND, sizeof(Row)), "H5Tcreate"), H5Tclose);
    const auto insert = [&type](const char* name, std::size_t offset, hid_t member) {
        check_hdf5(H5Tinsert(type, name, offset, member), "H5Tinsert");
    };
    insert("task", HOFFSET(Row, task), text);
    insert("metric", HOFFSET(Row, metric), text);
    insert("filter", HOFFSET(Row, filter), text);
    insert("value", HOFFSET(Row, value), H5T_NATIVE_DOUBLE);
    insert("stderr", HOFFSET(Row, stderr_value), H5T_NATIVE_DOUBLE);
    insert("n", HOFFSET(Row, n), H5T_NATIVE_INT64);
    insert("higher_is_better", HOFFSET(Row, higher_is_better), boolean);
    insert("is_group", HOFFSET(Row, is_group), boolean);
    return type;
}

}  // namespace muster
