#pragma once
// The exponential where it decides something that all machines must decide alike.

namespace muster {

/// exp(x) for x ≤ 0 by additions and multiplications in fixed order: the same bits on every
/// machine, within 2 ulp.
double portable_exp(double x);

}  // namespace muster
