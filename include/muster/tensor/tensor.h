#pragma once
// A handle to memory with a type and a shape. Whoever allocated the memory (a backend, a mapped
// file) stays alive through `owner`; copies of a handle share it. Rows are contiguous; a column
// view keeps the row stride of its parent.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster {

using Shape = std::vector<std::int64_t>;

/// "[3, 4]".
std::string to_string(const Shape& shape);
/// Product of the dimensions; 1 for a scalar.
std::int64_t num_elements(const Shape& shape);

class Tensor {
 public:
    Tensor() = default;
    /// A contiguous tensor over `data`, kept alive by `owner`.
    Tensor(void* data, DType dtype, Shape shape, std::shared_ptr<const void> owner);

    DType dtype() const { return dtype_; }
    const Shape& shape() const { return shape_; }
    /// Size of dimension `i`.
    std::int64_t size(std::size_t i) const { return shape_[i]; }
    std::int64_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
    /// Elements of one row: the product of all dimensions but the first.
    std::int64_t row_size() const;
    /// Elements from the start of one row to the next; larger than row_size() in a column view.
    std::int64_t row_stride() const { return row_stride_; }
    bool empty() const { return data_ == nullptr; }
    void* data() const { return data_; }
    /// data() as T; throws InternalError if sizeof(T) does not fit the type.
    template <typename T>
    T* as() const {
        check_element_size(sizeof(T));
        return static_cast<T*>(data_);
    }

    /// Rows [begin, end) as a view.
    Tensor row_range(std::int64_t begin, std::int64_t end) const;
    /// Columns [begin, end) of a 2-D tensor as a view with this tensor's row stride.
    Tensor column_range(std::int64_t begin, std::int64_t end) const;

 private:
    void check_element_size(std::size_t bytes) const;

    void* data_ = nullptr;
    DType dtype_ = DType::f32;
    Shape shape_;
    std::int64_t row_stride_ = 0;
    std::shared_ptr<const void> owner_;
};

}  // namespace muster
