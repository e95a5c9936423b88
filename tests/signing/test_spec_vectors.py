"""The test vectors of the OMS specification, and the bundles of its reference implementation."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelsec.errors import BundleFormatError, UnsupportedBundleError, VerificationError
from modelsec.signing.bundles.bundle import (
    ChainMaterial,
    KeylessMaterial,
    KeyMaterial,
    parse_bundle,
)
from modelsec.signing.bundles.statement import parse_statement
from modelsec.signing.keys import PublicKey, TrustedKeys
from modelsec.signing.profile import OMS, STRICT

NOW = datetime(2026, 6, 1, tzinfo=UTC)
METHODS = {
    "key": KeyMaterial,
    "elliptic-key": KeyMaterial,
    "certificate": ChainMaterial,
    "sigstore": KeylessMaterial,
}
VERSIONS = ("v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
HISTORICAL = [
    "v0.2.0-certificate",
    *(f"{v}-{m}" for v in VERSIONS for m in ("certificate", "elliptic-key", "sigstore")),
]
INVALID = ("empty", "missing-envelope", "missing-tlog-entries", "missing-verification-material")


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> Path:
    return shared_data / "oms" / "spec" / "test-vectors"


@pytest.fixture(scope="module")
def signed(shared_data: Path) -> Path:
    return shared_data / "oms" / "signed"


@pytest.fixture(scope="module")
def pinned(signed: Path) -> PublicKey:
    return PublicKey.load(signed / "keys" / "certificate" / "signing-key-pub.pem")


def test_nothing_is_left_out(vectors: Path, signed: Path) -> None:
    """These tests know every vector and every bundle that there is."""
    names = {path.name.partition(".")[0] for path in vectors.glob("*/*.json")}
    assert names == {"key", "certificate", "sigstore", "wrong-predicate", *INVALID}
    assert {path.parent.name for path in signed.glob("*/model.sig")} == set(HISTORICAL)


@pytest.mark.parametrize("method", ["key", "certificate", "sigstore"])
@pytest.mark.parametrize("profile", [STRICT, OMS], ids=["strict", "oms"])
def test_valid(vectors: Path, method: str, profile: object) -> None:
    """The valid vectors are read under both profiles."""
    bundle = parse_bundle((vectors / "valid" / f"{method}.bundle.json").read_bytes())
    assert isinstance(bundle.material, METHODS[method])
    statement = parse_statement(bundle.payload, profile=profile)  # type: ignore[arg-type]
    assert statement.manifest.names == ("signme-1", "signme-2")


@pytest.mark.parametrize("name", INVALID)
def test_invalid(vectors: Path, name: str) -> None:
    """The invalid vectors are refused by their form."""
    with pytest.raises(BundleFormatError):
        parse_bundle((vectors / "invalid" / f"{name}.bundle.json").read_bytes())


def test_invalid_payload(vectors: Path) -> None:
    """A bundle in form with a payload about something else is refused by its statement."""
    raw = (vectors / "invalid-payload" / "wrong-predicate.bundle.json").read_bytes()
    with pytest.raises(UnsupportedBundleError, match="something else"):
        parse_statement(parse_bundle(raw).payload, profile=OMS)


def test_the_key_vector_verifies(vectors: Path, pinned: PublicKey) -> None:
    """Its signature was made with the key of the reference's models."""
    bundle = parse_bundle((vectors / "valid" / "key.bundle.json").read_bytes())
    assert TrustedKeys([pinned]).authenticate(bundle, now=NOW).key_id == pinned.key_id


@pytest.mark.parametrize("name", HISTORICAL)
def test_history(signed: Path, pinned: PublicKey, name: str) -> None:
    """All 13 bundles are read; those made with a key verify with it, by the standard encoding."""
    bundle = parse_bundle((signed / name / "model.sig").read_bytes())
    assert isinstance(bundle.material, METHODS[name.partition("-")[2]])
    if isinstance(bundle.material, KeyMaterial):
        signatory = TrustedKeys([pinned]).authenticate(bundle, now=NOW, legacy=True)
        assert (signatory.algorithm, signatory.compatibility) == ("ecdsa-p384-sha384", False)
    legacy = name.startswith("v0.2.0")
    profile = replace(STRICT, legacy=legacy)
    statement = parse_statement(bundle.payload, profile=profile, single_file_name="signme-1")
    assert statement.legacy is legacy
    assert statement.manifest.names in {("signme-1",), ("signme-1", "signme-2")}


@pytest.mark.parametrize("name", [name for name in HISTORICAL if "key" in name])
def test_changed_history(signed: Path, pinned: PublicKey, name: str) -> None:
    """One flipped bit in payload or signature, and the pinned key says no."""
    bundle = parse_bundle((signed / name / "model.sig").read_bytes())
    for part in ("payload", "signature"):
        changed = bytearray(getattr(bundle, part))
        changed[len(changed) // 2] ^= 1
        with pytest.raises(VerificationError):
            TrustedKeys([pinned]).authenticate(
                replace(bundle, **{part: bytes(changed)}), now=NOW, legacy=True
            )
