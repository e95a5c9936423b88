"""The 13 signed models of earlier releases of the reference implementation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelsec.errors import UnsupportedBundleError, UntrustedSignerError, VerificationError
from modelsec.signing import (
    ANY_IDENTITY,
    OMS,
    PublicKey,
    TrustedIdentity,
    TrustedKeys,
    TrustedRoots,
    Verifier,
)
from modelsec.signing.trust import Trust

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = (
    "v0.2.0-certificate",
    "v0.3.1-certificate",
    "v0.3.1-elliptic-key",
    "v0.3.1-sigstore",
    "v1.0.0-certificate",
    "v1.0.0-elliptic-key",
    "v1.0.0-sigstore",
    "v1.0.1-certificate",
    "v1.0.1-elliptic-key",
    "v1.0.1-sigstore",
    "v1.1.0-certificate",
    "v1.1.0-elliptic-key",
    "v1.1.0-sigstore",
)
METHODS = {"certificate": "certificate", "key": "key", "sigstore": "sigstore"}
SIGSTORE = ("stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2")
"""Identity and issuer in the certificates of the four keyless bundles."""
# Version 1.0.1 leaves this file out without saying so in the bundle.
IGNORED = ("ignore-me",)


@pytest.fixture(scope="module")
def keys(shared_data: Path) -> Path:
    return shared_data / "oms" / "signed" / "keys" / "certificate"


def trust(model: str, keys: Path) -> Trust:
    if "elliptic-key" in model:
        return TrustedKeys([PublicKey.load(keys / "signing-key-pub.pem")])
    if "certificate" in model:
        return TrustedRoots([keys / "ca-cert.pem"], identity=ANY_IDENTITY)
    return TrustedIdentity(*SIGSTORE)


def verifier(model: str, keys: Path, **changes: object) -> Verifier:
    profile = replace(OMS, legacy=True, **changes)
    return Verifier(trust(model, keys), profile=profile, clock=lambda: NOW)


def target(folder: Path) -> Path:
    """Two of the key models are a single file that lies beside its signature."""
    single = {"v0.3.1-elliptic-key", "v1.0.0-elliptic-key"}
    return folder / "signme-1" if folder.name in single else folder


@pytest.mark.parametrize("model", MODELS)
def test_a_historical_signature_verifies(model: str, shared_data: Path, keys: Path) -> None:
    """Each verifies with the pinned key, root or identity, and says what was covered."""
    folder = shared_data / "oms" / "signed" / model
    receipt = verifier(model, keys).verify(target(folder), folder / "model.sig", ignore=IGNORED)
    assert receipt.files in {("signme-1",), ("signme-1", "signme-2")}
    assert receipt.signatories[0].method == METHODS[model.rpartition("-")[2]]


@pytest.mark.parametrize("model", [name for name in MODELS if "sigstore" not in name])
def test_a_changed_file_is_refused(
    model: str, shared_data: Path, keys: Path, tmp_path: Path
) -> None:
    """The same models with one byte more are refused."""
    source = shared_data / "oms" / "signed" / model
    folder = tmp_path / model
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with (folder / "signme-1").open("ab") as file:
        file.write(b"!")
    with pytest.raises(VerificationError):
        verifier(model, keys).verify(target(folder), folder / "model.sig", ignore=IGNORED)


def test_the_oldest_format_needs_to_be_asked_for(shared_data: Path, keys: Path) -> None:
    """Without ``legacy``, the bundle of 0.2.0 is refused."""
    folder = shared_data / "oms" / "signed" / "v0.2.0-certificate"
    modern = Verifier(trust(folder.name, keys), profile=OMS, clock=lambda: NOW)
    with pytest.raises(VerificationError):
        modern.verify(folder, folder / "model.sig")


def test_an_expired_certificate_is_refused(shared_data: Path, keys: Path) -> None:
    """Validity is judged at the time of the verifier, not of the certificate."""
    folder = shared_data / "oms" / "signed" / "v1.1.0-certificate"
    late = Verifier(
        trust(folder.name, keys), profile=OMS, clock=lambda: NOW + timedelta(days=20 * 365)
    )
    with pytest.raises(UntrustedSignerError, match="expired on 2035"):
        late.verify(folder, folder / "model.sig")


def test_one_method_does_not_pass_for_another(shared_data: Path, keys: Path) -> None:
    """A bundle with a certificate is not verified by the key in it alone."""
    folder = shared_data / "oms" / "signed" / "v1.1.0-certificate"
    bare = Verifier(trust("v1.1.0-elliptic-key", keys), profile=OMS, clock=lambda: NOW)
    with pytest.raises(UnsupportedBundleError):
        bare.verify(folder, folder / "model.sig")
