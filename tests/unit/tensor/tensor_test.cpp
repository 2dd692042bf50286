#include "muster/tensor/tensor.h"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>

#include "muster/base/error.h"

using namespace muster;

namespace {

// [rows, columns] of 0, 1, 2, …
Tensor counting(std::int64_t rows, std::int64_t columns) {
    auto data = std::make_shared<std::vector<float>>(static_cast<std::size_t>(rows * columns));
    std::iota(data->begin(), data->end(), 0.0f);
    return {data->data(), DType::f32, {rows, columns}, data};
}

}  // namespace

TEST_CASE("shapes print and multiply") {
    CHECK(to_string(Shape{3, 4}) == "[3, 4]");
    CHECK(to_string(Shape{}) == "[]");
    CHECK(num_elements({}) == 1);
    CHECK(num_elements({3, 0, 5}) == 0);
    CHECK(num_elements({3, 4, 5}) == 60);
    CHECK_THROWS_AS(num_elements({-1}), InternalError);
    CHECK_THROWS_AS(num_elements({std::int64_t{1} << 40, std::int64_t{1} << 40}), InternalError);
}

TEST_CASE("a tensor knows its rows and guards its element type") {
    Tensor tensor = counting(3, 4);
    CHECK(tensor.rows() == 3);
    CHECK(tensor.row_size() == 4);
    CHECK(tensor.row_stride() == 4);
    CHECK(tensor.size(1) == 4);
    CHECK(tensor.as<float>()[5] == 5.0f);
    CHECK_THROWS_AS(tensor.as<std::uint16_t>(), InternalError);
    CHECK(Tensor().empty());
    CHECK(Tensor(nullptr, DType::i32, {2, 3, 4}, nullptr).row_size() == 12);
}

TEST_CASE("views show rows and columns of the same memory") {
    Tensor tensor = counting(4, 6);
    Tensor rows = tensor.row_range(1, 3);
    CHECK(rows.shape() == Shape{2, 6});
    CHECK(rows.as<float>()[0] == 6.0f);
    Tensor columns = rows.column_range(2, 5);
    CHECK(columns.shape() == Shape{2, 3});
    CHECK(columns.row_size() == 3);
    CHECK(columns.row_stride() == 6);
    CHECK(columns.as<float>()[columns.row_stride()] == 14.0f);
    CHECK(columns.row_range(1, 2).as<float>()[0] == 14.0f);
    CHECK(columns.column_range(1, 2).as<float>()[0] == 9.0f);
    CHECK(tensor.row_range(4, 4).rows() == 0);
}

TEST_CASE("views outside the tensor are refused") {
    Tensor tensor = counting(4, 6);
    CHECK_THROWS_AS(tensor.row_range(-1, 2), InternalError);
    CHECK_THROWS_AS(tensor.row_range(3, 2), InternalError);
    CHECK_THROWS_AS(tensor.row_range(0, 5), InternalError);
    CHECK_THROWS_AS(tensor.column_range(0, 7), InternalError);
    CHECK_THROWS_AS(Tensor(nullptr, DType::f32, {2, 2, 2}, nullptr).column_range(0, 1),
                    InternalError);
    CHECK_THROWS_AS(Tensor(nullptr, DType::f32, {-2}, nullptr), InternalError);
}

TEST_CASE("a view keeps the memory alive") {
    Tensor view;
    {
        Tensor tensor = counting(100, 100);
        view = tensor.row_range(50, 51);
    }
    CHECK(view.as<float>()[0] == 5000.0f);
}
