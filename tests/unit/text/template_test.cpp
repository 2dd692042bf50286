#include "muster/text/template.h"

#include <doctest/doctest.h>

#include "muster/base/error.h"

// What jinja2 has no answer for: messages, limits, and the options of muster's own.

using namespace muster;

namespace {

std::string render(const std::string& source, const Object& context = {},
                   TemplateOptions options = TemplateOptions::task_prompt()) {
    return Template(source, "t", options).render(context);
}

std::string error_of(const std::string& source, const Object& context = {},
                     TemplateOptions options = TemplateOptions::task_prompt()) {
    try {
        return "no error, but: " + render(source, context, options);
    } catch (const UserError& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("errors name place, line and column") {
    CHECK(error_of("a\n{{ x }}") == "t:2:4: 'x' is undefined");
    CHECK(error_of("a\n  {% if %}") == "t:2:9: unexpected '%}'; expected an expression");
    CHECK(error_of("é{{ 1 + }}") == "t:1:9: unexpected '}}'; expected an expression");
    CHECK(error_of("{% for x in y %}") ==
          "t:1:17: the template ends too early; expected {% endfor %} or {% else %}");
    CHECK(error_of("{{ 1 | uper }}") == "t:1:8: no filter named 'uper'; did you mean \"upper\"?");
    CHECK(error_of(
              "{% if 1 is stirng %}{% for i in [1] %}{{ 1 is stirng }}{% endfor %}{% endif %}") ==
          "t:1:44: no test named 'stirng'; did you mean \"string\"?");
    CHECK(error_of("{% include 'a' %}").starts_with("t:1:4: the tag 'include' is not supported"));
    CHECK(error_of("{{ {'a': 1}.b }}") == "t:1:12: 'dict object' has no attribute 'b'");
    CHECK(error_of("{{ none.b }}") == "t:1:8: 'None' has no attribute 'b'");
    CHECK(error_of("{{ [1][3] }}") == "t:1:7: list object has no element 3");
    CHECK(error_of("{{ raise_exception('no tools') }}") == "t:1:4: no tools");
    CHECK(error_of("{{ range(3, stopp=1) }}").find("did you mean \"stop\"?") != std::string::npos);
}

TEST_CASE("dates are given, never taken from the clock") {
    TemplateOptions options = TemplateOptions::chat();
    CHECK(error_of("{{ strftime_now('%Y') }}", {}, options).find("set a date") !=
          std::string::npos);
    options.now = "2026-11-20";
    CHECK(render("{{ strftime_now('%d %B %Y, %A, %j') }}", {}, options) ==
          "20 November 2026, Friday, 324");
    options.now = "2024-02-29T13:05:09";
    CHECK(render("{{ strftime_now('%F %T %I %p %-d%%') }}", {}, options) ==
          "2024-02-29 13:05:09 01 PM 29%");
    for (const char* wrong : {"2026-02-29", "yesterday", "2026-13-01", "2026-11-20T25:00:00"}) {
        options.now = wrong;
        CHECK(error_of("{{ strftime_now('%Y') }}", {}, options).find("is not valid") !=
              std::string::npos);
    }
}

TEST_CASE("a render that would not end is stopped") {
    const std::string steps = "takes more than 10,000,000 steps";
    const std::string loop =
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    CHECK(error_of(loop).find(steps) != std::string::npos);
    CHECK(error_of("{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}")
              .find(steps) != std::string::npos);
    CHECK(error_of("{{ range(1000001) }}").find("1,000,000 numbers") != std::string::npos);
    CHECK(error_of("{{ 'x' * 100000000 }}").find("larger than 64") != std::string::npos);
    CHECK(error_of("{% set x = 'x' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}")
              .find("64 MiB") != std::string::npos);
    CHECK(error_of("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + "
                   "ns.l %}{% endfor %}")
              .find("more than") != std::string::npos);
}

TEST_CASE("nesting is limited, in the source and while running") {
    const auto repeat = [](const std::string& text, int n) {
        std::string out;
        for (int i = 0; i < n; ++i) out += text;
        return out;
    };
    CHECK(error_of("{{ " + repeat("(", 5000) + "1" + repeat(")", 5000) + " }}").find("deeper") !=
          std::string::npos);
    CHECK(error_of("{{ " + repeat("-", 5000) + "1 }}").find("deep") != std::string::npos);
    CHECK(error_of("{{ " + repeat("not ", 5000) + "1 }}").find("deep") != std::string::npos);
    CHECK(error_of("{{ 1" + repeat(" + 1", 5000) + " }}").find("deep") != std::string::npos);
    CHECK(error_of("{{ x" + repeat(".a", 5000) + " }}").find("deep") != std::string::npos);
    CHECK(error_of("{{ x" + repeat("|string", 5000) + " }}").find("deep") != std::string::npos);
    CHECK(error_of(repeat("{% if 1 %}", 5000)).find("deep") != std::string::npos);
    CHECK(error_of("{% for " + repeat("(", 5000) + "a" + repeat(")", 5000) + " in b %}")
              .find("deep") != std::string::npos);
    CHECK(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("calls itself") !=
          std::string::npos);
    CHECK(error_of("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}").find("nested deeper") !=
          std::string::npos);
    CHECK(error_of("{% set a = [] %}{% set _ = a.append(a) %}{% set b = [] %}{% set _ = "
                   "b.append(b) %}{{ a == b }}")
              .find("nested deeper") != std::string::npos);
    CHECK(render("{{ 'a'" + repeat(" ~ 'a'", 1000) + " }}") == std::string(1001, 'a'));
    // A hundred thousand lists inside each other are made and forgotten without trouble.
    CHECK(render("{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] "
                 "%}{% endfor %}ok") == "ok");
}

TEST_CASE("integers have 64 bits and say so") {
    CHECK(render("{{ 9223372036854775806 + 1 }}") == "9223372036854775807");
    for (const char* expression :
         {"9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2",
          "3 ** 50", "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) // -1",
          "(-9223372036854775807 - 1) | abs"}) {
        CAPTURE(expression);
        CHECK(error_of(std::string("{{ ") + expression + " }}").find("overflow") !=
              std::string::npos);
    }
    CHECK(error_of("{{ 9223372036854775808 }}").find("beyond 64 bits") != std::string::npos);
    CHECK(render("{{ (-9223372036854775807 - 1) % -1 }}") == "0");
}

TEST_CASE("the context is shared, not copied, and cannot be changed") {
    Object context;
    context.set("list", Value(Array{1, 2}));
    Object inner;
    inner.set("k", "v");
    context.set("dict", Value(inner));
    CHECK(error_of("{% set _ = list.append(3) %}", context)
              .find("of the context cannot be changed") != std::string::npos);
    CHECK(
        error_of("{% set _ = dict.pop('k') %}", context).find("of the context cannot be changed") !=
        std::string::npos);
    CHECK(render("{% set l = list | list %}{% set _ = l.append(3) %}{{ l }}{{ list }}", context) ==
          "[1, 2, 3][1, 2]");
    CHECK(render("{% set d = dict.copy() %}{% set _ = d.update({'x': 1}) %}{{ d }}{{ dict }}",
                 context) == "{'k': 'v', 'x': 1}{'k': 'v'}");
    CHECK(render("{{ list is sameas list }} {{ dict.items() | list }}", context) ==
          "True [('k', 'v')]");
}

TEST_CASE("a template renders again and again, and can move") {
    Template first("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + x %}{{ ns.n }}", "t",
                   TemplateOptions::task_prompt());
    Template second = std::move(first);
    for (int i = 0; i < 3; ++i) {
        Object context;
        context.set("x", i);
        CHECK(second.render(context) == std::to_string(i));
    }
}

TEST_CASE("a macro keeps the variables around it alive") {
    CHECK(
        render(
            "{% set ns = namespace() %}{% for i in [1, 2, 3] %}{% macro m() %}{{ i }}{% endmacro %}"
            "{% if loop.first %}{% set ns.m = m %}{% endif %}{% endfor %}{{ ns.m() }}") == "1");
}

TEST_CASE("text that is no UTF-8 does no harm") {
    Object context;
    context.set("s", "a\xff\xc3");
    CHECK_NOTHROW(
        render("{{ s }}{{ s[1] }}{{ s | upper }}{{ s | tojson }}{{ [s] }}{{ s | length }}{{ "
               "s[::-1] }}{{ s.strip() }}",
               context));
    CHECK_NOTHROW(render("\xff{{ '\xc3' }}\xe2\x82", context));
    CHECK(error_of("{{ \xff }}").find("unexpected character") != std::string::npos);
}
