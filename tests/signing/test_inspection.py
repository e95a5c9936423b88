"""What a bundle claims, unverified."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelsec.errors import BundleFormatError, ConfigurationError, ModelSecError
from modelsec.signing import OMS, CertifiedKey, PrivateKey, Release, sign
from modelsec.signing.inspection import WARNING, unverified_claims
from tests.support.certificates import authority, issue

KEY = PrivateKey.generate()
SIGSTORE = ("stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_bytes(b"{}")
    (path / "empty").touch()
    return path


def test_a_bare_key(model: Path) -> None:
    """Key, release, layout and names are told, with a warning in front."""
    release = Release("churn", serial=3, not_after=datetime(2030, 1, 1, tzinfo=UTC))
    signed = sign(model, KEY, release=release, shard_size=1, algorithm="blake2b", ignore=["x"])
    claims = unverified_claims(signed.bundle)
    assert claims == unverified_claims(signed.bundle.read_bytes())
    assert (claims.method, claims.key_id, claims.release) == ("key", KEY.key_id, release)
    assert (claims.algorithm, claims.shard_size) == ("blake2b", 1)
    assert claims.files == ("config.json", "empty")
    assert "x" in claims.ignore_paths
    assert claims.tree_digest == signed.manifest.tree_digest
    document = json.loads(json.dumps(claims.to_dict()))
    assert (document["verified"], document["warning"]) == (False, WARNING)


def test_a_forged_bundle_is_shown_as_well(model: Path) -> None:
    """Nothing is verified: that is what the caller is told."""
    bundle = sign(model, KEY).bundle
    document = json.loads(bundle.read_bytes())
    document["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    claims = unverified_claims(json.dumps(document).encode())
    assert claims.key_id == KEY.key_id


def test_certificates(model: Path) -> None:
    """Of each subject, names, issuer and validity; the signer's first."""
    root = authority("CN=root")
    leaf = issue("CN=alice", root, names=(("email", "alice@example.com"),))
    claims = unverified_claims(sign(model, CertifiedKey(leaf.private, leaf.pem, [root.pem])).bundle)
    assert claims.method == "certificate"
    assert claims.key_id == leaf.private.key_id
    assert [each.subject for each in claims.certificates] == ["CN=alice", "CN=root"]
    assert claims.certificates[0].issuer == "CN=root"
    assert claims.certificates[0].names == ("email:alice@example.com",)
    assert claims.certificates[0].oidc_issuer is None


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("v0.2.0-certificate", "certificate"),
        ("v0.3.1-elliptic-key", "key"),
        ("v0.3.1-sigstore", "sigstore"),
        ("v1.0.0-elliptic-key", "key"),
        ("v1.1.0-certificate", "certificate"),
        ("v1.1.0-elliptic-key", "key"),
        ("v1.1.0-sigstore", "sigstore"),
    ],
)
def test_historical_bundles(name: str, method: str, shared_data: Path) -> None:
    """Also those of OMS 0.2.0, of single files, and of Sigstore with its issuer."""
    claims = unverified_claims(shared_data / "oms" / "signed" / name / "model.sig")
    assert claims.method == method
    assert claims.legacy == (name == "v0.2.0-certificate")
    assert claims.key_id
    assert claims.files
    if method == "sigstore":
        assert claims.certificates[0].names == (f"email:{SIGSTORE[0]}",)
        assert claims.certificates[0].oidc_issuer == SIGSTORE[1]


def keyless(shared_data: Path, *extensions: tuple[str, bytes]) -> bytes:
    """Return a bundle with another certificate that has these extensions."""
    raw = (shared_data / "oms" / "signed" / "v1.1.0-sigstore" / "model.sig").read_bytes()
    document = json.loads(raw)
    added = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{oid}"), value))
        for oid, value in extensions
    ]
    leaf = _with_extensions(added)
    document["verificationMaterial"]["certificate"]["rawBytes"] = base64.b64encode(leaf).decode()
    return json.dumps(document).encode()


def _with_extensions(added: list[x509.UnrecognizedExtension]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2026, 1, 1)).not_valid_after(  # noqa: DTZ001
        datetime(2027, 1, 1)  # noqa: DTZ001
    )
    for extension in added:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_the_issuer_in_both_forms(shared_data: Path) -> None:
    """As bare text before, as a UTF8String of any length today, which counts."""
    long = b"https://" + b"a" * 300
    said = b"\x0c\x82" + len(long).to_bytes(2, "big") + long
    both = unverified_claims(keyless(shared_data, ("1", b"https://old"), ("8", said)))
    assert both.certificates[0].oidc_issuer == long.decode()
    before = unverified_claims(keyless(shared_data, ("1", b"https://old")))
    assert before.certificates[0].oidc_issuer == "https://old"


@pytest.mark.parametrize(
    "value",
    [b"", b"\x0c", b"\x0c\x05ab", b"\x13\x01a", b"\x0c\xff", b"\x0c\x80", b"\x0c\x01\xff"],
)
def test_a_broken_issuer_is_a_typed_error(shared_data: Path, value: bytes) -> None:
    """Lengths that lie, other tags, and what is no UTF-8."""
    content = keyless(shared_data, ("8", value))
    if value == b"\x0c\x80":  # the text without a character
        assert unverified_claims(content).certificates[0].oidc_issuer == ""
        return
    with pytest.raises(BundleFormatError):
        unverified_claims(content)


def _statement(edit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def edited(document: dict[str, Any]) -> None:
        envelope = document["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        edit(statement)
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return edited


def _material(**changed: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["verificationMaterial"].update(publicKey=changed)


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document.pop("dsseEnvelope"),
        _statement(lambda statement: statement.pop("subject")),
        _statement(lambda statement: statement["predicate"].update(resources=[])),
        _statement(lambda statement: statement.update(predicateType="\x1b[2J")),
        _statement(lambda statement: statement["predicate"]["resources"][0].update(name="../x")),
        _material(rawBytes="AAAA"),
        _material(rawBytes=base64.b64encode(b"-----BEGIN PUBLIC KEY-----").decode()),
    ],
    ids=range(7),
)
def test_hostile_bundles(model: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Each is refused as a bundle, with an error of ours."""
    document = json.loads(sign(model, KEY).bundle.read_bytes())
    edit(document)
    with pytest.raises(ModelSecError) as caught:
        unverified_claims(json.dumps(document).encode())
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 1000, b"hmac-sha256:v1:ab:cd"])
def test_no_bundle_at_all(raw: bytes) -> None:
    """Truncated, empty, too deep, or the signature of a shared secret."""
    with pytest.raises(BundleFormatError):
        unverified_claims(raw)


@pytest.mark.parametrize("path", [5, None, "", "a\x00b", "missing.sig", "."])
def test_no_file(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be opened is the caller's mistake."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        unverified_claims(path)


def test_names_that_strict_refuses_are_shown(model: Path) -> None:
    """Whoever asks why wants to see them."""
    (model / "x\n\x1b[2J\u202e").write_bytes(b"x")
    claims = unverified_claims(sign(model, KEY, profile=OMS).bundle)
    assert "x\n\x1b[2J\u202e" in claims.files
