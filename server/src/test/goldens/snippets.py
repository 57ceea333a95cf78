"""Renders small templates, one construct each, with Python's jinja2 set up as Transformers does;
writes what it gives, or that it raises, to goldens/snippets.json."""

import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox

here = pathlib.Path(__file__).parent
target = here / "../resources/io/tercel/server/text/goldens/snippets.json"

VARIABLES = {
    "none_value": None,
    "yes": True,
    "word": "Hello World",
    "padded": "  \n x y \t ",
    "eagle": "a🦅b漢",
    "numbers": [3, 1, 2, 2],
    "words": ["b", "A", "c", "a"],
    "floats": [1.0, 0.1, 1e16, 1.5e-7, 123456789.125, -0.0, 1e22],
    "person": {"name": "Ann", "age": 7, "items": "shadowed", "tags": ["x", "y"]},
    "people": [
        {"name": "Ann", "age": 7, "on": True},
        {"name": "Bob", "age": 5, "on": False},
        {"name": "Eva", "age": 9, "on": True, "extra": None},
    ],
    "nested": {"b": [1, {"c": 'q"uo\'te\n'}], "a": None, "t": True, "f": 2.0, "u": "é🦅\u0001<&>"},
    "quotes": ["it's", 'say "x"', "both ' and \"", "tab\t", "nl\n", "\u200b", "é"],
}

SNIPPETS = r"""
{{ missing }}|{{ missing is defined }}|{{ missing | default('d') }}
{{ missing.attribute }}
{{ person.nothing }}|{{ person.nothing is defined }}
{{ person.nothing.more }}
{{ missing + 'x' }}
{{ 'x' + missing }}
{{ missing == missing2 }}|{{ missing == none }}|{{ missing | length }}|{{ 'a' in missing }}
{% for x in missing %}x{% else %}none{% endfor %}
{{ missing | tojson }}
{{ missing() }}
{{ none_value }}|{{ yes }}|{{ true }}|{{ False }}|{{ None }}
{{ none_value.x }}|{{ none_value.x is undefined }}
{{ 1 + 2 * 3 }}|{{ (1 + 2) * 3 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 2 ** 10 }}|{{ 7 / 2 }}|{{ 6 / 2 }}
{{ 1.5 + 1 }}|{{ 2 * 1.0 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 2 ** -1 }}|{{ 2 ** 0.5 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ - 3 }}|{{ +3 }}|{{ -1 | abs }}
{{ 'a' ~ 1 ~ none_value ~ 2.0 ~ true }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 'ab' * 3 }}|{{ 3 * 'ab' }}|{{ [1] * 2 }}|{{ 'x' * 0 }}|{{ 'x' * -1 }}
{{ [1] + [2, 'x'] }}|{{ (1,) + (2,) }}|{{ () }}|{{ (1, 2) }}|{{ [] }}|{{ {} }}
{{ {'a': 1, 2: [true, none], 'c': {'d': 'x'}} }}
{{ not true }}|{{ not not 'x' }}|{{ '' or 'x' }}|{{ 'a' and 'b' }}|{{ 0 or none }}|{{ not missing }}
{{ 1 < 2 }}|{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ '1' == 1 }}
{{ 1 < 'a' }}
{{ 1 in numbers }}|{{ 9 not in numbers }}|{{ 'ell' in word }}|{{ 'name' in person }}|{{ 'x' in ('x', 'y') }}|{{ not 1 in numbers }}
{{ 1 in 'abc' }}
{{ 'a' if yes else 'b' }}|{{ 'a' if not yes }}|{{ 'a' if false else 'b' if false else 'c' }}
{{ ('a' if not yes).x }}
{{ numbers[0] }}|{{ numbers[-1] }}|{{ numbers[9] }}|{{ word[0] }}|{{ word[-1] }}|{{ person['name'] }}|{{ numbers.0 }}
{{ numbers[1:] }}|{{ numbers[:-1] }}|{{ numbers[::-1] }}|{{ numbers[::2] }}|{{ numbers[-2:] }}|{{ numbers[5:] }}|{{ numbers[3:0:-1] }}|{{ numbers[:99] }}|{{ numbers[-99:2] }}
{{ word[::-1] }}|{{ word[2:5] }}|{{ eagle[1] }}|{{ eagle[::-1] }}|{{ eagle | length }}|{{ eagle[1:3] }}|{{ (1, 2, 3)[1:] }}
{{ numbers[::0] }}
{{ person.items is callable }}
{{ person['items'] }}|{{ person.name }}|{{ person.get('name') }}|{{ person.get('zz') }}|{{ person.get('zz', 3) }}
{% for k, v in person.items() %}{{ k }}={{ v }};{% endfor %}
{{ person.keys() | list }}|{{ person.values() | list }}|{{ person | items | list }}
{{ person | dictsort }}|{{ {'b': 1, 'A': 2} | dictsort }}|{{ {'b': 1, 'a': 2} | dictsort(by='value') }}|{{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}
{{ person.pop('name') }}
{{ numbers.append(1) }}
{{ person.update({}) }}
{{ floats }}|{{ 1e3 }}|{{ 1_000 }}|{{ 0.5 }}|{{ 10.0 ** 20 }}
{{ quotes }}
{{ nested }}
{{ nested | tojson }}
{{ nested | tojson(indent=2) }}
{{ nested | tojson(indent=4, sort_keys=true) }}
{{ nested | tojson(ensure_ascii=true) }}
{{ nested | tojson(separators=(',', ':')) }}
{{ floats | tojson }}|{{ (1, 'x') | tojson }}|{{ [] | tojson(indent=2) }}|{{ {} | tojson }}|{{ 'é"\\' | tojson }}|{{ {1: 2, none: 3} | tojson }}
{{ padded | trim }}|{{ padded.strip() }}|{{ 'xxaxx' | trim('x') }}|{{ 'xyaxy'.strip('xy') }}|{{ 'xxa'.lstrip('x') }}|{{ 'axx'.rstrip('x') }}|{{ '\n\na\n'.lstrip('\n') }}
{{ word | length }}|{{ numbers | count }}|{{ person | length }}|{{ 5 | length }}
{{ word | upper }}|{{ word | lower }}|{{ 'hello wORLD-foo (bar' | title }}|{{ 'hELLO' | capitalize }}|{{ 3 | upper }}
{{ 'they are bill\'s'.title() }}|{{ 'hELLO'.capitalize() }}|{{ 'aB'.upper() }}|{{ 'aB'.lower() }}
{{ numbers | join(', ') }}|{{ numbers | join }}|{{ people | join('-', attribute='name') }}|{{ ','.join(words) }}
{{ ','.join(numbers) }}
{{ missing | default('x') }}|{{ '' | default('x') }}|{{ '' | default('x', true) }}|{{ none_value | default('x') }}|{{ none_value | d('x', boolean=true) }}|{{ missing | default }}
{{ word | replace('o', '0') }}|{{ word | replace('o', '0', 1) }}|{{ word.replace('l', 'L') }}|{{ word.replace('l', 'L', 1) }}|{{ 'ab'.replace('', '-') }}
{{ numbers | first }}|{{ numbers | last }}|{{ [] | first }}|{{ word | first }}|{{ word | last }}
{{ 'abc' | list }}|{{ numbers | string }}|{{ 3 | string + 'x' }}|{{ '7' | int + 1 }}|{{ '7.9' | int }}|{{ 'x' | int }}|{{ 'x' | int(5) }}|{{ 7.9 | int }}|{{ 'ff' | int(0, 16) }}|{{ '1.5' | float }}|{{ 'x' | float }}|{{ 3 | float }}
{{ people | map(attribute='name') | list }}|{{ words | map('upper') | list }}|{{ people | map(attribute='extra', default='?') | list }}|{{ words | map('replace', 'a', 'z') | join }}
{{ people | selectattr('on') | map(attribute='name') | join(',') }}|{{ people | rejectattr('on') | map(attribute='name') | list }}|{{ people | selectattr('name', 'equalto', 'Bob') | list | length }}|{{ people | selectattr('age', '>', 5) | list | length }}|{{ people | selectattr('extra', 'defined') | list | length }}
{{ numbers | select('odd') | list }}|{{ numbers | reject('equalto', 2) | list }}|{{ [0, 1, ''] | select | list }}
{{ numbers | sort }}|{{ numbers | sort(reverse=true) }}|{{ words | sort }}|{{ words | sort(case_sensitive=true) }}|{{ people | sort(attribute='age') | map(attribute='name') | join }}
{{ numbers | unique | list }}|{{ words | unique | list }}|{{ numbers | reverse | list }}|{{ 'abc' | reverse }}
{{ numbers | sum }}|{{ people | sum(attribute='age') }}|{{ numbers | min }}|{{ numbers | max }}|{{ words | max }}|{{ people | max(attribute='age') }}
{{ 2.5 | round }}|{{ 3.14159 | round(2) }}|{{ 2.1 | round(0, 'ceil') }}|{{ 2.9 | round(method='floor') }}|{{ -3 | abs }}|{{ -3.5 | abs }}|{{ 7 | round }}|{{ 0.5 | round }}|{{ 2.675 | round(2) }}
{{ '<a href="x">&\'' | e }}|{{ '<b>' | safe }}|{{ '<' | escape }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('>>') }}
{{ 'a,b,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ ''.split(',') }}|{{ ''.split() }}|{{ 'a b c'.split(none, 1) }}|{{ 'abc'.split('x') }}|{{ 'a\nb\r\nc'.splitlines() }}
{{ 'abc'.split('') }}
{{ word.startswith('Hell') }}|{{ word.endswith(('x', 'ld')) }}|{{ word.find('o') }}|{{ word.find('z') }}|{{ word.rfind('o') }}|{{ word.count('l') }}|{{ numbers.count(2) }}|{{ numbers.index(2) }}
{{ '%s-%d' | format('a', 3) }}|{{ '%s' % 'x' }}|{{ '%s %s' % (1, 'y') }}|{{ '{} {}'.format(1, 'b') }}|{{ '{1}{0}'.format('a', 'b') }}|{{ '{x}'.format(x=3) }}|{{ '%.2f' % 1.005 }}|{{ '100%%' % () }}
{{ 'abc'.isdigit() }}|{{ '12'.isdigit() }}|{{ ' '.isspace() }}|{{ 'ab'.isalpha() }}|{{ 'abc'.removeprefix('a') }}|{{ 'abc'.removesuffix('c') }}
{{ word.nothing() }}
{{ 1 is number }}|{{ 1.0 is float }}|{{ 1 is integer }}|{{ true is integer }}|{{ true is boolean }}|{{ true is number }}|{{ 'x' is string }}|{{ [] is sequence }}|{{ {} is mapping }}|{{ {} is iterable }}|{{ 5 is iterable }}|{{ none is none }}|{{ false is false }}|{{ 0 is false }}|{{ 1 is true }}
{{ 4 is even }}|{{ 3 is odd }}|{{ 6 is divisibleby 3 }}|{{ 3 is in [1, 3] }}|{{ 3 is equalto 3 }}|{{ 3 is eq 4 }}|{{ 3 is not none }}|{{ 'a' is lower }}|{{ 'A' is upper }}|{{ 5 is gt 3 }}|{{ 5 is sameas 5 }}
{{ 1 is nonsense }}
{{ 1 | nonsense }}
{% nonsense %}
{% include 'x' %}
{% for x in numbers %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.previtem }}/{{ loop.nextitem }};{% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}none{% endfor %}
{% for x in numbers if x > 99 %}{{ x }}{% else %}none{% endfor %}
{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{% if loop.last %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}-{{ b }};{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for c in 'aé🦅' %}[{{ c }}]{% endfor %}{% for k in person %}{{ k }},{% endfor %}
{% set x = 1 %}{% for i in numbers %}{% set x = x + 1 %}{{ x }}{% endfor %}|{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% for i in [1, 2] %}{% if i == 1 %}{% set y = 5 %}{% endif %}[{{ y }}]{% endfor %}{{ y }}
{% set ns = namespace(n=0, s='') %}{% for i in numbers %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}|{{ ns.s }}|{{ ns.zz }}
{% set person.name = 'x' %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}
{% set block %}a{{ 1 }}b{% endset %}[{{ block }}]{% set up | upper %}abc{% endset %}{{ up }}
{% filter upper %}abc{{ word }}{% endfilter %}
{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='y') }}{{ m(b=1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}
{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}
{% set g = 'outer' %}{% macro m() %}{{ g }}{% set g = 'inner' %}{% endmacro %}{{ m() }}{{ g }}
{% macro box(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call box('b') %}hi {{ word }}{% endcall %}
{% macro rows(n) %}{% for i in range(n) %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) rows(3) %}[{{ i }}]{% endcall %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}
{{ range(3) | list }}|{{ range(1, 7, 2) | list }}|{{ range(3, 0, -1) | list }}|{{ dict(a=1, b=2) }}
{{ raise_exception('No way: ' + word) }}
{# comment {{ x }} #}a{#- tight -#} b
{% raw %}{{ not }} {% if %}{% endraw %}|{%- raw -%} x {%- endraw -%} y
{{ 'a' 'b' }}|{{ "it's" }}|{{ 'it\'s' }}|{{ '\x41\u00e9\t\\n' }}|{{ 'a\qb' }}
{{ {'a': {'b': 1}}.a.b }}|{{ {'a': {'b': {}}} }}|{{ [[1, 2], [3]][0][1] }}
{{ [1, 2, 3,] }}|{{ (1,) }}|{{ {'a': 1,} }}
{{ (numbers | first) + 1 }}|{{ numbers | first + 1 }}|{{ word | lower | upper | length > 3 }}|{{ 'a' ~ 'b' | upper }}
{{ 'x' if missing is defined and missing else 'y' }}|{{ missing is not defined or missing.x }}
{% if missing %}a{% elif word == 'x' %}b{% elif word %}c{% else %}d{% endif %}
{% if not (1 == 2) and not 3 in [4] %}ok{% endif %}
{{ loop }}
{{ 1 if }}
{{ }}
{{ 'unclosed }}
{% if x %}
{% for x in y %}{% endif %}
{{ (1 + }}
{{ 1 2 }}
{{ "a" | join("-", "x", "y", "z") }}
{% break %}
{{ numbers | map('nonsense') | list }}
{{ 1 is divisibleby 0 }}
{% set true = 1 %}
{{ eagle.find('b') }}|{{ eagle.upper() }}|{{ 'ß'.upper() }}|{{ 'ÀÉ'.lower() }}
{{ [1, [2, [3]]] | string }}|{{ [none, true, 'a'] | join(',') }}
{{ person == {'name': 'Ann', 'age': 7, 'items': 'shadowed', 'tags': ['x', 'y']} }}|{{ [1, 2] == [1, 2] }}|{{ (1,) == [1] }}
{{ people[0].name }}|{{ people[-1]['name'] }}|{{ people | length - 1 }}|{{ (people | length) - 1 }}
{{ word.split('o')[-1] }}|{{ word.split(' ')[0].lower() }}|{{ (word | upper).split(' ') }}
{{ person[missing] }}|{{ person[[]] }}|{{ person[{}] }}|{{ person[(1, [2])] }}|{{ numbers[missing] }}|{{ word[none] }}|{{ numbers[true] }}|{{ none_value[0] }}|{{ 3['x'] }}
{{ numbers['a':] }}
{{ none_value[:2] }}
{{ person[1:] }}
{{ numbers[true:] }}
{{ missing[1:] }}
{{ none_value | selectattr('x') | list }}|{{ none_value | map('upper') | list }}|{{ false | reject('odd') | list }}|{{ 0 | rejectattr('a') | list }}|{{ missing | map(attribute='x') | list }}
{{ 5 | selectattr('x') | list }}
{% macro m(a='A', b='B') %}{{ a }}-{{ b }}{% endmacro %}{{ m(*[1, 2]) }}|{{ m(*'xy') }}|{{ m(3, *[4]) }}|{{ m(*[5], b=6) }}|{{ m(**{'b': 7}) }}|{{ m(*[8], **{'b': 9}) }}|{{ m(*missing) }}|{{ m(*{'k': 1}) }}
{% macro m(a, b) %}{{ a }}{% endmacro %}{{ m(*[1, 2, 3]) }}
{% macro m(a, b) %}{{ a }}{% endmacro %}{{ m(1, **{'a': 2}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**{'z': 2}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**[1]) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*5) }}
{{ range(*[1, 4]) | list }}|{{ dict(**{'a': 1}) }}|{{ word.replace(*['l', 'L']) }}|{{ numbers | join(*['-']) }}
{{ " 1 2 ".split(none, 1) }}|{{ " 1 2 ".split(none, 0) }}|{{ " 1 2 ".split(none, 9) }}|{{ " 1 2 3 ".rsplit(none, 1) }}|{{ " 1 2 ".rsplit(none, 0) }}|{{ "  ".split(none, 0) }}|{{ " 1  2  3 ".split(maxsplit=2) }}
{{ '0x1f' | int(base=16) }}|{{ '-0x1F' | int(0, 16) }}|{{ '0b101' | int(base=2) }}|{{ '0o17' | int(base=8) }}|{{ '0x1f' | int(base=8) }}|{{ '0x1f' | int(base=0) }}|{{ '12' | int(base=0) }}|{{ '0x' | int(7, 16) }}|{{ '0b1' | int(base=16) }}|{{ '0x1f' | int }}
{{ '5d' | int }}|{{ '0x1p3' | int }}|{{ '1.5e3' | int(base=16) }}|{{ ' 8 ' | int(7, 2) }}|{{ 'inf' | int(3) }}|{{ '1d' | float }}|{{ '-Inf' | float }}|{{ '.5' | float }}|{{ '1_0.5' | float }}
{{ 'x' % [] }}|{{ 'x' % {} }}|{{ '%s' % [1, 2] }}|{{ 'x' % person }}
{{ 'x' % 1 }}
{{ true | abs }}|{{ false | abs }}
"""

LAYOUT = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if true %}\n  b\n  {%- endif %}\nc\n\n",
    "  {{ word }}\n  {{ word }}  \n",
    "{% if true %}\n\n x{% endif %}\n\n",
    "a {%- if true -%} b {%- endif -%} c",
    "a\n{# note #}\nb\n  {# note #}\nc {# x #} d\n",
    "x {%+ if true %}y{% endif +%}\nz",
    "  {%+ if true %}y{% endif %}\n",
    "{%- for i in [1, 2] %}\n{{ i }}\n{%- endfor %}\n\nend",
    "{{- word -}}\n  x  {{- word }}  ",
    "\t{% set x = 1 %}\t\n{{ x }}",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n",
    "{{ 'multi\nline' }}\n",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nend",
    "text only\n",
    "text only\n\n",
    "",
    "\n",
    "a{% generation %}b{% endgeneration %}c",
    "{{\n  word\n  | upper\n}}",
    "{% set x = [\n 1,\n 2\n] %}\n{{ x }}",
    "a}} b %} c { d",
]


class Generation(jinja2.ext.Extension):
    """Transformers has one such: the block is what the assistant wrote, and renders as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, Generation]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception

results = []
for source in SNIPPETS.strip().split("\n") + LAYOUT:
    try:
        results.append({"template": source, "text": environment.from_string(source).render(VARIABLES)})
    except Exception as e:  # whatever it raises, the template is refused
        results.append({"template": source, "error": f"{type(e).__name__}: {e}"})
target.write_text(
    json.dumps({"variables": VARIABLES, "snippets": results}, ensure_ascii=False, indent=1) + "\n"
)
print(len(results), "snippets,", sum("error" in r for r in results), "refused")
