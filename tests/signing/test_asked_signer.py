"""What a signer returns is checked before it becomes a bundle."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError, KeyServiceError
from modelsec.signing import PrivateKey, PublicKey, TrustedKeys, Verifier, sign
from modelsec.signing.asked_signer import is_ecdsa_der

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()


class Device:
    """A signer without a public key, of which one answer is replaced."""

    def __init__(self, make: Callable[[bytes], Any] = KEY.sign, **answers: Any) -> None:
        self._make = make
        self.key_id = answers.get("key_id", KEY.key_id)
        self.predicate_type = answers.get("predicate_type", KEY.predicate_type)
        self._material = answers.get("material", KEY.material())

    def material(self) -> dict[str, object]:
        return self._material  # type: ignore[no-any-return]

    def sign(self, message: bytes) -> bytes:
        return self._make(message)  # type: ignore[no-any-return]


class Open(Device):
    """A signer that tells its public key."""

    public: PublicKey = KEY.public


def raw(message: bytes) -> bytes:
    """Return r || s, as PKCS#11 devices do."""
    r, s = decode_dss_signature(KEY.sign(message))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def broken(message: bytes) -> bytes:
    raise RuntimeError(f"PIN 1234 is wrong for {message!r}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(b"1")
    return tmp_path / "model"


def test_a_device_signs(model: Path) -> None:
    """Four members are enough."""
    sign(model, Device())
    assert Verifier(TrustedKeys([KEY.public])).verify(model).key_id == KEY.key_id


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Device(raw), "raw r || s"),
        (Device(lambda message: raw(message)[:63]), "63 bytes that are not DER"),
        (Device(lambda _: None), "NoneType instead of the bytes"),
        (Device(lambda _: b""), "instead of the bytes"),
        (Device(lambda message: KEY.sign(message).hex()), "str instead of the bytes"),
        (Device(lambda message: bytearray(KEY.sign(message))), "bytearray instead"),
        (Open(lambda message: KEY.sign(hashlib.sha256(message).digest())), "must not hash it"),
        (Open(OTHER.sign), "its public key does not verify"),
        (Open(key_id=OTHER.key_id), "its public key has the id"),
        (Device(key_id=None), "key_id must be text"),
        (Device(predicate_type=5), "predicate_type must be text"),
        (Device(predicate_type="x"), "predicate type must be"),
        (Device(material={"publicKey": {1, 2}}), "not JSON"),
        (Device(material=None), "verificationMaterial"),
    ],
)
def test_a_wrong_answer_is_no_bundle(model: Path, device: Device, said: str) -> None:
    """It is told what is wrong, and nothing is written."""
    with pytest.raises(ConfigurationError) as caught:
        sign(model, device)
    assert said in str(caught.value)
    assert not list(model.parent.glob("*.sig"))


def test_a_device_that_fails_is_a_failing_key_service(model: Path) -> None:
    """Its own exception is named, but what it says may be a secret, and is not repeated."""
    with pytest.raises(KeyServiceError, match=r"Device\.sign raised RuntimeError") as caught:
        sign(model, Device(broken))
    assert "1234" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_typed_errors_of_a_signer_pass(model: Path) -> None:
    """A signer that speaks our language is not translated."""

    def refuse(_: bytes) -> bytes:
        raise KeyServiceError("the quota is used up")

    with pytest.raises(KeyServiceError, match="quota"):
        sign(model, Device(refuse))


@given(st.integers(1, 2**521), st.integers(1, 2**521))
def test_der_of_two_numbers_is_der(r: int, s: int) -> None:
    """What cryptography encodes is accepted, and nothing around or short of it."""
    good = encode_dss_signature(r, s)
    assert is_ecdsa_der(good)
    for bad in (good + b"\x00", good[:-1], b"\x31" + good[1:], b"\x00" + good, good[2:]):
        assert not is_ecdsa_der(bad)


@given(st.binary(max_size=80))
def test_bytes_are_der_only_if_they_are_what_der_says(data: bytes) -> None:
    """Whatever is accepted is what encoding its two numbers again gives: one spelling only."""
    for candidate in (data, b"\x30" + bytes((len(data),)) + data):
        if is_ecdsa_der(candidate):
            assert encode_dss_signature(*decode_dss_signature(candidate)) == candidate


@pytest.mark.parametrize(
    "data",
    [
        *("", "30", "3000", "3003020101", "3006020100020101", "300602018102 0101"),
        *("30070202000102 0101", "30060201010201ff", "308106020101020101", "3080020101020101"),
        *("300702010102010100", "30050201010200", "30060201010301 01"),
    ],
)
def test_what_is_nearly_der_is_none(data: str) -> None:
    """Zero, negative, long lengths, numbers with a zero in front, three parts, or one."""
    assert not is_ecdsa_der(bytes.fromhex(data))
