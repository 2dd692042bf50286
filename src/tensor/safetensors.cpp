// The format (huggingface/safetensors, README "Format" and src/tensor.rs of 0.4): 8 bytes header
// length, little-endian; a JSON object of that length, perhaps padded with blanks; then the data.
// data_offsets count from the end of the header; together they must cover the data exactly.
#include <algorithm>
#include <array>
#include <optional>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of safetensors itself

struct StoredType {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array<StoredType, 15> kTypes{{{"BOOL", 1},
                                             {"U8", 1},
                                             {"I8", 1},
                                             {"F8_E5M2", 1},
                                             {"F8_E4M3", 1},
                                             {"I16", 2},
                                             {"U16", 2},
                                             {"F16", 2},
                                             {"BF16", 2},
                                             {"I32", 4},
                                             {"U32", 4},
                                             {"F32", 4},
                                             {"F64", 8},
                                             {"I64", 8},
                                             {"U64", 8}}};

// Reads the header of one file; every message begins with the path and, once known, the tensor.
class HeaderReader {
 public:
    HeaderReader(const std::string& path, std::span<const std::byte> file)
        : path_(path), file_(file) {
        std::uint64_t length = header_length();
        header_ = file_.subspan(8, length);
        data_ = file_.subspan(8 + length);
    }

    Value header() const {
        std::string_view text(reinterpret_cast<const char*>(header_.data()), header_.size());
        if (!text.starts_with('{')) fail("the header is not a JSON object");
        Value header = parse_json(text, path_ + ": header", DuplicateKeys::error);
        if (!header.is_object()) fail("the header is not a JSON object");
        return header;
    }

    std::map<std::string, std::string> metadata(const Value& value) const {
        if (!value.is_object()) fail("__metadata__ is not an object");
        std::map<std::string, std::string> metadata;
        for (const auto& [key, text] : value.as_object().members()) {
            if (!text.is_string()) fail("__metadata__ entry \"" + key + "\" is not a string");
            metadata[key] = text.as_string();
        }
        return metadata;
    }

    StoredTensor tensor(const std::string& name, const Value& entry) const {
        auto complain = [&](const std::string& message) {
            fail("tensor \"" + name + "\": " + message);
        };
        if (!entry.is_object()) complain("its entry is not an object");
        for (const auto& [key, value] : entry.as_object().members())
            if (key != "dtype" && key != "shape" && key != "data_offsets")
                complain("unknown key \"" + key + "\" in its entry");

        const Value* dtype = entry.find("dtype");
        if (dtype == nullptr || !dtype->is_string()) complain("dtype is missing or not a string");
        const std::string& dtype_name = dtype->as_string();
        auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&](const StoredType& known) { return known.name == dtype_name; });
        if (type == kTypes.end()) complain("unknown dtype \"" + dtype_name + "\"");

        std::optional<Shape> shape = sizes(entry.find("shape"));
        if (!shape) complain("shape is not an array of sizes");
        std::uint64_t bytes = type->bytes;
        for (std::int64_t size : *shape)
            if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes))
                complain("shape " + to_string(*shape) + " is too large");

        std::optional<Shape> offsets = sizes(entry.find("data_offsets"));
        if (!offsets || offsets->size() != 2) complain("data_offsets is not [begin, end]");
        auto begin = static_cast<std::uint64_t>((*offsets)[0]);
        auto end = static_cast<std::uint64_t>((*offsets)[1]);
        if (begin > end || end > data_.size())
            complain(cat("data_offsets [", begin, ", ", end, "] lie outside the ", data_.size(),
                         " bytes of data"));
        if (end - begin != bytes)
            complain(cat(dtype_name, " ", to_string(*shape), " takes ", bytes,
                         " bytes, but data_offsets span ", end - begin));
        return {name, dtype_name, std::move(*shape), data_.subspan(begin, bytes), path_};
    }

    /// Sorted by where they lie, the tensors must follow each other without gap or overlap.
    void check_coverage(const std::vector<StoredTensor>& tensors) const {
        std::vector<const StoredTensor*> order;
        for (const StoredTensor& tensor : tensors) order.push_back(&tensor);
        std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
            return std::pair(a->bytes.data(), a->bytes.size()) <
                   std::pair(b->bytes.data(), b->bytes.size());
        });
        const std::byte* expected = data_.data();
        for (const StoredTensor* tensor : order) {
            if (tensor->bytes.data() != expected)
                fail(cat("tensor \"", tensor->name, "\" begins at byte ",
                         tensor->bytes.data() - data_.data(), " of the data; expected ",
                         expected - data_.data(),
                         tensor->bytes.data() < expected ? " (it overlaps the one before)"
                                                         : " (there is a gap before it)"));
            expected += tensor->bytes.size();
        }
        auto rest = data_.data() + data_.size() - expected;
        if (rest != 0) fail(cat(rest, " bytes after the last tensor belong to none"));
    }

 private:
    [[noreturn]] void fail(const std::string& message) const {
        throw UserError(path_ + ": " + message);
    }

    std::uint64_t header_length() const {
        if (file_.size() < 8)
            fail(cat("not a safetensors file: it has ", file_.size(), " bytes, fewer than 8"));
        std::uint64_t length = 0;
        for (std::size_t i = 8; i-- > 0;)
            length = length << 8 | std::to_integer<unsigned>(file_[i]);
        if (length > kMaxHeaderBytes)
            fail(cat("not a safetensors file: its header would have ", length, " bytes; at most ",
                     kMaxHeaderBytes, " are allowed"));
        if (length > file_.size() - 8)
            fail(cat("truncated: the header has ", length, " bytes, but only ", file_.size() - 8,
                     " follow; was the download interrupted?"));
        return length;
    }

    // Non-negative integers, or nothing.
    static std::optional<Shape> sizes(const Value* value) {
        if (value == nullptr || !value->is_array()) return std::nullopt;
        Shape sizes;
        for (const Value& size : value->as_array()) {
            if (!size.is_integer() || size.as_integer() < 0) return std::nullopt;
            sizes.push_back(size.as_integer());
        }
        return sizes;
    }

    const std::string& path_;
    std::span<const std::byte> file_, header_, data_;
};

}  // namespace

SafeTensorsFile::SafeTensorsFile(const std::string& path) {
    auto file = std::make_shared<MappedFile>(path);
    mapping_ = file;
    HeaderReader reader(path, file->bytes());
    Value header = reader.header();
    for (const auto& [name, entry] : header.as_object().members()) {
        if (name == "__metadata__")
            metadata_ = reader.metadata(entry);
        else
            tensors_.push_back(reader.tensor(name, entry));
    }
    reader.check_coverage(tensors_);
}

}  // namespace muster
