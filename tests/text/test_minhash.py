"""Sketches tell how much wording two texts share, in any alphabet, and nothing without the key."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.text import KeyedFingerprints, alike_counts
from modelsec.text.minhash import ALIKE_PLACES, KEY_BYTES, PLACES, MinHash

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyz",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщ",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωάέ",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنه",
}
KEYS = [number.to_bytes(32, "big") for number in range(400)]


def letters(seed: int, length: int, alphabet: str) -> str:
    """Return a random word."""
    return "".join(random.Random(seed).choices(alphabet, k=length))  # noqa: S311


def resemblance(one: str, other: str) -> float:
    """Return the Jaccard index of the two sets of 8-character substrings, ends marked."""
    sets = []
    for text in (one, other):
        framed = f"\2\2\2\2{text}\3\3\3\3"
        sets.append({framed[i : i + 8] for i in range(len(framed) - 7)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def agreeing_places(one: int, other: int) -> int:
    """Count the places of two sketches that are equal."""
    return sum((one >> 4 * place) & 15 == (other >> 4 * place) & 15 for place in range(PLACES))


@pytest.mark.parametrize("shared", [0, 40, 80, 120, 160, 200])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_agreement_measures_resemblance(alphabet: str, shared: int) -> None:
    """Places agree with probability J + (1 - J)/16, J over 8 letters of whatever alphabet."""
    common = letters(1, shared, ALPHABETS[alphabet])
    one = common + letters(2, 200 - shared, ALPHABETS[alphabet])
    other = common + letters(3, 200 - shared, ALPHABETS[alphabet])
    expected = resemblance(one, other)
    expected += (1 - expected) / 16
    agreeing = 0
    for key in KEYS:
        fingerprints = KeyedFingerprints(key)
        agreeing += agreeing_places(fingerprints.sketch(one), fingerprints.sketch(other))
    assert agreeing / (len(KEYS) * PLACES) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_unrelated_texts_are_hardly_ever_alike(alphabet: str) -> None:
    """Of pairs of unrelated texts, about one in a thousand looks alike."""
    alike = 0
    for key in KEYS[:25]:
        fingerprints = KeyedFingerprints(key)
        sketches = np.array(
            [fingerprints.sketch(letters(n, 80, ALPHABETS[alphabet])) for n in range(40)], np.uint32
        )
        alike += int(alike_counts(sketches, sketches).sum()) - 40
    assert alike / (25 * 40 * 39) < 0.004


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_words_are_no_wording(alphabet: str) -> None:
    """Texts of the same six-letter words in another order are not alike, in any alphabet."""
    words = [letters(n, 6, ALPHABETS[alphabet]) for n in range(20)]
    alike = 0
    for key in KEYS[:25]:
        fingerprints = KeyedFingerprints(key)
        texts = ["".join(random.Random(n).sample(words, 20)) for n in range(12)]  # noqa: S311
        sketches = np.array([fingerprints.sketch(text) for text in texts], np.uint32)
        alike += int(alike_counts(sketches, sketches).sum()) - 12
    assert alike / (25 * 12 * 11) < 0.02


@given(st.text(max_size=300), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_any_text_has_one_sketch(text: str, key: bytes) -> None:
    """Every text, the empty one and broken ones included, has one sketch of 32 bits."""
    sketch = MinHash(key).sketch(text)
    assert 0 <= sketch < 2**32
    assert MinHash(key).sketch(text) == sketch


@pytest.mark.parametrize("text", ["", "a", "\ud800", "é", "猫", "\U0001f600", "\x00"])
def test_the_shortest_texts(text: str) -> None:
    """Texts shorter than a substring are distinguished from each other, not refused."""
    fingerprints = KeyedFingerprints(bytes(32))
    others = {"", "a", "b", "\ud800", "é", "猫", "\U0001f600", "\x00"} - {text}
    assert fingerprints.sketch(text) not in {fingerprints.sketch(other) for other in others}


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=100),
    st.integers(0, 2**32 - 1),
)
def test_alike_counts_is_a_count(some: list[int], sketches: list[int], twist: int) -> None:
    """alike_counts counts, for each sketch, those that agree with it at four places or more."""
    sketches += [sketch ^ (twist & 0x0F0F_0F0F) for sketch in some]
    expected = [
        sum(agreeing_places(one, other) >= ALIKE_PLACES for other in sketches) for one in some
    ]
    counts = alike_counts(np.array(some, np.uint32), np.array(sketches, np.uint32))
    assert counts.tolist() == expected


@pytest.mark.parametrize("length", [0, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_key_has_its_length(length: int) -> None:
    """A key that is too short or too long is refused."""
    with pytest.raises(ValueError, match="key"):
        MinHash(bytes(length))


def test_keys_are_independent() -> None:
    """Under another key the same text has an unrelated sketch."""
    text = letters(0, 100, ALPHABETS["latin"])
    sketches = [KeyedFingerprints(key).sketch(text) for key in KEYS]
    agreeing = [agreeing_places(one, other) for one, other in pairwise(sketches)]
    assert np.mean(agreeing) / PLACES == pytest.approx(1 / 16, abs=0.03)
