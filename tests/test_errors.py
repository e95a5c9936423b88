"""Values in messages: short, recognisable, and never the reason of another error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import shown


class Broken:
    """Has no repr."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["name", "ab" * 32, 5, b"bytes", None, ["a", 1], "é…\n"])
def test_a_short_value_is_shown_as_it_is(value: object) -> None:
    """As Python writes it; a SHA-256 in hex counts as short."""
    assert shown(value) == repr(value)


def test_long_text_is_shortened_inside_its_quotes() -> None:
    """It begins and ends as it does, and nobody takes what is left for all of it."""
    text = shown("head" + "x" * 1000 + "tail")
    assert text.startswith("'headx")
    assert text.endswith("xtail'")
    assert "…" in text
    assert len(text) == 66


def test_a_limit_can_be_given() -> None:
    """Sentences of others need more room than names."""
    assert len(shown("x" * 1000, 200)) == 202


@given(st.text(max_size=300) | st.binary(max_size=300) | st.lists(st.text()))
def test_whatever_it_is_the_message_stays_short(value: object) -> None:
    """Escapes, which are longer than what they stand for, included."""
    assert len(shown(value)) <= 66


@pytest.mark.parametrize(
    "value",
    [Broken(), nested(100_000), 10**10_000, "\ud800" * 1000],
    ids=["repr", "depth", "digits", "surrogates"],
)
def test_no_value_is_the_reason_of_another_error(value: object) -> None:
    """Neither a broken repr, nor depth, nor digits, nor what UTF-8 cannot encode."""
    assert 0 < len(shown(value)) <= 66
