"""Which chains lead from a leaf to a supplied certificate, and which do not."""

import warnings
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from modelsec.errors import BundleFormatError, UntrustedSignerError
from modelsec.signing.bundles.bundle import Bundle
from modelsec.signing.trust import Signatory
from modelsec.signing.x509.certificates import ANY_IDENTITY, TrustedRoots
from tests.support.certificates import (
    NOW,
    RSA_MD5,
    RSA_SHA1,
    Issued,
    authority,
    edited,
    issue,
    new_key,
    signed,
    signed_with,
)

ROOT = authority("CN=root")
MIDDLE = authority("CN=middle", ROOT)
LEAF = issue("CN=signer", MIDDLE)


def judged(bundle: Bundle, *roots: Issued, now: datetime = NOW) -> Signatory:
    """Judge a bundle against roots, the only root by default."""
    trust = TrustedRoots([each.der for each in roots or (ROOT,)], identity=ANY_IDENTITY)
    return trust.authenticate(bundle, now=now)


def refused(bundle: Bundle, *roots: Issued, match: str, now: datetime = NOW) -> None:
    """Check that a bundle is refused with a reason."""
    with pytest.raises(UntrustedSignerError, match=match):
        judged(bundle, *roots, now=now)


def test_a_chain_over_an_intermediate_leads_to_the_root() -> None:
    """Leaf, intermediate and root: the issuer that is reported is the root."""
    found = judged(signed(LEAF, MIDDLE))

    assert (found.method, found.issuer, found.identity) == ("certificate", "CN=root", "CN=signer")
    assert (found.algorithm, found.compatibility) == ("ecdsa-p256-sha256", False)
    assert found.key_id == LEAF.private.key_id


def test_a_leaf_directly_under_the_root_needs_no_chain() -> None:
    """A bundle with the leaf alone is enough."""
    assert judged(signed(issue("CN=signer", ROOT))).issuer == "CN=root"


def test_the_root_in_the_bundle_does_no_harm() -> None:
    """A bundle may repeat the supplied root."""
    assert judged(signed(LEAF, MIDDLE, ROOT)).issuer == "CN=root"


def test_an_intermediate_can_be_what_is_trusted() -> None:
    """The anchor is what was supplied: nobody asks who issued it."""
    assert judged(signed(LEAF), MIDDLE).issuer == "CN=middle"


def test_a_self_signed_leaf_passes_when_it_is_the_supplied_certificate() -> None:
    """It needs neither CA:TRUE nor keyCertSign, because it issues nothing."""
    leaf = issue("CN=alone")

    assert judged(signed(leaf), leaf).issuer == "CN=alone"


def test_a_self_signed_leaf_is_nobody_elsewhere() -> None:
    """Its own word is worth nothing."""
    refused(signed(issue("CN=alone")), match="neither supplied as a root nor in the bundle")


def test_another_certificate_of_the_supplied_leafs_name_and_key_is_not_it() -> None:
    """Only the very same bytes are the supplied certificate."""
    leaf = issue("CN=alone")
    twin = issue("CN=alone", key=leaf.key)

    refused(signed(twin), leaf, match="is not a CA")


def test_the_rules_of_a_leaf_hold_for_a_supplied_one() -> None:
    """A TLS certificate does not sign models, even when it was supplied."""
    leaf = issue("CN=www", purposes=["serverAuth"])

    refused(signed(leaf), leaf, match="lacks codeSigning")


def test_a_leaf_may_bear_the_name_of_its_issuer() -> None:
    """That subject and issuer are equal does not make it a root; CA:TRUE does it no harm."""
    root = authority("CN=ca", key="rsa2048")
    leaf = issue("CN=ca", root, ca=True)

    assert judged(signed(leaf, root), root).identity == "CN=ca"
    refused(signed(leaf, root), match="neither supplied")


@pytest.mark.parametrize("kind", ["rsa2048", "p384", "p521", "ed25519"])
def test_authorities_may_have_other_keys_than_leaves(kind: str) -> None:
    """RSA from 2048 bits, the three curves and Ed25519 issue certificates."""
    root = authority("CN=ca", key=kind)

    assert judged(signed(issue("CN=signer", root)), root).issuer == "CN=ca"


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("p384", "ecdsa-p384-sha384"), ("p521", "ecdsa-p521-sha512")]
)
def test_leaves_may_use_the_larger_curves(kind: str, algorithm: str) -> None:
    """Each with its own hash, as OMS pairs them."""
    assert judged(signed(issue("CN=signer", ROOT, key=kind))).algorithm == algorithm


def test_the_order_of_a_chain_does_not_matter_behind_the_leaf() -> None:
    """Certificates are found by name and signature."""
    second = authority("CN=second", MIDDLE)
    leaf = issue("CN=signer", second)

    assert judged(signed(leaf, MIDDLE, ROOT, second, MIDDLE, second)).issuer == "CN=root"


def test_certificates_that_are_not_needed_are_ignored() -> None:
    """A bundle may carry what other verifiers want, even expired."""
    other = authority("CN=other", until=NOW - timedelta(days=1))

    assert judged(signed(LEAF, other, MIDDLE)).issuer == "CN=root"


def test_several_roots_of_one_name_are_all_tried() -> None:
    """A root that was replaced under its old name works beside the old one."""
    assert judged(signed(LEAF, MIDDLE), authority("CN=root"), ROOT).issuer == "CN=root"


def test_a_cross_signed_intermediate_is_found_under_either_root() -> None:
    """One key, two certificates for it: the one whose root is supplied counts."""
    new_root = authority("CN=new root")
    other = authority("CN=middle", new_root, key=MIDDLE.key)

    assert judged(signed(LEAF, other, MIDDLE), ROOT).issuer == "CN=root"
    assert judged(signed(LEAF, other, MIDDLE), new_root).issuer == "CN=new root"


def test_another_ca_is_not_trusted() -> None:
    """A chain that is right in itself leads nowhere."""
    other = authority("CN=other")

    refused(signed(issue("CN=signer", other)), match="neither supplied as a root nor in the bundle")


def test_a_root_inside_the_bundle_is_not_trusted() -> None:
    """What comes with the bundle vouches for nothing."""
    evil = authority("CN=evil")

    refused(signed(issue("CN=signer", evil), evil), match="no chain leads")


def test_a_root_of_the_right_name_inside_the_bundle_is_not_trusted() -> None:
    """Names prove nothing, keys do."""
    evil = authority("CN=root")

    refused(signed(issue("CN=signer", evil), evil), match="not signed by the key of 'CN=root'")


def test_a_missing_intermediate_is_named() -> None:
    """The reason says whose certificate is missing."""
    refused(signed(LEAF), match="issued by 'CN=middle', which is neither supplied")


@pytest.mark.parametrize("ca", [None, False])
def test_an_intermediate_that_is_no_ca_is_refused(ca: bool | None) -> None:  # noqa: FBT001
    """A signer cannot make further signers."""
    middle = issue("CN=middle", ROOT, usage=["keyCertSign"], purposes=None, ca=ca)

    refused(signed(issue("CN=signer", middle), middle), match="'CN=middle' is not a CA")


def test_a_root_that_is_no_ca_is_refused() -> None:
    """Supplying a signer's certificate trusts it, and nobody whom it names."""
    root = issue("CN=signer")

    refused(signed(issue("CN=other", root)), root, match="'CN=signer' is not a CA")


def test_an_issuer_needs_key_cert_sign_if_it_has_key_usage() -> None:
    """CA:TRUE alone is not enough where KeyUsage says otherwise."""
    middle = authority("CN=middle", ROOT, usage=["digitalSignature"])

    refused(signed(issue("CN=signer", middle), middle), match="lacks keyCertSign")


def test_an_issuer_without_key_usage_may_issue() -> None:
    """KeyUsage is judged if it is there."""
    root = authority("CN=ca", usage=None)

    assert judged(signed(issue("CN=signer", root)), root).issuer == "CN=ca"


def test_an_issuer_for_tls_only_is_refused() -> None:
    """ExtendedKeyUsage of a CA limits what is below it."""
    middle = authority("CN=middle", ROOT, purposes=["serverAuth"])

    refused(signed(issue("CN=signer", middle), middle), match="'CN=middle' is not for code signing")


@pytest.mark.parametrize("purpose", ["codeSigning", "any"])
def test_an_issuer_for_code_or_for_anything_is_accepted(purpose: str) -> None:
    """Of a CA, anyExtendedKeyUsage sets no limit."""
    middle = authority("CN=middle", ROOT, purposes=[purpose])

    assert judged(signed(issue("CN=signer", middle), middle)).issuer == "CN=root"


def test_a_path_length_of_zero_permits_leaves_only() -> None:
    """One CA below it is one too many."""
    root = authority("CN=ca", path_length=0)
    middle = authority("CN=middle", root)

    assert judged(signed(issue("CN=signer", root)), root).issuer == "CN=ca"
    refused(signed(issue("CN=signer", middle), middle), root, match="permits 0 CAs below it")


def test_a_path_length_counts_every_ca_below() -> None:
    """One is permitted, two are there; the one in the middle has its own limit."""
    root = authority("CN=ca", path_length=1)
    first = authority("CN=first", root, path_length=5)
    second = authority("CN=second", first)

    assert judged(signed(issue("CN=signer", first), first), root).issuer == "CN=ca"
    refused(
        signed(issue("CN=signer", second), first, second),
        root,
        match="permits 1 CAs .* there are 2",
    )


def test_a_self_issued_ca_counts_against_a_path_length() -> None:
    """Stricter than RFC 5280: a CA cannot lengthen its path by naming another one like itself."""
    root = authority("CN=ca", path_length=0)
    same_name = authority("CN=ca", root)

    refused(signed(issue("CN=signer", same_name), same_name), root, match="permits 0 CAs")


def test_eight_certificates_are_a_chain_and_nine_are_not() -> None:
    """The leaf and the root are counted."""
    path = [ROOT]
    for number in range(7):
        path.append(authority(f"CN=ca {number}", path[-1]))
    eight, nine = issue("CN=signer", path[6]), issue("CN=signer", path[7])

    assert judged(signed(eight, *path[1:7])).issuer == "CN=root"
    refused(signed(nine, *path[1:8]), match="longer than 8 certificates")


@pytest.mark.parametrize("place", ["leaf", "middle", "root"])
def test_every_element_has_to_be_valid_now(place: str) -> None:
    """Expired 300 days ago: the reason names the dates and the way to another time."""
    gone: dict[str, Any] = {"until": NOW - timedelta(days=300), "since": NOW - timedelta(days=400)}
    root = authority("CN=ca", **(gone if place == "root" else {}))
    middle = authority("CN=middle", root, **(gone if place == "middle" else {}))
    leaf = issue("CN=signer", middle, **(gone if place == "leaf" else {}))

    refused(signed(leaf, middle), root, match="expired on 2025-08-05T12:00:00Z.* give .* a clock")


@pytest.mark.parametrize("place", ["leaf", "middle", "root"])
def test_no_element_may_be_of_the_future(place: str) -> None:
    """Not valid yet is not valid."""
    later: dict[str, Any] = {"since": NOW + timedelta(days=1)}
    root = authority("CN=ca", **(later if place == "root" else {}))
    middle = authority("CN=middle", root, **(later if place == "middle" else {}))
    leaf = issue("CN=signer", middle, **(later if place == "leaf" else {}))

    refused(signed(leaf, middle), root, match="not valid before 2026-06-02T12:00:00Z")


def test_the_first_and_the_last_moment_of_validity_count() -> None:
    """Both ends belong to the validity (RFC 5280, 4.1.2.5)."""
    leaf = issue("CN=signer", ROOT, since=NOW, until=NOW + timedelta(hours=1))

    assert judged(signed(leaf)).issuer == "CN=root"
    assert judged(signed(leaf), now=NOW + timedelta(hours=1)).issuer == "CN=root"
    refused(signed(leaf), match="expired", now=NOW + timedelta(hours=1, seconds=1))


def test_a_valid_twin_of_an_expired_intermediate_is_found() -> None:
    """A renewed intermediate works beside the old one."""
    old = authority("CN=middle", ROOT, key=MIDDLE.key, until=NOW - timedelta(days=1))

    assert judged(signed(LEAF, old, MIDDLE)).issuer == "CN=root"


def test_an_unknown_critical_extension_is_refused() -> None:
    """Critical means: refuse what you do not understand, in every element."""
    odd = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    middle = authority("CN=middle", ROOT, more=odd)

    refused(signed(issue("CN=signer", ROOT, more=odd)), match="critical extensions.*1.2.3.4")
    refused(signed(issue("CN=signer", middle), middle), match="critical extensions.*1.2.3.4")


def test_an_unknown_extension_that_is_not_critical_does_no_harm() -> None:
    """It may be ignored, and is."""
    odd = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)]

    assert judged(signed(issue("CN=signer", ROOT, more=odd))).issuer == "CN=root"


@pytest.mark.parametrize("critical", [True, False])
def test_an_issuer_with_name_constraints_is_refused(critical: bool) -> None:  # noqa: FBT001
    """They are not enforced here; to ignore them would be to widen what a CA may do."""
    limit = x509.NameConstraints([x509.DNSName("example.com")], None)
    middle = authority("CN=middle", ROOT, more=[(limit, critical)])

    refused(signed(issue("CN=signer", middle), middle), match="name constraints")


def test_a_sha1_signature_is_refused() -> None:
    """A certificate signed over SHA-1 can have a twin with other contents."""
    root = authority("CN=ca", key="rsa2048")
    leaf = issue("CN=signer", root)
    der = signed_with(leaf, root, RSA_SHA1, hashes.SHA1())  # noqa: S303 - it has to be refused
    old = Issued(x509.load_der_x509_certificate(der), leaf.key)

    refused(signed(old), root, match="signed with sha1, which is broken")


def test_an_md5_signature_is_refused() -> None:
    """As SHA-1, only worse."""
    root = authority("CN=ca", key="rsa2048")
    leaf = issue("CN=signer", root)
    der = signed_with(leaf, root, RSA_MD5, hashes.MD5())  # noqa: S303 - it has to be refused
    old = Issued(x509.load_der_x509_certificate(der), leaf.key)

    refused(signed(old), root, match="signed with md5, which is broken")


@pytest.mark.parametrize("kind", ["rsa1024", "k1"])
def test_an_issuer_with_a_weak_or_unknown_key_is_refused(kind: str) -> None:
    """RSA of 1024 bits can be factored; secp256k1 is not in the OMS registry."""
    root = authority("CN=ca", key=kind)

    refused(signed(issue("CN=signer", root)), root, match="too weak or not supported")


def test_cross_signed_loops_end() -> None:
    """Two CAs that certify each other, many times over, are walked within a bound."""
    one, two = authority("CN=one"), authority("CN=two")
    ones = [authority("CN=one", two, key=one.key) for _ in range(7)]
    twos = [authority("CN=two", one, key=two.key) for _ in range(7)]

    refused(signed(issue("CN=signer", one), *ones, *twos), match="within 64 signatures")


def test_many_certificates_with_one_key_and_name_end() -> None:
    """A clique of self-issued CAs has more paths than anybody can walk."""
    key = new_key()
    clique = [authority("CN=ca", key=key) for _ in range(15)]

    refused(signed(issue("CN=signer", clique[0]), *clique), match="within 64 signatures")


def test_a_version_1_certificate_is_no_issuer() -> None:
    """Without extensions nothing says that it is a CA."""
    first = issue("CN=old", ROOT, usage=None, purposes=None)
    old = edited(first, lambda body: body.removeprefix(bytes.fromhex("a003020102")), ROOT)
    leaf = issue("CN=signer", first)

    assert x509.load_der_x509_certificate(old).version is x509.Version.v1
    refused(signed(leaf, old), match="'CN=old' is not a CA")


def test_a_version_1_leaf_is_refused() -> None:
    """Nothing says that it may sign."""
    first = issue("CN=old", ROOT, usage=None, purposes=None)
    old = edited(first, lambda body: body.removeprefix(bytes.fromhex("a003020102")), ROOT)
    leaf = Issued(x509.load_der_x509_certificate(old), first.key)

    refused(signed(leaf), match="says nothing about its use")


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("serial", ["0203fa7a7a", "020100", "0203000000"])
def test_serial_numbers_that_are_not_positive_are_refused(serial: str, action: Any) -> None:
    """Negative, zero, or not even DER: refused, whether or not warnings are errors."""
    leaf = issue("CN=signer", ROOT, serial=0x7A7A7A)
    old, new = bytes.fromhex("02037a7a7a"), bytes.fromhex(serial)
    odd = edited(leaf, lambda body: body.replace(old, new, 1), ROOT)

    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(BundleFormatError, match="certificate"):
            judged(signed(LEAF, MIDDLE, odd))
