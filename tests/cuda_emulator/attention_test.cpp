// The device's attention on the emulated device.

#include "attention_scene.h"
#include "muster/base/error.h"

using namespace muster;
using muster::test::RandomInput;
using muster::test::same_bits;
using muster::test::Scene;
using muster::test::Way;

namespace {

constexpr DType kTypes[] = {DType::bf16, DType::f16, DType::f32};
constexpr std::int64_t kHeadDims[] = {8, 16, 32, 64, 80, 96, 128, 256};
constexpr std::int64_t kGroups[] = {1, 2, 4, 7, 8};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Scene empty_scene(RandomInput& input, DType dtype, std::int64_t group, std::int64_t d) {
    Scene scene;
    scene.dtype = dtype;
    scene.group = group;
    scene.d = d;
    scene.kv_heads = input.integer(1, 2);
    scene.window = input.integer(0, 1) == 0 ? input.integer(1, 90) : 0;
    return scene;
}
/// A few sequences over a few pages, the longest first, as long as the emulator bears.
Scene short_scene(RandomInput& input, DType dtype, std::int64_t group, std::int64_t d) {
    Scene scene = empty_scene(input, dtype, group, d);
    const std::int64_t longest =
        std::clamp<std::int64_t>(16000 / (scene.heads() * (d + 30)), 66, 160);
    for (const std::int64_t length :
         {longest, input.integer(1, longest / 2), std::int64_t{1}, input.integer(1, 66)})
        scene.add(input, length);
    return scene;
}

}  // namespace

TEST_CASE("attention agrees with softmax in double") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        std::size_t i = 0;
        for (const std::int64_t d : kHeadDims) {
            const Scene scene = short_scene(input, dtype, kGroups[i++ % std::size(kGroups)], d);
            CAPTURE(name_of(dtype));
            CAPTURE(d);
            CAPTURE(scene.group);
            CAPTURE(scene.window);
            CHECK(scene.worst_error(input, scene.run({})) < 1.05);
        }
    }
}

TEST_CASE("attention gives the same bits in any way") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const std::int64_t group : kGroups) {
            const Scene scene = short_scene(input, dtype, group, kHeadDims[input.integer(0, 7)]);
            CAPTURE(name_of(dtype));
            CAPTURE(scene.d);
            CAPTURE(group);
            CAPTURE(scene.window);
            const auto whole = scene.run({});
            CHECK(same_bits(scene.run({.chunk = 1}), whole));
            CHECK(same_bits(scene.run({.chunk = 9, .backwards = true}), whole));
            CHECK(same_bits(scene.run({.chunk = 20, .padded = true}), whole));
            CHECK(same_bits(scene.run({.together = false, .page_seed = 2}), whole));
            // Unseen memory: values that would show if they were multiplied, even by zero.
            CHECK(same_bits(scene.run({.chunk = 64, .garbage = kInfinity}), whole));
            CHECK(same_bits(scene.run({.backwards = true, .garbage = -1e30f}), whole));
        }
    }
}

TEST_CASE("what is not finite shows only where it is seen, and the same in any way") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const float strange : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
            Scene scene = short_scene(input, dtype, kGroups[input.integer(0, 4)],
                                      kHeadDims[input.integer(0, 7)]);
            scene.window = input.integer(1, 60);
            CAPTURE(name_of(dtype));
            CAPTURE(scene.group);
            CAPTURE(scene.d);
            CAPTURE(scene.window);
            const auto before = scene.run({});
            const std::int64_t at = input.integer(0, scene.lengths[0] - 1);
            for (std::int64_t i = 0; i < scene.kv_width(); ++i)
                scene.v[0][static_cast<std::size_t>(at * scene.kv_width() + i)] = strange;
            const auto after = scene.run({});
            int wrong = 0;
            for (std::int64_t t = 0; t < scene.lengths[0]; ++t) {
                const bool seen = at <= t && t < at + scene.window;
                for (std::int64_t i = 0; i < scene.q_width(); ++i) {
                    const auto e = static_cast<std::size_t>(t * scene.q_width() + i);
                    wrong += seen ? std::isfinite(after[0][e])
                                  : std::memcmp(&after[0][e], &before[0][e], 4) != 0;
                }
            }
            CHECK(wrong == 0);
            for (const std::int64_t chunk : {1, 13})
                CHECK(same_bits(scene.run({.chunk = chunk, .backwards = true}), after));
        }
    }
}

TEST_CASE("runs are merged in order: split or not, alone or in a crowd") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const std::int64_t d : {std::int64_t{8}, std::int64_t{64}, std::int64_t{256}}) {
            Scene scene = empty_scene(input, dtype, kGroups[input.integer(0, 4)], d);
            scene.kv_heads = 1;
            scene.window = input.integer(0, 2) == 0 ? 0 : input.integer(900, 1500);
            // Rows on both sides of a border between runs, and one that begins a run.
            const std::int64_t rows = d == 256 ? 6 : 40;
            scene.add(input, 1024 + rows / 2, 1024 - rows / 2);
            scene.add(input, d == 256 ? 2051 : 2049 + input.integer(0, 63), 2049);
            scene.add(input, 3, 0);
            CAPTURE(name_of(dtype));
            CAPTURE(d);
            CAPTURE(scene.group);
            CAPTURE(scene.window);
            const auto whole = scene.run({});
            CHECK(scene.worst_error(input, whole) < 1.05);
            CHECK(same_bits(scene.run({.never_split = true}), whole));
            CHECK(same_bits(scene.run({.chunk = 7, .never_split = true, .garbage = 0}), whole));
            CHECK(same_bits(scene.run({.chunk = 5, .together = false, .backwards = true}), whole));
        }
    }
}

TEST_CASE("scores can be capped, and rows can see what comes after them") {
    RandomInput input;
    for (const DType dtype : kTypes) {
        for (const std::int64_t d : {std::int64_t{16}, std::int64_t{80}}) {
            Scene scene = short_scene(input, dtype, 2, d);
            CAPTURE(name_of(dtype));
            CAPTURE(scene.window);
            scene.soft_cap = 0.7f;
            const auto capped = scene.run({});
            CHECK(scene.worst_error(input, capped) < 1.05);
            CHECK(same_bits(scene.run({.chunk = 10}), capped));
            scene.bidirectional = true;
            scene.soft_cap = 0;
            const auto all = scene.run({.garbage = kInfinity});
            CHECK(scene.worst_error(input, all) < 1.05);
            CHECK(same_bits(scene.run({.together = false, .backwards = true}), all));
        }
    }
}

TEST_CASE("scratch memory is asked for where rows may be split") {
    using cuda::attention_scratch_bytes;
    CHECK(attention_scratch_bytes(8192, 32, 128, 1024) == 0);
    CHECK(attention_scratch_bytes(1, 32, 128, 1025) == 2 * 32 * 132 * 4);
    // A smaller call never takes more than a larger one.
    for (const std::int64_t context : {1025, 5000, 131072})
        for (std::int64_t rows = 1; rows < 2000; rows += 7)
            CHECK(attention_scratch_bytes(rows, 32, 128, context) <=
                  attention_scratch_bytes(rows + 7, 32, 128, context));
    for (const std::int64_t d : kHeadDims) CHECK(cuda::attention_supports(d));
    for (const std::int64_t d : {0, 4, 40, 112, 160, 512}) CHECK(!cuda::attention_supports(d));
}

TEST_CASE("calls that no kernel can do are refused") {
    const auto refused = [](auto change) {
        float place = 0;
        cuda::AttentionCall call{};
        call.dtype = DType::bf16;
        call.rows = call.num_sequences = call.max_rows = call.max_context = 1;
        call.heads = call.kv_heads = 2;
        call.head_dim = 64;
        call.scale = 1;
        call.scratch = &place;
        change(call);
        CHECK_THROWS_AS(cuda::attention(call, nullptr), InternalError);
    };
    refused([](cuda::AttentionCall& call) { call.head_dim = 40; });
    refused([](cuda::AttentionCall& call) { call.heads = 3; });
    refused([](cuda::AttentionCall& call) { call.scale = 0; });
    refused([](cuda::AttentionCall& call) { call.q_stride = 3; });
    refused([](cuda::AttentionCall& call) { call.q = reinterpret_cast<const float*>(4); });
    refused([](cuda::AttentionCall& call) { call.num_sequences = 70000; });
    refused([](cuda::AttentionCall& call) {
        call.max_context = 1025;
        call.scratch = nullptr;
    });
}
