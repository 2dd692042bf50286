#include "muster/backend/ceilings.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/mpi/communicator.h"

using namespace muster;

TEST_CASE("ceilings are positive, one per repeat, and the ranks meet before each") {
    int meetings = 0;
    const CpuCeilings ceilings = measure_cpu_ceilings(
        {.threads = 2, .read_buffer = 1 << 20, .repeats = 3, .seconds = 1e-4, .together = [&] {
             ++meetings;
         }});
    const auto good = [](const std::vector<double>& rates) {
        return rates.size() == 3 && std::all_of(rates.begin(), rates.end(), [](double rate) {
                   return std::isfinite(rate) && rate > 0;
               });
    };
    CHECK(good(ceilings.f32_flops));
    CHECK(good(ceilings.read_bytes));
    CHECK_FALSE(ceilings.f32_instructions.empty());
    const bool dots = cpu_instruction_sets().back() == "avx512-bf16";
    CHECK(ceilings.bf16_instructions.empty() == !dots);
    CHECK(good(ceilings.bf16_flops) == dots);
    CHECK(meetings == 9);  // also without dot products
}

TEST_CASE("ceilings and backends of each instruction set by name") {
    const std::vector<std::string> names = cpu_instruction_sets();
    REQUIRE_FALSE(names.empty());
    CHECK(names.front() == "generic");
    const Communicator self = Communicator::self();
    std::string previous;
    for (const std::string& name : names) {
        const CpuCeilings ceilings = measure_cpu_ceilings({.threads = 1,
                                                           .instruction_set = name,
                                                           .read_buffer = 1 << 16,
                                                           .repeats = 1,
                                                           .seconds = 1e-4});
        CHECK(ceilings.f32_flops.size() == 1);
        CHECK(ceilings.bf16_flops.size() ==
              (name == "avx512-bf16" || name == "avx512-mixed" ? 1 : 0));
        const std::string description =
            make_cpu_backend(CpuOptions{.instruction_set = name}, self)->description();
        CHECK(description != previous);
        previous = description;
    }
    CHECK_THROWS_AS(measure_cpu_ceilings({.instruction_set = "mmx"}), UserError);
    CHECK_THROWS_WITH_AS(make_cpu_backend(CpuOptions{.instruction_set = "avx3"}, self),
                         doctest::Contains("generic"), UserError);
}

TEST_CASE("the usable ceiling of a type") {
    CpuCeilings ceilings;
    ceilings.f32_flops = {100, 90, 110};
    CHECK(&ceilings.usable_flops(DType::bf16) == &ceilings.f32_flops);
    ceilings.bf16_flops = {50, 60};  // dot products at half the rate
    CHECK(&ceilings.usable_flops(DType::bf16) == &ceilings.f32_flops);
    ceilings.bf16_flops = {200, 190};
    CHECK(&ceilings.usable_flops(DType::bf16) == &ceilings.bf16_flops);
    CHECK(&ceilings.usable_flops(DType::f16) == &ceilings.f32_flops);
    CHECK(&ceilings.usable_flops(DType::f32) == &ceilings.f32_flops);
}

TEST_CASE("median") {
    CHECK(median({}) == 0);
    CHECK(median({3}) == 3);
    CHECK(median({5, 1, 3}) == 3);
    CHECK(median({4, 1, 3, 2}) == 2.5);
}
