#include "page_pool.h"

#include <doctest/doctest.h>

#include <set>

#include "kept_pages.h"
#include "muster/base/error.h"

using namespace muster;

using Pages = std::vector<std::int32_t>;

TEST_CASE("pages are handed out once and reused after they came back") {
    PagePool pool(4);
    const auto first = pool.take(3);
    CHECK(std::set<std::int32_t>(first.begin(), first.end()) == std::set<std::int32_t>{0, 1, 2});
    CHECK(pool.num_free() == 1);
    CHECK_THROWS_AS(pool.take(2), InternalError);
    CHECK(pool.num_free() == 1);
    CHECK(pool.take(1) == Pages{3});
    pool.give_back(first);
    const auto third = pool.take(2);
    REQUIRE(third.size() == 2);
    for (const std::int32_t page : third) CHECK(page < 3);
}

TEST_CASE("a page is free when its last owner gave it back") {
    PagePool pool(2);
    const auto pages = pool.take(2);
    pool.share(std::span(pages).first(1));
    CHECK(pool.num_owners(pages[0]) == 2);
    CHECK(pool.num_owners(pages[1]) == 1);
    pool.give_back(pages);
    CHECK(pool.num_free() == 1);
    CHECK(pool.take(1) == Pages{pages[1]});
    pool.give_back(std::span(pages).first(1));
    CHECK(pool.num_owners(pages[0]) == 0);
    CHECK(pool.num_free() == 1);
}

TEST_CASE("giving back or sharing what is not taken is a bug") {
    PagePool pool(2);
    const auto pages = pool.take(1);
    pool.give_back(pages);
    CHECK_THROWS_AS(pool.give_back(pages), InternalError);
    CHECK_THROWS_AS(pool.share(pages), InternalError);
    CHECK_THROWS_AS(pool.give_back(Pages{2}), InternalError);
    CHECK_THROWS_AS(pool.give_back(Pages{-1}), InternalError);
}

TEST_CASE("pages are counted in whole pages, and a begun page is not shared") {
    CHECK(pages_for_tokens(1) == 1);
    CHECK(pages_for_tokens(64) == 1);
    CHECK(pages_for_tokens(65) == 2);
    CHECK(own_pages(0, 64) == 1);
    CHECK(own_pages(63, 64) == 1);
    CHECK(own_pages(64, 65) == 1);
    CHECK(own_pages(63, 65) == 2);
    CHECK(own_pages(63, 63) == 0);
}

TEST_CASE("kept pages are given up from the end, and only as far as needed") {
    PagePool pool(6);
    KeptPages kept(pool);
    const auto pages = pool.take(4);
    kept.replace(pages, 250);
    CHECK(kept.num_tokens() == 250);
    CHECK(kept.num_idle() == 4);
    pool.share(std::span(pages).first(1));
    CHECK(kept.num_idle() == 3);
    kept.make_room(2);
    CHECK(kept.num_tokens() == 250);
    kept.make_room(3);
    CHECK(kept.num_tokens() == 192);
    CHECK(pool.num_free() == 3);
    kept.make_room(100);
    CHECK(kept.num_tokens() == 0);
    CHECK(pool.num_free() == 5);  // somebody still has the first
    kept.replace(pool.take(2), 65);
    kept.replace(pool.take(1), 3);
    CHECK(pool.num_free() == 4);
    CHECK_THROWS_AS(kept.replace(pool.take(1), 65), InternalError);
}
