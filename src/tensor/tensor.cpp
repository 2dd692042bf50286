#include "muster/tensor/tensor.h"

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

std::string to_string(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

std::int64_t num_elements(const Shape& shape) {
    std::int64_t count = 1;
    for (std::int64_t size : shape) {
        bool overflow = __builtin_mul_overflow(count, size, &count);
        if (overflow || size < 0)
            throw InternalError("num_elements: " + to_string(shape) + " is not a shape");
    }
    return count;
}

Tensor::Tensor(void* data, DType dtype, Shape shape, std::shared_ptr<const void> owner)
    : data_(data), dtype_(dtype), shape_(std::move(shape)), owner_(std::move(owner)) {
    num_elements(shape_);  // refuses sizes that no tensor has
    row_stride_ = row_size();
}

std::int64_t Tensor::row_size() const {
    std::int64_t count = 1;
    for (std::size_t i = 1; i < shape_.size(); ++i) count *= shape_[i];
    return count;
}

Tensor Tensor::row_range(std::int64_t begin, std::int64_t end) const {
    if (shape_.empty() || begin < 0 || begin > end || end > shape_[0])
        throw InternalError(cat("row_range(", begin, ", ", end, ") of ", to_string(shape_)));
    Tensor view = *this;
    view.shape_[0] = end - begin;
    if (data_ != nullptr) {
        auto offset = static_cast<std::size_t>(begin * row_stride_) * size_of(dtype_);
        view.data_ = static_cast<std::byte*>(data_) + offset;
    }
    return view;
}

Tensor Tensor::column_range(std::int64_t begin, std::int64_t end) const {
    if (shape_.size() != 2 || begin < 0 || begin > end || end > shape_[1])
        throw InternalError(cat("column_range(", begin, ", ", end, ") of ", to_string(shape_)));
    Tensor view = *this;
    view.shape_[1] = end - begin;
    if (data_ != nullptr) {
        auto offset = static_cast<std::size_t>(begin) * size_of(dtype_);
        view.data_ = static_cast<std::byte*>(data_) + offset;
    }
    return view;
}

void Tensor::check_element_size(std::size_t bytes) const {
    if (bytes != size_of(dtype_))
        throw InternalError(cat("a ", name_of(dtype_), " tensor has elements of ", size_of(dtype_),
                                " bytes, asked for ", bytes));
}

}  // namespace muster
