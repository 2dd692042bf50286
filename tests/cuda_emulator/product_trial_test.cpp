// The choice between ways to compute a product, with ways made up for it.

#include "cuda/product_trial.h"

#include <cmath>
#include <memory>

#include "cuda/few_rows.h"
#include "cuda/grouped_product.h"
#include "cuda_emulator/child_process.h"
#include "cuda_emulator/device_data.h"
#include "muster/base/error.h"

using namespace muster;
using muster::cuda::Product;
using muster::cuda::ProductPlan;
using muster::cuda::ProductTrial;
using muster::cuda::ProductWay;
using muster::test::DeviceBytes;
using muster::test::RandomInput;

namespace {

const auto library = cuda::make_multiplier();  // the emulated one

/// Changes the last bit of one element of row `row`.
void spoil(const Product& p, std::int64_t row) {
    static_cast<std::uint32_t*>(p.y)[row * p.y_stride + p.n / 2] ^= 1u;
}

/// The library, and then on the device: `after`.
ProductWay made_up(const std::string& name, std::function<void(const Product&)> after) {
    return {name, [after](const Product& p, cudaStream_t stream) {
                library->multiply(p, stream);
                emulator::enqueue(stream, [p, after] { after(p); });
            }};
}
ProductWay taking(const std::string& name, double milliseconds) {
    return made_up(name, [milliseconds](const Product&) { emulator::spend(milliseconds); });
}
/// Quick, but rows of calls of `count` rows have other bits.
ProductWay spoiled_at(const std::string& name, std::int64_t count) {
    return made_up(name, [count](const Product& p) {
        if (p.m == count) spoil(p, count - 1);
    });
}

/// 16-bit products added one after the other in f32.
ProductWay in_plain_f32(const std::string& name, double milliseconds) {
    return {name, [milliseconds](const Product& p, cudaStream_t stream) {
                emulator::enqueue(stream, [p, milliseconds] {
                    const auto at = [&](const void* base, std::int64_t i) {
                        const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[i];
                        return p.type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
                    };
                    for (std::int64_t r = 0; r < p.m; ++r) {
                        for (std::int64_t j = 0; j < p.n; ++j) {
                            float sum = 0;
                            for (std::int64_t i = 0; i < p.k; ++i)
                                sum += at(p.x, r * p.x_stride + i) * at(p.w, j * p.w_stride + i);
                            float& y = static_cast<float*>(p.y)[r * p.y_stride + j];
                            y = p.accumulate ? y + sum : sum;
                        }
                    }
                    emulator::spend(milliseconds);
                });
            }};
}

struct Scene {
    RandomInput input;
    Product shape;
    std::unique_ptr<DeviceBytes> w;
    DeviceBytes scratch{std::size_t{4} << 20};

    /// Weights whose exponents differ by up to `spread` to both sides.
    explicit Scene(DType type = DType::f32, std::int64_t k = 16, int spread = 0) {
        shape.type = type;
        shape.n = 6;
        shape.k = k;
        shape.x_stride = shape.w_stride = k + 8;  // a part of longer rows
        shape.y_stride = 6;
        std::vector<std::byte> weights;
        for (const float value : input.floats(shape.n * shape.w_stride))
            muster::test::append_as(
                type, std::ldexp(value, static_cast<int>(input.integer(-spread, spread))), weights);
        w = std::make_unique<DeviceBytes>(weights);
        shape.w = w->as<void>();
    }
    ProductPlan choose(const std::vector<ProductWay>& references,
                       const std::vector<ProductWay>& few, std::int64_t max_rows = 300) const {
        ProductTrial trial(shape, max_rows, scratch.as<void>(), std::size_t{4} << 20, nullptr);
        return trial.choose(references, [&](std::int64_t) { return few; });
    }
    /// What is taken for a call of `rows` rows at aligned addresses.
    std::string taken(const ProductPlan& plan, std::int64_t rows) const {
        Product p = shape;
        p.m = rows;
        p.x = scratch.as<void>();
        return plan.way_for(p).name;
    }
};

}  // namespace

TEST_CASE("the first way that keeps bits is the reference, however slow it is") {
    Scene scene;
    for (const bool accumulate : {false, true}) {
        scene.shape.accumulate = accumulate;
        const ProductWay by_size = made_up("by size", [](const Product& p) {
            if (p.m < 64) spoil(p, 0);
        });
        ProductWay fails = taking("fails", 0);
        fails.run = [](const Product&, cudaStream_t) { throw SystemError("not on this device"); };
        const ProductPlan plan =
            scene.choose({by_size, fails, spoiled_at("at 7", 7), spoiled_at("at 2", 2),
                          taking("slow", 9), taking("quick", 0)},
                         {});
        CHECK(plan.reference.name == "slow");
        CHECK(plan.refused == 4);
        CHECK(plan.tried_rows == 300);
        CHECK(plan.few.empty());
        CHECK(plan.description() ==
              "slow; the same for few rows; tried with 1 to 300 rows, 4 refused");
        CHECK_THROWS_WITH_AS(scene.choose({by_size, spoiled_at("at 1", 1)}, {}),
                             doctest::Contains("none of 2 ways to multiply by [6, 16]"),
                             SystemError);
    }
}

TEST_CASE("few rows take the fastest way among those with the reference's bits") {
    const Scene scene;
    ProductWay fails = taking("fails", 0);
    fails.run = [](const Product&, cudaStream_t) { throw SystemError("not for so few rows"); };
    ProductWay up_to_20 = taking("up to 20", 1);
    up_to_20.most_rows = 20;
    // Adds the second half of k first, as another kernel may.
    const ProductWay other_order{"other order", [](const Product& p, cudaStream_t stream) {
                                     Product half = p;
                                     half.k = p.k / 2;
                                     half.x = static_cast<const float*>(p.x) + half.k;
                                     half.w = static_cast<const float*>(p.w) + half.k;
                                     library->multiply(half, stream);
                                     half.x = p.x;
                                     half.w = p.w;
                                     half.accumulate = true;
                                     library->multiply(half, stream);
                                 }};
    const ProductPlan plan =
        scene.choose({taking("reference", 5)},
                     {taking("slower", 6), fails, spoiled_at("at 7", 7), spoiled_at("at 16", 16),
                      other_order, up_to_20, taking("quicker", 3), taking("quick", 4)});
    CHECK(plan.reference.name == "reference");
    CHECK(scene.taken(plan, 8) == "at 16");  // which has the same bits in calls of up to 8 rows
    CHECK(scene.taken(plan, 9) == "up to 20");
    CHECK(scene.taken(plan, 16) == "up to 20");
    CHECK(scene.taken(plan, 17) == "quicker");
    CHECK(scene.taken(plan, 256) == "quicker");
    CHECK(scene.taken(plan, 257) == "reference");
    CHECK(plan.description() ==
          "reference; at 16 up to 8 rows; up to 20 up to 16 rows; quicker up to 256 rows; tried "
          "with 1 to 300 rows, 0 refused");
}

TEST_CASE("a way that is hardly faster is not taken, nor one for more rows than come") {
    const Scene scene;
    ProductPlan plan = scene.choose({taking("reference", 5)}, {taking("hardly", 4.95)});
    CHECK(plan.few.empty());
    plan = scene.choose({taking("reference", 5)}, {taking("quick", 1)}, 40);
    CHECK(plan.few.size() == 1);
    CHECK(scene.taken(plan, 32) == "quick");
    CHECK(scene.taken(plan, 40) == "reference");
    plan = scene.choose({taking("reference", 5)}, {taking("quick", 1)}, 8);
    CHECK(plan.few.empty());
}

TEST_CASE("whoever tries a way that hangs still asks until the deadline") {
    const Scene scene;
    const ProductWay hangs = made_up("hangs", [](const Product&) { emulator::hold_streams(true); });
    const muster::test::End end = muster::test::end_of([&] {
        alarm(2);  // before the deadline
        (void)scene.choose({hangs}, {});
    });
    INFO(end.said);
    CHECK(end.signal == SIGALRM);  // and the emulator would have ended who waits without asking
}

TEST_CASE("with little memory fewer rows are tried, or none") {
    const Scene scene;
    const auto row = static_cast<std::size_t>(24 * 4 + 2 * 6 * 4);
    // A quarter is for other things.
    const std::size_t some_bytes = (1024 + 20 * row + 7) / 3 * 4;
    ProductTrial some(scene.shape, 300, scene.scratch.as<void>(), some_bytes, nullptr);
    CHECK(some.rows() == 20);
    const ProductPlan plan =
        some.choose({spoiled_at("at 20", 20), spoiled_at("at 64", 64)},
                    [](std::int64_t) { return std::vector<ProductWay>{taking("few", 0)}; });
    CHECK(plan.reference.name == "at 64");
    CHECK(plan.tried_rows == 20);
    CHECK(ProductTrial(scene.shape, 300, scene.scratch.as<void>(), 1024, nullptr).rows() == 0);
    const std::size_t too_little = (1024 + row) / 3 * 4 - 8;
    CHECK(ProductTrial(scene.shape, 300, scene.scratch.as<void>(), too_little, nullptr).rows() ==
          0);
}

TEST_CASE("the kernels of few rows are taken where they have the reference's bits and are faster") {
    for (const DType type : {DType::bf16, DType::f16}) {
        for (const bool accumulate : {false, true}) {
            Scene scene(type, 8 * 37, 6);
            scene.shape.accumulate = accumulate;
            const auto own = [](const char* name, cuda::FewRowsTiles tiles) {
                return ProductWay{name,
                                  [tiles](const Product& p, cudaStream_t stream) {
                                      cuda::multiply_few_rows(p, tiles, stream);
                                  },
                                  cuda::kMostFewRows, cuda::few_rows_supports};
            };
            const std::vector<ProductWay> few = {own("narrow", cuda::FewRowsTiles::narrow),
                                                 own("wide", cuda::FewRowsTiles::wide)};
            // The library adds as the matrix instruction does, 16 along k after 16.
            const ProductPlan plan = scene.choose({taking("library", 5)}, few);
            CHECK(scene.taken(plan, 1) == "narrow");
            CHECK(scene.taken(plan, 64) == "narrow");
            CHECK(scene.taken(plan, 65) == "library");
            CHECK(scene.taken(scene.choose({taking("library", 5)}, {few[1]}), 64) == "wide");
            const ProductPlan tiles =
                scene.choose({taking("library", 5)}, {{"own tiles", cuda::multiply_by_tiles}});
            CHECK(scene.taken(tiles, 1) == "own tiles");
            CHECK(scene.taken(tiles, 256) == "own tiles");
            Product moved = scene.shape;
            moved.m = 1;
            moved.x = scene.scratch.as<std::uint16_t>() + 1;
            CHECK(plan.way_for(moved).name == "library");
            // One that adds in another order, and one of another last bit.
            CHECK(scene.choose({in_plain_f32("plain f32", 5)}, few).few.empty());
            const ProductPlan none =
                scene.choose({made_up("other bits",
                                      [](const Product& p) {
                                          for (std::int64_t row = 0; row < p.m; ++row)
                                              spoil(p, row);
                                          emulator::spend(5);
                                      })},
                             few);
            CHECK(none.few.empty());
        }
    }
}

TEST_CASE("own tiles keep the bits of any number of rows, and those of the kernels of few") {
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        for (const bool accumulate : {false, true}) {
            Scene scene(type, 200);
            scene.shape.accumulate = accumulate;
            const ProductWay slow_tiles{"own tiles", [](const Product& p, cudaStream_t stream) {
                                            cuda::multiply_by_tiles(p, stream);
                                            emulator::enqueue(stream, [] { emulator::spend(5); });
                                        }};
            const ProductWay narrow{"narrow",
                                    [](const Product& p, cudaStream_t stream) {
                                        cuda::multiply_few_rows(p, cuda::FewRowsTiles::narrow,
                                                                stream);
                                    },
                                    cuda::kMostFewRows, cuda::few_rows_supports};
            const ProductPlan plan = scene.choose({slow_tiles}, {narrow});
            CHECK(plan.reference.name == "own tiles");
            CHECK(plan.tried_rows == 300);
            CHECK(scene.taken(plan, 64) == (type == DType::f32 ? "own tiles" : "narrow"));
        }
    }
}
