#pragma once
// Which of several ways to compute a product is taken, by the number of rows. One way is the
// reference: the first that gives a row the same bits in calls of any size. Calls of few rows take
// the fastest way among those that give them the reference's bits, so time chooses between ways but
// never between bits. Found by trying them on random numbers.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "cuda/multiplier.h"

namespace muster::cuda {

/// One way to compute products of a shape.
struct ProductWay {
    std::string name;
    /// Enqueues a product. Throws SystemError if it cannot.
    std::function<void(const Product&, cudaStream_t)> run;
    std::int64_t most_rows = std::numeric_limits<std::int64_t>::max();  ///< of a call
    /// Whether it can, told by addresses and strides; null: always.
    std::function<bool(const Product&)> supports = nullptr;
};

/// The ways taken for products of one shape.
struct ProductPlan {
    struct Few {
        std::int64_t most_rows = 0;
        ProductWay way;
    };
    ProductWay reference;
    std::vector<Few> few;  ///< by ascending rows; beyond them, and if they cannot, `reference`
    std::int64_t tried_rows = 0;  ///< the largest call that was tried
    int refused = 0;              ///< ways before the reference

    const ProductWay& way_for(const Product& product) const;
    /// "algorithm 21; own tiles up to 32 rows; tried with 1 to 8192 rows, 0 refused".
    std::string description() const;
};

/// Numbers of rows up to which a way is chosen by itself.
inline constexpr std::int64_t kFewRowCounts[] = {8, 16, 32, 64, 128, 256};

/// Random rows, and room for their results, in scratch memory (`scratch_bytes`, aligned to 256).
class ProductTrial {
 public:
    /// Calls of up to `max_rows` rows will come. With little memory, fewer are tried.
    ProductTrial(const Product& shape, std::int64_t max_rows, void* scratch,
                 std::size_t scratch_bytes, cudaStream_t stream);
    /// Rows of the largest call that is tried; 0 if the memory is too small for any.
    std::int64_t rows() const { return rows_; }
    /// `few(rows)`: ways for calls of at most `rows` rows, which are tried besides the reference.
    /// Throws SystemError if none of `references` gives rows the same bits. Waits for the stream.
    ProductPlan choose(const std::vector<ProductWay>& references,
                       const std::function<std::vector<ProductWay>(std::int64_t rows)>& few);

 private:
    void fill();
    /// The call of `count` rows from `first` on, into the results to be compared or expected. What
    /// is added to starts as zeros.
    Product call(std::int64_t first, std::int64_t count, bool expected) const;
    /// Whether `count` rows from `first` on are as expected.
    bool same(std::int64_t first, std::int64_t count) const;
    /// Whether calls of up to `most` rows are as expected.
    bool keeps_bits(const ProductWay& way, std::int64_t most) const;
    /// Milliseconds of a call of `count` rows with weights that are not in the cache.
    double milliseconds_of(const ProductWay& way, std::int64_t count) const;
    void wait() const;

    Product shape_;
    cudaStream_t stream_;
    std::int64_t max_rows_, rows_ = 0;
    std::byte *x_ = nullptr, *expected_ = nullptr, *got_ = nullptr, *spare_ = nullptr;
    std::size_t x_row_ = 0, y_row_ = 0, spare_bytes_ = 0;
    std::int32_t* differs_ = nullptr;
};

}  // namespace muster::cuda
