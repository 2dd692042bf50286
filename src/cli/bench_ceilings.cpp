#include "cli/bench_ceilings.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"

namespace muster {

namespace {

/// Appends every repeat's sum over the ranks. Ranks on unlike processors may lack an instruction
/// and have no repeats: its ceiling is then none. Collective.
void add_rates(const Communicator& world, std::vector<double>& to,
               const std::vector<double>& mine) {
    const auto count = static_cast<std::int64_t>(mine.size());
    if (world.min(count) != world.max(count)) return;
    std::vector<double> all(mine.size() * static_cast<std::size_t>(world.size()));
    world.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    for (std::size_t i = 0; i < mine.size(); ++i) {
        double sum = 0;
        for (std::size_t at = i; at < all.size(); at += mine.size()) sum += all[at];
        to.push_back(sum);
    }
}

void measure_cpus(const Communicator& world, const Topology& topology, BenchResult& result) {
    constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
    CeilingOptions options;
    options.threads = topology.threads;
    options.cpus = topology.places.cpus;
    options.instruction_set = result.bench.isa;
    // All ranks of a node together read a GiB or more, each enough to pass its caches by.
    options.read_buffer =
        std::max(kGiB / static_cast<std::uint64_t>(topology.local_size), kGiB / 4);
    options.together = [&] { world.barrier(); };
    const CpuCeilings mine = measure_cpu_ceilings(options);
    CpuCeilings& all = result.ceilings;
    all.f32_instructions = mine.f32_instructions;
    add_rates(world, all.f32_flops, mine.f32_flops);
    add_rates(world, all.bf16_flops, mine.bf16_flops);
    add_rates(world, all.read_bytes, mine.read_bytes);
    all.bf16_instructions = all.bf16_flops.empty() ? "" : mine.bf16_instructions;
}

/// Of ranks that share a device, the first measures it.
void measure_devices(const Communicator& world, const Topology& topology, BenchResult& result) {
    constexpr int kRepeats = 7;
    const std::vector<Device>& bound = topology.devices.bound;
    const auto rank = static_cast<std::size_t>(topology.rank);
    const auto first = std::find_if(bound.begin(), bound.end(), [&](const Device& device) {
        return device.uuid == bound[rank].uuid;
    });
    CudaCeilings mine;
    for (auto* rates :
         {&mine.f32_flops, &mine.f16_flops, &mine.bf16_flops, &mine.read_bytes, &mine.copy_bytes})
        rates->assign(kRepeats, 0);
    agree(world, "measure the ceilings of the device", [&] {
        if (first - bound.begin() == topology.rank)
            mine = measure_cuda_ceilings(bound[rank].ordinal, kRepeats);
    });
    CudaCeilings& all = result.device_ceilings;
    all.description = mine.description;  // rank 0 is the first on its device
    add_rates(world, all.f32_flops, mine.f32_flops);
    add_rates(world, all.f16_flops, mine.f16_flops);
    add_rates(world, all.bf16_flops, mine.bf16_flops);
    add_rates(world, all.read_bytes, mine.read_bytes);
    add_rates(world, all.copy_bytes, mine.copy_bytes);
}

}  // namespace

void measure_ceilings(const Communicator& world, const Topology& topology, BenchResult& result) {
    if (result.cuda)
        measure_devices(world, topology, result);
    else
        measure_cpus(world, topology, result);
    detail(cat("measured ", std::llround(limit_of_products(result) / 1e9), " GFLOP/s for ",
               name_of(result.model.dtype), " and ", std::llround(limit_of_bytes(result) / 1e9),
               " GB/s"));
}

}  // namespace muster
