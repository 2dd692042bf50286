// The tables that `bench` prints.

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <sstream>

#include "cli/bench_report.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Lines of cells: the first `left` columns flush left, the rest flush right.
class TextTable {
 public:
    TextTable(std::size_t left, std::vector<std::string> header) : left_(left) {
        lines_.push_back(std::move(header));
    }
    void add(std::vector<std::string> cells) { lines_.push_back(std::move(cells)); }
    std::string text() const {
        std::vector<std::size_t> widths(lines_.front().size());
        for (const auto& line : lines_)
            for (std::size_t i = 0; i < line.size(); ++i)
                widths[i] = std::max(widths[i], columns_of(line[i]));
        std::string out;
        for (const auto& line : lines_) {
            for (std::size_t i = 0; i < line.size(); ++i) {
                const std::string blanks(widths[i] - columns_of(line[i]), ' ');
                const bool last = i + 1 == line.size();
                out += i < left_ ? line[i] + (last ? "" : blanks) : blanks + line[i];
                if (!last) out += "  ";
            }
            out += '\n';
        }
        return out;
    }

 private:
    /// Characters, not bytes.
    static std::size_t columns_of(const std::string& text) {
        return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
        }));
    }

    std::size_t left_;
    std::vector<std::vector<std::string>> lines_;
};

std::string number(double value) {
    char buffer[32];
    const int digits = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 1 ? 2 : 3;
    std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
    return buffer;
}

std::string percent(double fraction) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.1f %%", 100 * fraction);
    return buffer;
}

std::vector<std::string> spread(const std::vector<double>& values, double unit) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return {number(*low / unit), number(median(values) / unit), number(*high / unit)};
}

void append(std::vector<std::string>& cells, const std::vector<std::string>& more) {
    cells.insert(cells.end(), more.begin(), more.end());
}

double parameters(const ModelConfig& model) {
    const double table =
        static_cast<double>(model.vocab_size) * static_cast<double>(model.hidden_size);
    return layer_elements(model, static_cast<double>(model.num_experts)) +
           table * (model.tie_embeddings ? 1 : 2);
}

void print_setup(std::ostream& out, const BenchResult& r) {
    const auto tp = static_cast<std::size_t>(r.bench.tensor_parallel);
    out << "Model: " << (r.bench.model.empty() ? r.bench.shape : r.bench.model) << ", "
        << r.model.architecture << ", " << number(parameters(r.model) / 1e6)
        << " million parameters, " << name_of(r.model.dtype)
        << (r.bench.model.empty() ? ", random weights" : "") << "\n"
        << "On: " << r.backend << ", " << r.ranks.size() / tp << " replica(s) × " << tp
        << " tensor-parallel rank(s), steps of " << r.bench.step_tokens << " tokens\n\n";
}

void print_ceilings(std::ostream& out, const BenchResult& r) {
    TextTable table(2, {"ceilings of all ranks", "", "min", "median", "max"});
    const auto line = [&](const std::string& name, const char* unit,
                          const std::vector<double>& values) {
        std::vector<std::string> cells{name, unit};
        append(cells, spread(values, 1e9));
        table.add(cells);
    };
    if (r.cuda) {
        const CudaCeilings& d = r.device_ceilings;
        line("float32 products", "GFLOP/s", d.f32_flops);
        line("float16 products", "GFLOP/s", d.f16_flops);
        line("bfloat16 products", "GFLOP/s", d.bf16_flops);
        line("memory read", "GB/s", d.read_bytes);
        line("memory copied, in and out", "GB/s", d.copy_bytes);
        out << table.text() << "By " << d.description << "; limits of " << name_of(r.model.dtype)
            << ": " << number(limit_of_products(r) / 1e9) << " GFLOP/s, "
            << number(limit_of_bytes(r) / 1e9) << " GB/s\n\n";
        return;
    }
    const CpuCeilings& c = r.ceilings;
    line("float32, " + c.f32_instructions, "GFLOP/s", c.f32_flops);
    if (!c.bf16_instructions.empty())
        line("bfloat16, " + c.bf16_instructions, "GFLOP/s", c.bf16_flops);
    line("memory read", "GB/s", c.read_bytes);
    const bool dots = &c.usable_flops(r.model.dtype) == &c.bf16_flops;
    out << table.text() << "Limit of " << name_of(r.model.dtype)
        << " products: " << number(limit_of_products(r) / 1e9) << " GFLOP/s, by "
        << (dots ? c.bf16_instructions : c.f32_instructions) << "\n\n";
}

void print_start(std::ostream& out, const BenchResult& r) {
    out << "Start: weights " << number(r.load_seconds) << " s, engine " << number(r.engine_seconds)
        << " s, first step of one token " << number(r.first_step_seconds) << " s\n"
        << "Memory per rank: planned weights " << format_bytes(r.plan.weights)
        << ", keys and values " << format_bytes(r.plan.kv_cache) << ", workspace "
        << format_bytes(r.plan.workspace) << ", together " << format_bytes(r.plan.total());
    const auto measured = [&](const char* what, std::uint64_t bytes) {
        if (bytes > 0)
            out << "; " << what << " " << format_bytes(bytes) << ", "
                << percent(static_cast<double>(bytes) / static_cast<double>(r.plan.total()))
                << " of that";
    };
    if (r.cuda) {
        measured("the device gave", r.device_memory);
        if (r.peak_memory > 0) out << "; the host " << format_bytes(r.peak_memory);
    } else {
        measured("measured", r.peak_memory);
    }
    out << "\n\n";
}

void print_phases(std::ostream& out, const BenchResult& r) {
    TextTable table(2, {"phase", "work of a replica", "tokens/s min", "median", "max", "GFLOP/s",
                        "GB/s", "of limit", "limited by"});
    std::string reuse;
    for (const PhaseResult& phase : r.phases) {
        const PhaseRates rates = rates_of(r, phase);
        std::vector<std::string> cells{phase.name, phase.work};
        append(cells, spread(rates.tokens, 1));
        append(cells, {number(median(rates.flops) / 1e9), number(median(rates.bytes) / 1e9),
                       percent(median(rates.of_limit)), rates.by_compute ? "compute" : "memory"});
        table.add(cells);
        if (phase.name != "mmlu-like") continue;
        const PhaseRun& run = phase.runs.front().front();
        std::vector<double> seconds;
        for (const auto& replicas : phase.runs) seconds.push_back(replicas.front().seconds);
        reuse = cat("mmlu-like: asked ", format_count(run.tokens_asked), " tokens, computed ",
                    format_count(run.tokens_computed), " (",
                    number(static_cast<double>(run.tokens_asked) /
                           static_cast<double>(run.tokens_computed)),
                    " × reuse) in ", number(median(seconds)), " s, ",
                    number(median(rates.computed)), " computed tokens/s\n");
    }
    out << table.text() << reuse;
}

void print_profile(std::ostream& out, const PhaseResult& phase) {
    double total = 0;
    for (const auto& replicas : phase.runs) total += replicas.front().seconds;
    std::vector<std::pair<OperationKey, OperationTotal>> sorted(phase.profile.operations.begin(),
                                                                phase.profile.operations.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        return a.second.seconds > b.second.seconds;
    });
    TextTable table(2, {cat(phase.name, ", ", phase.work, ", on rank 0"), "weights", "calls",
                        "seconds", "share", "GFLOP/s", "GB/s"});
    for (const auto& [key, op] : sorted) {
        const double seconds = std::max(op.seconds, 1e-9);
        table.add({key.name, key.n > 0 ? cat("[", key.n, ", ", key.k, "]") : "",
                   format_count(op.calls), number(op.seconds), percent(op.seconds / total),
                   op.flops > 0 ? number(op.flops / seconds / 1e9) : "",
                   number(op.bytes / seconds / 1e9)});
    }
    const double rest = total - phase.profile.seconds();
    table.add({"outside operations", "", "", number(rest), percent(rest / total), "", ""});
    out << "\n" << table.text();
}

}  // namespace

std::string format_bench(const BenchResult& result) {
    std::ostringstream out;
    print_setup(out, result);
    print_ceilings(out, result);
    print_start(out, result);
    print_phases(out, result);
    if (result.bench.profile)
        for (const PhaseResult& phase : result.phases) print_profile(out, phase);
    return out.str();
}

}  // namespace muster
