import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Limits, scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.report import ScanReport

TOOLS = r"""
{%- macro schema(spec, required=[], depth=0) -%}
    {%- if spec is mapping and spec.type is defined -%}
        {%- set kinds = {"string": "str", "integer": "int", "array": "list"} -%}
        {%- set kind = spec.type if spec.type is string else spec.type | first -%}
        {{- kinds[kind] if kind in kinds else kind | upper }}
        {%- for name, inner in (spec.properties | default({}))|dictsort %}
            {{- '  ' * depth ~ name ~ ('' if name in required else '?') ~ ': ' }}
            {{- schema(inner, required=spec.required or [], depth=depth + 1) }}
            {%- if not loop.last %}, {% endif -%}
        {%- endfor -%}
        {%- for key in spec.keys() | reject('in', ['type', 'items']) %}{{ spec[key] }}{% endfor %}
    {%- endif -%}
{%- endmacro -%}
{%- if not date_string is defined %}{% set date_string = strftime_now("%d %b %Y") %}{% endif -%}
{%- set ns = namespace(index=messages|length - 1, tool=true, seen=[], last='', text="") -%}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.tool and message.role == "user" and not (message.content.startswith('<tool>')) %}
        {%- set ns.tool = false %}{% set ns.index = index %}
    {%- endif %}
{%- endfor %}
{{- bos_token ~ "<|system|>\n" }}
{%- if messages[0]['role'] in ('system', 'developer') %}
    {%- set system, rest = messages[0]['content'] | trim, messages[1:] %}
{%- else %}{% set rest = messages %}{% set system = "You're helpful.\u000a" "Really." %}{% endif %}
{{ system }}{# a comment with {{ x.__class__ }} #}
{%- for tool in tools or [] if tool['function'] is not none %}
    {%- set fn = tool.function if tool.function is defined else tool %}
    {{- {"name": fn.name, "spec": {"a": {"b": fn.parameters}}} | tojson(indent=4) }}
    {{- fn.name.split('.')[-1] ~ '(' ~ schema(fn.parameters, fn.parameters.required) ~ ')' }}
{%- endfor %}
{%- for message in rest %}
    {%- if loop.index0 != 0 and message['role'] == rest[loop.index0 - 1]['role'] and false %}
        {{- raise_exception('Roles must alternate: ' + message['role'] ~ '!') }}
    {%- elif message.role == 'assistant' and message.tool_calls is iterable %}
        {% generation %}
        {%- for call in message.tool_calls | selectattr("type", "equalto", "function") %}
            {%- for name, value in call.function.arguments.items() | list %}
                {{- "<arg name='" + name + "'>" + (value | string if value is mapping else value) }}
            {%- endfor %}
            {%- if call.id|length != 9 or call.id.replace('_', '-') == none %}{% break %}{% endif %}
        {%- endfor %}
        {%- endgeneration %}
    {%- elif message.content is string and '</think>' in message.content %}
        {%- set reply = message.content.split('</think>')[-1].lstrip('\n') %}
        {{- reply.strip() | replace("<|", "") if loop.index0 > ns.index else loop.previtem.role }}
    {%- else %}
        {%- for part in message.content | map(attribute='text') | reject("none") %}
            {{- part }}
        {%- endfor %}
        {%- set ns.seen = ns.seen + [message.role] %}{% set ns.text = ns.text ~ message.content %}
        {%- set _ = ns.seen.append("x" ~ loop.index) %}
        {%- call schema(message) %}{{ caller is defined }}{% endcall %}
    {%- endif %}
{%- endfor %}
{% filter trim %}{% set block %}text {{ ns.last }}{% endset %}{{ block }}{% endfilter %}
{% raw %}{{ x.__class__ }}{% endraw %}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' if enable_thinking else "" -}}{%- endif -%}
"""
"""One template of our own with the constructs of the honest ones."""

ATTRIBUTES = r"""
{{ messages.__class__ }}
{{ messages['__class__'] }}
{{ messages["\x5f\x5fclass__"] }}
{{ messages["\137_class__"] }}
{{ messages["\u005f_class__"] }}
{{ messages["\N{LOW LINE}_class__"] }}
{{ messages['_' '_class__'] }}
{{ messages|map(attribute='__class__') }}
{{ messages|map(attribute='a.__class__') }}
{{ messages|selectattr('__class__') }}
{{ messages|rejectattr("__class__") }}
{{ messages|groupby('__class__') }}
{{ messages|sort(attribute='__class__') }}
{{ messages|sort(false, false, '__class__') }}
{{ messages|sum('__class__') }}
{{ messages|join(',', '__class__') }}
{{ messages|unique(attribute='__class__') }}
{{ messages|max(false, '__class__') }}
{{ messages.mro() }}
{{ messages.gi_frame.f_globals }}
{{ {'a': {'b': messages.__class__}} }}
{% for m in messages if m.__class__ %}{% endfor %}
{%- if messages.__class__ -%}{%- endif -%}
{% set messages.__class__ = 1 %}
{% raw %}{% endraw %}{{ messages.__class__ }}
{# #}{{ messages.__class__ }}
{{ "%}" }}{{ messages.__class__ }}
{{ "}}" ~ messages.__class__ }}
{% generation %}{{ messages.__class__ }}{% endgeneration %}
{% macro m(a=messages.__class__) %}{% endmacro %}
{{ messages.__class__ }}{% broken
"""

COMPUTED = r"""
{{ messages['_' ~ '_class__'] }}
{{ messages['_' + '_class__'] }}
{{ messages['%c%cclass__' % (95, 95)] }}
{{ messages['%s'|format('__class__')] }}
{{ messages[['__', 'class__']|join] }}
{{ messages['__ssalc__'|reverse] }}
{{ messages['__ssalc__'[::-1]] }}
{{ messages['x__class__'[1:]] }}
{{ messages['x__class__'.lstrip('x')] }}
{{ messages['x__class__'|trim('x')] }}
{{ messages['x__class__'.split('x')[1]] }}
{{ messages['XXclassXX'|replace('X', '_')] }}
{{ messages['XXclassXX'.replace('X', '_')] }}
{{ messages['__CLASS__'|lower] }}
{{ messages|map('at' ~ 'tr', 'x') }}
{{ messages|map(**{'attribute': '__class__'}) }}
{{ messages|map(attribute='_' ~ '_class__') }}
{% set a = '__class__' %}{{ messages[a] }}
{% set a = 'x.__class__' %}{{ messages|map(attribute=a) }}
{% set a = 'gi_frame' %}{{ messages[a] }}
{% set a %}__class__{% endset %}{{ messages[a] }}
{% for a in ['__class__'] %}{{ messages[a] }}{% endfor %}
{% for a in ['x', 'y'] %}{{ messages[loop.nextitem] }}{% endfor %}
{% for a in ['x'] recursive %}{{ messages[a] }}{{ loop(['__class__']) }}{% endfor %}
{% macro m(o, k) %}{{ o[k] }}{% endmacro %}{{ m(messages, '__class__') }}
{% macro m(o, k) %}{{ o[k] }}{% endmacro %}{{ m(messages, k='__class__') }}
{% macro m(o, k) %}{{ o[k] }}{% endmacro %}{{ m(*['__class__', 'x']) }}
{% macro m(k='__class__') %}{{ messages[k] }}{% endmacro %}{{ m() }}
{% macro m() %}{{ messages[varargs[0]] }}{% endmacro %}{{ m('__class__') }}
{% macro m() %}{{ messages[kwargs.k] }}{% endmacro %}{{ m(k='__class__') }}
{% macro m() %}__class__{% endmacro %}{{ messages[m()] }}
{% macro m() %}{{ caller('__x') }}{% endmacro %}{% call(a) m() %}{{ messages[a] }}{% endcall %}
{% set ns = namespace(a='__class__') %}{{ messages[ns.a] }}
{% set ns = namespace() %}{% set ns.a = '__class__' %}{{ messages[ns.a] }}
{% set ns = namespace({'a': '__class__'}) %}{{ messages[ns.a] }}
{% set ns = namespace(a='') %}{% set o = ns %}{% set ns.a = '__class__' %}{{ messages[o.a] }}
{% set l = [] %}{% set l = l + ['__class__'] %}{{ messages[l[0]] }}
{% set l = [] %}{% set _ = l.append('__class__') %}{{ messages[l[0]] }}
{% set l = [] %}{% set m = l %}{% set _ = m.append('__class__') %}{{ messages[l[0]] }}
{% set l = {'a': []} %}{% set m = l.get('a') %}{% set _ = m.append('__x') %}{{ messages[l.a[0]] }}
{% set l = [] %}{% for m in [l] %}{% set _ = m.append('__x') %}{% endfor %}{{ messages[l[0]] }}
{% set l = {'a': []} %}{% set _ = l['a'].append('__class__') %}{{ messages[l.a[0]] }}
{% set l = {} %}{% set _ = l.update({'a': '__class__'}) %}{{ messages[l.a] }}
{% set l = {} %}{% set _ = l.update([['a', '__class__']]) %}{{ messages[l.a] }}
{% set l = {} %}{% set _ = l.setdefault('a', '__class__') %}{{ messages[l.a] }}
{% set k = 'a' %}{% set l = {k: '__class__'} %}{{ messages[l.a] }}
{% set l = dict([('a', '__class__')]) %}{{ messages[l.a] }}
{% set l = '{"a": "__class__"}'|from_json %}{{ messages[l.a] }}
{% set l = {'a': '__class__'} %}{% for k, v in l.items() %}{{ messages[v] }}{% endfor %}
{% set a, b = 'x', '__class__' %}{{ messages[b] }}
{% set a, b = ['x', '__class__'] %}{{ messages[b] }}
{% with a = '__class__' %}{{ messages[a] }}{% endwith %}
{{ messages[dict(__class__=1)|first] }}
{{ messages[{'__class__': 1}|list|first] }}
{{ messages['__class__' if true else 'x'] }}
{{ messages[none or '__class__'] }}
{{ messages[x|default('__class__')] }}
{{ messages[bos_token] }}
{% macro __class__() %}{% endmacro %}{{ messages[__class__|string] }}
{% macro m() %}{% endmacro %}{{ messages[m] }}
{% for m in messages %}{{ messages[loop.cycle('__class__')] }}{% endfor %}
{{ messages[[['__class__']][0].pop()] }}
{{ messages[strftime_now('__class__')] }}
{% set c = messages|map('upper')|string %}{{ messages[c[1] + c[2]] }}
"""

GADGETS = r"""
{{ messages|attr('x') }}
{{ messages|map('attr', 'x') }}
{% filter attr('x') %}{% endfilter %}
{{ lipsum.x }}
{{ cycler }}
{{ joiner() }}
{{ self.x }}
{{ __import__ }}
"""

FORMATS = r"""
{{ '{0.x}'.format(messages) }}
{{ '{0[x]}'.format(messages) }}
{{ '{:{}.x}'.format(messages) }}
{{ messages[0].content.format(messages) }}
"""

LOADS = r"""
{% import 'x' as y %}
{% from 'x' import y %}
{% include 'x' %}
{% extends 'x' %}
"""

HUGE = r"""
{{ range(1000000000) }}
{{ range(10 ** 9) }}
{{ range(10000 * 10000) }}
{{ range(123456789012345678901234567890) }}
{{ 'a' * 1000000000 }}
{{ 'a'|center(1000000000) }}
{{ 'a'.ljust(1000000000) }}
{{ 9 ** 9999999 }}
{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}
"""

UNKNOWN = r"""
{{ some_function() }}
{{ messages|some_filter }}
{{ messages|map('some_filter') }}
{{ (messages|first)(1) }}
{{ messages|first()(1) }}
{{ messages.popen('x') }}
{{ messages is some_test }}
{{ messages['format']('x') }}
{% set f = '{0.x}'.format %}{{ f(messages) }}
"""

HARMLESS = r"""
{{ 007 }}{{ x == y, }}{{ x not in y }}{{ x is in [1] }}{{ x.keys()|list }}{{ x is eq(1) }}
{{ messages[loop.cycle(1, 2)] }}{{ messages[2 * 3] }}{{ messages[1 == 2] }}{{ messages[x.keys()] }}
{{ messages.x }} {{ '{{ x.__class__ }}' }} and {{ "__class__" }}
{{ 'Use {{ and }} and {}'.format(bos_token) }}
{% for a in range(10) %}{{ messages[loop.index0 + 1] }}{% endfor %}
{% set _ = messages %}{% set __ = 1 %}{{ __ }}
{% set self = messages[0] %}{{ self.role }}
{% for k in ['role', 'content'] %}{{ messages[0][k] }}{% endfor %}
{% set codes = {'a_b': 'x'} %}{% set c = messages[0].code|replace('_', '-') %}{{ codes[c] }}
{% set l = [{'a': 'x', 'b': 'y' ~ 'z'}] %}{% for m in l %}{{ messages[m.a] }}{% endfor %}
{{ messages['a' if messages else 'b'] }}{{ messages[-1] }}{{ messages[1:2] }}{{ x.0 }}{{ 1.5e3 }}
{{ {} }}{{ {'a': {}} }}{{ (1, 2)[0] }}{{ () }}{{ [1, 2,] }}{{ - 1 }}{{ not x }}{{ 0x1f }}{{ 1_000 }}
{% do messages.append(1) %}{% autoescape true %}{% endautoescape %}{% block b %}{% endblock b %}
{% for (a, b) in messages %}{% else %}{% continue %}{% endfor %}
{%+ if a is divisibleby 3 +%}{% endif %}
"""


def cases(text: str) -> list[str]:
    return text.strip("\n").split("\n")


def template(text: str) -> ScanReport:
    return scan(text.encode(), name="chat_template.jinja")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_a_tool_template_is_data_only() -> None:
    """Macros, namespaces, schemas walked by recursion, splits: honest templates use all of it."""
    report = template(TOOLS)
    assert report.findings == ()
    assert report.verdict is Verdict.DATA_ONLY
    assert report.safe
    assert report.format == "jinja"


@pytest.mark.parametrize("text", cases(HARMLESS))
def test_honest_constructs_pass(text: str) -> None:
    """Text, computed indices, keys of the conversation and of the template's own tables."""
    assert template(text).findings == ()


@pytest.mark.parametrize("text", cases(ATTRIBUTES))
def test_hidden_attributes_are_dangerous(text: str) -> None:
    """However they are spelt, and even if the template breaks after them."""
    report = template(text)
    assert "MS-JIN-001" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("text", cases(COMPUTED))
def test_subscripts_that_the_template_builds_are_dangerous(text: str) -> None:
    """A name is followed from where it is made to where it selects."""
    report = template(text)
    assert "MS-JIN-002" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        *(("MS-JIN-003", text) for text in cases(GADGETS)),
        *(("MS-JIN-004", text) for text in cases(FORMATS)),
        *(("MS-JIN-005", text) for text in cases(LOADS)),
        *(("MS-JIN-006", text) for text in cases(HUGE)),
        ("MS-JIN-006", "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 30),
    ],
)
def test_other_ways_are_dangerous(rule: str, text: str) -> None:
    """Objects that lead to the interpreter, formats, loading, astronomical repetitions."""
    report = template(text)
    assert rule in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("text", cases(UNKNOWN))
def test_what_is_not_known_is_unknown(text: str) -> None:
    """A name that only the runtime can explain is neither safe nor dangerous."""
    report = template(text)
    assert ids(report) == {"MS-JIN-007"}
    assert report.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "{% if x", "{{ x", "{# {{ y }}", "{% raw %}x", "{{ 'x }}", "{{ x | }}", "{{ x. }}",
        "{{ ) }}", "{{ ] }}", "{% nonsense %}", "{% if x y %}", "{% for x %}", "{% set %}",
        "{{ '\\N{NO SUCH NAME}' }}", "{% macro %}", "{{ f(x y) }}", "{{ [1 2] }}", "{{ x is }}",
        "{% for in x %}", "{{ {'a'} }}", "{{ x.'a' }}", "{{ x $ }}", "{{ 0x_ }}",
    ],
)  # fmt: skip
def test_a_broken_template_is_incomplete(text: str) -> None:
    """Nothing is claimed about what does not parse."""
    report = template(text)
    assert "MS-JIN-008" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + " }}",
        "{{ " + "(" * 90 + "x" + ")" * 90 + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{{ x" + ".a" * 5_000 + " }}",
        "{{ x" + "|first" * 5_000 + " }}",
        "{{ " + "not " * 5_000 + "x }}",
        "{{ " + "-" * 5_000 + "x }}",
        "{{ " + "x if y else " * 5_000 + "z }}",
    ],
)
def test_depth_is_bounded(text: str) -> None:
    """Deep nesting is refused; it does not exhaust the stack."""
    report = template(text)
    assert ids(report) == {"MS-JIN-008"}


def test_width_is_not_depth() -> None:
    """Long chains of operators, long lists and many statements are read in one pass."""
    assert template("{{ " + " ~ ".join(["x"] * 3_000) + " }}").safe
    assert template("{{ [" + "x, " * 3_000 + "] }}").safe
    assert template("".join(f"{{% set a{n} = a{n + 1} %}}" for n in range(3_000))).safe


def test_length_is_bounded() -> None:
    """Tokens are paid for."""
    report = scan(b"{{ x }}" * 1000, name="a.jinja", limits=Limits(opcodes=500))
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "text",
    [
        "# A model card\n\nUse `{{ messages.__class__ }}` in \\frac{{a}}{{b}}.\n",
        "Dear {{ name }}, your order {{ order.id }} is here.\n",
        "{% load static %}<p>{{ messages }}</p>",
        "function() {{ return messages; }}",
    ],
)
def test_doubled_braces_alone_make_no_template(text: str) -> None:
    """Mustache, LaTeX and prose stay text."""
    assert scan(text.encode(), name="README.md").format != "jinja"
    assert scan(text.encode(), name="notes").format != "jinja" or "messages" in text


def test_documentation_is_not_a_template() -> None:
    """A model card that shows a template does not render it."""
    text = "# Prompt\n{% for m in messages %}{{ m.__class__ }}{% endfor %}\n"
    assert scan(text.encode(), name="README.md").format == "text"


def test_a_template_is_recognised_by_what_it_renders() -> None:
    """Without an ending: it has blocks, and they use ``messages``."""
    report = scan(b"{% for m in messages %}{{ m.__class__ }}{% endfor %}")
    assert report.format == "jinja"
    assert report.verdict is Verdict.DANGEROUS


def test_a_finding_says_where() -> None:
    """Offsets are in bytes, though the template has characters of more than one."""
    text = "\u00e9\u20ac {{ messages.__class__ }}"
    (finding,) = template(text).findings
    assert finding.offset == text.encode().index(b"__class__")
    assert finding.evidence.startswith("__class__")


@given(st.integers(0, len(TOOLS)), st.text(max_size=3))
def test_a_changed_template_never_breaks_the_scan(offset: int, text: str) -> None:
    """Whatever is put in, the result is a report."""
    assert "MS-COV-004" not in ids(template(TOOLS[:offset] + text + TOOLS[offset:]))


TOKENS = ("{{", "}}", "{%", "%}", "if", "for", "in", "set", "x", "'_'", *".[]()|~,=:-")


@given(st.lists(st.sampled_from(TOKENS)))
def test_token_soup_never_breaks_the_scan(pieces: list[str]) -> None:
    """Any order of tokens ends in a report."""
    assert "MS-COV-004" not in ids(template(" ".join(pieces) or " "))


ATTACK = b"{{ x.__class__ }}"


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": "%s"}' % ATTACK,
        b'["%s"]' % ATTACK,
        b"<a>%s</a>" % ATTACK,
        b"<html>%s</html>" % ATTACK,
        ATTACK.decode().encode("utf-16"),
        ATTACK + b" " * (17 << 20),
    ],
)
def test_a_template_by_name_is_nothing_else(content: bytes) -> None:
    """A runtime renders it, whatever else the text could be, and however large it is."""
    assert not scan(content, name="chat_template.jinja").safe


@pytest.mark.parametrize("name", ["template.txt", "template", "tool_use"])
def test_an_attack_is_a_template_under_every_name(name: str) -> None:
    """Runtimes take a template from any file that they are given."""
    assert scan(ATTACK, name=name).verdict is Verdict.DANGEROUS


def test_an_attribute_among_several_is_found() -> None:
    """A sort takes several attributes, with commas between them."""
    assert "MS-JIN-001" in ids(template("{{ messages|sort(attribute='role,__class__') }}"))
