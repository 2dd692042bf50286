#include "checksum.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "muster/base/hash.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Collects bytes so that the hash sees few large updates.
class Hasher {
 public:
    void add_bytes(std::string_view bytes) {
        buffer_.append(bytes);
        if (buffer_.size() >= kFlush) flush();
    }
    void add(std::uint8_t value) { add_bytes({reinterpret_cast<const char*>(&value), 1}); }
    void add(std::uint64_t value) {
        char bytes[8];
        for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
        add_bytes({bytes, 8});
    }
    void add(std::int64_t value) { add(static_cast<std::uint64_t>(value)); }
    void add(double value) {
        constexpr std::uint64_t kNan = 0x7ff8000000000000;  // one for all
        add(std::isnan(value) ? kNan : std::bit_cast<std::uint64_t>(value));
    }
    void add(std::string_view text) {
        add(static_cast<std::uint64_t>(text.size()));
        add_bytes(text);
    }
    void add(const std::string& text) { add(std::string_view(text)); }
    std::string digest() {
        flush();
        return sha_.hex_digest();
    }

 private:
    static constexpr std::size_t kFlush = 1 << 16;
    void flush() {
        sha_.update(buffer_);
        buffer_.clear();
    }
    Sha256 sha_;
    std::string buffer_;
};

const char* type_name(const std::vector<std::int64_t>&) {
    return "int64";
}
const char* type_name(const std::vector<double>&) {
    return "float64";
}
const char* type_name(const std::vector<std::uint8_t>&) {
    return "uint8";
}
const char* type_name(const std::vector<std::string>&) {
    return "string";
}
const char* type_name(const std::vector<std::string_view>&) {
    return "string";
}

template <typename T>
std::string checksum_of(const std::vector<T>& values, std::int64_t rows, std::int64_t width) {
    Hasher hasher;
    hasher.add_bytes(cat("muster-column-1 ", type_name(values), ' ', rows, ' ', width, '\n'));
    for (const T& value : values) hasher.add(value);
    return hasher.digest();
}

}  // namespace

std::string checksum(const Column& column) {
    return std::visit(
        [&](const auto& values) { return checksum_of(values, column.rows(), column.width); },
        column.data);
}

std::string checksum(const std::vector<std::string_view>& strings, std::int64_t rows,
                     std::int64_t width) {
    return checksum_of(strings, rows, width);
}

std::string checksum(const std::vector<SummaryRow>& rows) {
    Hasher hasher;
    hasher.add_bytes(cat("muster-summary-1 ", rows.size(), '\n'));
    for (const SummaryRow& row : rows) {
        hasher.add(row.task);
        hasher.add(row.metric);
        hasher.add(row.filter);
        hasher.add(row.value);
        hasher.add(row.stderr_value);
        hasher.add(row.n);
        hasher.add(static_cast<std::uint8_t>(row.higher_is_better));
        hasher.add(static_cast<std::uint8_t>(row.is_group));
    }
    return hasher.digest();
}

}  // namespace muster
