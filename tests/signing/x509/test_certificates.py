"""Roots that are trusted, the certificates that they vouch for, and what those signed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    VerificationError,
)
from modelsec.signing.bundles.bundle import (
    Bundle,
    ChainMaterial,
    KeylessMaterial,
    KeyMaterial,
    pae,
    parse_bundle,
)
from modelsec.signing.keys import PrivateKey
from modelsec.signing.trust import Signer, Trust
from modelsec.signing.x509.certificates import ANY_IDENTITY, CertifiedKey, TrustedRoots
from tests.signing.x509.samples import BUNDLE, LEAF, MIDDLE, ROOT, identified
from tests.support.certificates import (
    EC_KEY,
    ECDSA_SHA256,
    NOW,
    PAYLOAD,
    authority,
    element,
    issue,
    signed,
)

# What the leaf has to be


def rejected(match: str, **changes: Any) -> None:
    """Check that a leaf is refused, although its chain is right."""
    leaf = issue("CN=signer", ROOT, **changes)
    with pytest.raises(UntrustedSignerError, match=match):
        identified(ANY_IDENTITY, signed(leaf))


def test_a_tls_server_certificate_does_not_sign_models() -> None:
    """That it may make digital signatures is not enough, nor is codeSigning among CAs only."""
    rejected("lacks codeSigning", purposes=["serverAuth"])
    rejected("lacks codeSigning", purposes=["serverAuth"], usage=None)


def test_any_extended_key_usage_is_not_code_signing() -> None:
    """A leaf for everything is a leaf for nothing in particular."""
    rejected("lacks codeSigning", purposes=["any"])


def test_a_leaf_that_says_nothing_about_its_use_is_refused() -> None:
    """Neither KeyUsage nor ExtendedKeyUsage: nobody issued it for this."""
    rejected("says nothing about its use", usage=None, purposes=None)


def test_a_leaf_whose_key_is_not_for_signatures_is_refused() -> None:
    """KeyUsage is there and does not have digitalSignature."""
    rejected("lacks digitalSignature", usage=["nonRepudiation"])
    rejected("lacks digitalSignature", usage=["keyCertSign"], ca=True)


@pytest.mark.parametrize(
    "changes", [{"purposes": None}, {"usage": None}, {"purposes": ["serverAuth", "codeSigning"]}]
)
def test_one_of_the_two_extensions_is_enough(changes: dict[str, Any]) -> None:
    """KeyUsage with digitalSignature, or ExtendedKeyUsage with codeSigning."""
    assert identified("CN=signer", signed(issue("CN=signer", ROOT, **changes))) == "CN=signer"


@pytest.mark.parametrize(
    ("kind", "shown"), [("ed25519", "ed25519"), ("rsa2048", "rsa-2048"), ("k1", "unknown")]
)
def test_a_leaf_with_a_key_outside_the_registry_is_not_supported(kind: str, shown: str) -> None:
    """OMS knows certificates of three curves."""
    leaf = issue("CN=signer", ROOT, key=kind)

    with pytest.raises(UnsupportedBundleError, match=f"of the kind {shown}"):
        identified(ANY_IDENTITY, signed(leaf, signature=b"\x30\x00"))


# What was signed


def test_an_edited_payload_is_refused() -> None:
    """The signature covers every byte of the statement."""
    with pytest.raises(SignatureMismatchError, match="changed or replaced"):
        identified("alice@example.com", replace(BUNDLE, payload=PAYLOAD + b" "))


@pytest.mark.parametrize("signature", [b"", b"x", b"\x30\x00", bytes(72), b"\x30" + bytes(5000)])
def test_a_signature_that_is_none_is_refused(signature: bytes) -> None:
    """Whatever its form."""
    with pytest.raises(SignatureMismatchError):
        identified("alice@example.com", replace(BUNDLE, signature=signature))


def test_a_signature_by_another_certified_key_is_refused() -> None:
    """The leaf that comes first is the one that has to have signed."""
    other = issue("CN=other", MIDDLE)

    with pytest.raises(SignatureMismatchError):
        identified("alice@example.com", signed(LEAF, MIDDLE, signature=signed(other).signature))


def test_a_signature_with_the_issuers_key_is_refused() -> None:
    """A CA certifies signers; it does not sign in their name."""
    forged = PrivateKey(MIDDLE.key).sign(pae(PAYLOAD))

    with pytest.raises(SignatureMismatchError):
        identified("alice@example.com", signed(LEAF, MIDDLE, signature=forged))


# What a bundle may hold


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"junk",
        LEAF.der[:-1],
        LEAF.der[: len(LEAF.der) // 2],
        LEAF.der + b"\x00",
        LEAF.pem,
        element(0x30, bytes(60_000)),
        element(0x30, bytes(70_000)),
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80" * 10_000,
    ],
)
def test_a_certificate_that_cannot_be_read_is_a_format_error(junk: bytes) -> None:
    """Garbage, cut off, with a tail, PEM, huge, nested: as the leaf or behind it."""
    for certificates in ((junk, MIDDLE.der), (LEAF.der, junk)):
        with pytest.raises(BundleFormatError, match="certificate"):
            identified("CN=x", replace(BUNDLE, material=ChainMaterial(certificates)))


def test_a_certificate_of_more_than_64_kilobytes_is_not_read() -> None:
    """It may be right in all its parts: reading it costs time before anything is proven."""
    names = [("dns", f"{number}.example.com") for number in range(4_000)]
    huge = issue("CN=signer", ROOT, names=names)

    with pytest.raises(BundleFormatError, match="is longer than 65536"):
        identified("CN=signer", signed(huge))


@pytest.mark.parametrize("count", [0, 17, 10_000])
def test_a_chain_has_one_to_sixteen_certificates(count: int) -> None:
    """Nobody needs more, and each costs time to read."""
    with pytest.raises(BundleFormatError, match=f"a chain of {count} certificates"):
        identified("CN=x", replace(BUNDLE, material=ChainMaterial((LEAF.der,) * count)))


@pytest.mark.parametrize("material", [KeyMaterial(), KeylessMaterial(LEAF.der)])
def test_a_bundle_of_another_method_is_not_supported(material: Any) -> None:
    """A keyless certificate is no chain, even when its bytes would do."""
    with pytest.raises(UnsupportedBundleError, match="not signed with a certificate chain"):
        identified("CN=x", replace(BUNDLE, material=material))


@given(
    place=st.sampled_from(["leaf", "middle"]),
    at=st.integers(0, 10_000),
    flip=st.integers(1, 255),
)
def test_no_changed_byte_of_a_certificate_passes(place: str, at: int, flip: int) -> None:
    """Every change of a certificate is refused, and by one of our errors."""
    whole = {"leaf": LEAF.der, "middle": MIDDLE.der}
    damaged = bytearray(whole[place])
    damaged[at % len(damaged)] ^= flip
    whole[place] = bytes(damaged)
    bundle = replace(BUNDLE, material=ChainMaterial((whole["leaf"], whole["middle"])))

    with pytest.raises(VerificationError):
        identified(ANY_IDENTITY, bundle)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_certificates(data: bytes) -> None:
    """As roots they are a mistake of the caller, in a bundle a format error."""
    with pytest.raises(ConfigurationError):
        TrustedRoots(data)
    with pytest.raises(BundleFormatError):
        identified("CN=x", replace(BUNDLE, material=ChainMaterial((data,))))


def test_an_extension_that_cryptography_does_not_read_is_no_foreign_error() -> None:
    """A legal certificate with an X.400 address, in the leaf or behind it."""
    san = x509.ObjectIdentifier("2.5.29.17")
    address = x509.UnrecognizedExtension(san, element(0x30, element(0xA3, b"")))
    odd = issue("CN=odd", ROOT, more=[(address, False)])

    for bundle in (signed(odd), signed(LEAF, MIDDLE, odd)):
        with pytest.raises(BundleFormatError, match="cannot be read"):
            identified(ANY_IDENTITY, bundle)


@pytest.mark.parametrize(
    ("known", "unknown"),
    [(ECDSA_SHA256, "300a06082a8648ce3d04037f"), (EC_KEY, "06072a8648ce3d027f")],
)
def test_an_algorithm_that_nobody_knows_is_refused(known: bytes, unknown: str) -> None:
    """Of the signature or of the key, in the leaf or above it: never a foreign error."""
    for place in (LEAF, MIDDLE):
        odd = place.der.replace(known, bytes.fromhex(unknown))
        assert odd != place.der
        chain = (odd, MIDDLE.der) if place is LEAF else (LEAF.der, odd)
        with pytest.raises(VerificationError, match=r"not supported|of the kind unknown"):
            identified(ANY_IDENTITY, replace(BUNDLE, material=ChainMaterial(chain)))


# The supplied roots


def test_roots_are_bytes_or_paths_one_or_several(tmp_path: Path) -> None:
    """PEM with text and several certificates, DER, and paths of either."""
    other = authority("CN=other")
    text = b"Root of the example\n" + other.pem + b"# and the next\r\n" + ROOT.pem
    pem, der = tmp_path / "roots.pem", tmp_path / "root.der"
    pem.write_bytes(text)
    der.write_bytes(ROOT.der)

    sources: list[Any] = [
        text,
        ROOT.der,
        pem,
        str(pem),
        der,
        [other.der, pem],
        (other.pem, ROOT.pem),
    ]
    for roots in sources:
        trust = TrustedRoots(roots, identity="alice@example.com")
        assert trust.authenticate(BUNDLE, now=NOW).issuer == "CN=root,O=Example"


@pytest.mark.parametrize("roots", [[], (), None, 5, {}, {"a"}, object()])
def test_there_are_no_default_roots(roots: Any) -> None:
    """Nothing supplied is nobody trusted, which is a mistake."""
    with pytest.raises(ConfigurationError, match="no default set of roots"):
        TrustedRoots(roots)


@pytest.mark.parametrize(
    ("root", "match"),
    [
        (b"", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n", "cannot be read"),
        (ROOT.key_pem, "cannot be read"),
        (ROOT.pem + MIDDLE.pem[:-60], "2 certificates begin, but only 1 can be read"),
        (ROOT.pem.decode(), "pass it as bytes"),
        ("no-such-file.pem", "cannot open"),
        ("nul\x00byte", "cannot open"),
        (5, "bytes or a path"),
        (None, "bytes or a path"),
    ],
)
def test_a_root_that_cannot_be_read_is_the_callers_mistake(root: Any, match: str) -> None:
    """A broken file does not make a smaller set of roots."""
    with pytest.raises(ConfigurationError, match=match):
        TrustedRoots([root, ROOT.der])


def test_a_folder_or_a_huge_file_is_no_root(tmp_path: Path) -> None:
    """Nothing is read without bound."""
    (tmp_path / "huge").write_bytes(bytes(8 * 1024 * 1024 + 1))

    with pytest.raises(ConfigurationError, match="it is a folder"):
        TrustedRoots(tmp_path)
    with pytest.raises(ConfigurationError, match="no file of certificates"):
        TrustedRoots(tmp_path / "huge")


@pytest.mark.parametrize("now", [datetime(2026, 6, 1), "2026-06-01", None, 5])  # noqa: DTZ001
def test_the_verification_time_needs_a_time_zone(now: Any) -> None:
    """A naive time would be another one on every machine."""
    with pytest.raises(ConfigurationError, match="with a time zone"):
        TrustedRoots(ROOT.der).authenticate(BUNDLE, now=now)


def test_the_verification_time_may_be_of_any_time_zone() -> None:
    """It is the moment that counts; one outside the calendar is refused."""
    trust = TrustedRoots(ROOT.der, identity="alice@example.com")
    east = timezone(timedelta(hours=14))

    assert trust.authenticate(BUNDLE, now=NOW.astimezone(east)).method == "certificate"
    with pytest.raises(ConfigurationError, match="with a time zone"):
        trust.authenticate(BUNDLE, now=datetime.min.replace(tzinfo=east))


def test_both_classes_keep_the_protocols() -> None:
    """A verifier takes the one, a signer the other."""
    assert isinstance(TrustedRoots(ROOT.der), Trust)
    assert isinstance(CertifiedKey(LEAF.private, LEAF.der), Signer)


# What others have signed

RELEASES = ("v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
IN_VALIDITY = datetime(2026, 11, 1, tzinfo=UTC)


def historical(shared_data: Path, release: str) -> Bundle:
    """Return the certificate bundle of a release of the reference implementation."""
    folder = shared_data / "oms" / "signed" / f"{release}-certificate"
    return parse_bundle((folder / "model.sig").read_bytes())


def supplied(shared_data: Path, name: str, identity: Any = "CN=intermediate-ca") -> TrustedRoots:
    """Trust a certificate of the reference implementation's tests."""
    path = shared_data / "oms" / "signed" / "keys" / "certificate" / f"{name}.pem"
    return TrustedRoots(path, identity=identity)


@pytest.mark.parametrize("root", ["ca-cert", "int-ca-cert", "signing-key-cert"])
@pytest.mark.parametrize("release", RELEASES)
def test_historical_bundles_are_verified(shared_data: Path, release: str, root: str) -> None:
    """Under the root, the intermediate, or the leaf itself, whose subject is its issuer's name."""
    found = supplied(shared_data, root).authenticate(
        historical(shared_data, release), now=IN_VALIDITY
    )

    assert found.identity == "CN=intermediate-ca"
    assert found.algorithm == "ecdsa-p384-sha384"
    assert not found.compatibility


def test_the_oldest_bundle_needs_the_encoding_of_its_time(shared_data: Path) -> None:
    """OMS 0.2.0 signed a text; only who asks for that accepts it, and the result says so."""
    bundle = historical(shared_data, "v0.2.0")
    trust = supplied(shared_data, "ca-cert")

    assert trust.authenticate(bundle, now=IN_VALIDITY, legacy=True).compatibility
    with pytest.raises(SignatureMismatchError):
        trust.authenticate(bundle, now=IN_VALIDITY)


@pytest.mark.parametrize("release", RELEASES)
def test_historical_bundles_expire(shared_data: Path, release: str) -> None:
    """Their certificates end in April 2035; the reference never notices."""
    bundle = historical(shared_data, release)

    for now in (datetime(2036, 2, 24, tzinfo=UTC), datetime(2025, 5, 2, tzinfo=UTC)):
        with pytest.raises(UntrustedSignerError, match=r"2035-04-30|2025-05-02"):
            supplied(shared_data, "ca-cert").authenticate(bundle, now=now)


def test_a_historical_bundle_of_another_identity_is_refused(shared_data: Path) -> None:
    """The name of the root is not that of the signer."""
    with pytest.raises(UntrustedSignerError, match="another signer"):
        supplied(shared_data, "ca-cert", "CN=root-ca").authenticate(
            historical(shared_data, "v1.1.0"), now=IN_VALIDITY
        )
