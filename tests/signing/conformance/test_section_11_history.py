"""OMS v1.0, sections 5.1 and 11: what older signers wrote, through the adapter."""

import base64
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from modelsec.cli import main
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench, adapter

KEY = ("v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
SINGLE = ("v0.3.1", "v1.0.0")
"""Versions whose historical model of the key method is one file."""
SIGNER = ("--identity", "stefanb@us.ibm.com")
ISSUER = ("--identity-provider", "https://sigstore.verify.ibm.com/oauth2")


@pytest.fixture
def history(shared_data: Path) -> Path:
    return shared_data / "oms" / "signed"


def put(history: Path, name: str, folder: Path) -> tuple[Path, Path]:
    """Copy a historical model and its bundle apart, as the suite does."""
    model, bundle = folder / "model", folder / "bundle.sig"
    shutil.copytree(history / name, model)
    (model / "model.sig").rename(bundle)
    return model, bundle


def verify(model: Path, bundle: Path, *more: str | Path) -> int:
    """Verify with the caller's exclusion, which bundles before 1.1.0 do not have."""
    root = model if model.is_dir() else model.parent
    return adapter(
        *("verify-model", "--model-path", model, "--bundle", bundle),
        *("--ignore-paths", root / "ignore-me"),
        *more,
    )


@pytest.mark.parametrize("version", KEY)
def test_keys(history: Path, tmp_path: Path, version: str) -> None:
    """11.1, 11.2: ``rawBytes``, null ``keyid``, no ``tlogEntries``, no paths: accepted."""
    model, bundle = put(history, f"{version}-elliptic-key", tmp_path)
    what = model / "signme-1" if version in SINGLE else model
    public = history / "keys" / "certificate" / "signing-key-pub.pem"
    call = ("--method", "key", "--public-key", public)
    assert verify(what, bundle, *call) == 0
    (model / "signme-1").write_bytes(b"tampered")
    assert verify(what, bundle, *call) == 1


@pytest.mark.parametrize("version", KEY)
def test_certificates(history: Path, tmp_path: Path, version: str) -> None:
    """11: certificate bundles of four versions lead to the root of their time."""
    model, bundle = put(history, f"{version}-certificate", tmp_path)
    call = ("--method", "certificate", "--cert-chain")
    assert verify(model, bundle, *call, history / "keys" / "certificate" / "ca-cert.pem") == 0
    (model / "signme-2").write_bytes(b"tampered")
    assert verify(model, bundle, *call, history / "keys" / "certificate" / "ca-cert.pem") == 1


@pytest.mark.parametrize("version", KEY)
def test_keyless(history: Path, tmp_path: Path, version: str) -> None:
    """11: keyless bundles verify offline, for their identity and their issuer only."""
    model, bundle = put(history, f"{version}-sigstore", tmp_path)
    call = ("--method", "sigstore")
    assert verify(model, bundle, *call, *SIGNER, *ISSUER) == 0
    assert verify(model, bundle, *call, "--identity", "mallory@example.com", *ISSUER) == 1
    other = ("--identity-provider", "https://accounts.google.com")
    assert verify(model, bundle, *call, *SIGNER, *other) == 1
    (model / "signme-1").write_bytes(b"tampered")
    assert verify(model, bundle, *call, *SIGNER, *ISSUER) == 1


def test_the_oldest(history: Path, tmp_path: Path) -> None:
    """5.1, 11.2(4): verifiers MAY read the predicate of 0.2.0; the public suite wants it read."""
    model, bundle = put(history, "v0.2.0-certificate", tmp_path)
    call = ("--method", "certificate", "--cert-chain")
    assert verify(model, bundle, *call, history / "keys" / "certificate" / "ca-cert.pem") == 0


def test_vectors(history: Path, tmp_path: Path, shared_data: Path) -> None:
    """3.1: the valid vectors of the specification verify against the models they are of."""
    vectors = shared_data / "oms" / "spec" / "test-vectors" / "valid"
    keys = history / "keys" / "certificate"
    model, _ = put(history, "v1.1.0-elliptic-key", tmp_path)
    key = ("--method", "key", "--public-key", keys / "signing-key-pub.pem")
    assert verify(model, vectors / "key.bundle.json", *key) == 0
    root = ("--method", "certificate", "--cert-chain", keys / "ca-cert.pem")
    assert verify(model, vectors / "certificate.bundle.json", *root) == 0
    assert verify(model, vectors / "certificate.bundle.json", *key) == 1
    assert verify(model, vectors / "sigstore.bundle.json", *key) == 1
    assert verify(model, vectors / "sigstore.bundle.json", *root) == 1


def _curve_name(key: ec.EllipticCurvePrivateKey) -> str:
    return f"PKIX_ECDSA_P{key.curve.key_size}_SHA_256"


def test_key_bytes_as_der(bench: Bench) -> None:
    """11.2(1): ``rawBytes`` is accepted as DER, as Sigstore defines it, and as PEM."""
    key = bench.pair.key
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    raw = base64.b64encode(der).decode()
    bench.forge(material={"publicKey": {"rawBytes": raw, "keyDetails": _curve_name(key)}})
    bench.accepted()


@pytest.mark.parametrize("shard_size", [None, 100], ids=["files", "shards"])
def test_all_relaxations_at_once(bench: Bench, shard_size: int | None) -> None:
    """11.2(1-3): they hold together, as bundles of 0.3.1 have them."""

    def old(document: spec_signer.Document) -> None:
        document["dsseEnvelope"]["signatures"][0]["keyid"] = None

    bench.forge(
        material=spec_signer.by_bytes(bench.pair.key),
        envelope=old,
        ignored=None,
        subject="model",
        shard_size=shard_size,
    )
    bench.accepted()


def test_the_old_encoding_of_a_current_statement(bench: Bench) -> None:
    """11.2(4): relaxations for 0.2.0 are for its statements only, even where legacy is read."""
    document = bench.forge()
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    message = f"DSSEV1 28 application/vnd.in-toto+json {len(payload)} {payload!r}".encode()
    signature = bench.pair.key.sign(message, ec.ECDSA(hashes.SHA256()))
    document["dsseEnvelope"]["signatures"][0]["sig"] = spec_signer.encoded(signature)
    bench.forge(envelope=lambda d: d.update(document))

    call = ["verify", str(bench.model), "--key", str(bench.pair.public), "--profile", "oms"]
    assert main([*call, "--legacy"]) == 1


@pytest.mark.parametrize(
    "options", [[], ["--profile", "oms"], ["--shards", "100"], ["--name", "x"]], ids=str
)
def test_current_versions_only(bench: Bench, options: list[str]) -> None:
    """11.2: producers MUST always write the current version, and never the type of 0.2.0."""
    assert main(["sign", str(bench.model), "--key", str(bench.pair.private), *options]) == 0
    signed = bench.signed()
    assert signed["predicateType"] == spec_signer.PREDICATE_TYPE
    assert "ignore_paths" in signed["predicate"]["serialization"]
    assert bench.document()["verificationMaterial"]["publicKey"].keys() == {"hint"}
    assert bench.document()["mediaType"] == spec_signer.MEDIA_TYPE
