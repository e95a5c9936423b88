import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from modelsec.errors import ConfigurationError, UnsupportedBundleError
from modelsec.signing.bundles.bundle import PAYLOAD_TYPE, Bundle, KeyMaterial, pae
from modelsec.signing.keys.signatures import (
    KINDS,
    key_kind,
    public_key_id,
    require_cryptography,
    sign_message,
    verify_signature,
)

PAYLOAD = b'{"a": "\xc3\xa9 \'"}\n'
CURVES: list[tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = [
    (ec.SECP256R1(), hashes.SHA256()),
    (ec.SECP384R1(), hashes.SHA384()),
    (ec.SECP521R1(), hashes.SHA512()),
]
curves = pytest.mark.parametrize(("curve", "algorithm"), CURVES, ids=KINDS[:3])


def bundle(signature: bytes, payload: bytes = PAYLOAD) -> Bundle:
    return Bundle(raw=b"", payload=payload, signature=signature, material=KeyMaterial())


def text(payload: bytes = PAYLOAD) -> bytes:
    """What OMS 0.2.0 signed."""
    return f"DSSEV1 28 {PAYLOAD_TYPE} {len(payload)} {payload!r}".encode()


@curves
def test_each_curve_with_its_hash(curve: Any, algorithm: Any) -> None:
    """ECDSA takes the hash that OMS pairs with the curve, and no other."""
    key = ec.generate_private_key(curve)
    public = key.public_key()
    right = key.sign(pae(PAYLOAD), ec.ECDSA(algorithm))
    assert verify_signature(public, bundle(right)) == "standard"
    assert verify_signature(public, bundle(sign_message(key, pae(PAYLOAD)))) == "standard"
    other = hashes.SHA512() if algorithm.name != "sha512" else hashes.SHA256()
    wrong = key.sign(pae(PAYLOAD), ec.ECDSA(other))
    assert verify_signature(public, bundle(wrong), legacy=True) is None


@curves
def test_the_text_encoding_only_where_it_is_asked_for(curve: Any, algorithm: Any) -> None:
    """It was always signed with SHA-256."""
    key = ec.generate_private_key(curve)
    old = bundle(key.sign(text(), ec.ECDSA(hashes.SHA256())))
    assert verify_signature(key.public_key(), old) is None
    assert verify_signature(key.public_key(), old, legacy=True) == "compatibility"
    assert verify_signature(key.public_key(), bundle(old.signature, b"x"), legacy=True) is None
    if algorithm.name != "sha256":
        fixed = bundle(key.sign(text(), ec.ECDSA(algorithm)))
        assert verify_signature(key.public_key(), fixed, legacy=True) is None


def test_ed25519_has_no_past() -> None:
    """OMS 0.2.0 knew no Ed25519: its text encoding does not verify under one."""
    key = ed25519.Ed25519PrivateKey.generate()
    signed = bundle(key.sign(pae(PAYLOAD)))
    assert verify_signature(key.public_key(), signed, legacy=True) == "standard"
    assert verify_signature(key.public_key(), bundle(key.sign(text())), legacy=True) is None


def test_ecdsa_signatures_are_malleable() -> None:
    """(r, n - s) verifies, too: a signature's bytes are never an identity."""
    key = ec.generate_private_key(ec.SECP256R1())
    r, s = decode_dss_signature(sign_message(key, pae(PAYLOAD)))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    assert verify_signature(key.public_key(), bundle(encode_dss_signature(r, order - s)))


@pytest.mark.parametrize(
    "signature", [b"", b"0", bytes(64), encode_dss_signature(0, 0), encode_dss_signature(1, 1)]
)
def test_signatures_that_are_none(signature: bytes) -> None:
    """Not DER, zero, or small numbers: none fits, and nothing is raised."""
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        assert verify_signature(key.public_key(), bundle(signature), legacy=True) is None


def test_der_has_one_form() -> None:
    """A signature with anything behind it does not verify."""
    key = ec.generate_private_key(ec.SECP256R1())
    signature = sign_message(key, pae(PAYLOAD))
    assert verify_signature(key.public_key(), bundle(signature + b"\0")) is None


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        None,
        "key",
    ],
    ids=["rsa", "secp256k1", "none", "text"],
)
def test_other_keys(key: Any) -> None:
    """A certificate of another kind of key is refused, not crashed on."""
    assert key_kind(key) is None
    with pytest.raises(UnsupportedBundleError, match="P-256"):
        verify_signature(key, bundle(b"s"))


def test_a_private_key_verifies_nothing() -> None:
    """It is of a known kind, but no verifier."""
    key = ec.generate_private_key(ec.SECP256R1())
    assert verify_signature(key, bundle(b"s")) is None


def test_the_id_of_a_key() -> None:
    """64 hex digits, different for different keys."""
    ids = {public_key_id(ed25519.Ed25519PrivateKey.generate().public_key()) for _ in range(3)}
    assert len(ids) == 3
    assert all(len(each) == 64 for each in ids)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library is named with the command that installs it."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[signing\]'"):
        require_cryptography()
