"""Keyless signatures, verified by Sigstore's own package without a network."""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    VerificationError,
)
from modelsec.signing.bundles.bundle import Bundle, KeylessMaterial, pae, parse_bundle
from modelsec.signing.keyless import TrustedIdentity
from modelsec.signing.keys.signatures import sign_message
from modelsec.signing.trust import Trust
from modelsec.signing.x509.identity import ANY_IDENTITY
from tests.support.certificates import PAYLOAD, issue, signed

WHO = "stefanb@us.ibm.com"
ISSUER = "https://sigstore.verify.ibm.com/oauth2"
RELEASES = ("v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let nobody connect, and keep Sigstore's cache out of the home of who runs this.

    Sockets may be made: one of Sigstore's dependencies asks for an IPv6 one when it is imported,
    to learn whether there are any.
    """
    attempts = []

    def refuse(*arguments: object, **_: object) -> None:
        attempts.append(arguments)
        raise OSError("no network here")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("connect", "connect_ex", "sendto", "sendmsg"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert attempts == []


@pytest.fixture
def raw(shared_data: Path) -> bytes:
    """The newest historical bundle."""
    return historical(shared_data, "v1.1.0")


def historical(shared_data: Path, release: str) -> bytes:
    """Return the keyless bundle of a release of the reference implementation."""
    return (shared_data / "oms" / "signed" / f"{release}-sigstore" / "model.sig").read_bytes()


def judged(bundle: Bundle | bytes, trust: TrustedIdentity | None = None) -> Any:
    """Judge a bundle, by default for the identity that signed the historical ones."""
    parsed = parse_bundle(bundle) if isinstance(bundle, bytes) else bundle
    return (trust or TrustedIdentity(WHO, ISSUER)).authenticate(parsed, now=NOW)


def changed(raw: bytes, edit: Callable[[Any], object]) -> bytes:
    """Return a bundle with its document edited in place."""
    document = json.loads(raw)
    edit(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize("release", RELEASES)
def test_historical_bundles_are_verified_offline(shared_data: Path, release: str) -> None:
    """Certificate, log entry, identity, issuer and signature, without a connection."""
    found = judged(historical(shared_data, release))

    assert (found.method, found.identity, found.issuer) == ("sigstore", WHO, ISSUER)
    assert found.algorithm == "ecdsa-p256-sha256"
    assert len(found.key_id) == 64


@pytest.mark.parametrize(
    ("identity", "issuer"),
    [
        ("somebody@us.ibm.com", ISSUER),
        (WHO.upper(), ISSUER),
        ("us.ibm.com", ISSUER),
        (WHO, "https://accounts.google.com"),
        (WHO, ISSUER + "/"),
        (ANY_IDENTITY, "https://accounts.google.com"),
    ],
)
def test_another_identity_or_issuer_is_refused(raw: bytes, identity: Any, issuer: str) -> None:
    """Both are compared exactly, and the issuer even if any identity will do."""
    with pytest.raises(UntrustedSignerError, match="another signer or issuer"):
        judged(raw, TrustedIdentity(identity, issuer))


def test_any_identity_of_an_issuer_has_to_be_asked_for(raw: bytes) -> None:
    """Then the one that was found is reported, and that nobody named it."""
    trust = TrustedIdentity(ANY_IDENTITY, ISSUER)

    assert judged(raw, trust).identity == WHO
    assert "no identity was named" in " ".join(trust.unchecked)


def test_it_is_said_what_offline_means() -> None:
    """The trusted root may be old, and the reference time is not Sigstore's."""
    root, time = TrustedIdentity(WHO, ISSUER).unchecked

    assert "not refreshed" in root
    assert "time in the log" in time


def test_an_edited_payload_is_refused(raw: bytes) -> None:
    """One byte is enough."""

    def edit(document: Any) -> None:
        payload = bytearray(base64.b64decode(document["dsseEnvelope"]["payload"]))
        payload[-1] ^= 1
        document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()

    with pytest.raises(SignatureMismatchError, match="changed or replaced"):
        judged(changed(raw, edit))


def test_a_signature_of_another_bundle_is_refused(raw: bytes, shared_data: Path) -> None:
    """Right signer, other statement."""
    other = json.loads(historical(shared_data, "v1.0.1"))["dsseEnvelope"]["signatures"]

    with pytest.raises(SignatureMismatchError):
        judged(changed(raw, lambda document: document["dsseEnvelope"].update(signatures=other)))


def test_a_log_entry_of_another_bundle_is_refused(raw: bytes, shared_data: Path) -> None:
    """The log has to have recorded this statement, not some statement."""
    other = json.loads(historical(shared_data, "v1.0.1"))["verificationMaterial"]["tlogEntries"]

    with pytest.raises(UntrustedSignerError, match="does not vouch"):
        judged(changed(raw, lambda d: d["verificationMaterial"].update(tlogEntries=other)))


def test_a_certificate_of_another_authority_is_refused(raw: bytes) -> None:
    """Whoever writes the same names into a certificate of their own is not Sigstore."""
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
    leaf = issue(
        "CN=sigstore",
        names=[("email", WHO)],
        more=[(x509.UnrecognizedExtension(oid, ISSUER.encode()), False)],
        since=datetime(2025, 1, 1, tzinfo=UTC),
    )

    def edit(document: Any) -> None:
        payload = base64.b64decode(document["dsseEnvelope"]["payload"])
        signature = base64.b64encode(sign_message(leaf.key, pae(payload))).decode()
        document["dsseEnvelope"]["signatures"] = [{"sig": signature}]
        certificate = base64.b64encode(leaf.der).decode()
        document["verificationMaterial"]["certificate"]["rawBytes"] = certificate

    with pytest.raises(UntrustedSignerError, match="does not vouch"):
        judged(changed(raw, edit))


def test_two_readings_of_one_bundle_have_to_agree(raw: bytes, shared_data: Path) -> None:
    """What Sigstore verified has to be what is handed on, byte for byte."""
    other = historical(shared_data, "v1.0.1")

    with pytest.raises(BundleFormatError, match="another payload or certificate"):
        judged(replace(parse_bundle(raw), raw=other))


def test_nothing_is_accepted_before_it_was_signed(raw: bytes) -> None:
    """A reference time before the certificate's cannot know its signature."""
    with pytest.raises(UntrustedSignerError, match="nothing was signed yet"):
        TrustedIdentity(WHO, ISSUER).authenticate(
            parse_bundle(raw), now=datetime(2025, 1, 1, tzinfo=UTC)
        )


def test_the_other_instance_does_not_vouch(raw: bytes) -> None:
    """The staging instance signs for anybody who plays with it; it is another root."""
    with pytest.raises(UntrustedSignerError, match="does not vouch"):
        judged(raw, TrustedIdentity(WHO, ISSUER, staging=True))


def test_damaged_material_is_refused_with_our_errors(raw: bytes) -> None:
    """Each value of the material, replaced by others: never a foreign error."""
    refusals = 0
    values: list[Any] = ["", "AAAA", 5, None, [], "9" * 30, "\u0000"]
    for path in _leaves(json.loads(raw)["verificationMaterial"]):
        for junk in values:
            try:
                judged(changed(raw, lambda d, p=path, j=junk: _put(d, p, j)))  # type: ignore[misc]
            except VerificationError:
                refusals += 1

    assert refusals > 100


def _leaves(value: Any, path: tuple[Any, ...] = ("verificationMaterial",)) -> Iterator[Any]:
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value[:2])
        for key, inner in entries:
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _put(document: Any, path: tuple[Any, ...], value: object) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


def test_bytes_that_sigstore_cannot_read_are_a_format_error(raw: bytes) -> None:
    """Whatever its reader raises."""
    for junk in (b"", b"{}", b"[" * 100_000, b"\xff"):
        with pytest.raises(VerificationError):
            judged(replace(parse_bundle(raw), raw=junk))


def test_a_bundle_of_another_method_is_not_supported() -> None:
    """A chain of certificates is another trust's business."""
    with pytest.raises(UnsupportedBundleError, match="not signed keyless"):
        judged(signed(issue("CN=signer")))


def test_a_key_that_sigstore_hashes_otherwise_is_not_supported() -> None:
    """Its package verifies with SHA-256 only, which is not what OMS pairs with P-384."""
    leaf = issue("CN=signer", key="p384")

    with pytest.raises(UnsupportedBundleError, match="ecdsa-p384"):
        judged(Bundle(b"{}", PAYLOAD, b"x", KeylessMaterial(leaf.der)))


def test_the_trusted_root_can_be_a_file(raw: bytes, tmp_path: Path) -> None:
    """For who has no home, or does not trust what is in it."""
    judged(raw)
    (cached,) = tmp_path.rglob("trusted_root.json")
    root = tmp_path / "root.json"
    root.write_bytes(cached.read_bytes())
    cached.write_text("{}")

    assert judged(raw, TrustedIdentity(WHO, ISSUER, trusted_root=root)).identity == WHO
    with pytest.raises(ConfigurationError, match="trusted root cannot be used"):
        judged(raw)


def test_a_trusted_root_that_cannot_be_used_is_the_callers_mistake(
    raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, junk, or no place for a cache: never a reason to go without."""
    (tmp_path / "junk").write_text("junk")
    for path in (tmp_path / "none", tmp_path / "junk", tmp_path, "nul\x00byte"):
        with pytest.raises(ConfigurationError, match="Give the path of a"):
            judged(raw, TrustedIdentity(WHO, ISSUER, trusted_root=path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "junk"))
    with pytest.raises(ConfigurationError, match="Give the path of a"):
        judged(raw)


def test_a_missing_extra_is_named(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)

    with pytest.raises(ConfigurationError, match=r"modelsec\[sigstore\]"):
        judged(raw)


def test_sigstore_is_imported_on_use_only() -> None:
    """It takes seconds, which who verifies with a bare key does not pay."""
    program = (
        "import sys; from modelsec.signing.keyless import TrustedIdentity; "
        "TrustedIdentity('a@example.com', 'https://example.com'); "
        "sys.exit(any(name.split('.')[0] in ('sigstore', 'cryptography') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"identity": ""},
        {"identity": " "},
        {"identity": None},
        {"identity": b"a@example.com"},
        {"identity": ["a@example.com"]},
        {"issuer": ""},
        {"issuer": None},
        {"issuer": ANY_IDENTITY},
        {"trusted_root": 5},
        {"staging": "yes"},
        {"staging": True, "trusted_root": "root.json"},
    ],
)
def test_wrong_arguments_are_the_callers_mistake(arguments: dict[str, Any]) -> None:
    """An empty issuer would have meant any to Sigstore."""
    with pytest.raises(ConfigurationError):
        TrustedIdentity(**{"identity": WHO, "issuer": ISSUER, **arguments})


def test_the_verification_time_needs_a_time_zone(raw: bytes) -> None:
    """As everywhere."""
    with pytest.raises(ConfigurationError, match="time zone"):
        TrustedIdentity(WHO, ISSUER).authenticate(
            parse_bundle(raw),
            now=datetime(2026, 6, 1),  # noqa: DTZ001 - that is the point
        )


def test_it_keeps_the_protocol() -> None:
    """A verifier takes it as any other trust."""
    assert isinstance(TrustedIdentity(WHO, ISSUER), Trust)
