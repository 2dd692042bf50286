// Products by cuBLASLt. It may add a row's products in another order for another number of rows, by
// choosing another kernel or by cutting k; so the kernel is chosen once per shape of the weights,
// and k is never cut. Small calls have a kernel of their own where a trial shows the same bits.
//
// Row-major y [m, n] = x [m, k] · w [n, k]ᵀ is, to the library, column-major yᵀ [n, m] = w · xᵀ.

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "cuda/check.h"
#include "cuda/elementwise.h"
#include "cuda/multiplier.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

void check_blas(cublasStatus_t status, const char* call) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw SystemError(cat("cuBLASLt: ", call, ": ", cublasLtGetStatusString(status)));
}

cudaDataType_t type_of(DType type) {
    return type == DType::f32 ? CUDA_R_32F : type == DType::f16 ? CUDA_R_16F : CUDA_R_16BF;
}

/// A handle of the library with its own destructor.
template <typename T, cublasStatus_t (*kDestroy)(T)>
class Owned {
 public:
    Owned() = default;
    ~Owned() {
        if (handle_ != nullptr) (void)kDestroy(handle_);
    }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    T* address() { return &handle_; }
    operator T() const { return handle_; }

 private:
    T handle_ = nullptr;
};
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// All that a product is, but for its addresses.
struct Problem {
    Description description;
    Layout w, x, y;

    explicit Problem(const Product& p) {
        // f32 is multiplied as f32, not as TF32; 16-bit sums are f32 to the end.
        check_blas(cublasLtMatmulDescCreate(description.address(), CUBLAS_COMPUTE_32F, CUDA_R_32F),
                   "cublasLtMatmulDescCreate");
        const cublasOperation_t transposed = CUBLAS_OP_T;
        check_blas(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA,
                                                  &transposed, sizeof transposed),
                   "cublasLtMatmulDescSetAttribute");
        const auto layout = [](Layout& to, DType type, std::int64_t rows, std::int64_t columns,
                               std::int64_t stride) {
            check_blas(cublasLtMatrixLayoutCreate(to.address(), type_of(type),
                                                  static_cast<std::uint64_t>(rows),
                                                  static_cast<std::uint64_t>(columns), stride),
                       "cublasLtMatrixLayoutCreate");
        };
        layout(w, p.type, p.k, p.n, p.w_stride);
        layout(x, p.type, p.k, p.m, p.x_stride);
        layout(y, p.y_type, p.n, p.m, p.y_stride);
    }
};

/// What the algorithm depends on.
using Key = std::tuple<DType, DType, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                       std::int64_t, bool>;
Key key_of(const Product& p) {
    return {p.type, p.y_type, p.n, p.k, p.x_stride, p.w_stride, p.y_stride, p.accumulate};
}

std::string name_of(const Product& p) {
    return cat("[", p.n, ", ", p.k, "] ", muster::name_of(p.type),
               p.accumulate ? ", added to what there is" : "");
}

/// The alignment in bytes, up to 16, of rows `stride` elements apart that begin at a multiple of k.
std::uint32_t alignment(std::int64_t stride, std::int64_t k, DType type) {
    const auto bytes = static_cast<std::uint64_t>(stride | k) * size_of(type);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes & -bytes, 16));
}

struct Algorithms {
    cublasLtMatmulAlgo_t large{}, small{};
    std::int64_t small_rows = 0;  ///< calls of at most so many rows take `small`
};

/// The number of an algorithm and its tile, for the log.
std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
    int id = -1, stages = -1;
    std::uint32_t tile = 0;
    const auto get = [&](cublasLtMatmulAlgoConfigAttributes_t what, void* to, std::size_t bytes) {
        std::size_t written = 0;
        (void)cublasLtMatmulAlgoConfigGetAttribute(&algorithm, what, to, bytes, &written);
    };
    get(CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id);
    get(CUBLASLT_ALGO_CONFIG_TILE_ID, &tile, sizeof tile);
    get(CUBLASLT_ALGO_CONFIG_STAGES_ID, &stages, sizeof stages);
    return cat("algorithm ", id, ", tile ", tile, ", stages ", stages);
}

bool cuts_k(const cublasLtMatmulAlgo_t& algorithm) {
    std::int32_t parts = 1;
    std::uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    std::size_t written = 0;
    (void)cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts,
                                               sizeof parts, &written);
    (void)cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                               &scheme, sizeof scheme, &written);
    return parts > 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE;
}

class CublasLtMultiplier : public Multiplier {
 public:
    CublasLtMultiplier() { check_blas(cublasLtCreate(handle_.address()), "cublasLtCreate"); }

    std::string description() const override {
        const std::size_t version = cublasLtGetVersion();
        return cat("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
    }

    void multiply(const Product& p, cudaStream_t stream) override {
        if (p.m == 0 || p.n == 0) return;
        auto at = algorithms_.find(key_of(p));
        if (at == algorithms_.end()) {
            Algorithms chosen;
            chosen.large = candidates(p, std::max<std::int64_t>(p.m, kLargeRows)).at(0);
            at = algorithms_.emplace(key_of(p), chosen).first;
            detail(
                cat("product with ", name_of(p), ": ", name_of(chosen.large), ", not tried out"));
        }
        const Algorithms& chosen = at->second;
        run(p, p.m <= chosen.small_rows ? chosen.small : chosen.large, stream);
    }

    void prepare(const Product& shape, std::int64_t max_rows, void* scratch,
                 std::size_t scratch_bytes, cudaStream_t stream) override;

 private:
    static constexpr std::int64_t kLargeRows = 1024, kSmallRows = 64;
    static constexpr int kCandidates = 16;

    /// Algorithms for `rows` rows without a cut of k or a workspace, the library's favourite first.
    std::vector<cublasLtMatmulAlgo_t> candidates(Product p, std::int64_t rows) const {
        p.m = rows;
        const Problem problem(p);
        Preference preference;
        check_blas(cublasLtMatmulPreferenceCreate(preference.address()),
                   "cublasLtMatmulPreferenceCreate");
        const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
            check_blas(cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof value),
                       "cublasLtMatmulPreferenceSetAttribute");
        };
        const std::uint64_t no_workspace = 0;
        const std::uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
        const std::uint32_t of_x = alignment(p.x_stride, p.k, p.type),
                            of_w = alignment(p.w_stride, p.k, p.type),
                            of_y = alignment(p.y_stride, 0, p.y_type);
        prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, no_workspace);
        prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, no_reduction);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of_w);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, of_x);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, of_y);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, of_y);
        std::array<cublasLtMatmulHeuristicResult_t, kCandidates> results{};
        int count = 0;
        check_blas(cublasLtMatmulAlgoGetHeuristic(handle_, problem.description, problem.w,
                                                  problem.x, problem.y, problem.y, preference,
                                                  kCandidates, results.data(), &count),
                   "cublasLtMatmulAlgoGetHeuristic");
        std::vector<cublasLtMatmulAlgo_t> found;
        for (int i = 0; i < count; ++i) {
            const cublasLtMatmulHeuristicResult_t& result = results[static_cast<std::size_t>(i)];
            if (result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize == 0 &&
                !cuts_k(result.algo))
                found.push_back(result.algo);
        }
        if (found.empty())
            throw SystemError(cat("cuBLASLt: no algorithm for a product with ", name_of(p),
                                  " that adds in one order; expected one"));
        return found;
    }

    void run(const Product& p, const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) const {
        const Problem problem(p);
        const float one = 1, beta = p.accumulate ? 1.0f : 0.0f;
        check_blas(
            cublasLtMatmul(handle_, problem.description, &one, p.w, problem.w, p.x, problem.x,
                           &beta, p.y, problem.y, p.y, problem.y, &algorithm, nullptr, 0, stream),
            "cublasLtMatmul");
    }

    Owned<cublasLtHandle_t, cublasLtDestroy> handle_;
    std::map<Key, Algorithms> algorithms_;
};

/// Random rows, and room for their results, in the scratch memory of a trial.
class Trial {
 public:
    /// `rows` shrinks to what fits; 0 if nothing does.
    Trial(const Product& shape, std::int64_t max_rows, void* scratch, std::size_t scratch_bytes,
          cudaStream_t stream)
        : shape_(shape), stream_(stream) {
        const std::size_t x_row = static_cast<std::size_t>(shape.x_stride) * size_of(shape.type),
                          y_row = static_cast<std::size_t>(shape.y_stride) * size_of(shape.y_type);
        constexpr std::size_t kMargins = 4 * 256;
        if (scratch_bytes <= kMargins) return;
        rows_ = std::min(
            max_rows, static_cast<std::int64_t>((scratch_bytes - kMargins) / (x_row + 2 * y_row)));
        const auto aligned = [](std::size_t bytes) { return (bytes + 255) / 256 * 256; };
        differs_ = static_cast<std::int32_t*>(scratch);
        x_ = static_cast<std::byte*>(scratch) + 256;
        expected_ = x_ + aligned(x_row * static_cast<std::size_t>(rows_));
        got_ = expected_ + aligned(y_row * static_cast<std::size_t>(rows_));
        x_row_ = x_row;
        y_row_ = y_row;
    }
    std::int64_t rows() const { return rows_; }

    void fill() {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        // A few hundred different rows do; they repeat behind each other.
        const auto elements = static_cast<std::size_t>(shape_.x_stride),
                   different = static_cast<std::size_t>(std::min<std::int64_t>(rows_, 256));
        std::vector<std::byte> host(different * x_row_);
        for (std::size_t i = 0; i < different * elements; ++i) {
            const float value = normal(random);
            const std::uint16_t bits = shape_.type == DType::bf16 ? to_bf16(value) : to_f16(value);
            if (shape_.type == DType::f32)
                std::memcpy(host.data() + 4 * i, &value, 4);
            else
                std::memcpy(host.data() + 2 * i, &bits, 2);
        }
        for (std::int64_t row = 0; row < rows_; row += static_cast<std::int64_t>(different)) {
            const auto n = std::min(different, static_cast<std::size_t>(rows_ - row));
            check(cudaMemcpyAsync(x_ + static_cast<std::size_t>(row) * x_row_, host.data(),
                                  n * x_row_, cudaMemcpyHostToDevice, stream_),
                  "cudaMemcpyAsync");
        }
        wait();
    }
    /// The call of `count` rows from `first` on, into the results to be compared or expected. What
    /// is added to starts as zeros.
    Product call(std::int64_t first, std::int64_t count, bool expected) const {
        Product p = shape_;
        p.m = count;
        p.x = x_ + static_cast<std::size_t>(first) * x_row_;
        p.y = (expected ? expected_ : got_) + static_cast<std::size_t>(first) * y_row_;
        check(cudaMemsetAsync(p.y, p.accumulate ? 0 : 0xff,
                              static_cast<std::size_t>(count) * y_row_, stream_),
              "cudaMemsetAsync");
        return p;
    }
    /// Whether `count` rows from `first` on are as expected.
    bool same(std::int64_t first, std::int64_t count) const {
        const std::size_t at = static_cast<std::size_t>(first) * y_row_;
        check(cudaMemsetAsync(differs_, 0, sizeof *differs_, stream_), "cudaMemsetAsync");
        mark_difference(reinterpret_cast<const std::uint32_t*>(expected_ + at),
                        reinterpret_cast<const std::uint32_t*>(got_ + at),
                        count * static_cast<std::int64_t>(y_row_ / sizeof(std::uint32_t)), differs_,
                        stream_);
        std::int32_t differs = 1;
        check(cudaMemcpyAsync(&differs, differs_, sizeof differs, cudaMemcpyDeviceToHost, stream_),
              "cudaMemcpyAsync");
        wait();
        return differs == 0;
    }

 private:
    void wait() const { wait_for(stream_, nullptr, 300, "the trial of a product"); }

    Product shape_;
    cudaStream_t stream_;
    std::int64_t rows_ = 0;
    std::byte *x_ = nullptr, *expected_ = nullptr, *got_ = nullptr;
    std::size_t x_row_ = 0, y_row_ = 0;
    std::int32_t* differs_ = nullptr;
};

void CublasLtMultiplier::prepare(const Product& shape, std::int64_t max_rows, void* scratch,
                                 std::size_t scratch_bytes, cudaStream_t stream) {
    if (algorithms_.count(key_of(shape)) > 0) return;
    Trial trial(shape, max_rows, scratch, scratch_bytes, stream);
    if (trial.rows() < 1) return;  // multiply() chooses without a trial
    trial.fill();
    const auto tried = [&](const cublasLtMatmulAlgo_t& algorithm, std::int64_t most) {
        for (const std::int64_t count : {std::int64_t{1}, std::int64_t{2}, std::int64_t{7},
                                         std::int64_t{64}, std::int64_t{1000}, trial.rows()}) {
            if (count > trial.rows() || count > most) continue;
            // Not at the beginning, so that rows change their places in a tile.
            const std::int64_t first = std::min<std::int64_t>(3, trial.rows() - count);
            try {
                run(trial.call(first, count, false), algorithm, stream);
            } catch (const SystemError&) {
                return false;  // not an algorithm for so few rows
            }
            if (!trial.same(first, count)) return false;
        }
        return true;
    };
    Algorithms chosen;
    bool found = false;
    int refused = 0;
    for (const cublasLtMatmulAlgo_t& algorithm :
         candidates(shape, std::max<std::int64_t>(max_rows, 1))) {
        run(trial.call(0, trial.rows(), true), algorithm, stream);
        if (tried(algorithm, trial.rows())) {
            chosen.large = algorithm;
            found = true;
            break;
        }
        ++refused;
    }
    if (!found)
        throw SystemError(cat("cuBLASLt: none of ", refused, " algorithms for a product with ",
                              name_of(shape), " gives a row the same bits in calls of 1 to ",
                              trial.rows(), " rows; expected one"));
    // The results of the chosen one stay in place, for the trial of another for small calls.
    std::string small = "the same for few rows";
    for (const std::int64_t rows : {kSmallRows}) {
        if (rows >= max_rows) continue;
        const cublasLtMatmulAlgo_t algorithm = candidates(shape, rows).at(0);
        if (std::memcmp(&algorithm, &chosen.large, sizeof algorithm) == 0 ||
            !tried(algorithm, rows))
            continue;
        chosen.small = algorithm;
        chosen.small_rows = rows;
        small = cat(name_of(algorithm), " up to ", rows, " rows");
    }
    algorithms_.emplace(key_of(shape), chosen);
    detail(cat("product with ", name_of(shape), ": ", name_of(chosen.large), "; ", small,
               "; tried with 1 to ", trial.rows(), " rows, ", refused, " refused"));
}

}  // namespace

std::unique_ptr<Multiplier> make_multiplier() {
    return std::make_unique<CublasLtMultiplier>();
}

}  // namespace muster::cuda
