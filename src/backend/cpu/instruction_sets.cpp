#include "cpu/instruction_sets.h"

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

const char* name_of(Isa isa) {
    switch (isa) {
        case Isa::generic:
            return "generic";
        case Isa::avx2:
            return "avx2";
        case Isa::avx512:
            return "avx512";
        case Isa::avx512_mixed:
            return "avx512-mixed";
        case Isa::avx512_bf16:
            return "avx512-bf16";
    }
    throw InternalError("cpu backend: an instruction set without a name");
}

}  // namespace

Isa isa_named(const std::string& name) {
    for (const Isa isa : available_isas())
        if (name == name_of(isa)) return isa;
    throw UserError(cat("instruction set \"", name, "\": expected one that this processor has: ",
                        join(cpu_instruction_sets(), ", ")));
}

}  // namespace muster::cpu

namespace muster {

std::vector<std::string> cpu_instruction_sets() {
    std::vector<std::string> names;
    for (const cpu::Isa isa : cpu::available_isas()) names.emplace_back(cpu::name_of(isa));
    return names;
}

}  // namespace muster
