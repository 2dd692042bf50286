// What the compiler's check of alignment calls, in kernels compiled with -fsanitize=alignment.

#include <cstdint>
#include <cstdio>

#include "parts.h"

namespace {
// As GCC and clang lay them out (compiler-rt, ubsan_handlers.h, "TypeMismatchData").
struct SourceLocation {
    const char* file;
    std::uint32_t line, column;
};
struct TypeDescriptor {
    std::uint16_t kind, info;
    char name[1];  ///< longer
};
struct TypeMismatch {
    SourceLocation location;
    const TypeDescriptor* type;
    unsigned char log_alignment, access;
};
}  // namespace

extern "C" [[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(const TypeMismatch* mismatch,
                                                                   std::uintptr_t address) {
    char text[512];
    std::snprintf(text, sizeof text, "misaligned address %#jx of %s, which needs %u bytes; %s:%u",
                  static_cast<std::uintmax_t>(address), mismatch->type->name,
                  1u << mismatch->log_alignment, mismatch->location.file,
                  static_cast<unsigned>(mismatch->location.line));
    emulator::fail(text);
}
