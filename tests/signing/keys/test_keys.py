import copy
import hashlib
import pickle
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError
from modelsec.signing.bundles.bundle import OMS_PREDICATE, OWN_PREDICATE
from modelsec.signing.keys import KINDS, Kind, PrivateKey, PublicKey
from modelsec.signing.trust import Signer

KEY = PrivateKey.generate()
LOCKED = KEY.to_pem("a password")
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PEM = serialization.Encoding.PEM
OPEN = serialization.NoEncryption()

all_kinds = pytest.mark.parametrize("kind", KINDS)


@all_kinds
def test_sign_and_verify(kind: Kind) -> None:
    """Every kind verifies its own signature, and neither another message nor another key."""
    key = PrivateKey.generate(kind)
    signature = key.sign(b"message")
    assert key.public.verify(b"message", signature)
    assert not key.public.verify(b"massage", signature)
    assert not key.public.verify(b"message", signature[:-1])
    assert not key.public.verify(b"message", b"")
    assert not PrivateKey.generate(kind).public.verify(b"message", signature)
    assert not KEY.public.verify(b"message", signature)


@all_kinds
def test_a_private_key_is_a_signer(kind: Kind) -> None:
    """Ed25519 is not in the registry of OMS: its bundles have a predicate of their own."""
    key = PrivateKey.generate(kind)
    assert isinstance(key, Signer)
    assert key.predicate_type == (OWN_PREDICATE if kind == "ed25519" else OMS_PREDICATE)
    assert key.material() == {"publicKey": {"hint": key.key_id}, "tlogEntries": []}
    assert (key.kind, key.public.kind) == (kind, kind)
    assert key.public.algorithm.startswith(kind)


@all_kinds
def test_pem_round_trip(kind: Kind, tmp_path: Path) -> None:
    """Files and bytes, with and without a password, hold the same key."""
    key = PrivateKey.generate(kind)
    assert PrivateKey.from_pem(key.to_pem()).key_id == key.key_id
    key.save(tmp_path / "key.pem", b"a password")
    assert PrivateKey.load(tmp_path / "key.pem", "a password").public == key.public
    key.public.save(tmp_path / "key.pub.pem")
    assert PublicKey.load(str(tmp_path / "key.pub.pem")) == key.public
    assert PublicKey.from_pem(key.public.pem.decode()) == key.public


def test_the_key_id_is_that_of_oms() -> None:
    """SHA-256 over the PEM text, with its final newline."""
    assert KEY.public.pem.endswith(b"-----END PUBLIC KEY-----\n")
    assert KEY.key_id == hashlib.sha256(KEY.public.pem).hexdigest()


def test_the_key_id_of_a_known_key(shared_data: Path) -> None:
    """The reference gives this hint to the key of its test models; text around it is ignored."""
    path = shared_data / "oms" / "signed" / "keys" / "certificate" / "signing-key-pub.pem"
    assert PublicKey.load(path).key_id == (
        "e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e"
    )


def test_other_forms_of_pem() -> None:
    """What openssl writes is read: the older form, its parameters, and carriage returns."""
    native = ec.generate_private_key(ec.SECP256R1())
    old = native.private_bytes(PEM, PKCS1, OPEN)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    expected = PublicKey(native.public_key())
    assert PrivateKey.from_pem(parameters + old).public == expected
    assert PrivateKey.from_pem(old.replace(b"\n", b"\r\n")).public == expected
    locked = native.private_bytes(PEM, PKCS1, serialization.BestAvailableEncryption(b"password"))
    assert PrivateKey.from_pem(locked, "password").public == expected
    with pytest.raises(ConfigurationError, match="give its password"):
        PrivateKey.from_pem(locked)


def test_nothing_shows_the_key() -> None:
    """Neither repr nor pickle nor copy: only the id is ever seen."""
    assert repr(KEY) == f"PrivateKey(ecdsa-p256, key_id='{KEY.key_id}')"
    assert KEY.key_id in repr(KEY.public)
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            travel(KEY)


def test_equality_is_that_of_the_key() -> None:
    """Two objects of one key are one; a set holds it once."""
    again = PublicKey.from_pem(KEY.public.pem)
    assert {again, KEY.public} == {KEY.public}
    assert again != PrivateKey.generate().public
    assert again != KEY.key_id


def private_pem(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(PEM, form, OPEN))


def public_pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(PEM, form))


UNSUPPORTED = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "dsa": lambda: dsa.generate_private_key(2048),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "x25519": x25519.X25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_kinds_that_are_not_supported(kind: str) -> None:
    """They are refused on reading, with the kinds that are."""
    native = UNSUPPORTED[kind]()
    with pytest.raises(ConfigurationError, match="ECDSA on P-256, P-384 or P-521, or Ed25519"):
        PrivateKey.from_pem(private_pem(native))
    with pytest.raises(ConfigurationError, match="ECDSA on P-256, P-384 or P-521, or Ed25519"):
        PublicKey.from_pem(public_pem(native))


CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
OPENSSH = CERTIFICATE.replace(b"CERTIFICATE", b"OPENSSH PRIVATE KEY")
DAMAGED = KEY.to_pem().replace(b"MIGH", b"MIGG")
BAD_PRIVATE = [
    (KEY.public.pem, None, "this is a public key"),
    (CERTIFICATE, None, "this is a certificate"),
    (OPENSSH, None, "ssh-keygen -p -m PKCS8"),
    (CERTIFICATE.replace(b"CERTIFICATE", b"PGP MESSAGE"), None, "PKCS#8"),
    (CERTIFICATE.replace(b"CERTIFICATE", b"PRIVATE KEY"), None, "damaged"),
    (DAMAGED, None, "damaged"),
    (LOCKED, None, "give its password"),
    (LOCKED, "another", "password is wrong"),
    (LOCKED, "", "empty"),
    (LOCKED, 3, "bytes or text"),
    (LOCKED, "\ud800", "UTF-8"),
    (KEY.to_pem(), "password", "not encrypted"),
    (KEY.to_pem() * 2, None, "this has 2"),
    (b"", None, "this has 0"),
    ("", None, "this has 0"),
    ("\ud800", None, "this has 0"),
    (bytes(100_000), None, "too many"),
    (None, None, "PEM bytes"),
    (KEY.to_pem()[:-10], None, "this has 0"),
]


@pytest.mark.parametrize(("pem", "password", "reason"), BAD_PRIVATE, ids=range(len(BAD_PRIVATE)))
def test_bad_private_keys(pem: Any, password: Any, reason: str) -> None:
    """What is given instead of a private key is named, with the way out."""
    with pytest.raises(ConfigurationError, match=reason):
        PrivateKey.from_pem(pem, password)


BAD_PUBLIC = [
    (KEY.to_pem(), "keep it where models are signed"),
    (LOCKED, "keep it where models are signed"),
    (CERTIFICATE, "TrustedRoots"),
    (CERTIFICATE.replace(b"CERTIFICATE", b"RSA PUBLIC KEY"), "in a block 'PUBLIC KEY'"),
    (CERTIFICATE.replace(b"CERTIFICATE", b"PUBLIC KEY"), "cannot be read"),
    (KEY.public.pem + CERTIFICATE, "this has 2"),
    (b"\x00", "this has 0"),
    (3, "PEM bytes"),
]


@pytest.mark.parametrize(("pem", "reason"), BAD_PUBLIC, ids=range(len(BAD_PUBLIC)))
def test_bad_public_keys(pem: Any, reason: str) -> None:
    """What is given instead of a public key is named, with the way out."""
    with pytest.raises(ConfigurationError, match=reason):
        PublicKey.from_pem(pem)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: PrivateKey.generate("rsa"),  # type: ignore[arg-type]
        lambda: PrivateKey.generate(None),  # type: ignore[arg-type]
        lambda: PrivateKey.generate([]),  # type: ignore[arg-type]
        lambda: PrivateKey("key"),  # type: ignore[arg-type]
        lambda: PrivateKey(ed25519.Ed25519PrivateKey.generate().public_key()),  # type: ignore[arg-type]
        lambda: PublicKey(ed25519.Ed25519PrivateKey.generate()),  # type: ignore[arg-type]
        lambda: PublicKey(None),  # type: ignore[arg-type]
        lambda: KEY.sign("message"),  # type: ignore[arg-type]
        lambda: KEY.public.verify("message", b""),  # type: ignore[arg-type]
        lambda: KEY.public.verify(b"message", None),  # type: ignore[arg-type]
        lambda: KEY.to_pem(""),
        lambda: KEY.to_pem("x" * 10_000),
        lambda: PrivateKey.load(3),  # type: ignore[arg-type]
        lambda: PublicKey.load("no such file"),
        lambda: PublicKey.load("a\0b"),
        lambda: PublicKey.load("/"),
        lambda: PublicKey.load("/dev/zero"),
    ],
    ids=range(17),
)
def test_misuse(misuse: Any) -> None:
    """Wrong types and files are the caller's to fix."""
    with pytest.raises(ConfigurationError):
        misuse()


@given(st.data())
def test_damaged_keys_raise_nothing_else(data: st.DataObject) -> None:
    """A file with flipped bytes is a key or refused, never a crash."""
    for read, pem in ((PrivateKey.from_pem, KEY.to_pem()), (PublicKey.from_pem, KEY.public.pem)):
        damaged = bytearray(pem)
        damaged[data.draw(st.integers(0, len(pem) - 1))] = data.draw(st.integers(0, 255))
        try:
            read(bytes(damaged))
        except ConfigurationError:
            continue


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_private_key_is_for_its_owner(tmp_path: Path) -> None:
    """The file is never readable by others, and no temporary file stays."""
    KEY.save(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Neither a file nor what a link points to, not even a link to nothing."""
    (tmp_path / "old").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "new")
    for name in ("old", "link"):
        with pytest.raises(ConfigurationError, match="never overwritten"):
            KEY.save(tmp_path / name)
    assert (tmp_path / "old").read_text() == "precious"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["missing/key.pem", "a\0b", "", 3])
def test_where_no_file_can_be(tmp_path: Path, path: Any) -> None:
    """A folder that is missing, a name that cannot be, and no path at all."""
    target = str(tmp_path / path) if isinstance(path, str) else path
    with pytest.raises(ConfigurationError):
        KEY.save(target)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the empty file that held the name."""

    def full(descriptor: int) -> None:  # noqa: ARG001 - that of os.fsync
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        KEY.save(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux")
def test_a_file_that_cannot_be_read() -> None:
    """One that opens and then fails is refused like one that does not open."""
    with pytest.raises(ConfigurationError, match="cannot read"):
        PublicKey.load("/proc/self/mem")
