#pragma once
// VDPBF16PS takes denormal inputs as zero and flushes denormal results whatever the control
// register says. A thread that computes bf16 products sets its control register to the same, so
// that every kernel set gives the same bits.

#include "muster/tensor/dtype.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace muster::cpu {

/// While it lives, the calling thread flushes denormals to zero if `type` is bf16. On processors
/// other than x86-64 and 64-bit ARM it does nothing.
class FlushDenormals {
 public:
    explicit FlushDenormals(DType type) : active_(type == DType::bf16) {
        if (!active_) return;
        saved_ = read();
        write(saved_ | kFlush);
    }
    ~FlushDenormals() {
        if (active_) write(saved_);
    }
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
    using Register = unsigned;
    static constexpr Register kFlush = 0x8040;  // FTZ and DAZ of MXCSR
    static Register read() {
        return _mm_getcsr();
    }
    static void write(Register value) {
        _mm_setcsr(value);
    }
#elif defined(__aarch64__)
    using Register = unsigned long;
    static constexpr Register kFlush = 1ul << 24;  // FZ of FPCR
    static Register read() {
        Register value;
        asm volatile("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void write(Register value) {
        asm volatile("msr fpcr, %0" : : "r"(value));
    }
#else
    using Register = int;
    static constexpr Register kFlush = 0;
    static Register read() {
        return 0;
    }
    static void write(Register) {}
#endif
    bool active_;
    Register saved_ = 0;
};

}  // namespace muster::cpu
