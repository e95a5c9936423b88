"""OMS v1.0, sections 4.1 and 8.2: the certificate method."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from modelsec.errors import (
    BundleFormatError,
    ModelSecError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
)
from modelsec.signing import ANY_IDENTITY, OMS, TrustedRoots, Verifier
from tests.signing.conformance import spec_signer, spec_verifier
from tests.signing.conformance.pki import (
    EXPIRED,
    FUTURE,
    LONG,
    Chain,
    new_chain,
    sign_with,
    verify_with,
)
from tests.signing.conformance.workbench import Bench, adapter
from tests.support.certificates import Issued, authority, issue


@pytest.fixture(scope="module")
def chain() -> Chain:
    return new_chain()


def refused(
    bench: Bench, root: Issued, error: type[ModelSecError], match: str | None = None
) -> None:
    """The adapter and the library refuse the bundle, with this error."""
    assert verify_with(bench, root) == 1
    trust = TrustedRoots(root.pem, identity=ANY_IDENTITY)
    with pytest.raises(error, match=match):
        Verifier(trust, profile=OMS).verify(bench.model, bench.bundle)


def forge(bench: Bench, leaf: Issued, *others: Issued) -> None:
    """Have the oracle sign with a certificate."""
    key = bench.pair
    bench.pair = type(key)(leaf.key, key.private, key.public)
    bench.forge(
        material=spec_signer.by_chain(leaf.certificate, *(one.certificate for one in others))
    )


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_both_ways(bench: Bench, kind: str) -> None:
    """4.2, 8.2: certificates on the three curves MUST be supported; the oracle agrees."""
    made = new_chain(kind)
    assert sign_with(bench, made.leaf, made.intermediate, made.root) == 0
    assert verify_with(bench, made.root) == 0
    raw = bench.bundle.read_bytes()
    spec_verifier.verify(raw, bench.model, root=made.root.certificate)
    forge(bench, made.leaf, made.intermediate)
    assert verify_with(bench, made.root) == 0
    forge(bench, made.leaf, made.intermediate, made.root)
    assert verify_with(bench, made.root) == 0


def test_produced_material(bench: Bench, chain: Chain) -> None:
    """4.1: the leaf, followed by the CAs, each as base64 of DER, in ``x509CertificateChain``."""
    assert sign_with(bench, chain.leaf, chain.root, chain.intermediate) == 0
    material = bench.document()["verificationMaterial"]
    assert material.keys() <= {"x509CertificateChain", "tlogEntries"}
    found = [
        base64.b64decode(each["rawBytes"], validate=True)
        for each in material["x509CertificateChain"]["certificates"]
    ]
    assert found == [chain.leaf.der, chain.intermediate.der, chain.root.der]


@pytest.mark.parametrize("extra", [{}, {"tlogEntries": []}], ids=["absent", "empty"])
def test_log_entries_are_optional(bench: Bench, chain: Chain, extra: dict[str, Any]) -> None:
    """11.1: absent or empty ``tlogEntries`` MUST be accepted."""
    forge(bench, chain.leaf, chain.intermediate)
    document = bench.document()
    document["verificationMaterial"].update(extra)
    bench.bundle.write_text(json.dumps(document), "utf-8")
    assert verify_with(bench, chain.root) == 0


def test_leaf_directly_under_the_root(bench: Bench) -> None:
    """8.2: a chain of a leaf alone leads to the root that is supplied."""
    root = authority("CN=root", **LONG)
    leaf = issue("CN=release", root, **LONG)
    assert sign_with(bench, leaf) == 0
    assert verify_with(bench, root) == 0
    assert sign_with(bench, leaf, root) == 0
    assert verify_with(bench, root) == 0


def test_self_signed(bench: Bench) -> None:
    """8.2: a self-signed certificate passes where it is itself the one that is trusted."""
    alone = issue("CN=developer", **LONG)
    assert sign_with(bench, alone, alone) == 0
    assert verify_with(bench, alone) == 0
    assert verify_with(bench, issue("CN=developer", **LONG)) == 1


def test_leaf_that_is_named_like_its_issuer(bench: Bench) -> None:
    """8.2: subject equal to issuer does not make a root: the chain is followed all the same."""
    root = authority("CN=root", key="rsa2048", **LONG)
    middle = authority("CN=intermediate-ca", root, key="rsa2048", **LONG)
    leaf = issue("CN=intermediate-ca", middle, ca=True, key="p384", **LONG)
    assert sign_with(bench, leaf, middle, root) == 0
    assert verify_with(bench, root) == 0
    assert verify_with(bench, authority("CN=root", **LONG)) == 1


def test_another_root(bench: Bench, chain: Chain) -> None:
    """8.2: the chain MUST lead to the trusted root; one of the same name is another."""
    assert sign_with(bench, chain.leaf, chain.intermediate, chain.root) == 0
    refused(bench, authority("CN=root", **LONG), UntrustedSignerError, "root")


def test_missing_intermediate(bench: Bench, chain: Chain) -> None:
    """8.2: without the intermediate there is no chain; the verifier may bring it."""
    assert sign_with(bench, chain.leaf) == 0
    refused(bench, chain.root, UntrustedSignerError, "neither")
    assert verify_with(bench, chain.intermediate, chain.root) == 0


@pytest.mark.parametrize(("when", "word"), [(EXPIRED, "expired"), (FUTURE, "not valid before")])
def test_validity_of_the_leaf(bench: Bench, chain: Chain, when: Any, word: str) -> None:
    """8.2: the leaf MUST be within its validity period: now, not when it was issued."""
    leaf = issue("CN=release", chain.intermediate, **when)
    forge(bench, leaf, chain.intermediate)
    refused(bench, chain.root, UntrustedSignerError, word)
    with pytest.raises(spec_verifier.RefusedError):
        spec_verifier.verify(bench.bundle.read_bytes(), bench.model, root=chain.root.certificate)


@pytest.mark.parametrize("which", ["intermediate", "root"])
def test_validity_of_the_others(bench: Bench, which: str) -> None:
    """8.2: nor may a CA above it be expired."""
    root = authority("CN=root", **(EXPIRED if which == "root" else LONG))
    middle = authority("CN=middle", root, **(EXPIRED if which == "intermediate" else LONG))
    forge(bench, issue("CN=release", middle, **LONG), middle)
    refused(bench, root, UntrustedSignerError, "expired")


def test_leaf_that_may_not_sign(bench: Bench, chain: Chain) -> None:
    """8.2: a certificate for TLS servers is none for models."""
    forge(
        bench,
        issue("CN=www.example.com", chain.intermediate, purposes=("serverAuth",), **LONG),
        chain.intermediate,
    )
    refused(bench, chain.root, UntrustedSignerError, "codeSigning")


def test_leaf_as_issuer(bench: Bench, chain: Chain) -> None:
    """8.2: only CAs issue certificates."""
    forge(bench, issue("CN=mallory", chain.leaf, **LONG), chain.leaf, chain.intermediate)
    refused(bench, chain.root, UntrustedSignerError, "not a CA")


def test_signature_of_another_key(bench: Bench, chain: Chain) -> None:
    """8.2: the signature MUST be by the leaf's key."""
    bench.forge(
        material=spec_signer.by_chain(chain.leaf.certificate, chain.intermediate.certificate)
    )
    refused(bench, chain.root, SignatureMismatchError, "not by the key")


def test_leaf_first(bench: Bench, chain: Chain) -> None:
    """4.1: the leaf comes first: in another order it is not what signed."""
    bench.pair = type(bench.pair)(chain.leaf.key, bench.pair.private, bench.pair.public)
    bench.forge(
        material=spec_signer.by_chain(chain.intermediate.certificate, chain.leaf.certificate)
    )
    refused(bench, chain.root, UntrustedSignerError)


@pytest.mark.parametrize("more", [["root"], ["stranger"], ["root", "stranger", "leaf"]], ids=str)
def test_what_is_not_needed(bench: Bench, chain: Chain, more: list[str]) -> None:
    """8.2: certificates of the bundle that lead nowhere grant nothing and disturb nothing."""
    known = {
        "root": chain.root,
        "leaf": chain.leaf,
        "stranger": authority("CN=stranger", **LONG),
    }
    forge(bench, chain.leaf, *(known[name] for name in more), chain.intermediate)
    assert verify_with(bench, chain.root) == 0
    assert verify_with(bench, authority("CN=nobody", **LONG)) == 1


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"certificates": []},
        {"certificates": {}},
        {"certificates": [{}]},
        {"certificates": [{"rawBytes": ""}]},
        {"certificates": [{"rawBytes": "MA=="}]},
        {"certificates": [{"rawBytes": "%"}]},
        {"certificates": ["MA=="]},
        None,
        [],
    ],
    ids=str,
)
def test_wrong_chain(bench: Bench, chain: Chain, content: Any) -> None:
    """4.1: a chain is a list of at least one certificate in base64 of DER."""
    bench.forge(material={"x509CertificateChain": content})
    refused(bench, chain.root, BundleFormatError)


def test_pem_in_a_chain(bench: Bench, chain: Chain) -> None:
    """4.1: each certificate is DER, not PEM."""
    raw = base64.b64encode(chain.leaf.certificate.public_bytes(Encoding.PEM)).decode()
    bench.forge(material={"x509CertificateChain": {"certificates": [{"rawBytes": raw}]}})
    refused(bench, chain.root, BundleFormatError, "certificate")


def test_field_and_method(bench: Bench, chain: Chain) -> None:
    """4.1, 11.1: verifiers MUST match the field to the method, each with each other."""
    assert bench.sign() == 0
    refused(bench, chain.root, UnsupportedBundleError, "certificate")
    keyless: tuple[Any, ...] = (
        "verify-model",
        "--method",
        "sigstore",
        "--model-path",
        bench.model,
    )
    keyless += ("--bundle", bench.bundle, "--identity", "a@b.c")
    assert adapter(*keyless, "--identity-provider", "https://example.com") == 1
    assert sign_with(bench, chain.leaf, chain.intermediate) == 0
    assert bench.verify() == 1
    assert adapter(*keyless, "--identity-provider", "https://example.com") == 1
    der = base64.b64encode(chain.leaf.der).decode()
    bench.forge(material={"certificate": {"rawBytes": der}, "tlogEntries": [{}]})
    refused(bench, chain.root, UnsupportedBundleError, "chain")
    assert bench.verify() == 1


@pytest.mark.parametrize("change", ["added", "removed", "changed"])
def test_changed_models(bench: Bench, chain: Chain, change: str) -> None:
    """8.4: a good chain says nothing for another model."""
    assert sign_with(bench, chain.leaf, chain.intermediate) == 0
    if change == "removed":
        (bench.model / "config.json").unlink()
    else:
        bench.put("config.json" if change == "changed" else "new", b"x")
    assert verify_with(bench, chain.root) == 1
    allowed = verify_with(bench, chain.root, more=["--ignore-unsigned-files"])
    assert allowed == (0 if change == "added" else 1)
