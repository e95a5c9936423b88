"""Text literals, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning.pickle import literals
from modelsec.scanning.pickle.literals import Odd
from modelsec.scanning.pickle.values import UNKNOWN


@pytest.mark.parametrize(("line", "value"), [(b"00", False), (b"01", True), (b"7", 7), (b"-3", -3)])
def test_plain_integers_are_read(line: bytes, value: object) -> None:
    """00 and 01 are the booleans of protocol 0."""
    assert literals.integer(line) is value or literals.integer(line) == value


@given(st.integers(-(10**38), 10**38))
def test_integers_are_read_as_python_reads_them(value: int) -> None:
    """Up to forty digits."""
    assert literals.integer(str(value).encode()) == value or value in (0, 1)
    assert literals.long(f"{value}L".encode()) == value


def test_integers_of_many_digits_stay_unknown() -> None:
    """Conversion costs the square of the digits, and nothing here needs it."""
    assert literals.integer(b"9" * 5000) is UNKNOWN


@pytest.mark.parametrize("line", [b"", b"\0x"])
def test_nothing_is_zero_to_the_c_unpickler(line: bytes) -> None:
    """``strtol`` of nothing is 0: odd, but by no means hopeless."""
    assert literals.integer(line) == Odd(0)


@pytest.mark.parametrize("line", [b"abc", b"--", b" "])
def test_a_line_without_digits_is_hopeless(line: bytes) -> None:
    """Every unpickler raises: a trial run may stop here."""
    found = literals.integer(line)
    assert isinstance(found, Odd)
    assert found.hopeless


@given(st.floats(allow_nan=False))
def test_floats_are_read_as_python_writes_them(value: float) -> None:
    """``repr`` round-trips."""
    assert literals.floating(repr(value).encode()) == value


@given(st.binary(max_size=30).filter(lambda data: b"\n" not in data))
def test_strings_are_read_as_python_writes_them(value: bytes) -> None:
    """``repr`` of bytes without its b is what protocol 0 of Python 2 wrote."""
    assert literals.string(repr(value)[1:].encode()) == value.decode("latin-1")


@pytest.mark.parametrize("line", [b"abc", b"'", b"'abc", b"abc'", b"\"a'"])
def test_strings_without_quotes_on_both_ends_are_odd(line: bytes) -> None:
    """Every unpickler of today raises; older ones differ about blanks."""
    assert isinstance(literals.string(line), Odd)


@given(st.text(max_size=30).filter(lambda text: "\n" not in text and "\\" not in text))
def test_unicode_lines_are_raw_unicode_escape(text: str) -> None:
    """As protocol 0 writes them."""
    assert literals.unicode_line(text.encode("raw-unicode-escape")) == text


def test_a_memo_index_of_thousands_of_digits_is_none() -> None:
    """CPython refuses to convert it as well."""
    assert literals.memo_index(b"1" * 5000) is None
    assert literals.memo_index(b"0" * 4000 + b"7") == 7
