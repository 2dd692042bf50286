#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "muster/base/error.h"
#include "muster/tensor/checkpoint.h"

using namespace muster;

namespace {

std::vector<float> values_of(const StoredTensor& tensor) {
    const DType dtype = float_dtype_of(tensor);
    std::vector<float> values(static_cast<std::size_t>(num_elements(tensor.shape)));
    REQUIRE(tensor.bytes.size() == values.size() * size_of(dtype));
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint16_t half = 0;
        std::memcpy(&half, tensor.bytes.data() + i * size_of(dtype), 2);
        if (dtype == DType::f32) std::memcpy(&values[i], tensor.bytes.data() + i * 4, 4);
        if (dtype == DType::f16) values[i] = from_f16(half);
        if (dtype == DType::bf16) values[i] = from_bf16(half);
    }
    return values;
}

}  // namespace

TEST_CASE("random weights: shapes, ones for vectors, numbers of deviation 1/√columns") {
    const std::vector<TensorSpec> specs = {
        {"norm", {7}}, {"small", {3, 5}}, {"large", {400, 64}}, {"bias", {9}}};
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        const Checkpoint checkpoint = Checkpoint::random(specs, dtype, 1);
        CHECK(checkpoint.names() == std::vector<std::string>{"bias", "large", "norm", "small"});
        CHECK(checkpoint.files().empty());
        for (const TensorSpec& spec : specs) {
            REQUIRE(checkpoint.find(spec.name) != nullptr);
            CHECK(checkpoint.find(spec.name)->shape == spec.shape);
        }
        CHECK(values_of(*checkpoint.find("norm")) == std::vector<float>(7, 1.0f));
        CHECK(values_of(*checkpoint.find("bias")) == std::vector<float>(9, 1.0f));
        double sum = 0, squares = 0, largest = 0;
        const std::vector<float> numbers = values_of(*checkpoint.find("large"));
        for (const float value : numbers) {
            sum += value;
            squares += value * value;
            largest = std::max(largest, std::abs(static_cast<double>(value)));
        }
        // 25,600 numbers of deviation 1/8: their mean has 0.0008, their deviation 0.5 %.
        const auto count = static_cast<double>(numbers.size());
        CHECK(std::abs(sum / count) < 0.005);
        CHECK(std::sqrt(squares / count) == doctest::Approx(0.125).epsilon(0.03));
        CHECK(largest < 0.5);  // four uniform numbers end at 2√3 deviations
        CHECK(largest > 0.25);
        // One block of memory serves all matrices.
        CHECK(checkpoint.find("small")->bytes.data() == checkpoint.find("large")->bytes.data());
    }
}

TEST_CASE("random weights depend on the seed alone and outlive their first handle") {
    const std::vector<TensorSpec> specs = {{"w", {10, 10}}};
    const StoredTensor* kept = nullptr;
    Checkpoint copy = Checkpoint::random(specs, DType::f32, 2);
    {
        const Checkpoint first = Checkpoint::random(specs, DType::f32, 1);
        kept = first.find("w");
        copy = first;
    }
    CHECK(copy.find("w") == kept);
    const Checkpoint again = Checkpoint::random(specs, DType::f32, 1),
                     other = Checkpoint::random(specs, DType::f32, 2);
    CHECK(values_of(*again.find("w")) == values_of(*kept));
    CHECK(values_of(*other.find("w")) != values_of(*kept));
    CHECK(Checkpoint::random({}, DType::f32, 1).names().empty());
    CHECK_THROWS_AS(Checkpoint::random(specs, DType::i32, 1), InternalError);
    CHECK_THROWS_AS(Checkpoint::random({{"w", {2}}, {"w", {2}}}, DType::f32, 1), InternalError);
}
