// Attention on a device by itself: prefill and decode at the shapes of real models, beside what the
// device copies and multiplies at best, measured in the same run.
//
//   cuda_attention_bench [bf16|f16|f32]

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "cuda/attention.h"
#include "cuda/ceilings.h"
#include "cuda/check.h"
#include "gpu/device_timing.h"
#include "muster/backend/ceilings.h"

namespace {

using namespace muster;
using namespace muster::cuda;

constexpr int kRepeats = 7;
constexpr std::int64_t kPage = 64;

struct Model {
    const char* name;
    std::int32_t heads, kv_heads, head_dim;
};
constexpr Model kModels[] = {{"Llama-3-8B", 32, 8, 128},
                             {"Qwen2.5-7B", 28, 4, 128},
                             {"Llama-3.2-1B", 32, 8, 64},
                             {"Gemma-2-2B", 8, 4, 256}};

/// Sequences of one step: each has `rows` new tokens after which it is `context` long.
struct Work {
    std::int32_t sequences, rows, context;
};
constexpr Work kWork[] = {{1, 512, 512},  {16, 512, 512}, {1, 2048, 2048}, {1, 8192, 8192},
                          {4, 512, 8192}, {1, 1, 1024},   {16, 1, 1024},   {64, 1, 1024},
                          {256, 1, 1024}, {1, 1, 8192},   {16, 1, 8192},   {64, 1, 8192},
                          {256, 1, 8192}};

void measure(DType dtype, const Model& model, const Work& work, const CudaCeilings& ceilings) {
    const std::int64_t pages = (work.context + kPage - 1) / kPage, all = pages * work.sequences;
    const std::int64_t rows = std::int64_t{work.sequences} * work.rows;
    const std::int64_t cached = all * kPage * model.kv_heads * model.head_dim;
    const std::int64_t item = static_cast<std::int64_t>(size_of(dtype));
    const std::int64_t width = std::int64_t{model.heads} * model.head_dim;
    const std::uint64_t scratch_bytes =
        attention_scratch_bytes(rows, model.heads, model.head_dim, work.context);
    const auto bytes_of = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    std::printf("%-13s %4d x %4d of %5d  ", model.name, work.sequences, work.rows, work.context);
    if (bytes_of(2 * cached * item + rows * width * (4 + item)) + scratch_bytes > free) {
        std::printf("does not fit into free memory\n");
        return;
    }
    const DeviceArray q(bytes_of(rows * width * 4)), keys(bytes_of(cached * item)),
        values(bytes_of(cached * item)), out(bytes_of(rows * width * item)), scratch(scratch_bytes);
    fill_random(DType::f32, q.data(), rows * width, nullptr);
    fill_random(dtype, keys.data(), cached, nullptr);
    fill_random(dtype, values.data(), cached, nullptr);
    // Pages in an order that is not that of memory, as after some time of running.
    std::vector<std::int32_t> ids(bytes_of(all));
    for (std::int64_t i = 0; i < all; ++i)
        ids[bytes_of(i)] = static_cast<std::int32_t>(i % pages * work.sequences + i / pages);
    std::vector<DeviceSequence> sequences;
    for (std::int32_t s = 0; s < work.sequences; ++s)
        sequences.push_back({s * work.rows, work.rows, work.context - work.rows,
                             s * static_cast<std::int32_t>(pages)});
    const DeviceArray ids_there(ids.size() * sizeof(ids[0])),
        sequences_there(sequences.size() * sizeof(sequences[0]));

    AttentionCall call{};
    call.dtype = dtype;
    call.q = static_cast<const float*>(q.data());
    call.q_stride = width;
    call.keys = keys.data();
    call.values = values.data();
    call.out = out.data();
    call.sequences = sequences_there.holding(sequences);
    call.pages = ids_there.holding(ids);
    call.num_sequences = work.sequences;
    call.rows = static_cast<std::int32_t>(rows);
    call.max_rows = work.rows;
    call.max_context = work.context;
    call.heads = model.heads;
    call.kv_heads = model.kv_heads;
    call.head_dim = model.head_dim;
    call.scale = 0.1f;
    call.scratch = scratch.data();
    const std::vector<double> ms =
        milliseconds_of([&](int) { attention(call, nullptr); }, kRepeats, 10.0);
    const double seconds = ms[kRepeats / 2] * 1e-3;
    // Keys that rows see: a row at position p sees p + 1. Bytes that must travel once.
    const double seen =
        static_cast<double>(rows) * (work.context - work.rows + (work.rows + 1) / 2.0);
    const double flops = 4.0 * seen * static_cast<double>(width);
    const double bytes = 2.0 * work.sequences * work.context * model.kv_heads * model.head_dim *
                             static_cast<double>(item) +
                         static_cast<double>(rows * width * (4 + item));
    std::printf("%8.3f %8.3f %8.3f ms  %7.1f TFLOP/s %5.1f %%  %7.0f GB/s %5.1f %%\n", ms.front(),
                ms[kRepeats / 2], ms.back(), flops / seconds * 1e-12,
                100 * flops / seconds / median(ceilings.usable_flops(dtype)),
                bytes / seconds * 1e-9, 100 * bytes / seconds / median(ceilings.copy_bytes));
}

}  // namespace

int main(int argc, char** argv) {
    DType dtype = DType::bf16;
    if (argc > 1 && std::strcmp(argv[1], "f16") == 0) dtype = DType::f16;
    if (argc > 1 && std::strcmp(argv[1], "f32") == 0) dtype = DType::f32;
    try {
        const CudaCeilings ceilings = measure_ceilings(0, kRepeats);
        std::printf("%s\nproducts in %.*s: %.1f TFLOP/s; copying: %.0f GB/s, both ways counted\n",
                    ceilings.description.c_str(), static_cast<int>(name_of(dtype).size()),
                    name_of(dtype).data(), median(ceilings.usable_flops(dtype)) * 1e-12,
                    median(ceilings.copy_bytes) * 1e-9);
        std::printf(
            "model         sequences x rows of context      min   median      max     "
            "multiply-adds, of products  traffic, of copying\n");
        for (const Model& model : kModels)
            for (const Work& work : kWork) measure(dtype, model, work, ceilings);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "cuda_attention_bench: %s\n", error.what());
        return 3;
    }
    return 0;
}
