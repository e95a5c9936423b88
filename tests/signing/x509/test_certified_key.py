"""Private keys that sign with their certificate."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import (
    ConfigurationError,
)
from modelsec.signing.bundles.bundle import (
    OMS_PREDICATE,
    ChainMaterial,
    pae,
    parse_bundle,
    write_bundle,
)
from modelsec.signing.x509.certificates import CertifiedKey
from tests.signing.x509.samples import LEAF, MIDDLE, ROOT, identified
from tests.support.certificates import PAYLOAD, authority, issue


def test_what_a_certified_key_signs_is_verified() -> None:
    """Over the written bundle, the intermediates put in the order of issue."""
    second = authority("CN=second", MIDDLE)
    leaf = issue("CN=signer", second)
    signer = CertifiedKey(leaf.private, leaf.pem, [ROOT.der + b"", MIDDLE.pem, second.der])
    bundle = parse_bundle(write_bundle(PAYLOAD, signer.sign(pae(PAYLOAD)), signer.material()))

    assert isinstance(bundle.material, ChainMaterial)
    assert bundle.material.certificates == (leaf.der, second.der, MIDDLE.der, ROOT.der)
    assert identified("CN=signer", bundle) == "CN=signer"
    assert (signer.key_id, signer.predicate_type) == (leaf.private.key_id, OMS_PREDICATE)


def test_the_material_is_that_of_oms() -> None:
    """Base64 of DER, and an empty list of log entries."""
    material = CertifiedKey(LEAF.private, LEAF.der).material()

    assert json.loads(json.dumps(material)) == {
        "x509CertificateChain": {
            "certificates": [{"rawBytes": base64.b64encode(LEAF.der).decode()}]
        },
        "tlogEntries": [],
    }


def test_a_certified_key_is_read_from_files(tmp_path: Path) -> None:
    """The certificate's file may hold the chain behind it, and the key may be encrypted."""
    files = {name: tmp_path / name for name in ("key.pem", "full.pem", "leaf.pem", "middle.pem")}
    files["key.pem"].write_bytes(LEAF.private.to_pem(b"secret"))
    files["full.pem"].write_bytes(LEAF.pem + b"\n" + MIDDLE.pem)
    files["leaf.pem"].write_bytes(LEAF.pem)
    files["middle.pem"].write_bytes(MIDDLE.pem)
    for certificate, chain in (("full.pem", []), ("leaf.pem", [files["middle.pem"]])):
        signer = CertifiedKey.load(
            files["key.pem"], str(files[certificate]), chain, password=b"secret"
        )
        bundle = parse_bundle(write_bundle(PAYLOAD, signer.sign(pae(PAYLOAD)), signer.material()))
        assert identified("alice@example.com", bundle) == "alice@example.com"


def test_a_private_key_of_another_certificate_is_refused() -> None:
    """The mistake is told before anything is signed."""
    with pytest.raises(ConfigurationError, match="of another key than the private one"):
        CertifiedKey(MIDDLE.private, LEAF.der)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"purposes": ["serverAuth"]}, "ExtendedKeyUsage lacks codeSigning"),
        ({"usage": ["nonRepudiation"]}, "KeyUsage lacks digitalSignature"),
        ({"usage": None, "purposes": None}, "says nothing about its use"),
        ({"key": "ed25519"}, "use Ed25519 as a bare key"),
    ],
)
def test_a_leaf_that_no_verifier_would_accept_is_refused(
    changes: dict[str, Any], match: str
) -> None:
    """The message names the extension."""
    leaf = issue("CN=signer", ROOT, **changes)

    with pytest.raises(ConfigurationError, match=match):
        CertifiedKey(leaf.private, leaf.der)


def test_a_certificate_that_belongs_to_another_chain_is_refused() -> None:
    """Every certificate has to have issued one of the chain."""
    with pytest.raises(ConfigurationError, match="'CN=other' has issued nothing in the chain"):
        CertifiedKey(LEAF.private, LEAF.der, [MIDDLE.der, authority("CN=other").der])


def test_both_certificates_of_a_cross_signed_ca_belong_to_a_chain() -> None:
    """Each leads to another root."""
    twin = authority("CN=middle,O=Example", authority("CN=new"), key=MIDDLE.key)
    material = CertifiedKey(LEAF.private, LEAF.der, [MIDDLE.der, twin.der]).material()

    assert str(material).count("rawBytes") == 3


def test_a_chain_that_no_bundle_may_hold_is_refused() -> None:
    """Sixteen certificates are the most."""
    key = authority("CN=ca")
    clique = [authority("CN=ca", key, key=key.key).der for _ in range(16)]
    leaf = issue("CN=signer", key)

    with pytest.raises(ConfigurationError, match="longer than 16"):
        CertifiedKey(leaf.private, leaf.der, clique)


def test_wrong_arguments_are_the_callers_mistake() -> None:
    """Each is told apart from a refusal of a model."""
    wrong: list[tuple[Any, ...]] = [
        (5, LEAF.der),
        (LEAF.private, "leaf.pem"),
        (LEAF.private, b""),
        (LEAF.private, LEAF.der, MIDDLE.der),
        (LEAF.private, LEAF.der, None),
        (LEAF.private, LEAF.der, [5]),
        (LEAF.private, LEAF.der, [b"junk"]),
    ]
    for arguments in wrong:
        with pytest.raises(ConfigurationError):
            CertifiedKey(*arguments)


def test_files_that_are_none_are_the_callers_mistake(tmp_path: Path) -> None:
    """Missing, or not even a path, or a path where a list of them belongs."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    key.write_bytes(LEAF.key_pem)
    certificate.write_bytes(LEAF.pem)
    wrong: list[tuple[Any, ...]] = [
        (tmp_path / "none", certificate),
        (key, tmp_path / "none"),
        (5, certificate),
        (key, 5),
        (key, certificate, certificate),
        (key, certificate, [tmp_path]),
    ]
    for arguments in wrong:
        with pytest.raises(ConfigurationError):
            CertifiedKey.load(*arguments)


def test_the_private_key_shows_nowhere() -> None:
    """Neither the key nor its PEM is in the representation of the signer."""
    assert "PRIVATE" not in repr(CertifiedKey(LEAF.private, LEAF.der))
