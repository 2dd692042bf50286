// From counts and ceilings to rates. A replica may use its share of the machine, so that its least
// time for `work` is max(flops / peak, bytes / bandwidth) · replicas.

#include <algorithm>

#include "cli/bench_report.h"

namespace muster {

double limit_of_products(const BenchResult& result) {
    const DType type = result.model.dtype;
    return median(result.cuda ? result.device_ceilings.usable_flops(type)
                              : result.ceilings.usable_flops(type));
}

double limit_of_bytes(const BenchResult& result) {
    return median(result.cuda ? result.device_ceilings.copy_bytes : result.ceilings.read_bytes);
}

PhaseRates rates_of(const BenchResult& result, const PhaseResult& phase) {
    const double peak = limit_of_products(result), bandwidth = limit_of_bytes(result);
    const BenchConfig bench = at_batch(result.bench, phase.batch);
    PhaseRates rates;
    for (const std::vector<PhaseRun>& replicas : phase.runs) {
        const auto shares = static_cast<double>(replicas.size());
        double tokens = 0, computed = 0, flops = 0, bytes = 0, of_limit = 0;
        for (const PhaseRun& run : replicas) {
            const PhaseWork work = work_of(phase.name, bench, result.model, run);
            const double seconds = std::max(run.seconds, 1e-9);
            const double compute = work.flops * shares / peak,
                         reading = work.bytes * shares / bandwidth;
            tokens += work.tokens / seconds;
            computed += static_cast<double>(run.tokens_computed) / seconds;
            flops += work.flops / seconds;
            bytes += work.bytes / seconds;
            of_limit += std::max(compute, reading) / seconds / shares;
            rates.by_compute = compute >= reading;
        }
        rates.tokens.push_back(tokens);
        rates.computed.push_back(computed);
        rates.flops.push_back(flops);
        rates.bytes.push_back(bytes);
        rates.of_limit.push_back(of_limit);
    }
    return rates;
}

}  // namespace muster
