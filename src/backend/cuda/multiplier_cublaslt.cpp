// Products by cuBLASLt. It may add a row's products in another order for another number of rows, by
// choosing another kernel or by cutting k; so the kernel is chosen once per shape of the weights,
// and k is never cut. If none of the library's kernels keeps a row's bits, tiles of our own do
// (grouped_product.h), by how they are made. Calls of few rows have ways of their own where a trial
// shows the same bits (product_trial.h): other algorithms of the library, or the kernels of
// few_rows.h.
//
// Row-major y [m, n] = x [m, k] · w [n, k]ᵀ is, to the library, column-major yᵀ [n, m] = w · xᵀ.

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <vector>

#include "cuda/check.h"
#include "cuda/few_rows.h"
#include "cuda/grouped_product.h"
#include "cuda/multiplier.h"
#include "cuda/product_trial.h"
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
/// cublasDestroy waits for the device (cuBLAS documentation); this may, too.
cublasStatus_t destroy_unless_lost(cublasLtHandle_t handle) {
    return device_is_lost() ? CUBLAS_STATUS_SUCCESS : cublasLtDestroy(handle);
}
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
        auto at = plans_.find(key_of(p));
        if (at == plans_.end()) {
            ProductPlan plan;
            plan.reference = Ways(*this).references(p, kLargeRows).at(0);
            at = plans_.emplace(key_of(p), plan).first;
            detail(cat("product with ", name_of(p), ": ", plan.reference.name, ", not tried out"));
        }
        at->second.way_for(p).run(p, stream);
    }

    void prepare(const Product& shape, std::int64_t usual_rows, std::int64_t max_rows,
                 void* scratch, std::size_t scratch_bytes, cudaStream_t stream) override {
        if (plans_.count(key_of(shape)) > 0) return;
        ProductTrial trial(shape, max_rows, scratch, scratch_bytes, stream);
        if (trial.rows() < 1) return;  // multiply() chooses without a trial
        Ways ways(*this);
        const auto few = [&](std::int64_t rows) {
            std::vector<ProductWay> found;
            if (rows <= kMostFewRows) {
                found.push_back(own_way("own narrow tiles", FewRowsTiles::narrow));
                found.push_back(own_way("own wide tiles", FewRowsTiles::wide));
            }
            std::vector<cublasLtMatmulAlgo_t> algorithms = candidates(shape, rows);
            if (algorithms.size() > kFewCandidates) algorithms.resize(kFewCandidates);
            for (ProductWay& way : ways.add(algorithms)) found.push_back(std::move(way));
            return found;
        };
        const ProductPlan plan =
            trial.choose(ways.references(shape, std::max<std::int64_t>(usual_rows, 1)), few);
        detail(cat("product with ", name_of(shape), ": ", plan.description()));
        plans_.emplace(key_of(shape), plan);
    }

 private:
    static constexpr std::int64_t kLargeRows = 1024;
    static constexpr int kCandidates = 16;
    static constexpr std::size_t kFewCandidates = 4;

    /// Algorithms as ways with a name each: different ones may have equal numbers.
    class Ways {
     public:
        explicit Ways(const CublasLtMultiplier& owner) : owner_(owner) {}
        /// Ways for calls of any size, of which most have `rows` rows.
        std::vector<ProductWay> references(const Product& p, std::int64_t rows) {
            std::vector<ProductWay> ways = add(owner_.candidates(p, rows));
            ways.push_back({"own tiles", multiply_by_tiles});
            return ways;
        }
        std::vector<ProductWay> add(const std::vector<cublasLtMatmulAlgo_t>& algorithms) {
            std::vector<ProductWay> ways;
            for (const cublasLtMatmulAlgo_t& algorithm : algorithms) {
                const auto known =
                    std::find_if(known_.begin(), known_.end(), [&](const auto& other) {
                        return std::memcmp(&other.first, &algorithm, sizeof algorithm) == 0;
                    });
                std::string name = name_of(algorithm);
                if (known != known_.end()) {
                    name = known->second;
                } else {
                    const auto alike = std::count_if(
                        known_.begin(), known_.end(),
                        [&](const auto& other) { return other.second.starts_with(name); });
                    if (alike > 0) name += cat(", variant ", alike + 1);
                    known_.emplace_back(algorithm, name);
                }
                ways.push_back(
                    {name, [owner = &owner_, algorithm](const Product& p, cudaStream_t s) {
                         owner->run(p, algorithm, s);
                     }});
            }
            return ways;
        }

     private:
        const CublasLtMultiplier& owner_;
        std::vector<std::pair<cublasLtMatmulAlgo_t, std::string>> known_;
    };

    static ProductWay own_way(const char* name, FewRowsTiles tiles) {
        return {name, [tiles](const Product& p, cudaStream_t s) { multiply_few_rows(p, tiles, s); },
                kMostFewRows, few_rows_supports};
    }

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
        const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
            handle_, problem.description, problem.w, problem.x, problem.y, problem.y, preference,
            kCandidates, results.data(), &count);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
        check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
        std::vector<cublasLtMatmulAlgo_t> found;
        for (int i = 0; i < count; ++i) {
            const cublasLtMatmulHeuristicResult_t& result = results[static_cast<std::size_t>(i)];
            if (result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize == 0 &&
                !cuts_k(result.algo))
                found.push_back(result.algo);
        }
        return found;
    }

    void run(const Product& p, const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) const {
        const Problem problem(p);
        const float one = 1, beta = p.accumulate ? 1.0f : 0.0f;
        for (int i = 0; i < p.shards; ++i) {
            const Product s = p.shard(i);
            check_blas(cublasLtMatmul(handle_, problem.description, &one, s.w, problem.w, s.x,
                                      problem.x, &beta, s.y, problem.y, s.y, problem.y, &algorithm,
                                      nullptr, 0, stream),
                       "cublasLtMatmul");
        }
    }

    Owned<cublasLtHandle_t, destroy_unless_lost> handle_;
    std::map<Key, ProductPlan> plans_;
};

}  // namespace

std::unique_ptr<Multiplier> make_multiplier() {
    return std::make_unique<CublasLtMultiplier>();
}

}  // namespace muster::cuda
