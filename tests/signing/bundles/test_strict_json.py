import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import BundleFormatError
from modelsec.signing.bundles import strict_json
from modelsec.signing.bundles.strict_json import MAX_NESTING, MAX_QUOTES, MAX_SEPARATORS, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\[{', max_size=4), inner)
    ),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_everything_that_is_agreed_upon_is_read(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis
    """What json writes of ordinary values is read as those values, escaped or not."""
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=200) | st.text('[]{}",:\\u0dD89 \n1e.-nt', max_size=60).map(str.encode))
def test_nothing_but_a_refusal_escapes(raw: bytes) -> None:
    """Whatever the bytes are, they are JSON that the standard library reads alike, or refused."""
    try:
        value = loads(raw)
    except BundleFormatError:
        return
    assert value == json.loads(raw)


REFUSED = [
    (b"", "empty"),
    (b" \n", "empty"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    (b'"\xff"', "not UTF-8 at byte 1"),
    (b'"\xed\xa0\x80"', "not UTF-8"),
    ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    (b'{"a": 1, "a": 1}', "'a' occurs twice"),
    (b'[{"x": {"a": 1, "b": 2, "\\u0061": 3}}]', "'a' occurs twice"),
    (b"[NaN]", "NaN"),
    (b"-Infinity", "Infinity"),
    (b"1e400", "too large"),
    (b"9" * 25, "25 digits"),
    (b"0." + b"1" * 30, "too long"),
    (b"9" * 10_000, "too long"),
    (b'"\\ud800"', "surrogate"),
    (b'"\\uDC00\\uD800"', "surrogate"),
    (b'"\\ud83d\\ud83d\\ude00"', "surrogate"),
    (b'"\\ud83d\\\\\\ude00"', "surrogate"),
    (b'"\\ud83d\\"\\ude00"', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (b"{} {}", "not JSON"),
    (b"{}\x00", "not JSON"),
    (b"{'a': 1}", "not JSON"),
    (b'{"a": 1,}', "not JSON"),
    (b"[1] // comment", "not JSON"),
    (b'"\n"', "not JSON"),
    (b"01", "not JSON"),
    (b"+1", "not JSON"),
    ("\u0661".encode(), "not JSON"),
    (b"[" * 33 + b"]" * 33, "deeper than 32"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32"),
    (b"[[}]]", "do not match"),
    (b'[[}"]]', "do not match"),
    (b"[" * 1_000_000, "deeper than 32"),
    (b"[" * (MAX_SEPARATORS + 1), "separators"),
    (b'"' * (MAX_QUOTES + 1), "quotes"),
]


@pytest.mark.parametrize(("raw", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(raw: bytes, reason: str) -> None:
    """What readers disagree about, or what costs too much, is refused and the reason told."""
    with pytest.raises(BundleFormatError, match=reason):
        loads(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"[" * MAX_NESTING + b"]" * MAX_NESTING, None),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'["\\"[[[", "\\\\", "]"]', ['"[[[', "\\", "]"]),
        (b"[" + b",".join([b"[{}]"] * 100) + b"]", [[{}]] * 100),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"a\\u0000\\u2028"', "a\0\u2028"),
        (b"9223372036854775807", 2**63 - 1),
        (b"[1024.0]", [1024.0]),
        (b' \t\r\n"x" ', "x"),
    ],
    ids=range(10),
)
def test_what_looks_odd_and_is_not(raw: bytes, value: Any) -> None:
    """Brackets and backslashes in texts, siblings in any number, and real pairs are read."""
    assert value is None or loads(raw) == value
    loads(raw)


def test_integral_floats_stay_floats() -> None:
    """The caller can tell 1024.0 from 1024."""
    assert isinstance(loads(b"1024.0"), float)


def test_the_last_of_many_names_may_be_the_double_one() -> None:
    """Finding which name occurs twice costs one pass."""
    raw = b"{" + b",".join(b'"%d":0' % i for i in range(200_000)) + b',"199999":0}'
    with pytest.raises(BundleFormatError, match="'199999' occurs twice"):
        loads(raw)


def test_size_is_limited() -> None:
    """A document over the limit is not looked at; the default is 64 MiB."""
    with pytest.raises(BundleFormatError, match="too large: 3 bytes, 2 are permitted"):
        loads(b"[1]", limit=2)
    assert strict_json.DEFAULT_LIMIT == 64 * 1024 * 1024


@pytest.mark.parametrize("raw", ["{}", None, bytearray(b"{}"), 3])
def test_only_bytes(raw: Any) -> None:
    """Text has lost what the bytes were: it is refused."""
    with pytest.raises(BundleFormatError, match="from bytes"):
        loads(raw)
