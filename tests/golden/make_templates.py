#!/usr/bin/env python3
"""Writes templates.json: what Jinja2 makes of the snippets and chat templates below.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6
    venv/bin/python tests/golden/make_templates.py

The environment is the one that Hugging Face transformers renders chat templates in. All templates are our own; the whole ones use the
constructs that the templates of well-known model families use. A rendering that fails is recorded as null: Lanes must refuse it too.
"""
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox

from chat_templates import CONVERSATIONS, TEMPLATES

NOW = datetime.datetime(2024, 7, 5, 9, 3, 7, 123456)


class Generation(jinja2.ext.Extension):
    """The tag that marks what the assistant wrote; only its rendering matters here."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _render(self, context, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


ENVIRONMENT = environment()


def render(source, messages, variables):
    """The rendering, or None if it fails."""
    values = {"tools": None, "documents": None, "add_generation_prompt": False}
    values.update(variables)
    values["messages"] = messages
    try:
        return ENVIRONMENT.from_string(source).render(**values)
    except Exception:
        return None


# Values that the snippets use.
MESSAGES = CONVERSATIONS["turns"][0]
VALUES = {
    "s": "héllo wörld", "t": "  a,b ,c\n d  ", "e": "", "u": "😀a😀bß", "q": "it's \"x\"\\\t\n\u200b\x7f",
    "n": 5, "m": -3, "f": 2.5, "g": -0.1, "z": 0, "big": 2 ** 70, "tr": True, "fa": False, "nn": None,
    "l": [1, 2, 3], "ls": ["b", "A", "c", "a"], "lm": [3, 1.5, -2, True], "em": [], "ed": {},
    "rows": [{"role": "user", "n": 2, "c": "x"}, {"role": "assistant", "n": 1}, {"role": "user", "n": 1, "c": None}],
    "d": {"a": 1, "b": [1, 2], "c d": "x", "items": "own"}, "deep": {"x": {"y": {"z": [10, 20]}}},
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}, {"v": 5, "kids": []}],
}

EXPRESSIONS = r"""
none ~ '|' ~ true ~ '|' ~ false ~ '|' ~ None ~ True ~ False
1_000 + 0x1F + 0b101 + 0o17
1.0 ~ ' ' ~ 1e16 ~ ' ' ~ 1e15 ~ ' ' ~ 1.5e-7 ~ ' ' ~ 0.0001 ~ ' ' ~ 1_0.2_5 ~ ' ' ~ 1E3
0.1 + 0.2
2e23 ~ ' ' ~ 5e-324 ~ ' ' ~ 1.7976931348623157e308 ~ ' ' ~ 9007199254740993.0
7 // 2 ~ ' ' ~ (-7) // 2 ~ ' ' ~ 7 // -2 ~ ' ' ~ 7.5 // 2 ~ ' ' ~ -7.5 // 2
7 % 3 ~ ' ' ~ (-7) % 3 ~ ' ' ~ 7 % -3 ~ ' ' ~ -7.5 % 2 ~ ' ' ~ 5.5 % -2
7 / 2 ~ ' ' ~ 6 / 3 ~ ' ' ~ 1 / 3 ~ ' ' ~ big / 3
2 ** 10 ~ ' ' ~ 2 ** -1 ~ ' ' ~ 2 ** 3 ** 2 ~ ' ' ~ -2 ** 2 ~ ' ' ~ 2 ** 0.5
big ~ ' ' ~ big + 1 ~ ' ' ~ -big ~ ' ' ~ big * big ~ ' ' ~ big // 7 ~ ' ' ~ big % 1000
9223372036854775807 + 1
-9223372036854775808 - 1
1 / 0
1 % 0
1.0 // 0
true + true, true * 3, -true, +false
'a' + 1
1 + 'a'
'a' * 3 ~ 2 * 'b' ~ 'c' * -1 ~ [1] * 2 ~ (1, 2) * 2
[1] + [2, 'x'], (1,) + (2,)
[1] + (2,)
none + 1
-'a'
+5 ~ -5 ~ +2.5
1 < 2 < 3, 1 < 3 < 2, 3 > 2 >= 2 == 2 != 1, 1 < 2 in [2], 1 == 1 not in [3]
1 == 1.0 ~ (true == 1) ~ ('a' == 'a') ~ ('1' == 1) ~ (none == false) ~ (undef == none) ~ (undef == other)
[1, 2] == [1, 2] ~ ((1, 2) == [1, 2]) ~ ({'a': 1, 'b': 2} == {'b': 2, 'a': 1.0})
'a' < 'b' ~ ('Z' < 'a') ~ ([1, 2] < [1, 3]) ~ ((1,) < (1, 0)) ~ ('～' < '😀')
'a' < 1
none < none
2 in l, 'x' in d, 'a' in d, 'ell' in s, 'éll' in s, 9 not in l, 1.0 in l, undef in l, '' in '', 'role' in rows[0]
1 in 'abc'
1 in 5
'a' in undef ~ (undef in [undef])
not 1, not '', not none, not not l
1 and 2 ~ (0 or 'x') ~ ('' and 1) ~ (none or false) ~ (0 and 1 or 2)
'yes' if tr else 'no'
'yes' if fa
('yes' if fa) is undefined
'a' if fa else 'b' if z else 'c'
'A' 'B' "C" 'é'
'\x41\u00e9\U0001F600\N{BULLET}\101\n\t\\\'\"\q\é' ~ '|'
'{{ not a tag }} {% nor this %}'
[1, 'a', none, true, 2.0, undef, {'k': (1,)}, ()]
{'a': 1, 1: 'x', none: [], true: 2, 1.5: {}, (1, 2): 'tuple'}
{'a': 1, 'b': 2,}
[1, 2,]
(1,)
()
1, 2
{1: 'a', 1.0: 'b', true: 'c'}
{[1]: 2}
q
[q, s, u, e, "it's", 'say "x"', '\x00\x1f\x85\ue000\ud7ff']
undef
undef.x
undef['x']
undef + 1
'x' + undef
undef()
undef ~ 'x'
undef | length
undef | upper ~ undef | list ~ undef | join(',')
undef is defined, undef is undefined, nn is defined, d.nope is defined, undef is not defined
d.nope.nope is defined
none.foo ~ 'x' ~ none['foo']
d.a ~ d['a'] ~ d['c d'] ~ d.b[1] ~ d.b.1 ~ d.nope ~ d['nope']
d.items() | list
d['items']
d.keys() ~ d.values() ~ d.items()
d.get('a') ~ d.get('nope') ~ d.get('nope', 7) ~ d.get('a', 7)
d.update({'a': 2})
d.pop
d.pop is defined
l.append(4)
d.copy() == d
l[0] ~ l[-1] ~ l[7] ~ l['x'] ~ l[true]
deep.x.y.z[1] ~ deep['x']['y']['z'][0] ~ deep.x['y'].z.0
s[0] ~ s[-1] ~ s[99] ~ u[0] ~ u[1] ~ u[2] ~ u[-1]
s[1:4] ~ s[:-2] ~ s[::2] ~ s[::-1] ~ s[-3:] ~ s[4:1:-1] ~ s[99:] ~ s[:99]
u[1:] ~ u[:2] ~ u[::-1] ~ u[::2] ~ u[-2:]
l[1:] ~ l[::-1] ~ l[:-1] ~ l[-2:] ~ l[::2] ~ l[5:] ~ l[2:0:-1] ~ (1, 2, 3)[1:]
range(10)[2:8:3] ~ range(5)[-1] ~ range(5) ~ range(1, 5, 2) ~ range(3) | list
l[::0]
n[1:]
l['a':]
range(100001)
range(0)|list ~ range(5, 0, -2)|list ~ range(2, 2)|length
range(1, 10, 0)
4 in range(5), 5 in range(5), range(3) == range(0, 3), range(0) == range(2, 1)
s.upper() ~ s.lower() ~ s.title() ~ s.capitalize() ~ s.swapcase() ~ 'ß'.upper() ~ 'ﬁx'.title() ~ 'ΑΣ ΑΣΑ'.lower()
"they're bill's".title() ~ ' ' ~ 'x1y'.title() ~ ' ' ~ 'ĲSSEL'.capitalize()
t.strip() ~ '|' ~ t.lstrip() ~ '|' ~ t.rstrip() ~ '|' ~ 'xxabcxx'.strip('x') ~ 'abcba'.strip('ab') ~ '\u3000a\u2003'.strip()
'a,b,,c'.split(',') ~ 'a,b,c'.split(',', 1) ~ 'a,b,c'.rsplit(',', 1) ~ ' a  b c '.split() ~ ' a  b c '.split(none, 1) ~ ' a  b c '.rsplit(none, 1)
''.split() ~ ''.split(',') ~ 'abc'.split('abc') ~ 'a--b--c'.rsplit('--', maxsplit=1)
'abc'.split('')
'<think>x</think>y'.split('</think>')[-1].lstrip('\n') ~ '<think>\nx\n</think>y'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
'a\nb\r\nc\x0bd\u2028e'.splitlines() ~ 'a\n\nb\n'.splitlines(true)
s.startswith('hé') ~ s.startswith(('x', 'h')) ~ s.endswith('d') ~ s.startswith('l', 3) ~ s.startswith('') ~ s.endswith(('ld', 'x'), 0, 5)
s.startswith(1)
s.find('l') ~ s.find('zz') ~ s.rfind('l') ~ s.find('l', 4) ~ s.find('') ~ u.find('b') ~ u.rfind('😀')
s.index('w') ~ s.count('l') ~ s.count('') ~ 'aaaa'.count('aa')
s.index('zz')
'aXbXc'.replace('X', '-') ~ 'aXbXc'.replace('X', '-', 1) ~ 'ab'.replace('', '.') ~ u.replace('😀', ':)')
', '.join(ls) ~ ''.join([]) ~ '-'.join('abc') ~ ','.join(d)
', '.join(l)
'1'.isdigit() ~ '²'.isdigit() ~ '½'.isnumeric() ~ 'a1'.isalnum() ~ 'é'.isalpha() ~ ''.isdigit() ~ ' '.isspace() ~ 'aB'.islower() ~ 'AB'.isupper() ~ 'Ab Cd'.istitle() ~ '五'.isnumeric()
'5'.zfill(3) ~ '-5'.zfill(4) ~ 'x'.center(6, '*') ~ 'x'.ljust(3) ~ '|' ~ 'x'.rjust(3) ~ 'ab'.center(5) ~ '|'
'a=b=c'.partition('=') ~ 'a=b=c'.rpartition('=') ~ 'abc'.partition('=') ~ 'abc'.rpartition('=')
'prefix-x'.removeprefix('prefix-') ~ 'x.json'.removesuffix('.json') ~ 'x'.removeprefix('y')
'a\tb'.expandtabs() ~ 'a\tb'.expandtabs(2)
s.nope ~ s._private
s.nope()
s.__class__
'{} and {}'.format(1, 'x') ~ '{1}{0}'.format('a', 'b') ~ '{x!r:>6}|'.format(x='a') ~ '{{}}'.format()
'{:05.1f}|{:>8}|{:<4}|{:^5}|{:,}|{:x}|{:#b}|{:e}|{:.1%}|{:+d}'.format(3.14159, 'r', 'l', 'c', 1234567, 255, 5, 12345.678, 0.256, 7)
'{0.a}{0[b][1]}'.format(d) ~ '{:{}}|'.format('x', 4) ~ '{:*^9}'.format('mid') ~ '{:08,}'.format(1234) ~ '{:_x}'.format(123456789)
'{}'.format()
'{:d}'.format('x')
'{0} {}'.format(1, 2)
'%s is %d years, %5.2f|%-5s|%05d|%x|%%|%r|%c|%+d' % ('Bo', 5, 2.5, 'ab', 42, 255, 'q', 'z', 3)
'%(a)s and %(b)s' % d
'%s' % 'x' ~ '%s' % none ~ '%s' % [1] ~ '%s' % (1,) ~ '%e' % 12345.678 ~ '%g' % 0.00001234 ~ '%g' % 1e6 ~ '%.3g' % 1234.5
'%s %s' % ('a',)
'%d' % 'x'
'abc' % 1
'%s' % undef ~ '|'
5 is odd ~ (4 is even) ~ (9 is divisibleby 3) ~ (9 is divisibleby(4)) ~ (m is odd)
s is string ~ (d is mapping) ~ (l is sequence) ~ (s is sequence) ~ (d is sequence) ~ (l is iterable) ~ (n is iterable) ~ (nn is iterable) ~ (undef is iterable) ~ (undef is sequence)
n is number ~ (f is number) ~ (tr is number) ~ (n is integer) ~ (tr is integer) ~ (f is float) ~ (tr is boolean) ~ (n is boolean) ~ (s is number)
nn is none ~ (nn is not none) ~ (tr is true) ~ (n is true) ~ (fa is false) ~ (z is false)
'abc' is lower ~ ('ABC' is upper) ~ ('aB' is lower) ~ (range is callable) ~ (s is callable) ~ (s.upper is callable)
n is eq 5 ~ (n is ne(5)) ~ (n is gt 3) ~ (n is lt 3) ~ (n is ge 5) ~ (n is le 4) ~ (n is equalto 5) ~ (n is greaterthan 2) ~ (n is lessthan 2)
2 is in l ~ (2 is in(l)) ~ (7 is not in l) ~ ('x' is in d)
nn is sameas none ~ (tr is sameas true) ~ (n is sameas l) ~ ('tojson' is filter) ~ ('nope' is filter) ~ ('defined' is test) ~ ('nope' is test)
s is nope
s | nope
n is defined and n is number or fa
not n is string
t | trim ~ '|' ~ 'xxaxx' | trim('x') ~ n | string | length ~ s | upper | lower | title | capitalize
'hello-world (foo)bar' | title
l | length ~ d | count ~ s | length ~ u | length ~ {} | length
n | length
l | first ~ l | last ~ s | first ~ em | first ~ em | last ~ d | first
l | join(', ') ~ l | join ~ rows | join('-', attribute='role') ~ rows | map(attribute='n') | join('+')
nope | default('x') ~ nn | default('x') ~ nn | default('x', true) ~ e | d('empty', boolean=true) ~ undef | default
undef.a | default('x')
rows | map(attribute='c') | list
rows | map(attribute='c', default='-') | list ~ ls | map('upper') | list ~ ls | map('replace', 'a', 'z') | join
l | map('nope') | list
l | select('odd') | list ~ l | reject('odd') | list ~ lm | select('gt', 1) | list ~ [0, 1, '', none] | select | list ~ [0, 1, ''] | reject | list
rows | selectattr('role', 'equalto', 'user') | list | length ~ rows | rejectattr('role', '==', 'user') | map(attribute='n') | list ~ rows | selectattr('c') | list | length ~ rows | selectattr('c', 'defined') | list | length
rows | selectattr('role', 'in', ['assistant', 'x']) | first
l | list ~ 'ab' | list ~ d | list ~ (1, 2) | list
n | float ~ '1.5' | float ~ 'x' | float ~ 'x' | float(9.5) ~ nn | float ~ '1e3' | float ~ ' 7 ' | float
'42' | int ~ '4.7' | int ~ 'x' | int ~ 'x' | int(7) ~ '0x1f' | int(0, 16) ~ f | int ~ '-1_0' | int ~ nn | int ~ 'ff' | int(base=16)
undef | int
m | abs ~ g | abs
2.5 | round ~ 3.5 | round ~ 2.675 | round(2) ~ 42.55 | round(1) ~ 42.55 | round(1, 'floor') ~ 42.51 | round(1, 'ceil') ~ 7 | round ~ 1234 | round(-2) ~ m | round
lm | sort ~ ls | sort ~ ls | sort(case_sensitive=true) ~ ls | sort(reverse=true) ~ rows | sort(attribute='n') | map(attribute='role') | list ~ rows | sort(attribute='role,n') | map(attribute='n') | list
[1, 'a'] | sort
['b', 'a', 'B', 'a'] | unique | list ~ [1, true, 1.0, 2] | unique | list ~ rows | unique(attribute='role') | list | length
l | reverse | list ~ s | reverse ~ d | reverse | list
s | replace('l', 'L') ~ s | replace('l', 'L', 1) ~ 12 | replace(1, 'x')
'a\nb\n\nc' | indent ~ '|' ~ 'a\nb' | indent(2, true) ~ '|' ~ 'a\n\nb' | indent(2, blank=true) ~ '|' ~ 'a\nb' | indent('> ', first=true) ~ 'x\n' | indent ~ '|'
n | indent
d | items | list ~ undef | items | list
l | items | list
d | dictsort | map('first') | list ~ {'b': 1, 'A': 2, 'c': 0} | dictsort ~ {'b': 1, 'A': 2} | dictsort(true) ~ {'b': 1, 'a': 2} | dictsort(by='value') ~ {'b': 1, 'a': 2} | dictsort(false, 'key', true)
range(7) | batch(3) | list ~ range(7) | batch(3, 'x') | list ~ range(7) | slice(3) | list ~ range(7) | slice(3, 'x') | list
rows | groupby('role') ~ rows | groupby('n', default=0) | map('first') | list
rows | groupby('c', default='none')
rows | groupby('role') | map(attribute='grouper') | list ~ (rows | groupby('n'))[0].list | length
l | sum ~ rows | sum(attribute='n') ~ [] | sum ~ [1.5, 2] | sum(start=10)
ls | sum
l | min ~ l | max ~ ls | min ~ ls | max(case_sensitive=true) ~ rows | max(attribute='n') ~ em | min
'<a href="x">\'&' | escape ~ '<b>' | e ~ ('<b>' | safe) ~ ('<' | e | e) ~ ('<' | e | forceescape)
'<b>' | safe + '<i>'
'<i>' + ('<b>' | safe) ~ ('%s' | safe) % '<' ~ ['x' | safe] ~ ('a' | safe).upper() ~ ('a' | safe)[0]
('<b>' | safe) is escaped ~ ('<b>' is escaped) ~ ('x' | safe is string) ~ ('x' | safe | tojson) ~ ('x' | safe | length)
'one two  three' | wordcount ~ 'foo bar baz qux' | truncate(9) ~ 'foo bar baz qux' | truncate(9, true) ~ 'foo bar baz qux' | truncate(11, false, '..', 0) ~ 'short' | truncate(5)
'x' | center(5) ~ '|' ~ '%s-%s' | format('a', 'b') ~ '%(x)s' | format(x=1)
'a b/c?é&' | urlencode ~ {'a': 'x y', 'b': '/'} | urlencode ~ 1000 | filesizeformat ~ 1536 | filesizeformat(true) ~ 1 | filesizeformat
{'class': 'a "b"', 'id': none} | xmlattr
d | attr('keys') is callable ~ d | attr('a') ~ '|'
d | tojson ~ l | tojson ~ s | tojson ~ q | tojson ~ nn | tojson ~ tr | tojson ~ f | tojson ~ u | tojson ~ (1, 'x') | tojson ~ big | tojson ~ 1e20 | tojson
d | tojson(indent=2)
deep | tojson(indent=4) ~ [] | tojson(indent=2) ~ {} | tojson(indent=2) ~ [[]] | tojson(indent=1) ~ {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true)
[s, u, '\x7f</script>'] | tojson(ensure_ascii=true) ~ {'a': [1, 2]} | tojson(separators=(',', ':')) ~ {'a': [1]} | tojson(indent='\t') ~ {1: 2, none: 3, true: 4, 1.5: 5} | tojson
undef | tojson
[range(3)] | tojson
{(1, 2): 3} | tojson
range(3) | tojson
namespace(a=1) ~ dict(a=1, b='x') ~ dict([('k', 'v')], z=1) ~ dict(d, a=9)['a']
namespace(a=1).a ~ namespace({'k': 2}).k ~ namespace().nope
cycler('a', 'b').next() ~ joiner('|')() ~ '.'
strftime_now('%Y-%m-%d %H:%M:%S.%f') ~ ' ' ~ strftime_now('%d %b %Y') ~ ' ' ~ strftime_now('%A, %B %-d, %Y') ~ ' ' ~ strftime_now('%a %e %I%p %j %U %W %V %y %% %z|%Z|')
strftime_now is defined ~ raise_exception is defined ~ (range is defined)
raise_exception('no ' ~ s)
raise_exception()
loop
loop.index
caller()
'a' 'b' | upper
-1 | abs
-(l | length)
-l | length
not s | length > 3
n + 1 | float, (n + 1) | string, n ~ 1 | string
n + 1 | string
1 + 2 * 3 - 4 / 2, 'x' ~ 3 * 4 ~ 5 // 2
1 + 2 ~ 3 * 4 ~ 5 - 1
'x' ~ 1 + 2
10 - 2 - 3, 2 * 3 + 4, 2 + 3 * 4, (2 + 3) * 4, 100 / 10 / 2, 2 * -3, 2 - -3, 7 - 2 % 4
l[-1:][0] ~ (l | length - 1) ~ l[l | length - 1]
messages[0]['role'] ~ messages[-1].content ~ messages | length ~ messages[1:] | map(attribute='role') | join(',')
(messages | selectattr('role', 'equalto', 'system') | list | first).content
tools is none ~ (documents is none) ~ add_generation_prompt
rows[0] == rows[-1] ~ (rows[0] in rows) ~ rows.index(rows[1]) ~ l.count(2)
1 if 2 else
l[
'abc
{'a' 1}
foo bar
1 +
a..b
""".strip("\n").split("\n")

STATEMENTS = [
    "{{ 'line \\\ncontinued' }}",
    "{% for x in l %}{{ x }}{% endfor %}",
    "{% for x in em %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in undef %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in nn %}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for c in u %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }},{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | dictsort if k != 'a' %}{{ k }}{{ '' if loop.last else ', ' }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3)), [4, 'xy']] %}{{ a }}{{ b }}{{ c }} {% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for a, b in [(1,)] %}{% endfor %}",
    "{% for a, b in l %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}"
    "{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('o', 'e') }}{{ loop.changed(x > 1) }}\n{% endfor %}",
    "{% for x in l if x is odd %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    "{% for x in l %}{{ loop }} {% endfor %}{{ loop }}",
    "{% for x in l | select('odd') %}{{ loop.last }}{{ loop.length }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}",
    "{% for x in l %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}",
    "{% for x in l %}{% break %}{% else %}else after break{% endfor %}",
    "{% for x in l %}{% continue %}{% else %}else after continue{% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 2, 3] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% break %}",
    "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in tree recursive %}{{ x.v }}{{ loop.depth }}{% if x.kids %}({{ loop(x.kids) }}){% endif %}{% endfor %}",
    "{% for x in tree recursive %}{{ x.v }}{% for y in x.kids %}<{{ y.v }}{{ loop.index }}>{% endfor %}{% else %}E{% endfor %}",
    "{% for x in tree %}{{ loop(x.kids) }}{% endfor %}",
    "{% for loop in l %}{% endfor %}",
    "{% for x in l %}{% set loop = 1 %}{% endfor %}",
    "{% set x = 0 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns }}",
    "{% set ns = namespace(a=1) %}{% set ns.b = ns.a ~ 'x' %}{{ ns.b }}{{ ns.c }}{{ ns.a is defined }}{{ ns.c is defined }}",
    "{% set d.a = 2 %}",
    "{% set nope.a = 2 %}",
    "{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}",
    "{% set a, b = 1 %}",
    "{% set 1 = 2 %}",
    "{% set none = 2 %}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set x %}body {{ n }}{% endset %}[{{ x }}]{% set y | upper | trim %}  abc {% endset %}[{{ y }}]",
    "{% set x | length %}abc{% endset %}{{ x + 1 }}",
    "{% if l %}a{% elif s %}b{% else %}c{% endif %}{% if em %}a{% elif s %}b{% else %}c{% endif %}{% if em %}a{% elif e %}b{% else %}c{% endif %}",
    "{% if fa %}{% set x = 1 %}{% endif %}{{ x is defined }}{% if tr %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% if fa %}{% set s = 1 %}{% endif %}{{ s }}",
    "{% for i in l %}{% if i == 2 %}{% set s = 'inner' %}{% endif %}{{ s }} {% endfor %}{{ s }}",
    "{{ s }}{% set s = 'new' %}{{ s }}",
    "{% macro show() %}{{ s }}{% endmacro %}{{ show() }}{% set s = 'later' %}{{ show() }}",
    "{% macro show() %}{{ v }}{% endmacro %}{% set v = 1 %}{{ show() }}{% set v = 2 %}{{ show() }}",
    "{% set x = 'outer' %}{% macro m() %}{% set x = 'inner' %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 5) }} {{ m(b=1, a=3) }} {{ m() }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k='v') }}{{ m() }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ n }}{% endcall %}",
    "{% macro m() %}{{ caller('x', 2) }}{% endmacro %}{% call(a, b=1, c=3) m() %}{{ a }}{{ b }}{{ c }}{% endcall %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ 'c' if caller else 'n' }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}",
    "{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(10) }}",
    "{% macro a(k) %}{% if k %}{{ k }}{{ b(k - 1) }}{% endif %}{% endmacro %}{% macro b(k) %}-{{ a(k) }}{% endmacro %}{{ a(3) }}",
    "{% macro m(x) %}{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m is callable }}",
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{% macro m(a, a) %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% for x in l %}{% macro m() %}{{ x }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% filter upper %}a{{ s }}{% endfilter %}{% filter replace('a', 'b') | indent(2, true) %}a\na{% endfilter %}",
    "{% filter length %}abc{% endfilter %}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% with n = 1, m = n %}{{ n }}{{ m }}{% endwith %}{{ n }}",
    "{% with %}{% set q = 1 %}{% endwith %}{{ q is string }}",
    "{% generation %}{{ s }}{% set s = 1 %}{% endgeneration %}{{ s }}",
    "{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% print 1, s, 'x' %}",
    "{% raw %}{{ x }} {% if %}{% endraw %}|",
    "a  {% raw -%}  {{ x }}\n  {%- endraw %}  \n b",
    "a {# comment #} b\n  {# alone #}\nc {#- both -#} d\n{#+ keep #}\n e",
    "  {% if tr %}\n  x\n  {% endif %}\n  y",
    "  {%+ if tr %}\n  x\n  {%+ endif +%}\n  y",
    "a\n  {%- if tr -%}\n  x\n  {%- endif -%}\n  y",
    "  {{ n }}  \n  {{- n -}}  \n  {{ n }}\n",
    "a\n\n",
    "a\r\nb\rc\n{{ '\r\n' | length }}",
    "\n{% if tr %}\n\n\n{% endif %}\n\n",
    "{{-1}}|{{+1}}|{{ -1 }}|x {{-1}}",
    "{% if tr %}x{% endif %}\t{% if tr %}y{% endif %} \n\t{% if tr %}z{% endif %}",
    "{%if tr%}a{%endif%}{{n}}{%-if tr-%} b {%-endif-%}",
    "{% if tr: %}a{% endif %}",
    "{{ {'a': {'b': 1}}.a.b }}{{ {'a': 1}}}",
    "{{ '}}' }}{{ \"%}\" }}{% set x = '%}' %}{{ x }}",
    "{ { n } } { % x % } {n} %} }} #}",
    "{{ n",
    "{% if tr %}",
    "{% endif %}",
    "{% for x in l %}{% endif %}",
    "{% nope %}",
    "{% else %}",
    "{# open",
    "{% raw %}open",
    "{% if fa %}{{ s | nope }}{% endif %}ok",
    "{{ s | nope if fa else 'ok' }}",
    "{% if tr %}{{ s | nope }}{% endif %}",
    "{% for x in range(3) %}{% for y in range(x) %}{{ x }}{{ y }}{{ loop.index }}{{ loop.last }} {% endfor %}{{ loop.index }}\n{% endfor %}",
    "{% set c = cycler('a', 'b', 'c') %}{% for x in range(5) %}{{ c.next() }}{% endfor %}{{ c.current }}{{ c.reset() }}{{ c.current }}",
    "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set g = l | map('string') %}{{ g | join }}|{{ g | join }}|",
    "{% set ns = namespace(found=false) %}{% for m in messages[::-1] %}{% if not ns.found and m.role == 'user' %}{% set ns.found = true %}{{ loop.index0 }}{% endif %}{% endfor %}",
    "{% for group in rows | groupby('role') %}{{ group.grouper }}:{% for r in group.list %}{{ r.n }}{% endfor %};{% endfor %}",
    "{% for a, b in rows | groupby('n') %}{{ a }}{{ b | length }}{% endfor %}",
    "{% for i in range(1, 4) %}{{ 'x' * i }}{{ '\\n' }}{% endfor %}",
    "{%- set t = namespace(v='') -%}\n{%- for m in messages -%}\n{%- set t.v = t.v ~ m.role[0] -%}\n{%- endfor -%}\n{{ t.v }}\n",
    "{% macro outer() %}{% macro inner(v) %}[{{ v }}]{% endmacro %}{{ inner(1) }}{% endmacro %}{{ outer() }}",
    "{% macro w(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call w('a') %}{% call w('b') %}x{% endcall %}{% endcall %}",
    "{% set f = s.upper %}{{ f() }}{% set r = range %}{{ r(3) | list }}",
    "{% set x = x %}{{ x is defined }}",
    "{% for n in l %}{{ n }}{% endfor %}{{ n }}",
    "{% for x in l %}{% set y = x %}{% endfor %}{{ y is defined }}",
    "{% for x in l %}{{ y is defined }}{% set y = x %}{% endfor %}",
    "{{ s }}{% for x in [1] %}{{ s }}{% set s = 1 %}{{ s }}{% endfor %}{{ s }}",
]

def main():
    snippets = [{"source": "{{ " + e + " }}", "expected": render("{{ " + e + " }}", MESSAGES, VALUES)} for e in EXPRESSIONS]
    snippets += [{"source": s, "expected": render(s, MESSAGES, VALUES)} for s in STATEMENTS]
    renderings = []
    for template, source in TEMPLATES.items():
        for conversation, (messages, variables) in CONVERSATIONS.items():
            values = {"bos_token": "<s>", "eos_token": "</s>"}
            values.update(variables)
            renderings.append({"template": template, "conversation": conversation, "expected": render(source, messages, values)})
    document = {
        "jinja2": jinja2.__version__,
        "now": NOW.isoformat(),
        "values": VALUES,
        "messages": MESSAGES,
        "snippets": snippets,
        "templates": TEMPLATES,
        "conversations": {name: {"messages": m, "variables": v} for name, (m, v) in CONVERSATIONS.items()},
        "renderings": renderings,
    }
    path = pathlib.Path(__file__).with_name("templates.json")
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    failures = sum(1 for s in snippets if s["expected"] is None)
    print(f"{len(snippets)} snippets, {failures} of which fail; {len(renderings)} renderings, "
          f"{sum(1 for r in renderings if r['expected'] is None)} of which fail")


if __name__ == "__main__":
    main()
