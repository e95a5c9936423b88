import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ArtifactError
from modelsec.scanning.formats.literal import Reader

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**18) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_what_python_writes_is_read(value: object) -> None:
    """The repr of a value is read as the value, and is nothing odd."""
    reader = Reader(repr(value))
    assert reader.read() == value
    assert reader.odd == []


@given(st.text("{}[](),:'\"\\ \nnxuNrUb0129aTrue", max_size=30))
def test_never_another_value_than_python(text: str) -> None:
    """What is accepted has the value that Python gives it, unless Python does not take it."""
    try:
        found = Reader(text).read()
    except ArtifactError:
        return
    try:
        expected = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        return  # line breaks outside brackets
    assert found == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'\x41\101\u0041\U00000041\n'", "AAAA\n"),
        (r"'\\\'\"\a\b\f\r\t\v'", "\\'\"\a\b\f\r\t\v"),
        ("'a\\\nb'", "ab"),
        ("'a' \"b\"", "ab"),
        ("((1))", 1),
        ("(1,)", (1,)),
        ("()", ()),
        ("3L", 3),
        ("u'x'", "x"),
    ],
)
def test_forms(text: str, value: object) -> None:
    """Escapes, joined strings, brackets and the forms of Python 2."""
    assert Reader(text).read() == value


def test_repeated_keys_are_told() -> None:
    """The last value counts, and the key is named."""
    reader = Reader("{'a': 1, 'a': 2,}")
    assert reader.read() == {"a": 2}
    assert reader.repeated == ["a"]
