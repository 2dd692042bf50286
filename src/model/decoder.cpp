#include "decoder.h"

#include <cmath>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

std::vector<Projection> qkv_projections(const ModelConfig& c, const ShardPlan& p,
                                        const std::string& prefix) {
    const std::int64_t d = c.head_dim;
    const std::int64_t kv_begin = p.first_kv_head * d, kv_end = (p.first_kv_head + p.kv_heads) * d;
    return {{prefix + "q_proj", c.num_heads * d, p.first_head * d, (p.first_head + p.heads) * d},
            {prefix + "k_proj", c.num_kv_heads * d, kv_begin, kv_end},
            {prefix + "v_proj", c.num_kv_heads * d, kv_begin, kv_end}};
}

RmsNorm norm(Weights& weights, const ModelConfig& config, const std::string& name,
             std::int64_t size) {
    return {weights.vector({WeightSlice::vector(name, size, 0, size)}),
            static_cast<float>(config.norm_eps)};
}

RmsNorm head_norm(Weights& weights, const ModelConfig& config, const std::string& name) {
    return config.qk_norm ? norm(weights, config, name, config.head_dim) : RmsNorm{};
}

std::string layer_prefix(std::int64_t index) {
    return cat("model.layers.", index, ".");
}

std::variant<GatedMlp, Mixture> load_mlp(Weights& weights, const ModelConfig& config,
                                         const ShardPlan& plan, const std::string& prefix) {
    if (config.num_experts > 0) return Mixture(weights, config, plan, prefix);
    return GatedMlp(weights, config, plan, prefix);
}

std::vector<DecoderLayer> load_layers(Weights& weights, const ModelConfig& config,
                                      const ShardPlan& plan) {
    std::vector<DecoderLayer> layers;
    for (std::int64_t i = 0; i < config.num_layers; ++i)
        layers.emplace_back(weights, config, plan, i);
    return layers;
}

const char* const kEmbeddings = "model.embed_tokens.weight";
const char* const kHead = "lm_head.weight";

/// The tensor of tied embeddings. A checkpoint may hold both names, of which the head's is ignored,
/// or only one: safetensors stores shared memory once, under either name.
const char* tied_name(Weights& weights) {
    if (!weights.has(kEmbeddings) && weights.has(kHead)) return kHead;
    weights.ignore(kHead);
    return kEmbeddings;
}

}  // namespace

DecoderLayer::DecoderLayer(Weights& weights, const ModelConfig& c, const ShardPlan& p,
                           std::int64_t index)
    : window(c.window_of(index)),
      attention_norm(
          norm(weights, c, layer_prefix(index) + "input_layernorm.weight", c.hidden_size)),
      mlp_norm(
          norm(weights, c, layer_prefix(index) + "post_attention_layernorm.weight", c.hidden_size)),
      q_norm(head_norm(weights, c, layer_prefix(index) + "self_attn.q_norm.weight")),
      k_norm(head_norm(weights, c, layer_prefix(index) + "self_attn.k_norm.weight")),
      qkv(weights, qkv_projections(c, p, layer_prefix(index) + "self_attn."), c.hidden_size,
          c.qkv_bias),
      output(weights, layer_prefix(index) + "self_attn.o_proj", c.hidden_size,
             c.num_heads * c.head_dim, p.first_head * c.head_dim,
             (p.first_head + p.heads) * c.head_dim, p.local_shards, c.output_bias),
      mlp(load_mlp(weights, c, p, layer_prefix(index))) {}

std::uint64_t DecoderLayer::bytes() const {
    std::uint64_t total = qkv.bytes() + output.bytes() +
                          std::visit([](const auto& part) { return part.bytes(); }, mlp);
    for (const RmsNorm* norm : {&attention_norm, &mlp_norm, &q_norm, &k_norm})
        total += vector_bytes(norm->weight);
    return total;
}

DecoderWeights::DecoderWeights(Weights& weights, const ModelConfig& config, const ShardPlan& plan)
    : embeddings(weights.table(config.tie_embeddings ? tied_name(weights) : kEmbeddings,
                               config.vocab_size, config.hidden_size)),
      layers(load_layers(weights, config, plan)),
      final_norm(norm(weights, config, "model.norm.weight", config.hidden_size)),
      head(weights, config.tie_embeddings ? tied_name(weights) : kHead, config, plan) {}

std::uint64_t DecoderWeights::bytes() const {
    std::uint64_t total = vector_bytes(final_norm.weight) + head.bytes();
    for (const DecoderLayer& layer : layers) total += layer.bytes();
    return total;
}

std::unique_ptr<Model> Model::load(
    const Checkpoint& checkpoint, const ModelConfig& config, Backend& backend,
    std::int64_t max_step_rows, const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    const ShardPlan plan(config, backend.tp_size(), backend.tp_rank(), backend.tp_invariant());
    Weights check(checkpoint, backend, config.dtype);
    (void)DecoderWeights(check, config, plan);
    check.finish();
    Weights weights(checkpoint, backend, config.dtype, check.bytes(), progress);
    return std::make_unique<Decoder>(checkpoint, config, plan, backend,
                                     DecoderWeights(weights, config, plan), max_step_rows);
}

std::vector<TensorSpec> Model::tensors(const ModelConfig& config, Backend& backend) {
    const Checkpoint none = Checkpoint::random({}, config.dtype, 0);
    Weights names(none, backend, config.dtype);
    (void)DecoderWeights(names, config, ShardPlan(config, 1, 0));
    return names.asked();
}

Decoder::Decoder(const Checkpoint& checkpoint, const ModelConfig& config, const ShardPlan& plan,
                 Backend& backend, DecoderWeights weights, std::int64_t max_step_rows)
    : checkpoint_(checkpoint),
      config_(config),
      plan_(plan),
      backend_(backend),
      weights_(std::move(weights)),
      rope_(config.rope, config.head_dim),
      max_step_rows_(max_step_rows),
      workspace_(Workspace::allocate(backend, config, plan, max_step_rows)) {
    backend.prepare({.compute = config.dtype,
                     .k_shards = plan.local_shards,
                     .rows = max_step_rows,
                     .hidden = config.hidden_size,
                     .intermediate = plan.intermediate,
                     .heads = plan.heads,
                     .head_dim = config.head_dim,
                     .max_context = config.max_positions,
                     .vocab_rows = plan.vocab_rows,
                     .vocab_shards = plan.local_shards,
                     .experts = config.num_experts,
                     .experts_per_row = config.experts_per_token});
}

KvCache Decoder::make_kv_cache(std::int32_t num_pages) {
    KvCache kv;
    kv.num_pages = num_pages;
    for (std::int64_t i = 0; i < config_.num_layers; ++i) {
        const Shape shape{num_pages, kKvPageTokens, plan_.kv_heads * config_.head_dim};
        kv.keys.push_back(backend_.allocate(config_.dtype, shape));
        kv.values.push_back(backend_.allocate(config_.dtype, shape));
    }
    return kv;
}

void Decoder::copy_kv_pages(KvCache& kv, std::span<const PageCopy> copies) {
    backend_.copy_kv_pages(kv.keys, copies);
    backend_.copy_kv_pages(kv.values, copies);
}

void Decoder::check(const StepBatch& batch, const KvCache& kv) const {
    const auto rows = static_cast<std::int64_t>(batch.tokens.size());
    const auto fail = [](const std::string& what) { throw InternalError("forward: " + what); };
    if (rows < 1 || rows > max_step_rows_)
        fail(cat(rows, " rows in a step of at most ", max_step_rows_));
    std::int64_t next = 0;
    for (const AttentionSequence& s : batch.sequences) {
        if (s.first_row != next || s.num_rows < 1 || s.first_position < 0)
            fail("sequences do not cover the rows in order");
        next += s.num_rows;
        const std::int64_t end = std::int64_t{s.first_position} + s.num_rows;
        if (static_cast<std::int64_t>(s.pages.size()) * kKvPageTokens < end)
            fail("too few pages for a sequence");
        for (const std::int32_t page : s.pages) {
            if (page < 0 || page >= kv.num_pages) fail(cat("page ", page, " of ", kv.num_pages));
        }
    }
    if (next != rows) fail("sequences do not cover the rows");
    if (rope_.depends_on_length() && batch.lengths.size() != batch.sequences.size())
        fail("a length is needed for every sequence");
    if (static_cast<std::int64_t>(batch.output_rows.size()) > rows)
        fail("more output rows than rows");
}

Tensor Decoder::forward(const StepBatch& batch, KvCache& kv) {
    check(batch, kv);
    const Workspace step = workspace_.first_rows(static_cast<std::int64_t>(batch.tokens.size()));
    set_positions(batch, step);
    const StepInput input{.ids = batch.tokens,
                          .sequences = batch.sequences,
                          .memory = {step.residual.data(), kv.keys[0].data()}};
    backend_.run_step(input, [&] {
        const std::vector<DecoderLayer>& layers = weights_.layers;
        const RmsNorm& first = layers.front().attention_norm;
        backend_.embed(weights_.embeddings, batch.tokens, step.residual);
        backend_.rms_norm(step.residual, first.weight, first.eps, step.normed);
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const bool last = i + 1 == layers.size();
            attention_block(layers[i], batch, kv.keys[i], kv.values[i], step);
            const RmsNorm* next = last ? nullptr : &layers[i + 1].attention_norm;
            std::visit([&](const auto& mlp) { mlp.forward(backend_, step, next); }, layers[i].mlp);
        }
    });
    return final_hidden(batch, step);
}

void Decoder::set_positions(const StepBatch& batch, const Workspace& step) {
    cos_sin_.resize(batch.tokens.size() * static_cast<std::size_t>(config_.head_dim));
    for (std::size_t i = 0; i < batch.sequences.size(); ++i) {
        const AttentionSequence& s = batch.sequences[i];
        const std::int64_t length = rope_.depends_on_length() ? batch.lengths[i] : 0;
        rope_.fill(s.first_position, s.num_rows, length,
                   cos_sin_.data() + s.first_row * config_.head_dim);
    }
    backend_.copy_from_host(step.cos_sin, cos_sin_.data());
}

void Decoder::attention_block(const DecoderLayer& layer, const StepBatch& batch, const Tensor& keys,
                              const Tensor& values, const Workspace& step) {
    const Tensor q = step.qkv.column_range(0, plan_.heads * config_.head_dim);
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_dim)));

    layer.qkv.forward(backend_, step.normed, step.qkv);
    backend_.prepare_attention(step.qkv, layer.q_norm, layer.k_norm, step.cos_sin, batch.sequences,
                               config_.head_dim, keys, values);
    backend_.attention(q, keys, values, batch.sequences, config_.head_dim, scale, layer.window,
                       step.attended);
    layer.output.forward(backend_, step.attended, step.residual, &layer.mlp_norm, step.normed);
}

Tensor Decoder::final_hidden(const StepBatch& batch, const Workspace& step) {
    const auto n = static_cast<std::int64_t>(batch.output_rows.size());
    const Tensor outputs = step.outputs.row_range(0, n), hidden = step.hidden.row_range(0, n);
    backend_.gather_rows(step.residual, batch.output_rows, outputs);
    backend_.rms_norm(outputs, weights_.final_norm.weight, weights_.final_norm.eps, hidden);
    return hidden;
}

void Decoder::score(const Tensor& hidden, std::span<const LogitTarget> targets,
                    std::vector<RowScore>& rows, std::vector<float>& target_logits) {
    weights_.head.score(backend_, hidden, targets, rows, target_logits);
}

void Decoder::candidates(const Tensor& hidden, int count,
                         std::span<const float> inverse_temperatures, RowCandidates& out) {
    weights_.head.candidates(backend_, hidden, count, inverse_temperatures, out);
}

void Decoder::draw(const Tensor& hidden, std::span<const TokenDraw> draws,
                   std::vector<std::int32_t>& tokens) {
    weights_.head.draw(backend_, hidden, draws, tokens);
}

void Decoder::logits(const Tensor& hidden, std::span<const std::int32_t> rows,
                     std::vector<float>& out) {
    weights_.head.logits(backend_, hidden, rows, out);
}

}  // namespace muster
