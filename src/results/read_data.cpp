// Datasets as columns, texts and summaries.

#include <cstring>

#include "input_file.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "summary_type.h"
#include "text_arena.h"

namespace muster {

namespace {

bool is_text(hid_t type) {
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0;
}

std::size_t count_of(const std::vector<hsize_t>& dims) {
    hsize_t count = 1;
    for (const hsize_t dim : dims) count *= dim;  // checked_dims has excluded an overflow
    return static_cast<std::size_t>(count);
}

/// H5Dread of data with strings, which live in `arena`.
void read_with_text(hid_t dataset, hid_t type, void* data, TextArena& arena) {
    const Handle transfer = arena.make_transfer_list();
    const herr_t result = H5Dread(dataset, type, H5S_ALL, H5S_ALL, transfer, data);
    if (arena.exhausted()) throw UserError("its texts are longer than the file");
    check_hdf5(result, "H5Dread");
}

template <typename T>
std::vector<T> read_numbers(const InputFile& file, hid_t dataset, hid_t type) {
    std::vector<T> values(count_of(file.checked_dims(dataset, sizeof(T))));
    if (values.empty()) return values;
    check_hdf5(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "H5Dread");
    return values;
}

std::string text_of(const char* pointer) {
    return pointer == nullptr ? "" : pointer;
}

std::vector<std::string> read_texts(const InputFile& file, hid_t dataset) {
    constexpr std::size_t kReferenceBytes = 16;
    std::vector<char*> pointers(count_of(file.checked_dims(dataset, kReferenceBytes)), nullptr);
    if (pointers.empty()) return {};
    TextArena arena(file.size_bytes() + pointers.size());
    const Handle type = make_string_type();
    read_with_text(dataset, type, pointers.data(), arena);
    std::vector<std::string> texts;
    texts.reserve(pointers.size());
    for (const char* pointer : pointers) texts.push_back(text_of(pointer));
    return texts;
}

Column::Data read_values(const InputFile& file, hid_t dataset) {
    const Handle type(check_hdf5(H5Dget_type(dataset), "H5Dget_type"), H5Tclose);
    const std::size_t size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
        case H5T_INTEGER:
            if (size == 8 && H5Tget_sign(type) == H5T_SGN_2) {
                return read_numbers<std::int64_t>(file, dataset, H5T_NATIVE_INT64);
            }
            if (size == 1 && H5Tget_sign(type) == H5T_SGN_NONE) {
                return read_numbers<std::uint8_t>(file, dataset, H5T_NATIVE_UINT8);
            }
            break;
        case H5T_FLOAT:
            if (size == 8) return read_numbers<double>(file, dataset, H5T_NATIVE_DOUBLE);
            break;
        case H5T_STRING:
            if (is_text(type)) return read_texts(file, dataset);
            break;
        default:
            break;
    }
    throw UserError("its type is none of int64, uint8, float64 and strings of variable length");
}

/// Throws UserError unless `type` is a compound type with the members of a summary row in classes
/// that convert.
void check_summary_type(hid_t type) {
    if (H5Tget_class(type) != H5T_COMPOUND) throw UserError("expected a compound type");
    const Handle expected = make_summary_type();
    const int members = H5Tget_nmembers(expected);
    for (unsigned i = 0; i < static_cast<unsigned>(members); ++i) {
        char* const raw_name = H5Tget_member_name(expected, i);
        const std::string name = text_of(raw_name);
        H5free_memory(raw_name);
        const int index = H5Tget_member_index(type, name.c_str());
        if (index < 0) throw UserError(cat("its type has no member ", name));
        const Handle member(check_hdf5(H5Tget_member_type(type, static_cast<unsigned>(index)),
                                       "H5Tget_member_type"),
                            H5Tclose);
        const auto wanted = H5Tget_member_class(expected, i);
        if (H5Tget_class(member) != wanted || (wanted == H5T_STRING && !is_text(member))) {
            throw UserError(cat("its member ", name, " has another type than expected"));
        }
    }
}

}  // namespace

Column read_column_data(const InputFile& file, hid_t dataset) {
    const auto dims = file.checked_dims(dataset, 1);
    if (dims.empty()) throw UserError("is a single value, expected a column");
    Column column;
    if (dims.size() == 2) {
        if (dims[1] == 0) throw UserError("has rows of no values");
        column.width = static_cast<std::int64_t>(dims[1]);
    }
    column.data = read_values(file, dataset);
    return column;
}

std::string read_scalar_text(const InputFile& file, hid_t dataset) {
    const Handle type(check_hdf5(H5Dget_type(dataset), "H5Dget_type"), H5Tclose);
    if (!is_text(type)) throw UserError("expected a string of variable length");
    if (!file.checked_dims(dataset, 1).empty()) throw UserError("expected a single value");
    return read_texts(file, dataset).front();
}

std::vector<SummaryRow> read_summary_data(const InputFile& file, hid_t dataset) {
    const Handle stored_type(check_hdf5(H5Dget_type(dataset), "H5Dget_type"), H5Tclose);
    check_summary_type(stored_type);
    const auto dims = file.checked_dims(dataset, H5Tget_size(stored_type));
    if (dims.size() != 1) throw UserError("expected one dimension");
    std::vector<StoredSummaryRow> stored(static_cast<std::size_t>(dims[0]));
    if (stored.empty()) return {};
    TextArena arena(file.size_bytes() + 3 * stored.size());
    const Handle type = make_summary_type();
    read_with_text(dataset, type, stored.data(), arena);
    std::vector<SummaryRow> rows;
    for (const auto& row : stored) {
        rows.push_back({text_of(row.task), text_of(row.metric), text_of(row.filter), row.value,
                        row.stderr_value, row.n, row.higher_is_better != 0, row.is_group != 0});
    }
    return rows;
}

}  // namespace muster
