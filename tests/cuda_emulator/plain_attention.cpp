// Attention on the emulated device by obvious loops, one row at a time.

#include <cmath>
#include <vector>

#include "cuda/attention.h"
#include "muster/backend/backend.h"

namespace muster::cuda {

namespace {

float element(const void* base, DType type, std::int64_t at) {
    if (type == DType::f32) return static_cast<const float*>(base)[at];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[at];
    return type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}
void put(void* base, DType type, std::int64_t at, float value) {
    if (type == DType::f32)
        static_cast<float*>(base)[at] = value;
    else
        static_cast<std::uint16_t*>(base)[at] =
            type == DType::bf16 ? to_bf16(value) : to_f16(value);
}

void attend_now(const AttentionCall& c) {
    const std::int64_t d = c.head_dim;
    for (std::int32_t i = 0; i < c.num_sequences; ++i) {
        const DeviceSequence s = c.sequences[i];
        for (std::int32_t row = 0; row < s.num_rows; ++row) {
            const std::int32_t position = s.first_position + row;
            const std::int32_t first =
                c.window > 0 && position >= c.window ? position - c.window + 1 : 0;
            for (std::int64_t head = 0; head < c.heads; ++head) {
                const std::int64_t kv_head = head / (c.heads / c.kv_heads);
                const float* q = c.q + (s.first_row + row) * c.q_stride + head * d;
                const auto at = [&](std::int32_t p) {
                    const std::int64_t page = c.pages[s.first_page + p / kKvPageTokens];
                    return ((page * c.kv_heads + kv_head) * kKvPageTokens + p % kKvPageTokens) * d;
                };
                std::vector<float> scores;
                float max = -INFINITY, sum = 0;
                for (std::int32_t p = first; p <= position; ++p) {
                    float dot = 0;
                    for (std::int64_t e = 0; e < d; ++e)
                        dot = std::fma(q[e], element(c.keys, c.dtype, at(p) + e), dot);
                    scores.push_back(dot * c.scale);
                    max = std::fmax(max, scores.back());
                }
                for (float& score : scores) sum += score = std::exp(score - max);
                for (std::int64_t e = 0; e < d; ++e) {
                    float out = 0;
                    for (std::int32_t p = first; p <= position; ++p)
                        out = std::fma(scores[static_cast<std::size_t>(p - first)],
                                       element(c.values, c.dtype, at(p) + e), out);
                    put(c.out, c.dtype, ((s.first_row + row) * c.heads + head) * d + e, out / sum);
                }
            }
        }
    }
}

}  // namespace

std::uint64_t attention_scratch_bytes(std::int64_t, std::int64_t, std::int64_t, std::int64_t) {
    return 0;
}
bool attention_supports(std::int64_t d) {
    return d == 8 || d == 16 || d == 32 || d == 64;
}
void attention(const AttentionCall& call, cudaStream_t stream) {
    emulator::enqueue(stream, [call] { attend_now(call); });
}

}  // namespace muster::cuda
