#include <doctest/doctest.h>

#include <cmath>

#include "fewshot.h"
#include "muster/base/error.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

Value document(int id) {
    Object object;
    object.set("id", id);
    return Value(std::move(object));
}

std::vector<Value> documents(std::initializer_list<int> ids) {
    std::vector<Value> pool;
    for (int id : ids) pool.push_back(document(id));
    return pool;
}

std::vector<std::int64_t> ids(const std::vector<const Value*>& examples) {
    std::vector<std::int64_t> found;
    for (const Value* example : examples) found.push_back(example->find("id")->as_integer());
    return found;
}

}  // namespace

TEST_CASE("the default sampler draws what Python draws") {
    std::vector<Value> pool;
    for (int i = 0; i < 7473; ++i) pool.push_back(document(i));
    FewshotSampler sampler(pool, "default", 1234, "t");
    // random.Random(1234).sample(range(7473), 5), twice (CPython 3.11)
    CHECK(ids(sampler.draw(5, nullptr)) == std::vector<std::int64_t>{6374, 3610, 957, 61, 742});
    CHECK(ids(sampler.draw(5, nullptr)) == std::vector<std::int64_t>{7462, 6610, 4769, 286, 5501});
}

TEST_CASE("the tested document is never among its examples") {
    const std::vector<Value> pool = documents({0, 1, 2, 3, 4});
    FewshotSampler sampler(pool, "default", 1234, "t");
    // random.Random(1234).sample(range(5), 5) = [3, 0, 4, 2, 1]
    CHECK(ids(sampler.draw(4, &pool[4])) == std::vector<std::int64_t>{3, 0, 2, 1});
    const FewshotSampler unused(pool, "first_n", 0, "t");
    FewshotSampler first(pool, "first_n", 0, "t");
    CHECK(ids(first.draw(2, &pool[0])) == std::vector<std::int64_t>{1, 2});
    CHECK(ids(first.draw(2, nullptr)) == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("copies of the tested document are drawn again from the others") {
    const std::vector<Value> pool = documents({9, 9, 9, 9, 1, 2});
    FewshotSampler sampler(pool, "default", 1, "t");
    for (int i = 0; i < 20; ++i) {
        const std::vector<std::int64_t> drawn = ids(sampler.draw(2, &pool[0]));
        CHECK(
            (drawn == std::vector<std::int64_t>{1, 2} || drawn == std::vector<std::int64_t>{2, 1}));
    }
}

TEST_CASE("too few documents are an error") {
    const std::vector<Value> pool = documents({0, 1});
    FewshotSampler sampler(pool, "default", 1234, "task t");
    CHECK(test::error_message<UserError>([&] { sampler.draw(2, &pool[0]); }) ==
          "task t: 2 examples wanted beside the tested document, 2 documents to draw from");
    FewshotSampler first(pool, "first_n", 1234, "task t");
    CHECK(test::error_message<UserError>([&] { first.draw(3, nullptr); }) ==
          "task t: 3 examples wanted, 2 documents available");
}

TEST_CASE("equality is Python's") {
    CHECK(python_equal(Value(1), Value(1.0)));
    CHECK(python_equal(Value(true), Value(1)));
    CHECK_FALSE(python_equal(Value("1"), Value(1)));
    CHECK_FALSE(python_equal(Value(std::nan("")), Value(std::nan(""))));
    Object a, b;
    a.set("x", 1);
    a.set("y", Array{Value(2), Value("z")});
    b.set("y", Array{Value(2.0), Value("z")});
    b.set("x", true);
    CHECK(python_equal(Value(a), Value(b)));
    b.set("w", 1);
    CHECK_FALSE(python_equal(Value(a), Value(b)));
}
