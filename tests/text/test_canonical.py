# ruff: noqa: RUF001 - human scripts have letters that look alike
"""Texts that a reader cannot tell apart become the same text, in bounded time."""

import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.text import MAX_CHARACTERS, canonical
from modelsec.text.normalisation import MAX_COMBINING_RUN, _cap_combining_runs

ALL = [chr(code) for code in range(sys.maxunicode + 1)]
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u17b4\u180e\u200b\u200d\u2060\u2066\u3164\ufe0f\ufeff\uffa0\U000e0041"
)
MARKS = (
    "\u0300\u0301\u0316\u0327\u0344\u0345\u05b0\u064b\u094d"
    "\u0f71\u0f72\u0f73\u0f75\u0f81\u3099\uff9e\uff9f"
)
TRICKY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            f"aA ßẞİıſςΣǅﬃ½①Ⅳ가각ｶﾊ\u1100\u1161\u11a8\ufdfa \n\t\x00{IGNORABLE}{MARKS}"
        ),
    )
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello  World", "hello world"),
        ("\thello\r\nworld \u3000", "hello world"),
        ("HELLO", "ｈｅｌｌｏ"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("na\u00efve", "nai\u0308ve"),
        ("ﬁve ① Ⅳ", "five 1 iv"),
        ("pass\u200bword\u2060", "password"),
        ("pass\u00adword", "password"),
        ("\ufeffq\U000e0041uery\ufe0f", "query"),
        ("ｶﾞ", "ガ"),
        ("각", "\u1100\u1161\u11a8"),
        ("nul\x00nul", "nul nul"),
        ("क्\u200dष", "क्ष"),
        ("Ünder\u0308", "U\u0308NDER\u0308"),
    ],
)
def test_same_to_a_reader(one: str, other: str) -> None:
    """Case, spacing, width, composition, ligatures and invisible characters do not count."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("hello", "hallo"), ("ab", "a b"), ("резюме", "pe3юме"), ("1", "2"), ("é", "e")],
)
def test_different_to_a_reader(one: str, other: str) -> None:
    """Words, spaces between letters, digits and accents count."""
    assert canonical(one) != canonical(other)


@given(TRICKY)
def test_a_fixed_point(text: str) -> None:
    """The canonical form of a canonical form is itself."""
    once = canonical(text)
    assert canonical(once) == once


@given(TRICKY)
def test_compositions_are_one(text: str) -> None:
    """Composed and decomposed spellings of ordinary text have one canonical form."""
    ordinary = _cap_combining_runs(unicodedata.normalize("NFD", text))
    if unicodedata.normalize("NFD", ordinary) == unicodedata.normalize("NFD", text):
        assert canonical(unicodedata.normalize("NFC", text)) == canonical(ordinary)


@given(TRICKY, st.sampled_from(IGNORABLE), st.integers(0, 50))
def test_invisible_characters_do_not_count(text: str, invisible: str, place: int) -> None:
    """A default-ignorable character changes nothing, wherever it is."""
    assert canonical(text[:place] + invisible + text[place:]) == canonical(text)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1)))
def test_white_space_does_not_count(words: list[str]) -> None:
    """Words are separated by one space, whatever separated them before."""
    assert canonical(" ".join(words)) == canonical("\n \u2003\t".join(words))


@given(TRICKY)
def test_the_shape_of_the_result(text: str) -> None:
    """The result is no longer than the limit, trimmed, and without double spaces or controls."""
    result = canonical(text * 300)
    assert len(result) <= MAX_CHARACTERS
    assert result == " ".join(result.split())
    assert not any(character < " " or character == "\x7f" for character in result)


def test_of_long_text_the_two_ends_count() -> None:
    """A change in the first or last 4,000 characters shows, one in the far middle does not."""
    text = "0123456789abcdef" * 4_096
    middle = len(text) // 2
    assert canonical(text) == canonical(text[:middle] + "?" + text[middle + 1 :])
    assert canonical(text) != canonical("?" + text[1:])
    assert canonical(text) != canonical(text[:-1] + "?")


def test_lone_surrogates_survive() -> None:
    """Half a character is kept: it is in the text, and encoders downstream know of it."""
    assert canonical("a\ud800B") == "a\ud800b"


@given(st.text(st.sampled_from(f"ab {MARKS}"), max_size=60))
def test_runs_of_marks_are_capped(text: str) -> None:
    """Of more than four marks on one letter the first four stay, and all else stays."""
    kept, run = "", 0
    for character in "".join(unicodedata.normalize("NFKD", character) for character in text):
        run = run + 1 if unicodedata.combining(character) else 0
        kept += character if run <= MAX_COMBINING_RUN else ""
    capped = _cap_combining_runs(text)
    assert "".join(unicodedata.normalize("NFKD", character) for character in capped) == kept


def test_four_marks_stay() -> None:
    """Four marks on a letter are writing, more are not."""
    assert canonical("a" + "\u0316" * 9) == "a" + "\u0316" * 4


def test_every_mark_is_recognised() -> None:
    """Whatever Unicode turns into a mark that is reordered counts as a mark."""
    reordered = [c for c in ALL if unicodedata.combining(unicodedata.normalize("NFKD", c)[0])]
    assert len(reordered) > 900
    for mark in reordered:
        capped = _cap_combining_runs("a" + mark * 9)
        assert len(unicodedata.normalize("NFKD", capped)) == 1 + MAX_COMBINING_RUN, ascii(mark)


@pytest.mark.parametrize(
    "unit", [*MARKS, "\u0f73\u0344", "\u0301\u0316", "a\u0301\u0316", "\ufdfa"]
)
def test_hostile_text_is_cheap(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a megabyte, little is normalised, in runs of marks too short for quadratic time."""
    seen: list[str] = []

    class Spy:
        combining = staticmethod(unicodedata.combining)

        @staticmethod
        def normalize(form: Any, text: str) -> str:
            seen.append(text)
            return unicodedata.normalize(form, text)

    monkeypatch.setattr("modelsec.text.normalisation.unicodedata", Spy)
    canonical(unit * (1_000_000 // len(unit)))
    assert sum(map(len, seen)) < 50 * MAX_CHARACTERS
    for text in seen:
        marks = "".join("m" if unicodedata.combining(c) else " " for c in text)
        assert max(map(len, marks.split()), default=0) <= 3 * MAX_COMBINING_RUN
