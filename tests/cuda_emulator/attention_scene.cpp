#include "attention_scene.h"

#include "muster/backend/backend.h"

namespace muster::test {
namespace {

static_assert(cuda::kPageKeys == kKvPageTokens);

constexpr std::int64_t kGuard = 64;  ///< elements around the result that nobody may write

/// A cache on the host, pages of sequences in random order.
struct Cache {
    const Scene& scene;
    std::vector<std::vector<std::int32_t>> pages;  ///< per sequence
    std::vector<std::byte> keys, values;

    Cache(const Scene& of, const Way& way) : scene(of) {
        std::int32_t count = 1;
        for (const std::int64_t length : scene.lengths)
            count += static_cast<std::int32_t>((length + 63) / 64);
        std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
        std::iota(ids.begin(), ids.end(), 0);
        std::shuffle(ids.begin(), ids.end(), std::mt19937(way.page_seed));
        auto next = ids.begin();
        for (const std::int64_t length : scene.lengths) {
            pages.emplace_back(next, next + (length + 63) / 64);
            next += (length + 63) / 64;
        }
        for (std::int64_t i = 0; i < count * scene.kv_heads * 64 * scene.d; ++i) {
            append_as(scene.dtype, way.garbage, keys);
            append_as(scene.dtype, way.garbage, values);
        }
    }
    void store(std::size_t s, std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            for (std::int64_t head = 0; head < scene.kv_heads; ++head) {
                const std::int64_t page = pages[s][static_cast<std::size_t>(t / 64)];
                const std::int64_t at = ((page * scene.kv_heads + head) * 64 + t % 64) * scene.d;
                const auto from = static_cast<std::size_t>(t * scene.kv_width() + head * scene.d);
                std::vector<std::byte> k, v;
                for (std::size_t i = 0; i < static_cast<std::size_t>(scene.d); ++i) {
                    append_as(scene.dtype, scene.k[s][from + i], k);
                    append_as(scene.dtype, scene.v[s][from + i], v);
                }
                const auto bytes = static_cast<std::int64_t>(size_of(scene.dtype));
                std::copy(k.begin(), k.end(), keys.begin() + at * bytes);
                std::copy(v.begin(), v.end(), values.begin() + at * bytes);
            }
        }
    }
};

struct Part {
    std::size_t sequence;
    std::int64_t begin, end;
};

/// One call: rows [begin, end) of some sequences, into `out`.
void run_step(const Scene& scene, const Way& way, const std::vector<Part>& parts, Cache& cache,
              std::vector<std::vector<float>>& out) {
    std::vector<cuda::DeviceSequence> sequences;
    std::vector<std::int32_t> pages;
    std::vector<float> rows;
    const std::int64_t width = scene.q_width(), stride = width + 6;
    cuda::AttentionCall call{};
    for (const Part& part : parts) {
        cache.store(part.sequence, part.begin, part.end);
        const auto count = static_cast<std::int32_t>(part.end - part.begin);
        sequences.push_back({call.rows, count, static_cast<std::int32_t>(part.begin),
                             static_cast<std::int32_t>(pages.size())});
        const auto& ids = cache.pages[part.sequence];
        pages.insert(pages.end(), ids.begin(), ids.end());
        for (std::int64_t t = part.begin; t < part.end; ++t) {
            const auto from = scene.q[part.sequence].begin() + t * width;
            rows.insert(rows.end(), from, from + width);
            rows.resize(rows.size() + 6, std::numeric_limits<float>::quiet_NaN());
        }
        call.rows += count;
        call.max_rows = std::max(call.max_rows, count);
        call.max_context = std::max(call.max_context, static_cast<std::int32_t>(part.end));
    }
    if (way.padded) {
        for (int i = 0; i < 3; ++i) sequences.push_back({call.rows, 0, 0, 0});
        call.max_rows += 9;
        call.max_context += 3000;
    }
    const DeviceBytes q(rows), keys(cache.keys), values(cache.values), device_pages(pages),
        device_sequences(sequences);
    const std::size_t item = size_of(scene.dtype);
    const std::vector<std::byte> untouched(
        static_cast<std::size_t>(call.rows * width + 2 * kGuard) * item, std::byte{0xff});
    const DeviceBytes result(untouched);
    const DeviceBytes scratch(static_cast<std::size_t>(
        cuda::attention_scratch_bytes(call.rows, scene.heads(), scene.d, call.max_context)));
    call.dtype = scene.dtype;
    call.q = q.as<float>();
    call.q_stride = stride;
    call.keys = keys.as<void>();
    call.values = values.as<void>();
    call.out = result.as<std::byte>() + static_cast<std::size_t>(kGuard) * item;
    call.sequences = device_sequences.as<cuda::DeviceSequence>();
    call.pages = device_pages.as<std::int32_t>();
    call.num_sequences = static_cast<std::int32_t>(sequences.size());
    call.heads = static_cast<std::int32_t>(scene.heads());
    call.kv_heads = static_cast<std::int32_t>(scene.kv_heads);
    call.head_dim = static_cast<std::int32_t>(scene.d);
    call.scale = scene.scale();
    call.window = static_cast<std::int32_t>(scene.window);
    call.scratch = scratch.as<void>();
    call.soft_cap = scene.soft_cap;
    call.bidirectional = scene.bidirectional;

    set_thread_order(way.backwards);
    cuda::AttentionLaunch launch = cuda::plan_attention(call);
    if (way.never_split) launch.split = false;
    cuda::run_attention(launch, nullptr);
    const std::vector<float> got = result.values(scene.dtype);
    set_thread_order(false);
    const std::vector<float> guard = DeviceBytes(untouched).values(scene.dtype);
    const auto bytes = static_cast<std::size_t>(kGuard) * sizeof(float);
    CHECK(std::memcmp(got.data(), guard.data(), bytes) == 0);
    CHECK(std::memcmp(&got[got.size() - kGuard], guard.data(), bytes) == 0);
    auto next = got.begin() + kGuard;
    for (const Part& part : parts) {
        auto& to = out[part.sequence];
        const auto end = next + (part.end - part.begin) * width;
        to.insert(to.end(), next, end);
        next = end;
    }
}

}  // namespace

std::vector<std::vector<float>> Scene::run(const Way& way) const {
    Cache cache(*this, way);
    std::vector<std::vector<float>> out(lengths.size());
    std::int64_t most = 0;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
        cache.store(s, 0, first_rows[s]);
        most = std::max(most, lengths[s] - first_rows[s]);
    }
    for (std::int64_t begin = 0; begin < most; begin += way.chunk) {
        std::vector<Part> parts;
        for (std::size_t s = 0; s < lengths.size(); ++s) {
            const std::int64_t from = first_rows[s] + begin,
                               to = std::min(from + way.chunk, lengths[s]);
            if (from < to) parts.push_back({s, from, to});
        }
        if (way.together) run_step(*this, way, parts, cache, out);
        for (std::size_t i = 0; !way.together && i < parts.size(); ++i)
            run_step(*this, way, {parts[i]}, cache, out);
    }
    return out;
}

std::vector<Scene::Exact> Scene::exact(std::size_t s, std::int64_t t, std::int64_t head) const {
    const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, t - window + 1) : 0;
    const std::int64_t end = bidirectional ? lengths[s] : t + 1;
    const auto element = [&](const std::vector<float>& x, std::int64_t row, std::int64_t width,
                             std::int64_t at_head, std::int64_t i) {
        return static_cast<double>(
            rounded(x[static_cast<std::size_t>(row * width + at_head * d + i)], dtype));
    };
    std::vector<double> weights;
    double max = -1e300, sum = 0;
    for (std::int64_t at = first; at < end; ++at) {
        double dot = 0;
        for (std::int64_t i = 0; i < d; ++i)
            dot += element(q[s], t, q_width(), head, i) *
                   element(k[s], at, kv_width(), head / group, i);
        dot *= static_cast<double>(scale());
        const auto cap = static_cast<double>(soft_cap);
        weights.push_back(cap > 0 ? cap * std::tanh(dot / cap) : dot);
        max = std::max(max, weights.back());
    }
    for (double& weight : weights) sum += weight = std::exp(weight - max);
    std::vector<Exact> result(static_cast<std::size_t>(d));
    for (std::int64_t at = first; at < end; ++at) {
        const double weight = weights[static_cast<std::size_t>(at - first)] / sum;
        for (std::int64_t i = 0; i < d; ++i) {
            const double value = element(v[s], at, kv_width(), head / group, i);
            Exact& e = result[static_cast<std::size_t>(i)];
            e.value += weight * value;
            e.mean_size += weight * std::abs(value);
            e.spread += std::abs(value) / sum;
        }
    }
    return result;
}

double Scene::worst_error(RandomInput& input, const std::vector<std::vector<float>>& got) const {
    // The weights and the result are rounded to the type, weights of f16 below 2^-14 to a multiple
    // of 2^-24. Scores are good to some units of their last place, and so are the logarithms of
    // the weights.
    const double unit = dtype == DType::f32 ? 0 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
    const double step = dtype == DType::f16 ? 0x1p-25 : 0;
    double worst = 0;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
        REQUIRE(got[s].size() ==
                static_cast<std::size_t>((lengths[s] - first_rows[s]) * q_width()));
        for (std::int64_t t = first_rows[s]; t < lengths[s]; ++t) {
            const std::int64_t head = input.integer(0, heads() - 1);
            const std::vector<Exact> row = exact(s, t, head);
            for (std::int64_t i = 0; i < d; ++i) {
                const auto at =
                    static_cast<std::size_t>(((t - first_rows[s]) * heads() + head) * d + i);
                const Exact& e = row[static_cast<std::size_t>(i)];
                const double allowed = unit * (e.mean_size + std::abs(e.value)) +
                                       step * (e.spread + 1) + 4e-6 * (e.mean_size + 0.01);
                const double error = std::abs(static_cast<double>(got[s][at]) - e.value) / allowed;
                if (!(error <= worst)) worst = error;
            }
        }
    }
    return worst;
}

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const std::vector<float>& x, const std::vector<float>& y) {
                          return x.size() == y.size() &&
                                 std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
                      });
}

}  // namespace muster::test
