#include "cuda/product_trial.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "cuda/check.h"
#include "cuda/elementwise.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr int kTimedRuns = 5;
/// Another way than the reference has to be so much faster.
constexpr double kWorthIt = 0.98;

class Event {
 public:
    Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
    ~Event() {
        if (!device_is_lost()) (void)cudaEventDestroy(event_);
    }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    operator cudaEvent_t() const { return event_; }

 private:
    cudaEvent_t event_ = nullptr;
};

std::size_t cache_bytes() {
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
    return static_cast<std::size_t>(bytes);
}

}  // namespace

const ProductWay& ProductPlan::way_for(const Product& product) const {
    for (const Few& candidate : few) {
        if (product.m > candidate.most_rows) continue;
        const ProductWay& way = candidate.way;
        return way.supports == nullptr || way.supports(product) ? way : reference;
    }
    return reference;
}

std::string ProductPlan::description() const {
    std::string text = reference.name;
    for (const Few& candidate : few)
        text += cat("; ", candidate.way.name, " up to ", candidate.most_rows, " rows");
    if (few.empty()) text += "; the same for few rows";
    return text + cat("; tried with 1 to ", tried_rows, " rows, ", refused, " refused");
}

ProductTrial::ProductTrial(const Product& shape, std::int64_t max_rows, void* scratch,
                           std::size_t scratch_bytes, cudaStream_t stream)
    : shape_(shape), stream_(stream), max_rows_(max_rows) {
    x_row_ = static_cast<std::size_t>(shape.x_stride) * size_of(shape.type);
    y_row_ = static_cast<std::size_t>(shape.y_stride) * size_of(shape.y_type);
    constexpr std::size_t kMargins = 4 * 256;
    // Some is left, so that writing it sweeps the weights out of the cache before they are timed.
    const std::size_t usable = scratch_bytes - std::min(2 * cache_bytes(), scratch_bytes / 4);
    if (usable <= kMargins) return;
    rows_ =
        std::min(max_rows, static_cast<std::int64_t>((usable - kMargins) / (x_row_ + 2 * y_row_)));
    const auto aligned = [](std::size_t bytes) { return (bytes + 255) / 256 * 256; };
    const auto rows = static_cast<std::size_t>(rows_);
    differs_ = static_cast<std::int32_t*>(scratch);
    x_ = static_cast<std::byte*>(scratch) + 256;
    expected_ = x_ + aligned(x_row_ * rows);
    got_ = expected_ + aligned(y_row_ * rows);
    spare_ = got_ + aligned(y_row_ * rows);
    spare_bytes_ =
        scratch_bytes - static_cast<std::size_t>(spare_ - static_cast<const std::byte*>(scratch));
}

void ProductTrial::wait() const {
    wait_for(stream_, nullptr, 300, "the trial of a product");
}

// Numbers of one size, and, in every other row, of sizes so different that it shows in the last
// bits how a machine adds them.
void ProductTrial::fill() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> exponent(-8, 8);
    // A few hundred different rows do; they repeat behind each other.
    const auto elements = static_cast<std::size_t>(shape_.x_stride),
               different = static_cast<std::size_t>(std::min<std::int64_t>(rows_, 256));
    std::vector<std::byte> host(different * x_row_);
    for (std::size_t i = 0; i < different * elements; ++i) {
        const float plain = normal(random);
        const float value = i / elements % 2 == 0 ? plain : std::ldexp(plain, exponent(random));
        const std::uint16_t bits = shape_.type == DType::bf16 ? to_bf16(value) : to_f16(value);
        if (shape_.type == DType::f32)
            std::memcpy(host.data() + 4 * i, &value, 4);
        else
            std::memcpy(host.data() + 2 * i, &bits, 2);
    }
    wait();  // copies of memory that is not pinned wait for the stream, and without a deadline
    for (std::int64_t row = 0; row < rows_; row += static_cast<std::int64_t>(different)) {
        const auto n = std::min(different, static_cast<std::size_t>(rows_ - row));
        check(cudaMemcpyAsync(x_ + static_cast<std::size_t>(row) * x_row_, host.data(), n * x_row_,
                              cudaMemcpyHostToDevice, stream_),
              "cudaMemcpyAsync");
    }
    wait();
}

Product ProductTrial::call(std::int64_t first, std::int64_t count, bool expected) const {
    Product p = shape_;
    p.m = count;
    p.x = x_ + static_cast<std::size_t>(first) * x_row_;
    p.y = (expected ? expected_ : got_) + static_cast<std::size_t>(first) * y_row_;
    check(cudaMemsetAsync(p.y, p.accumulate ? 0 : 0xff, static_cast<std::size_t>(count) * y_row_,
                          stream_),
          "cudaMemsetAsync");
    return p;
}

bool ProductTrial::same(std::int64_t first, std::int64_t count) const {
    const std::size_t at = static_cast<std::size_t>(first) * y_row_;
    check(cudaMemsetAsync(differs_, 0, sizeof *differs_, stream_), "cudaMemsetAsync");
    mark_difference(reinterpret_cast<const std::uint32_t*>(expected_ + at),
                    reinterpret_cast<const std::uint32_t*>(got_ + at),
                    count * static_cast<std::int64_t>(y_row_ / sizeof(std::uint32_t)), differs_,
                    stream_);
    std::int32_t differs = 1;
    wait();
    check(cudaMemcpyAsync(&differs, differs_, sizeof differs, cudaMemcpyDeviceToHost, stream_),
          "cudaMemcpyAsync");
    wait();
    return differs == 0;
}

bool ProductTrial::keeps_bits(const ProductWay& way, std::int64_t most) const {
    most = std::min({most, rows_, way.most_rows});
    for (const std::int64_t count :
         {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, std::int64_t{16}, std::int64_t{64},
          std::int64_t{1000}, most}) {
        if (count > most) continue;
        // Not at the beginning, so that rows change their places in a tile; and at the end.
        for (const std::int64_t first : {std::min<std::int64_t>(3, rows_ - count), rows_ - count}) {
            const Product p = call(first, count, false);
            if (way.supports != nullptr && !way.supports(p)) return false;
            try {
                way.run(p, stream_);
            } catch (const SystemError&) {
                return false;  // not a way for so few rows
            }
            if (!same(first, count)) return false;
        }
    }
    return true;
}

double ProductTrial::milliseconds_of(const ProductWay& way, std::int64_t count) const {
    const std::size_t swept = std::min(spare_bytes_, 2 * cache_bytes());
    const Product p = call(0, count, false);
    const Event begin[kTimedRuns], end[kTimedRuns];
    for (int i = 0; i < kTimedRuns; ++i) {
        if (swept > 0) check(cudaMemsetAsync(spare_, i, swept, stream_), "cudaMemsetAsync");
        check(cudaEventRecord(begin[i], stream_), "cudaEventRecord");
        try {
            way.run(p, stream_);
        } catch (const SystemError&) {
            return std::numeric_limits<double>::infinity();
        }
        check(cudaEventRecord(end[i], stream_), "cudaEventRecord");
    }
    wait();
    std::vector<float> times(kTimedRuns);
    for (int i = 0; i < kTimedRuns; ++i)
        check(cudaEventElapsedTime(&times[static_cast<std::size_t>(i)], begin[i], end[i]),
              "cudaEventElapsedTime");
    std::nth_element(times.begin(), times.begin() + kTimedRuns / 2, times.end());
    return static_cast<double>(times[kTimedRuns / 2]);
}

ProductPlan ProductTrial::choose(
    const std::vector<ProductWay>& references,
    const std::function<std::vector<ProductWay>(std::int64_t rows)>& few) {
    fill();
    ProductPlan plan;
    plan.tried_rows = rows_;
    const auto found = std::find_if(references.begin(), references.end(), [&](const auto& way) {
        try {
            way.run(call(0, rows_, true), stream_);
        } catch (const SystemError&) {
            return false;
        }
        return keeps_bits(way, rows_);
    });
    plan.refused = static_cast<int>(found - references.begin());
    if (found == references.end())
        throw SystemError(cat("none of ", plan.refused, " ways to multiply by [", shape_.n, ", ",
                              shape_.k, "] ", name_of(shape_.type),
                              " gives a row the same bits in calls of 1 to ", rows_,
                              " rows; expected one"));
    plan.reference = *found;
    // Its results stay in place, for the trial of others.
    for (const std::int64_t count : kFewRowCounts) {
        if (count >= max_rows_ || count > rows_) break;
        ProductWay best = plan.reference;
        double best_time = milliseconds_of(best, count) * kWorthIt;
        for (const ProductWay& way : few(count)) {
            if (way.name == plan.reference.name || way.most_rows < count || !keeps_bits(way, count))
                continue;
            const double time = milliseconds_of(way, count);
            if (!(time < best_time)) continue;
            best_time = time;
            best = way;
        }
        if (!plan.few.empty() && plan.few.back().way.name == best.name)
            plan.few.back().most_rows = count;
        else
            plan.few.push_back({count, best});
    }
    if (!plan.few.empty() && plan.few.back().way.name == plan.reference.name) plan.few.pop_back();
    return plan;
}

}  // namespace muster::cuda
