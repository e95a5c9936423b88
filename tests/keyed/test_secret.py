"""A secret does its work and never shows."""

import copy
import hashlib
import hmac
import json
import pickle
from collections.abc import Callable

import pytest

from modelsec import ConfigurationError
from modelsec.keyed import Secret

KEY = b"sixteen bytes ok"


@pytest.mark.parametrize(
    "key", ["a string of 32 characters, no key", None, 5, bytearray(32), [1] * 32]
)
def test_a_secret_is_bytes(key: object) -> None:
    """What is not bytes is refused, without showing it."""
    with pytest.raises(ConfigurationError, match="must be bytes") as caught:
        Secret(key)  # type: ignore[arg-type]
    assert "32 characters" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_secret_is_long_enough(length: int) -> None:
    """Fewer than 16 bytes are refused, without showing them."""
    with pytest.raises(ConfigurationError, match=f"{length} bytes is too short") as caught:
        Secret(b"x" * length)
    assert "xxx" not in str(caught.value)


def test_sixteen_bytes_are_enough() -> None:
    """16 bytes are the minimum."""
    assert len(Secret(KEY).subkey("purpose")) == 32


def test_subkeys() -> None:
    """Subkeys differ by purpose and by secret, and are the same for the same."""
    one, other = Secret(KEY), Secret(KEY[::-1])
    keys = {secret.subkey(purpose) for secret in (one, other) for purpose in ("a", "b", "")}
    assert len(keys) == 6
    assert one.subkey("a") == Secret(KEY).subkey("a")


def test_a_subkey_is_hkdf_expand() -> None:
    """A subkey is the first block of HKDF-Expand with SHA-256 (RFC 5869, section 2.3)."""
    expected = hmac.new(KEY, b"modelsec/v1/extraction\x01", hashlib.sha256).digest()
    assert Secret(KEY).subkey("extraction") == expected


def test_random_secrets_differ() -> None:
    """Secret.random() makes another one every time."""
    assert Secret.random().subkey("a") != Secret.random().subkey("a")


@pytest.mark.parametrize("show", [repr, str, ascii, "{!r:>20}".format])
def test_it_does_not_show(show: Callable[[object], str]) -> None:
    """No way of printing shows the key."""
    assert show(Secret(KEY)).strip() == "Secret(...)"


@pytest.mark.parametrize(
    "travel",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps],
    ids=["pickle", "copy", "deepcopy", "json"],
)
def test_it_does_not_travel(travel: Callable[[object], object]) -> None:
    """Neither pickle nor copy nor JSON takes the key along."""
    with pytest.raises(TypeError):
        travel(Secret(KEY))


def test_it_has_no_dictionary() -> None:
    """vars(), which error reporters use, finds nothing."""
    with pytest.raises(TypeError):
        vars(Secret(KEY))
