// One request alone, among 7 and among 1,000: a prompt and then a token, through all operations of
// a layer and the head. Its bits are the same. Decoding is done twice, so that it is a recorded
// step that is compared where the backend records.

#include <algorithm>
#include <cmath>

#include "backend_test.h"

using namespace muster;

namespace {

constexpr std::int64_t kHidden = 48, kF = 40, kHeads = 4, kKvHeads = 2, kD = 16, kVocab = 96;
constexpr std::int64_t kQkv = (kHeads + 2 * kKvHeads) * kD, kMost = 1000, kPrompt = 70;

struct Layer {
    Tensor table, norm, cos_sin, keys, values;
    std::unique_ptr<Matrix> qkv, output, gate_up, down, head;
};

/// Rows of a step of `requests` requests, of which request `own` has a prompt of kPrompt tokens,
/// and the others one of one token; or the token after it.
struct Step {
    std::vector<std::int32_t> ids;
    std::vector<AttentionSequence> sequences;
    std::int64_t own_row = 0, own_rows = 0;

    Step(std::int64_t requests, std::int64_t own, bool decodes,
         const std::vector<std::vector<std::int32_t>>& pages) {
        for (std::int64_t r = 0; r < requests; ++r) {
            const auto prompt = static_cast<std::int32_t>(r == own ? kPrompt : 1);
            const auto first = static_cast<std::int32_t>(ids.size());
            if (r == own) own_row = first;
            // Which request it is, is in its ids; the own one is number 0, wherever it stands.
            const std::int64_t number = r == own ? 0 : r + 1;
            sequences.push_back({first, decodes ? 1 : prompt, decodes ? prompt : 0,
                                 pages[static_cast<std::size_t>(number)]});
            for (std::int32_t i = 0; i < sequences.back().num_rows; ++i)
                ids.push_back(static_cast<std::int32_t>((number * 31 + i * 7 + decodes) % kVocab));
        }
        own_rows = decodes ? 1 : kPrompt;
    }
};

std::vector<float> own_part(const std::vector<float>& all, const Step& step) {
    const auto width = all.size() / step.ids.size();
    const auto begin = all.begin() + step.own_row * static_cast<std::ptrdiff_t>(width);
    return {begin, begin + step.own_rows * static_cast<std::ptrdiff_t>(width)};
}

/// What the own request's rows become: attended, normed, gated, residual; statistics of its logits.
std::vector<float> run(TestBackend& backend, const Layer& layer, DType dtype, const Step& step) {
    const auto rows = static_cast<std::int64_t>(step.ids.size());
    const RmsNorm norm{layer.norm, 1e-5f};
    const Tensor residual = backend.poisoned({rows, kHidden}),
                 normed = backend.poisoned({rows, kHidden}, dtype),
                 qkv = backend.poisoned({rows, kQkv}),
                 attended = backend.poisoned({rows, kHeads * kD}, dtype),
                 gated = backend.poisoned({rows, kF}, dtype);
    std::vector<float> angles;
    for (const AttentionSequence& s : step.sequences)
        for (std::int32_t i = 0; i < s.num_rows; ++i)
            for (std::int64_t c = 0; c < kD; ++c)
                angles.push_back(c < kD / 2
                                     ? std::cos(0.1f * static_cast<float>(s.first_position + i))
                                     : std::sin(0.1f * static_cast<float>(s.first_position + i)));
    const Tensor cos_sin = backend.tensor(angles, {rows, kD});
    const auto body = [&] {
        backend->embed(layer.table, step.ids, residual);
        backend->rms_norm(residual, norm.weight, norm.eps, normed);
        backend->matmul(normed, *layer.qkv, {}, qkv);
        backend->prepare_attention(qkv, {}, {}, cos_sin, step.sequences, kD, layer.keys,
                                   layer.values);
        backend->attention(qkv.column_range(0, kHeads * kD), layer.keys, layer.values,
                           step.sequences, kD, 0.25f, 0, attended);
        backend->matmul_add_norm(attended, *layer.output, {}, residual, norm, normed);
        backend->matmul_silu_mul(normed, *layer.gate_up, {}, gated);
        backend->matmul_add(gated, *layer.down, {}, residual);
    };
    const bool decodes = step.own_rows == 1;
    for (int time = 0; time <= (decodes ? 1 : 0); ++time)
        backend->run_step({step.ids, step.sequences, {residual.data(), layer.keys.data()}}, body);
    backend->rms_norm(residual, norm.weight, norm.eps, normed);
    std::vector<float> result;
    for (const Tensor& tensor : {attended, normed, gated, residual}) {
        const std::vector<float> own = own_part(backend.values(tensor), step);
        result.insert(result.end(), own.begin(), own.end());
    }
    std::vector<VocabStats> stats(static_cast<std::size_t>(rows));
    backend->score_vocab(normed, *layer.head, 0, kVocab, 1, {}, stats, {});
    for (std::int64_t r = 0; r < step.own_rows; ++r) {
        const VocabStats& own = stats[static_cast<std::size_t>(step.own_row + r)];
        result.insert(result.end(), {own.max, own.sum, static_cast<float>(own.argmax)});
    }
    return result;
}

}  // namespace

TEST_CASE("a request alone, among 7 and among 1,000 has the same bits") {
    RandomInput input;
    std::vector<std::vector<std::int32_t>> pages = {{1, 0}};
    for (std::int32_t r = 0; r < kMost; ++r) pages.push_back({r + 2});
    for (const std::string& name : backend_names()) {
        CAPTURE(name);
        for (const DType dtype : {DType::bf16, DType::f32}) {
            CAPTURE(muster::name_of(dtype));
            TestBackend backend(name);
            const auto matrix = [&](std::int64_t n, std::int64_t k) {
                const OwnedTensor w(input.floats(n * k, 0.2f), dtype, {n, k});
                return backend->load_matrix(dtype, {{&w.stored, 0, n, 0, k}}, 1);
            };
            const OwnedTensor table(input.floats(kVocab * kHidden), dtype, {kVocab, kHidden}),
                gate(input.floats(kF * kHidden, 0.2f), dtype, {kF, kHidden}),
                up(input.floats(kF * kHidden, 0.2f), dtype, {kF, kHidden});
            Layer layer;
            layer.table = backend->load_table(table.stored);
            layer.norm = backend.tensor(input.floats(kHidden), {kHidden});
            layer.qkv = matrix(kQkv, kHidden);
            layer.output = matrix(kHidden, kHeads * kD);
            layer.gate_up = backend->load_gate_up(dtype, {&gate.stored, 0, kF, 0, kHidden},
                                                  {&up.stored, 0, kF, 0, kHidden});
            layer.down = matrix(kHidden, kF);
            layer.head = matrix(kVocab, kHidden);
            StepLimits limits;
            limits.compute = dtype;
            limits.rows = kMost + kPrompt;
            limits.hidden = kHidden;
            limits.intermediate = kF;
            limits.heads = kHeads;
            limits.head_dim = kD;
            limits.max_context = kPrompt + 1;
            limits.vocab_rows = kVocab;
            backend->prepare(limits);
            const Shape cache = {kMost + 2, kKvPageTokens, kKvHeads * kD};
            layer.keys = backend->allocate(dtype, cache);
            layer.values = backend->allocate(dtype, cache);

            std::vector<float> alone[2];
            for (const std::int64_t requests : {std::int64_t{1}, std::int64_t{7}, kMost}) {
                CAPTURE(requests);
                for (const bool decodes : {false, true}) {
                    CAPTURE(decodes);
                    const Step step(requests, requests / 2, decodes, pages);
                    const std::vector<float> got = run(backend, layer, dtype, step);
                    CHECK(std::all_of(got.begin(), got.end(),
                                      [](float value) { return std::isfinite(value); }));
                    if (requests == 1)
                        alone[decodes] = got;
                    else
                        CHECK(same_bits(got, alone[decodes]));
                }
            }
        }
    }
}
