"""The kit itself: a trust that breaks one clause is caught by that clause."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelsec.errors import SignatureMismatchError
from modelsec.signing import (
    ANY_IDENTITY,
    CertifiedKey,
    PrivateKey,
    PublicKey,
    Signatory,
    Signer,
    TrustedKeys,
    TrustedRoots,
    Verifier,
)
from modelsec.signing.bundles.bundle import Bundle, KeyMaterial, pae, write_bundle
from modelsec.testing import check_trust
from tests.support.certificates import authority, issue

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = PrivateKey.generate()
TRUST = TrustedKeys([KEY.public])


def bundle_of(signer: Signer) -> bytes:
    payload = b'{"a": "payload of a bundle"}'
    return write_bundle(payload, signer.sign(pae(payload)), signer.material())


class Honest:
    """Passes on to a set of keys; the faulty ones below change one thing."""

    unchecked: Any = ("whether it rains",)

    def authenticate(
        self, bundle: Bundle, *, now: datetime, legacy: bool = False, identity: bool = True
    ) -> Signatory:
        return TRUST.authenticate(bundle, now=now, legacy=legacy, identity=identity)


class Talkative(Honest):
    """Has one text in the place of sentences."""

    unchecked = "nothing"


class Empty(Honest):
    """Has a sentence without words."""

    unchecked = ("",)


class Quiet(Honest):
    """Returns nothing."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:  # noqa: ARG002
        return None  # type: ignore[return-value]


class Vague(Honest):
    """Does not know the key."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:
        return replace(super().authenticate(bundle, **options), key_id="")


class Inventive(Honest):
    """Has a method of its own."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:
        return replace(super().authenticate(bundle, **options), method="magic")  # type: ignore[arg-type]


class Fickle(Honest):
    """Names somebody else each time."""

    count = 0

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:
        self.count += 1
        return replace(super().authenticate(bundle, **options), identity=str(self.count))


class Believing(Honest):
    """Believes the hint, and verifies nothing."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:  # noqa: ARG002
        material = bundle.material
        if isinstance(material, KeyMaterial) and material.hint == KEY.key_id:
            return Signatory("key", KEY.key_id, "ecdsa")
        raise SignatureMismatchError("another key")


class Fooled(Honest):
    """Takes the key out of the bundle."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:  # noqa: ARG002
        raw = getattr(bundle.material, "raw_bytes", None)
        key = PublicKey.from_pem(raw) if raw else KEY.public
        if key.verify(pae(bundle.payload), bundle.signature):
            return Signatory("key", key.key_id, "ecdsa")
        raise SignatureMismatchError("no")


class Foreign(Honest):
    """Refuses with an exception of its own."""

    def authenticate(self, bundle: Bundle, **options: Any) -> Signatory:
        if not KEY.public.verify(pae(bundle.payload), bundle.signature):
            raise PermissionError("no")
        return super().authenticate(bundle, **options)


def test_trusts_of_keys_and_roots_keep_the_contract() -> None:
    """Both kinds that need no network."""
    root = authority("CN=root")
    leaf = issue("CN=alice", root)
    certified = CertifiedKey(leaf.private, leaf.pem)
    check_trust(TRUST, bundle_of(KEY), now=NOW)
    for identity in ("CN=alice", ANY_IDENTITY):
        check_trust(TrustedRoots(root.pem, identity=identity), bundle_of(certified), now=NOW)


def test_an_honest_trust_passes() -> None:
    """Otherwise the faulty ones below could fail for another reason."""
    check_trust(Honest(), bundle_of(KEY), now=NOW)


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        (object(), "needs somebody to trust"),
        (TrustedKeys, "is a class"),
        (Verifier(TRUST), "in the place of a Verifier"),
        (Talkative(), "is a tuple of sentences"),
        (Empty(), "a sentence of unchecked is empty"),
        (Quiet(), "it returned a NoneType"),
        (Vague(), "key_id is ''"),
        (Inventive(), "the method is 'magic'"),
        (Fickle(), "another one the second time"),
        (Believing(), "a payload with another byte 0 was accepted"),
        (Fooled(), "a stranger with his public key was accepted"),
        (Foreign(), "gave PermissionError"),
    ],
)
def test_a_faulty_trust_is_caught(trust: Any, said: str) -> None:
    """Each by the clause that it breaks."""
    with pytest.raises(AssertionError, match="the trust breaks the contract") as caught:
        check_trust(trust, bundle_of(KEY), now=NOW)
    assert said in str(caught.value)
