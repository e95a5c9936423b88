"""Fingerprints are keyed, one-way, and do not give their key away."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.text import KeyedFingerprints

KEY = bytes(range(32))


@given(st.text(), st.text())
def test_equal_text_only(one: str, other: str) -> None:
    """Two texts have the same 64-bit fingerprint when they are equal, and only then."""
    fingerprints = KeyedFingerprints(KEY)
    first, second = fingerprints.fingerprint(one), fingerprints.fingerprint(other)
    assert 0 <= first < 2**64
    assert (first == second) == (one == other)


def test_another_key_another_fingerprint() -> None:
    """The same text under another key has another fingerprint and another sketch."""
    one, other = KeyedFingerprints(KEY), KeyedFingerprints(KEY[::-1])
    assert one.fingerprint("text") != other.fingerprint("text")
    assert one.sketch("a longer text") != other.sketch("a longer text")


def test_a_fingerprint_is_stable() -> None:
    """A fingerprint stays the same over processes and releases: stores remember it."""
    fingerprints = KeyedFingerprints(KEY)
    assert fingerprints.fingerprint("text") == 3_361_906_336_121_312_846
    assert fingerprints.sketch("a longer text") == 2_950_518_491
    assert fingerprints.sketch("более длинный текст") == 3_198_143_583
    assert fingerprints.sketch("更长的文字") == 1_141_363_536


def test_surrogates() -> None:
    """Text with half a character has a fingerprint of its own."""
    fingerprints = KeyedFingerprints(KEY)
    assert fingerprints.fingerprint("\ud800") != fingerprints.fingerprint("\udfff")


def test_repr_shows_no_key() -> None:
    """The repr is a constant."""
    assert repr(KeyedFingerprints(KEY)) == "KeyedFingerprints(...)"


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_keys_do_not_travel(travel: object) -> None:
    """Neither pickle nor copy takes the key along."""
    with pytest.raises(TypeError, match="pickled"):
        travel(KeyedFingerprints(KEY))  # type: ignore[operator]
