import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.formats.json_text import (
    DEPTH,
    Document,
    JsonNumber,
    documents,
    parse,
    walk,
)
from modelsec.scanning.limits import Budget, Limits

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


def read(data: bytes, **limits: int) -> Document:
    return parse(data, Budget(Limits(**limits)))


@given(VALUES, st.booleans())
def test_it_reads_what_the_standard_library_writes(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """Every value comes back, escaped or not."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        return
    assert read(text).value == json.loads(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_read_and_told(encoding: str) -> None:
    """UTF-16 and UTF-32, with a byte order mark or without."""
    document = read('{"a": "\u00e9\U0001f600"}'.encode(encoding))
    assert document.value == {"a": "\u00e9\U0001f600"}
    assert document.encoding == encoding


def test_long_numbers_stay_text() -> None:
    """Converting a million digits is quadratic; 64 bits are converted."""
    digits = "9" * 1_000_000
    text = f"[{digits}, 0.{digits}, NaN, -Infinity, 18446744073709551615, -9223372036854775808]"
    value = read(text.encode()).value
    assert value == [
        JsonNumber(digits),
        JsonNumber(f"0.{digits}"),
        JsonNumber("NaN"),
        JsonNumber("-Infinity"),
        2**64 - 1,
        -(2**63),
    ]


def test_keys_that_occur_twice_are_told() -> None:
    """At any depth, once for each key; the last value is kept."""
    document = read(b'{"a": 1, "b": [{"c": 1, "\\u0063": 2}], "a": 3, "a": 4}')
    assert document.value == {"a": 4, "b": [{"c": 2}]}
    assert sorted(document.duplicates) == ["a", "c"]


def test_watched_keys_yield_their_objects() -> None:
    """Objects are collected while they are built, innermost first."""
    text = b'{"x": {"a": 1}, "y": [{"b": 2}], "a": 3}'
    document = parse(text, Budget(Limits()), watch=frozenset({"a"}))
    assert [found["a"] for found in document.watched] == [1, 3]


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"]":'])
def test_depth_is_bounded(opening: str) -> None:
    """Brackets are counted before anything is built; those in strings do not count."""
    with pytest.raises(ResourceLimitError, match="deep"):
        read((opening * 200_000).encode())


def test_brackets_in_strings_are_not_depth() -> None:
    """Neither behind escaped quotes nor across the windows of the measurement."""
    inner = "\\\\" + "[{" * 300 + '\\"' + "]" * 10
    text = '["' + "x" * (2**20 - 5) + '", "' + inner + '", "\\\\", "' + inner + '"]'
    value = read(text.encode()).value
    assert isinstance(value, list)
    assert value[2:] == ["\\", value[1]]
    nested = "[" * DEPTH + '"\\\\"' + "]" * DEPTH
    assert read(nested.encode()).duplicates == ()
    with pytest.raises(ResourceLimitError, match="deep"):
        read(("[" + nested + "]").encode())


def test_values_and_size_are_bounded() -> None:
    """What would be built is counted before, and so are the bytes."""
    with pytest.raises(ResourceLimitError, match="values"):
        read(b"[" + b"0," * 100 + b"0]", kept_values=200)
    with pytest.raises(ResourceLimitError, match="larger"):
        read(b"[" + b" " * 100 + b"]", read_bytes=50)
    with pytest.raises(ResourceLimitError, match="opcodes"):
        read(b"[" + b"0," * 100 + b"0]", opcodes=50)


@pytest.mark.parametrize(
    "text",
    [b"", b" \n", b"{", b"[1,]", b"{'a': 1}", b"[1] 2", b"tru", b'"\x01"', b'"\xff"', b"[\\]"],
)
def test_what_is_not_json_is_malformed(text: bytes) -> None:
    """One document, and nothing behind it."""
    with pytest.raises(MalformedArtifactError):
        read(text)


def test_documents_in_a_row() -> None:
    """JSON Lines; what stands before a break is yielded."""
    found = documents(b'{"a": 1}\n{"a": 1, "a": 2}\n\n3 4\n{', Budget(Limits()))
    assert [next(found).value for _ in range(4)] == [{"a": 1}, {"a": 2}, 3, 4]
    with pytest.raises(MalformedArtifactError):
        next(found)


def test_walk_yields_paths() -> None:
    """Every value, in order, without recursion."""
    value: object = {"a": [1, {"b": 2}], "c": None}
    assert list(walk(value)) == [
        ((), value),
        (("a",), [1, {"b": 2}]),
        (("a", 0), 1),
        (("a", 1), {"b": 2}),
        (("a", 1, "b"), 2),
        (("c",), None),
    ]


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Hostile text is malformed or too expensive, never a surprise."""
    with contextlib.suppress(MalformedArtifactError, ResourceLimitError):
        read(data)
