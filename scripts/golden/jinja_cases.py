"""Writes tests/golden/jinja/cases.json: small templates rendered by jinja2, which the unit test replays.

Each case is rendered as Hugging Face renders chat templates (mode "chat") or as lm-evaluation-harness
renders task prompts (mode "task"), or both. "error" stands for any exception of jinja2.

    python3 scripts/golden/jinja_cases.py tests/golden/jinja/cases.json
"""
import datetime
import json
import re
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 11, 20)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def chat_environment():
    """transformers 5.x, utils/chat_template_utils.py, without its bookkeeping."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    class Namespace(jinja2.utils.Namespace):
        def __setitem__(self, name, value):
            if name.startswith("_"):
                raise jinja2.exceptions.SecurityError(name)
            jinja2.utils.Namespace.__setitem__(self, name, value)

    env.filters["tojson"] = tojson
    env.globals["namespace"] = Namespace
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


def task_environment():
    """lm_eval 0.4.13, utils.py."""
    env = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    env.filters["regex_replace"] = lambda string, pattern, repl, count=0: re.sub(pattern, repl, string, count=count)
    return env


CONTEXT = {
    "name": "World", "n": 3, "x": 2.5, "yes": True, "nothing": None, "empty": [], "blank": "",
    "items": ["a", "b", "c"], "numbers": [3, 1, 2], "text": "Hello, World! It's \"fine\"", "uni": "Straße ΑΣ 日本",
    "user": {"name": "Ann", "age": 30, "tags": ["x", "y"], "items": 7}, "padded": "  pad \n",
    "people": [{"name": "Bob", "age": 25, "city": "Rome"}, {"name": "ann", "age": 31, "city": "oslo"},
               {"name": "Cid", "age": 25, "city": "Oslo"}],
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "Hello!", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}],
    "choices": ["one", "two", "three", "four"], "answer": 2, "nested": {"a": {"b": [1, {"c": "deep"}]}},
    "html": "<a href='x'>&\"</a>", "lines": "one\n\n  two\nthree\n",
}

BOTH = r"""
Hello {{ name }}!
{{ n }} {{ x }} {{ yes }} {{ nothing }} {{ items }} {{ user }} {{ blank }}|
{{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 100000000000000000000.0 }} {{ -0.0 }}
{{ [1, 2.0, 'a', "it's", none, true, (1,), (), {'k': [1]}] }}
{{ {} }} {{ [] }} {{ () }} {{ {1: 2, 'a': none, 2.5: (1, 2)} }} {{ ('a', 'b') }}
{{ 'a\nb\t\x41\u00e9\\' }}{{ ["a\nb\t\x01\u200b\u00e9"] }}
{{ 'a' 'b' "c" }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ +3 }} {{ - -3 }} {{ 10 - 3 - 2 }}
{{ 'a' ~ 1 ~ 2.0 ~ none ~ true ~ [1] }} {{ 'a' * 3 }} {{ 3 * 'ab' }} {{ [1] * 3 }} {{ [1] + [2, 3] }} {{ (1,) + (2,) }}
{{ 1 ~ 2 * 3 }} {{ 'a' + 'b' ~ 'c' }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }} {{ 3 >= 3 > 2 }}
{{ 'a' in 'abc' }} {{ 2 in numbers }} {{ 'name' in user }} {{ 5 not in numbers }} {{ not 1 in [1] }} {{ 'x' in ('x',) }}
{{ 1 and 2 }} {{ 0 or 'x' }} {{ not '' }} {{ '' or [] or none }} {{ 1 or 2 and 0 }} {{ not 1 == 2 }}
{{ 'yes' if n > 2 else 'no' }} {{ 'a' if false else 'b' if false else 'c' }} {{ ('a' if 0 else 'b') ~ 'c' }}
{{ items[0] }} {{ items[-1] }} {{ items[1:] }} {{ items[:-1] }} {{ items[::-1] }} {{ items[::2] }} {{ items[5:] }} {{ text[0] }} {{ text[-3:] }} {{ text[7:12] }} {{ uni[::-1] }} {{ uni[2:6] }} {{ text[10:2:-2] }}
{{ user.name }} {{ user['age'] }} {{ user.tags[1] }} {{ nested.a.b[1].c }} {{ nested['a']['b'][0] }} {{ user['items'] }} {{ items.0 }}
{{ user.get('name') }} {{ user.get('zip') }} {{ user.get('zip', 'none') }} {{ user.keys()|list }} {{ user.values()|list }} {{ user.items()|list }}
{{ user.keys() }} {{ user.values() }} {{ user.items() }}
{{ range(5) }} {{ range(1, 4)|list }} {{ range(10, 0, -3)|list }} {{ range(0)|list }} {{ range(2, 9, 3) }}
{% if n == 3 %}three{% elif n == 4 %}four{% else %}other{% endif %}
{% if items %}some{% endif %}{% if empty %}x{% else %}none{% endif %}
{% for i in items %}{{ loop.index }}:{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for i in items %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }};{% endfor %}
{% for i in items %}{{ loop.previtem if not loop.first else '-' }}<{{ i }}>{{ loop.nextitem if not loop.last else '-' }} {% endfor %}
{% for i in numbers %}{{ loop.cycle('odd', 'even') }} {% endfor %}{% for i in [1,1,2] %}{{ loop.changed(i) }} {% endfor %}
{% for x in empty %}never{% else %}empty{% endfor %}
{% for k, v in user.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in user %}{{ k }},{% endfor %}{% for c in 'aé日' %}[{{ c }}]{% endfor %}
{% for i in numbers if i > 1 %}{{ i }}{{ loop.length }}{{ loop.last }} {% endfor %}
{% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a }}{{ b }}{{ c }} {% endfor %}
{% for i in [[1, [2, [3]]], 4] recursive %}{% if i is iterable %}<{{ loop.depth }}{{ loop(i) }}>{% else %}{{ i }}{% endif %}{% endfor %}
{% set y = 1 %}{% for i in items %}{% set y = y + 1 %}{{ y }}{% endfor %}{{ y }}
{% set ns = namespace(total=0, found=false) %}{% for i in numbers %}{% set ns.total = ns.total + i %}{% if i == 2 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.total }} {{ ns.found }} {{ ns }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = (3, 4) %}{{ c }}{{ d }}{% set t = 1, %}{{ t }}
{% set block %}<b>{{ name }}</b>{% endset %}{{ block }} {% set up | upper | trim %} shout {% endset %}{{ up }}
{% if true %}{% set inif = 5 %}{% endif %}{{ inif }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{% with %}{% set z = 2 %}{{ z }}{% endwith %}{{ z is defined }}
{% macro hi(who, greeting='Hello') %}{{ greeting }} {{ who }}!{% endmacro %}{{ hi('Ann') }} {{ hi('Bob', 'Bye') }} {{ hi(greeting='Yo', who='Cy') }}
{% macro a(x, y=x) %}{{ x }}-{{ y }}{% endmacro %}{{ a(1) }} {{ a(1, 2) }}
{% macro v() %}{{ varargs }} {{ kwargs }}{% endmacro %}{{ v(1, 2, a=3) }}
{% macro fact(k) %}{{ 1 if k <= 1 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(5) }}
{% macro outer() %}[{{ caller() }}]{% endmacro %}{% call outer() %}inside {{ name }}{% endcall %}
{% macro each(list) %}{% for i in list %}{{ caller(i, loop.index) }}{% endfor %}{% endmacro %}{% call(x, k) each(items) %}{{ k }}{{ x }};{% endcall %}
{% macro m() %}{{ name }}{{ later }}{% endmacro %}{% set later = '!' %}{{ m() }} {{ m.name }}
{% filter upper %}loud {{ name }}{% endfilter %} {% filter trim | replace('a', 'b') %}  banana {% endfilter %}
{% raw %}{{ not }} {% if %}{% endraw %}done
{# comment {{ x }} #}after{#- tight -#} x
{{ '{{' }} {{ '}}' }} {{ "%}" }} {{ {'a': {'b': 1}}['a']['b'] }}
a {{- ' b ' -}} c  {%- if true -%}  d  {%- endif -%}  e
{% if true %}  x  {%+ endif %} y
  {{- 'left' }}   {{ 'right' -}}   end
{{ text.upper() }} {{ text.lower() }} {{ text.title() }} {{ 'hello wORLD'.capitalize() }} {{ uni.upper() }} {{ uni.lower() }} {{ 'AbC'.swapcase() }}
[{{ padded.strip() }}] [{{ padded.lstrip() }}] [{{ padded.rstrip() }}] [{{ 'xxaxx'.strip('x') }}] [{{ 'abcabc'.lstrip('ab') }}] [{{ '\u00a0x\u2003'.strip() }}]
{{ 'a,b,,c'.split(',') }} {{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'a b c'.split(' ')[-1] }} {{ 'a\nb\r\nc'.splitlines() }} {{ ' a b '.split(none, 1) }}
{{ text.startswith('Hello') }} {{ text.endswith(('x', '"')) }} {{ text.startswith('ello', 1) }} {{ 'abc'.endswith('b', 0, 2) }}
{{ text.replace('l', 'L') }} {{ text.replace('l', 'L', 1) }} {{ 'abc'.replace('', '-') }}
{{ text.find('World') }} {{ text.find('zzz') }} {{ text.rfind('l') }} {{ text.index('o') }} {{ text.count('l') }} {{ uni.find('Σ') }} {{ 'aaaa'.count('aa') }} {{ 'hello'.find('l', 3) }} {{ 'hello'.count('l', 0, 3) }}
{{ ', '.join(items) }} {{ '-'.join('abc') }} {{ '{} and {}'.format(1, 'b') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}={y!r}'.format(x=1, y='q') }} {{ '{:.2f}|{:>6}|{:<4}|{:^5}|{:05d}|{:,}'.format(3.14159, 'ab', 'c', 'd', 42, 1234567) }}
{{ '123'.isdigit() }} {{ 'abc'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ ''.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ 'Ab Cd'.istitle() }}
{{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} [{{ 'ab'.center(7, '*') }}] [{{ 'ab'.ljust(4) }}] [{{ 'ab'.rjust(4) }}]
{{ items.index('b') }} {{ numbers.count(1) }} {{ (1, 2, 1).count(1) }} {{ (1, 2).index(2) }}
{{ padded | trim }}| {{ 'xax' | trim('x') }} {{ items | length }} {{ text | length }} {{ uni | count }} {{ user | length }}
{{ items | join }} {{ items | join(', ') }} {{ people | join('/', attribute='name') }} {{ [1, none, 2.5] | join('-') }} {{ 'abc' | join('.') }}
{{ missing | default('d') }} {{ missing | d }} {{ blank | default('x') }} {{ blank | default('x', true) }} {{ nothing | default('n') }} {{ user.zip | default('zip') }}
{{ people | selectattr('age', 'equalto', 25) | map(attribute='name') | list }} {{ people | rejectattr('age', 'gt', 30) | map(attribute='name') | join(',') }} {{ people | selectattr('name') | list | length }}
{{ numbers | select('odd') | list }} {{ numbers | reject('even') | list }} {{ [0, 1, '', 'a'] | select | list }} {{ ['a', 1, 'b'] | select('string') | list }}
{{ items | map('upper') | list }} {{ [' a ', 'b '] | map('trim') | join }} {{ ['1', '2'] | map('int') | sum }} {{ [[1, 2], [3]] | map('length') | list }} {{ [[1], [2]] | map('first') | list }} {{ people | map(attribute='zip', default='?') | list }}
{{ user | dictsort }} {{ {'b': 1, 'A': 2, 'c': 0} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}
{{ numbers | sort }} {{ numbers | sort(reverse=true) }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A', 'c'] | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age,name') | map(attribute='name') | list }}
{% for g in people | groupby('age') %}{{ g.grouper }}:{{ g.list | map(attribute='name') | join(',') }};{% endfor %}{% for city, list in people | groupby('city') %}{{ city }}={{ list | length }} {% endfor %}
{{ [1, 2, 1, 'a', 'A'] | unique | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }} {{ numbers | min }} {{ numbers | max }} {{ numbers | sum }} {{ people | sum(attribute='age') }} {{ people | max(attribute='age') }} {{ ['b', 'A'] | min }}
{{ items | first }} {{ items | last }} {{ 'abc' | first }} {{ 'abc' | last }} {{ items | reverse | list }} {{ 'aé日' | reverse }}
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '42.9' | int }} {{ 3.99 | int }} {{ -3.99 | int }} {{ ' 12 ' | int }} {{ '0x1A' | int(base=16) }} {{ 'ff' | int(0, 16) }} {{ '1_000' | int }} {{ none | int }} {{ true | int }}
{{ '3.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ '1e3' | float }} {{ 'nan' | float }} {{ '-inf' | float }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42 | round }} {{ 3.14159 | round(3) }} {{ 2.1 | round(method='ceil') }} {{ 2.9 | round(0, 'floor') }} {{ 1234.5 | round(-2) }} {{ 2.345 | round(1, 'ceil') }}
{{ -3 | abs }} {{ (-3) | abs }} {{ (-2.5) | abs }} {{ 5 | string }} {{ [1] | string | length }} {{ 'ab' | list }} {{ user | list }} {{ (1, 2) | list }}
{{ 'hello world-foo (bar) it\'s' | title }} {{ 'hELLO' | capitalize }} {{ 'a<b>&"\'' | e }} {{ html | escape }} {{ 'x' | safe }} {{ 'aXa' | lower }}
{{ lines | indent }}| {{ lines | indent(2, true) }}| {{ lines | indent(2, blank=true) }}| {{ lines | indent('> ') }}|
{{ 'aaa' | replace('a', 'b') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 123 | replace(2, 'x') }} {{ 'one two  three' | wordcount }} {{ '%s-%d-%.2f-%5s|%-5s|%05d' | format('a', 3, 2.5, 'r', 'l', 42) }} {{ '%s' % 'x' }} {{ '%d%%' % 5 }} {{ '%s %s' % ('a', 1) }} {{ '%(k)s' % {'k': 1} }}
{{ 'abcdefghij' | truncate(5) }} {{ 'one two three four five' | truncate(12) }} {{ 'one two three four five' | truncate(12, true) }} {{ [1,2,3,4,5] | batch(2) | list }} {{ [1,2,3,4,5] | batch(2, 0) | list }} {{ [1,2,3,4,5] | slice(2) | list }} {{ user | items | list }} [{{ 'ab' | center(6) }}]
{{ user | attr('name') is defined }} {{ x is defined }} {{ missing is defined }} {{ missing is undefined }} {{ nothing is none }} {{ missing is not defined }} {{ user.zip is defined }} {{ user.name is defined }}
{{ name is string }} {{ user is mapping }} {{ items is iterable }} {{ items is sequence }} {{ name is sequence }} {{ user is sequence }} {{ n is number }} {{ n is integer }} {{ x is float }} {{ yes is boolean }} {{ yes is number }} {{ yes is integer }} {{ yes is true }} {{ n is true }} {{ false is false }} {{ 5 is iterable }} {{ user.items() is iterable }} {{ user.items() is sequence }} {{ range is callable }} {{ name is callable }}
{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} {{ 1 is equalto(1.0) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 2 is gt 3 }} {{ 'a' is in ['a'] }} {{ 'a' is not in 'xyz' }} {{ none is sameas none }} {{ 1 is sameas true }} {{ 'ab' is lower }} {{ 'AB' is upper }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 1 is lessthan 2 }}
{{ 3 is odd and 4 is even }} {{ not 3 is odd }} {{ 1 is number == true }} {{ 'a' if x is defined else 'b' }}
{% set j = joiner(', ') %}{% for i in items %}{{ j() }}{{ i }}{% endfor %} {% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}
{{ dict(a=1, b='x') }} {{ dict({'q': 1}, r=2) }} {{ dict([('a', 1)]) }} {% set d = dict(user, name='Zed') %}{{ d.name }} {{ user.name }}
{{ {'a': 1} == {'a': 1.0} }} {{ [1, [2]] == [1, [2]] }} {{ (1,) == [1] }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ 'a' == 1 }} {{ none == false }}
{% for m in messages %}{{ '<|' + m.role + '|>' + m['content'] + '\n' }}{% if m.tool_calls is defined and m.tool_calls %}{% for c in m.tool_calls %}{{ c.name }}({{ c.arguments }}){% endfor %}{% endif %}{% endfor %}
{% if messages[0]['role'] == 'system' %}{% set sys = messages[0]['content'] %}{% set rest = messages[1:] %}{% endif %}{{ sys }}{{ rest | length }}
{% for message in messages[::-1] %}{% set index = (messages | length - 1) - loop.index0 %}{{ index }}{{ message.role }} {% endfor %}
{{ choices[answer] }} {{ choices | length }} {{ 'ABCD'[answer] }} {% for c in choices %}{{ 'ABCD'[loop.index0] }}. {{ c }}{% if not loop.last %}, {% endif %}{% endfor %}
{% set letters = ['A', 'B'] %}{% for l in letters %}{{ l }}{{ choices[loop.index0] }}{% endfor %}{{ ['A', 'B'].index('B') }}
{% set f = user.get %}{{ f('name') }} {% set s = 'a-b'.split %}{{ s('-') }}
{{ range(*[1, 4]) | list }} {{ dict(**{'a': 1}) }} {{ '{}{}'.format(*items[:2]) }}
{% print 1, 'a' %} {% set x2 = (1 if n else 2) %}{{ x2 }} {{ [n, n][0] }} {{ (n) }} {{ (n,)[0] }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.5 }} {{ 5e2 }}
{{ none }} {{ None }} {{ True }} {{ false }} {{ true is true }}
{{ 'a' ~ ('b' if n == 3) }} {{ ('b' if n == 3) is defined }} {{ ('b' if n == 4) is defined }}
{% for i in range(3) -%}
  {{ i }}
{%- endfor %}
{% set q %}{% for i in items %}{{ i }}{% endfor %}{% endset %}{{ q | length }}
{{ people | map(attribute='name') | map('lower') | sort | join(' ') }}
{{ ([1, 2] | first) + ([1, 2] | last) }} {{ -[1, 2][0] }} {{ -n | abs }} {{ 2 * n | string | length }}
{{ user.tags | join('-') | upper ~ '!' }} {{ (user.tags | join('-')) is string }}
{{ namespace(a=1).a }} {% set ns = namespace({'k': 'v'}, z=1) %}{{ ns.k }}{{ ns['z'] }}
{{ 'x'.join(['a', 'b']) in 'axb' }} {{ items | length > 2 }} {{ items|length is eq 3 }}
{% for i in items %}{% if loop.first %}{% set ns2 = namespace(v=i) %}{{ ns2.v }}{% endif %}{% endfor %}
{{ 'İß'.lower() }} {{ 'ŉ'.upper() }} {{ 'ǆa'.title() }} {{ 'ﬁx'.capitalize() }} {{ 'ΌΣΟΣ ΣΑΣ'.lower() }}
{{ 9223372036854775807 }} {{ -9223372036854775807 - 1 }} {{ 3 * 1.5 }} {{ 4 / 2 }} {{ 1 // 0.3 }}
{{ 'a' < 'B' }} {{ [3, 1] | sort | first }} {{ 'abc'[5:] }}| {{ 'abc'[-10:2] }} {{ [][:1] }}
{{ missing | default(user.name) }} {{ (missing | default([])) | length }} {{ missing is none }} {{ missing is string }} {{ missing is mapping }}
{{ 'a\\b' }} {{ '\'' }} {{ "\"" }} {{ 'tab\there' }} {{ '\101\x42' }} {{ '\q' }}
{%set a=1%}{{a}}{%-if a-%} x {%-endif-%}
{% if n is defined and n > 2 or missing is defined %}ok{% endif %}
{{ "a" if not missing is defined }} {{ 'é' | length }} {{ '日本語'[1] }} {{ '日本語'[-1:] }} {{ '%5s|' | format('日本') }}
{{ user.items }}
{% macro t(a) %}{% for i in a %}{{ i }}{% endfor %}{% endmacro %}{% for i in [1, 2] %}{{ t([i, i]) }} {% endfor %}
{% for i in items %}{% for j in items if j != i %}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% set x = 5 %}{% macro getx() %}{{ x }}{% endmacro %}{% set x = 6 %}{{ getx() }}
{{ 'ab' 'cd' | upper }} {{ 5 is not string }} {{ [1,2,3][-1] }} {{ [[1,2],[3,4]][1][0] }}
"""

# Rendered apart, because they differ between the two or need more than one line.
CHAT = [
    "{{ missing }}|{{ user.zip }}|{{ missing | upper }}|{{ missing | length }}|{% for x in missing %}{% else %}none{% endfor %}",
    "{{ missing == other }} {{ missing == 1 }} {{ not missing }} {{ missing ~ 'a' }} {{ missing in [1] }} {{ 1 in missing }} {{ [missing] }}",
    "{{ 'a' if false }}|{{ items[9] }}|{{ user[0] }}|{{ missing | list }}|{{ missing | join }}|{{ missing | trim }}|{{ missing | string }}",
    "{{ missing is iterable }} {{ missing is sequence }} {{ missing | items | list }} {{ loop is defined }} {{ nothing | select | list }}",
    "{{ user | tojson }} {{ items | tojson }} {{ text | tojson }} {{ uni | tojson }} {{ html | tojson }} {{ x | tojson }} {{ nothing | tojson }} {{ true | tojson }}",
    "{{ messages | tojson(indent=2) }}", "{{ {'b': [], 'a': {}, 'c': [1, [2]]} | tojson(indent=4) }}",
    "{{ uni | tojson(ensure_ascii=true) }} {{ '😀\\x7f' | tojson(ensure_ascii=true) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ user | tojson(separators=(',', ':')) }} {{ [1, 2] | tojson(indent='--') }}",
    "{{ {1: 2, true: 3, none: 4, 2.5: 5} | tojson }} {{ (1, 2) | tojson }} {{ 'a\\n\\t\\u0001\\\"\\\\' | tojson }} {{ 1e100 | tojson }} {{ [] | tojson }}",
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %A %B %j %H:%M') }} {{ strftime_now('%a %y %p %I') }}",
    "{% for m in messages %}\n{% if m.role == 'user' %}\nU: {{ m.content }}\n{% else %}\n  {% set skip = 1 %}\nA: {{ m.content }}\n{% endif %}\n{% endfor %}\nend\n",
    "a\n  {% if true %}  \n  b\n  {% endif %}  \nc\n", "a\n  {%+ if true %}\nb\n\t{%- endif %}\nc", "  {# comment #}\nx\n  {#- c -#}  \ny\n  {{ 1 }}\n",
    "{% for i in items %}\n  {{- i }}\n  {%- if i == 'b' %}{% break %}{% endif %}\n{% endfor %}|",
    "{% for i in items %}{% if i == 'b' %}{% continue %}{% endif %}{{ i }}{{ loop.index }}{% endfor %}",
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "  {% raw %}\n  {{ x }}\n  {% endraw %}\nz", "{% raw -%}  a  {%- endraw %}  b", "x{% raw %} {% endraw -%}  y",
    "{{ 1 }}\n{% if true %}\n\n{% endif %}\n\n{{ 2 }}\n\n", "{%- set a = 1 -%}\n\n {{- a -}} \n", "{% set x = 1 %}  \n{% set y = 2 %}\n{{ x + y }}",
    "{% if true %}{{ 1 | nofilter }}{% endif %}", "{% if false %}{{ 1 | nofilter }}{% endif %}ok", "{{ (1 | nofilter) if false else 2 }}", "{% if false %}{{ 1 is notest }}{% endif %}ok",
    "{% for i in [] %}{{ i | nofilter }}{% endfor %}", "{% if false %}{% for i in [] %}{{ i | nofilter }}{% endfor %}{% endif %}", "{% macro m() %}{{ 1 | nofilter }}{% endmacro %}",
    "{{ raise_exception('stop ' ~ n) }}", "{% if not user.zip %}{{ user.zip.code }}{% endif %}", "{{ missing.attr }}", "{{ missing['a'] }}", "{{ missing() }}", "{{ missing + 1 }}", "{{ missing < 1 }}", "{{ missing | int }}", "{{ missing | tojson }}", "{{ -missing }}",
    "{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}", "{% set d = {} %}{% set _ = d.update({'a': 1}) %}{{ d }}", "{{ user.pop('name') }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}{{ ns._x }}", "{% set user.name = 'x' %}", "{{ user.get('name').upper().lower().title() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f() }}|{{ f(1, 2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}[{{ f() }}]", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=1) }}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}", "{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}",
    "{% for i in numbers | select('gt', 1) %}{{ i }}{{ loop.last }}{{ loop.length }} {% endfor %}", "{% if numbers | select('gt', 100) %}truthy{% endif %}", "{{ numbers | map('string') | length }}",
    "{% set g = numbers | map('string') %}{{ g | list }}{{ g | list }}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% set a, b = 'xy' %}{{ a }}{{ b }}",
    "{% set ns = namespace(out='') %}{% for m in messages if m.role != 'system' and ns.out | length < 3 %}{% set ns.out = ns.out + m.role[0] %}{% endfor %}{{ ns.out }}",
]
TASK = [
    "{{ missing }}", "{{ user.zip }}", "{{ missing | upper }}", "{% if missing %}{% endif %}", "{{ missing == 1 }}", "{{ 1 == missing }}", "{{ not missing }}", "{{ missing ~ 'a' }}", "{{ [missing] }}", "{% for x in missing %}{% endfor %}",
    "{{ missing | length }}", "{{ missing in [1] }}", "{{ missing | default('d') }}{{ missing is defined }}{{ missing is none }}{{ missing is sequence }}", "{{ missing is iterable }}", "{{ items[9] }}", "{{ items[9] | default('x') }}", "{{ 'a' if false }}", "{{ missing or 1 }}", "{{ [] | first }}", "{{ [] | first | default('none') }}",
    "Question: {{ text.strip() }}\nA. {{ choices[0] }}\nB. {{ choices[1] }}\nC. {{ choices[2] }}\nD. {{ choices[3] }}\nAnswer:", "line\n", "line\n\n", "{% if true %}\nx\n{% endif %}\n", "  {% if true %}  \n  b\n  {% endif %}  \n", "{{ user | tojson }} {{ html | tojson }} {{ uni | tojson }}", "{{ messages | tojson(indent=1) }}",
    "{{ text | regex_replace('l+', 'L') }} {{ 'a1b22' | regex_replace('([a-z])([0-9]+)', '\\\\2\\\\1') }} {{ 'x  y' | regex_replace('\\\\s+', ' ') }} {{ 'Hi' | regex_replace('(?i)h', 'J') }}",
    "{% set l = [1] %}{% set _ = l.append(2) %}{% set _ = l.extend([3, 4]) %}{% set _ = l.insert(0, 'z') %}{{ l.pop() }}{{ l }}{% set _ = l.reverse() %}{{ l }}{{ l.pop(0) }}{{ l.copy() }}",
    "{% set d = {} %}{% set _ = d.update({'a': 1}, b=2) %}{{ d }}{{ d.pop('a') }}{{ d.pop('q', 0) }}{{ d.setdefault('k', []) }}{{ d }}", "{{ [1].pop(5) }}", "{{ {}.pop('a') }}", "{{ 'abc'.index('z') }}", "{{ [1].index(2) }}",
    "{{ 1 + 2 ~ 3 }}", "{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ [] + 1 }}", "{{ none + 1 }}", "{{ 'a' < 1 }}", "{{ none < 1 }}", "{{ -'a' }}", "{{ 5[0] }}", "{{ 5[1:] }}", "{{ none.x }}", "{{ none.x.y }}", "{{ 5 | length }}", "{{ 1 in 5 }}", "{{ 1 in 'a' }}", "{{ name() }}", "{{ {[]: 1} }}", "{{ ''.split('') }}", "{{ '%d' % 'x' }}", "{{ '%s' % (1, 2) }}", "{{ '{} {}'.format(1) }}",
    "{{", "{{ }}", "{{ 1 + }}", "{{ a b }}", "{% if %}{% endif %}", "{% if 1 %}", "{% endif %}", "{% foo %}", "{% for in x %}{% endfor %}", "{% for x y %}{% endfor %}", "{# open", "{% raw %}x", "{{ 'open }}", "{{ (1 }}", "{{ 1) }}", "{{ [1} }}", "{% set %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% macro %}{% endmacro %}", "{% macro f(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{{ 1 | }}", "{{ 1 is }}", "{{ a.b. }}", "{{ a. 'b' }}", "{{ 1 is odd is even }}", "{{ 1 | nofilter }}", "{{ 1 is notest }}", "{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}", "{% else %}", "{{ ! }}", "{{ a ? b }}", "{% if 1 %}{% endfor %}", "{% block a %}", "{% call 1 %}{% endcall %}", "{{ {1} }}", "{{ {1:} }}", "{{ '\\x4' }}", "{{ 1.e }}", "{% break %}", "{{ x if }}", "{{ loop.index }}", "{{ not }}", "{{ 1 not 2 }}",
]


def lines_to_templates(text):
    """One template per line; a line that starts a block of several lines goes on until the tags balance."""
    out, buffer = [], []
    for line in text.strip("\n").split("\n"):
        buffer.append(line)
        opened = len(re.findall(r"\{%[-+]? *for ", "\n".join(buffer)))
        if opened == len(re.findall(r"endfor", "\n".join(buffer))):
            out.append("\n".join(buffer))
            buffer = []
    return out


def render(env, template):
    try:
        return {"out": env.from_string(template).render(**json.loads(json.dumps(CONTEXT)))}
    except Exception:
        return {"error": True}


def main():
    chat, task = chat_environment(), task_environment()
    cases = []
    for template in lines_to_templates(BOTH):
        a, b = render(chat, template), render(task, template)
        if a == b:
            cases.append({"t": template, "mode": "both", **a})
        else:
            cases += [{"t": template, "mode": "chat", **a}, {"t": template, "mode": "task", **b}]
    cases += [{"t": t, "mode": "chat", **render(chat, t)} for t in CHAT]
    cases += [{"t": t, "mode": "task", **render(task, t)} for t in TASK]
    cases = [c for c in cases if " at 0x" not in c.get("out", "")]  # addresses
    with open(sys.argv[1], "w") as file:
        json.dump({"made_by": f"scripts/golden/jinja_cases.py, jinja2 {jinja2.__version__}", "context": CONTEXT,
                   "cases": cases}, file, ensure_ascii=False, indent=0)
        file.write("\n")
    errors = [c["t"] for c in cases if "error" in c and c["t"] not in CHAT + TASK]
    print(len(cases), "cases;", "unexpected errors:", errors)


if __name__ == "__main__":
    main()
