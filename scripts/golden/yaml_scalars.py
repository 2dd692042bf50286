#!/usr/bin/env python3
"""Writes tests/unit/config/yaml_scalar_table.h: what PyYAML makes of plain scalars.

    pip install pyyaml && python3 scripts/golden/yaml_scalars.py > tests/unit/config/yaml_scalar_table.h
"""
import itertools
import json
import math

import yaml

WORDS = """yes Yes YES yEs no No NO true True TRUE tRUE false False FALSE on On ON off Off OFF y n Y N
null Null NULL nULL ~ none None 0 -0 +0 00 007 08 09 1 -1 +1 1_000 1__0_ _1 -_1 0_ 0x 0x_ 0x1F 0X1F -0x1f
0x1_f 0xg 0b101 -0b1_0 0b 0b2 0o17 017 -017 +0_17 12e3 1e3 1E3 1e+3 1.0e3 1.0e+3 1.5E-3 1.e+2 1. -1. +1.
.5 -.5 +.5 ._5 .5_ .5e+1 .5e1 . .. ... 1.2.3 1_0.0_1 -1_0.5e-1_0 .inf .Inf .INF .iNF -.inf +.inf inf -inf
.nan .NaN .NAN .Nan -.nan nan 1:30 1:30:05 1:60 1:5 01:30 0:30 -1:30 1:30.5 1:30:05.25 0:30.5 1:30. 1:
1:_3 1:30_ 190:20:30 9223372036854775807 9223372036854775808 -9223372036854775808
-9223372036854775809 99999999999999999999999999 0xFFFFFFFFFFFFFFFF 0x7FFFFFFFFFFFFFFF 1e400 1.0e+400
1.7976931348623157e+308 5.0e-324 0.1 3.141592653589793 abc a.b 1a -a +a - + -- 1-2 1+2""".split()
WORDS += ["".join(p) for n in (1, 2, 3) for p in itertools.product("01.-e", repeat=n)]


def expected(word):
    value = yaml.safe_load("a: " + word)["a"]
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return json.dumps(value)
        return repr(value)
    return str(value)


def main():
    print("// Made by scripts/golden/yaml_scalars.py with PyYAML %s." % yaml.__version__)
    print("#pragma once\n\n#include <string_view>\n#include <utility>\n")
    print("// Plain scalar, and the JSON of what PyYAML's safe_load returns for it.")
    print("constexpr std::pair<std::string_view, std::string_view> kYamlScalars[] = {")
    seen = set()
    for word in WORDS:
        try:
            value = expected(word)
        except (yaml.YAMLError, ValueError, TypeError, KeyError):
            continue  # not a plain scalar in this place, or a crash of PyYAML's ("0x", "0b_")
        if word not in seen and not isinstance(value, list):
            print('    {R"(%s)", R"(%s)"},' % (word, value))
        seen.add(word)
    print("};")


main()
