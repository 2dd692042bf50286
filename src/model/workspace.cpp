#include "workspace.h"

namespace muster {

Workspace Workspace::allocate(Backend& backend, const ModelConfig& config, const ShardPlan& plan,
                              std::int64_t rows) {
    Workspace workspace;
    for_each(config, plan, rows, [&](Tensor Workspace::*member, DType dtype, const Shape& shape) {
        workspace.*member = backend.allocate(dtype, shape);
    });
    return workspace;
}

Workspace Workspace::first_rows(std::int64_t rows) const {
    Workspace view = *this;
    for (Tensor Workspace::*member :
         {&Workspace::residual, &Workspace::normed, &Workspace::qkv, &Workspace::attended,
          &Workspace::activated, &Workspace::router_logits, &Workspace::cos_sin,
          &Workspace::outputs, &Workspace::hidden}) {
        if (!(this->*member).empty()) view.*member = (this->*member).row_range(0, rows);
    }
    return view;
}

}  // namespace muster
