#pragma once
// How keys and values lie in a KV page, so that a page is the second operand of a tile kernel as it
// is. A page holds one block of kKvPageTokens · d elements per kv head:
//
//   keys    [2, d, 32]             panels of 32 tokens     bf16 in pairs of d:  [2, d/2, 32, 2]
//   values  [panels, 64, columns]  panels of 32 columns    bf16 in pairs of tokens:
//           of d, the last may be narrower                 [panels, 32, columns, 2]

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/kernels.h"
#include "muster/backend/backend.h"
#include "muster/tensor/tensor.h"

namespace muster::cpu {

static_assert(kKvPageTokens == 2 * kPanel);

/// The heads of one cache of keys or values [pages, kKvPageTokens, kv_heads·d].
struct KvLayout {
    DType type;
    std::int64_t d, kv_heads;
    std::int64_t item;  ///< bytes of an element

    std::int64_t head_bytes() const { return kKvPageTokens * d * item; }
    std::byte* head(const Tensor& cache, std::int64_t page, std::int64_t kv_head) const {
        return static_cast<std::byte*>(cache.data()) + (page * kv_heads + kv_head) * head_bytes();
    }
    std::int64_t value_panels() const { return (d + kPanel - 1) / kPanel; }
    /// Columns of a panel of values.
    std::int64_t columns(std::int64_t panel) const {
        return std::min<std::int64_t>(kPanel, d - panel * kPanel);
    }
    /// Dimensions of keys or tokens of values in one step of the type's own tile.
    int per_step() const { return type == DType::bf16 ? 2 : 1; }
};

}  // namespace muster::cpu
