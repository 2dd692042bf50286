#include "muster/config/value.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "muster/base/text.h"

using namespace muster;

namespace {

std::string name(std::size_t n) {
    return cat("k", n);
}

}  // namespace

TEST_CASE("a value knows its kind") {
    CHECK(Value().is_null());
    CHECK(Value(nullptr).is_null());
    CHECK(Value(true).is_bool());
    CHECK(Value(3).is_integer());
    CHECK(Value(3.0).is_real());
    CHECK(Value("a").is_string());
    CHECK(Value(Array{1, "x"}).is_array());
    CHECK(Value(Object()).is_object());
    CHECK(Value(3).as_real() == 3.0);
    CHECK(Value(3).is_number());
    CHECK(kind_name(Value::Kind::object) == "an object");
    CHECK_THROWS(Value(3).as_string());
    CHECK_THROWS(Value("3").as_real());
    CHECK(Value(3).find("x") == nullptr);
}

TEST_CASE("equality is by kind and content, for objects in any order") {
    Object a, b;
    a.set("x", 1);
    a.set("y", Array{true});
    b.set("y", Array{true});
    b.set("x", 1);
    CHECK(Value(a) == Value(b));
    b.set("x", 1.0);
    CHECK_FALSE(Value(a) == Value(b));
    b.erase("x");
    CHECK_FALSE(Value(a) == Value(b));
    double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(Value(nan) == Value(nan));
}

TEST_CASE("an object keeps the order of its keys and finds them, small or large") {
    Object object;
    for (std::size_t n = 0; n < 5000; ++n) {
        REQUIRE(object.find(name(n)) == nullptr);
        object.set(name(n), Value(static_cast<std::int64_t>(n)));
        REQUIRE(object.size() == n + 1);
        std::size_t half = n / 2;
        REQUIRE(*object.find(name(half)) == Value(static_cast<std::int64_t>(half)));
    }
    object.set("k7", "seven");  // overwrites in place
    CHECK(object.size() == 5000);
    CHECK(object.members()[7].second == Value("seven"));
    for (std::size_t n = 0; n < 5000; ++n) REQUIRE(object.members()[n].first == name(n));
}

TEST_CASE("erase keeps the rest findable, across the size where look-up changes") {
    Object object;
    for (std::size_t n = 0; n < 40; ++n) object.set(name(n), Value(static_cast<std::int64_t>(n)));
    object.erase("absent");
    for (std::size_t n = 0; n < 40; n += 2) object.erase(name(n));
    CHECK(object.size() == 20);
    for (std::size_t n = 0; n < 40; ++n) CHECK(object.contains(name(n)) == (n % 2 == 1));
    for (std::size_t n = 1; n < 40; n += 2) object.erase(name(n));
    CHECK(object.empty());
    object.set("again", 1);
    CHECK(object.contains("again"));
}

TEST_CASE("copies are independent and moved-from objects may be used again") {
    Object object;
    for (std::size_t n = 0; n < 30; ++n) object.set(name(n), Value(static_cast<std::int64_t>(n)));
    Object copy = object;
    copy.set("k3", "changed");
    CHECK(*object.find("k3") == Value(3));
    Object moved = std::move(object);
    CHECK(moved.size() == 30);
    object = Object();
    object.set("x", 1);
    CHECK(object.size() == 1);
    CHECK(object.contains("x"));
}
