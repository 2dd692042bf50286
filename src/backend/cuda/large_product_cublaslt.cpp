// cuBLASLt computes on matrices in column-major order: the row-major y = x · wᵀ is its yᵀ = w · xᵀ,
// where a row-major matrix counts as its own transpose.

#include <cublasLt.h>

#include <memory>

#include "cuda/ceilings.h"
#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what cuBLAS itself takes on sm_90

void check_lt(cublasStatus_t status, const char* call) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw SystemError(cat("cuBLASLt: ", call, ": ", cublasLtGetStatusString(status)));
}

/// One of the library's objects, destroyed with its owner.
template <typename T, cublasStatus_t (*kDestroy)(T)>
struct Destroyer {
    using pointer = T;
    void operator()(T object) const { (void)kDestroy(object); }
};
/// cublasDestroy waits for the device (cuBLAS documentation); this may, too.
cublasStatus_t destroy_unless_lost(cublasLtHandle_t handle) {
    return device_is_lost() ? CUBLAS_STATUS_SUCCESS : cublasLtDestroy(handle);
}
using Handle = std::unique_ptr<cublasLtHandle_t, Destroyer<cublasLtHandle_t, destroy_unless_lost>>;
using Operation = std::unique_ptr<cublasLtMatmulDesc_t,
                                  Destroyer<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>>;
using Layout = std::unique_ptr<cublasLtMatrixLayout_t,
                               Destroyer<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>>;
using Preference =
    std::unique_ptr<cublasLtMatmulPreference_t,
                    Destroyer<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>>;

class CublasLtProduct : public LargeProduct {
 public:
    CublasLtProduct() {
        cublasLtHandle_t handle = nullptr;
        check_lt(cublasLtCreate(&handle), "cublasLtCreate");
        handle_.reset(handle);
        check(cudaMalloc(&workspace_, kWorkspace), "cudaMalloc for the ceilings");
    }
    ~CublasLtProduct() override {
        if (!device_is_lost()) cudaFree(workspace_);
    }
    CublasLtProduct(const CublasLtProduct&) = delete;
    CublasLtProduct& operator=(const CublasLtProduct&) = delete;

    std::string description() const override {
        const std::size_t version = cublasLtGetVersion();
        return cat("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
    }

    void multiply(DType type, std::int64_t n, const void* x, const void* w, void* y,
                  cudaStream_t stream) override {
        const cudaDataType_t element = type == DType::f32   ? CUDA_R_32F
                                       : type == DType::f16 ? CUDA_R_16F
                                                            : CUDA_R_16BF;
        cublasLtMatmulDesc_t made = nullptr;
        check_lt(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                 "cublasLtMatmulDescCreate");
        const Operation operation(made);
        const cublasOperation_t transposed = CUBLAS_OP_T;
        check_lt(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                                sizeof(transposed)),
                 "cublasLtMatmulDescSetAttribute");
        cublasLtMatrixLayout_t square = nullptr;
        const auto size = static_cast<std::uint64_t>(n);
        check_lt(cublasLtMatrixLayoutCreate(&square, element, size, size, n),
                 "cublasLtMatrixLayoutCreate");
        const Layout layout(square);
        const cublasLtMatmulHeuristicResult_t best = choose(made, square);
        const float one = 1, zero = 0;
        check_lt(cublasLtMatmul(handle_.get(), made, &one, w, square, x, square, &zero, y, square,
                                y, square, &best.algo, workspace_, kWorkspace, stream),
                 "cublasLtMatmul");
    }

 private:
    cublasLtMatmulHeuristicResult_t choose(cublasLtMatmulDesc_t operation,
                                           cublasLtMatrixLayout_t square) {
        cublasLtMatmulPreference_t made = nullptr;
        check_lt(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
        const Preference preference(made);
        check_lt(
            cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                 &kWorkspace, sizeof(kWorkspace)),
            "cublasLtMatmulPreferenceSetAttribute");
        cublasLtMatmulHeuristicResult_t result{};
        int found = 0;
        check_lt(cublasLtMatmulAlgoGetHeuristic(handle_.get(), operation, square, square, square,
                                                square, made, 1, &result, &found),
                 "cublasLtMatmulAlgoGetHeuristic");
        if (found == 0) throw SystemError("cuBLASLt: no algorithm for products of square matrices");
        return result;
    }

    Handle handle_;
    void* workspace_ = nullptr;
};

}  // namespace

std::unique_ptr<LargeProduct> make_large_product() {
    return std::make_unique<CublasLtProduct>();
}

}  // namespace muster::cuda
