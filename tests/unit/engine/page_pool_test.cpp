#include "page_pool.h"

#include <doctest/doctest.h>

#include <set>

#include "muster/base/error.h"

using namespace muster;

TEST_CASE("pages are handed out once and reused after they came back") {
    PagePool pool(4);
    const auto first = pool.take(3);
    CHECK(std::set<std::int32_t>(first.begin(), first.end()) == std::set<std::int32_t>{0, 1, 2});
    CHECK(pool.num_free() == 1);
    CHECK(pool.take(2).empty());
    CHECK(pool.num_free() == 1);
    const auto second = pool.take(1);
    CHECK(second == std::vector<std::int32_t>{3});
    pool.give_back(first);
    const auto third = pool.take(2);
    REQUIRE(third.size() == 2);
    for (const std::int32_t page : third) CHECK(page < 3);
}

TEST_CASE("giving back what is not taken is a bug") {
    PagePool pool(2);
    const auto pages = pool.take(1);
    pool.give_back(pages);
    CHECK_THROWS_AS(pool.give_back(pages), InternalError);
    CHECK_THROWS_AS(pool.give_back({2}), InternalError);
    CHECK_THROWS_AS(pool.give_back({-1}), InternalError);
}

TEST_CASE("pages are counted in whole pages") {
    CHECK(pages_for_tokens(1) == 1);
    CHECK(pages_for_tokens(64) == 1);
    CHECK(pages_for_tokens(65) == 2);
}
