"""Which identities a certificate carries, and which are meant."""

from typing import Any

import pytest

from modelsec.errors import (
    ConfigurationError,
    UntrustedSignerError,
)
from modelsec.signing.x509.certificates import ANY_IDENTITY, TrustedRoots
from tests.signing.x509.samples import BUNDLE, ROOT, identified
from tests.support.certificates import NOW, issue, signed


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ("CN=signer,O=Example,C=GB", "CN=signer,O=Example,C=GB"),
        ("subject:CN=signer,O=Example,C=GB", "CN=signer,O=Example,C=GB"),
        ("alice@example.com", "alice@example.com"),
        ("email:alice@example.com", "alice@example.com"),
        ("build.example.com", "build.example.com"),
        ("dns:build.example.com", "build.example.com"),
        ("https://ci.example.com/release?ref=main", "https://ci.example.com/release?ref=main"),
        ("uri:https://ci.example.com/release?ref=main", "https://ci.example.com/release?ref=main"),
        (["email:bob@example.com", "email:alice@example.com"], "alice@example.com"),
    ],
)
def test_an_identity_is_the_subject_or_a_name(identity: Any, found: str) -> None:
    """Bare or with its kind in front, one or several: the one that was found is reported."""
    assert identified(identity) == found


@pytest.mark.parametrize(
    "identity",
    [
        "CN=signer",
        "CN=signer,O=Example",
        "C=GB,O=Example,CN=signer",
        "CN=Signer,O=Example,C=GB",
        "CN=signer, O=Example, C=GB",
        "signer",
        "alice@example.org",
        "Alice@example.com",
        "email:build.example.com",
        "dns:alice@example.com",
        "uri:alice@example.com",
        "subject:alice@example.com",
        "example.com",
        "*.example.com",
        "https://ci.example.com/release",
        "email: alice@example.com",
        "alice@example.com\n",
        ["email:bob@example.com", "email:carol@example.com"],
    ],
)
def test_an_identity_is_compared_exactly(identity: Any) -> None:
    """No part, no pattern, no other case, order or kind."""
    with pytest.raises(UntrustedSignerError, match="it is another signer"):
        identified(identity)


def test_a_name_that_looks_like_a_subject_is_not_one() -> None:
    """Who may choose a DNS name or an email address cannot choose to be a subject by it."""
    posing = [("dns", "CN=release"), ("email", "CN=release"), ("uri", "CN=release")]
    leaf = issue("CN=mallory", ROOT, names=posing)

    with pytest.raises(UntrustedSignerError):
        identified("CN=release", signed(leaf))


def test_a_subject_that_looks_like_a_name_is_not_one() -> None:
    """Nor can a subject pass for an email address."""
    leaf = issue("CN=alice@example.com", ROOT)

    with pytest.raises(UntrustedSignerError):
        identified("alice@example.com", signed(leaf))


def test_an_address_with_an_equals_sign_is_found_by_its_kind() -> None:
    """A kind in front says what is meant where the form would mislead."""
    leaf = issue("CN=x", ROOT, names=[("email", "a=b@example.com")])

    assert identified("email:a=b@example.com", signed(leaf)) == "a=b@example.com"
    with pytest.raises(UntrustedSignerError):
        identified("a=b@example.com", signed(leaf))


def test_a_certificate_without_subject_is_identified_by_its_names() -> None:
    """As Sigstore's are: the subject is empty, the name is what counts."""
    leaf = issue("", ROOT, names=[("email", "alice@example.com")])

    assert identified("email:alice@example.com", signed(leaf)) == "alice@example.com"
    assert identified(ANY_IDENTITY, signed(leaf)) == "alice@example.com"
    assert identified(ANY_IDENTITY, signed(issue("", ROOT))) is None


def test_without_a_named_identity_a_strict_verification_fails() -> None:
    """Trusting a CA with names is not trusting everybody it names."""
    with pytest.raises(UntrustedSignerError, match="ANY_IDENTITY"):
        identified(None)


def test_an_identity_need_not_be_named_where_the_profile_does_not_ask() -> None:
    """The text of OMS knows no identities: the subject is reported, and that nobody checked it."""
    assert identified(None, identity=False) == "CN=signer,O=Example,C=GB"
    assert "no identity was named" in " ".join(TrustedRoots(ROOT.pem).unchecked)


def test_any_identity_has_to_be_asked_for_in_so_many_words() -> None:
    """Then the strict profile accepts it, and the receipt says so."""
    trust = TrustedRoots(ROOT.pem, identity=ANY_IDENTITY)

    assert trust.authenticate(BUNDLE, now=NOW).identity == "CN=signer,O=Example,C=GB"
    assert "no identity was named" in " ".join(trust.unchecked)


def test_it_is_said_that_revocation_is_not_checked() -> None:
    """Always, and nothing else when an identity is named."""
    (gap,) = TrustedRoots(ROOT.pem, identity="CN=signer").unchecked

    assert "revocation was not checked" in gap


@pytest.mark.parametrize("identity", ["", b"CN=x", 5, [], [""], [5], {}, "email:", "subject:", ()])
def test_an_identity_that_is_not_one_is_refused(identity: Any) -> None:
    """Also an empty one, which would match an empty subject."""
    with pytest.raises(ConfigurationError, match="an identity is text"):
        TrustedRoots(ROOT.pem, identity=identity)
