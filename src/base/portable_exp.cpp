#include "muster/base/portable_exp.h"

#include <cmath>

namespace muster {

double portable_exp(double x) {
    if (!(x > -745)) return 0;
    // x = n·ln 2 + r with |r| ≤ ln 2 / 2 (ln 2 in two parts, Cephes exp.c), then Taylor to r¹³:
    // error below 2⁻⁵⁸ relative.
    const double n = std::floor(x * 1.4426950408889634 + 0.5);
    const double r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
    double sum = 1;
    for (int i = 13; i > 0; --i) sum = 1 + sum * (r / i);
    return std::ldexp(sum, static_cast<int>(n));
}

}  // namespace muster
