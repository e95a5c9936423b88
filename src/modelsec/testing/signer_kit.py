"""A contract suite for signers: whoever writes one runs :func:`check_signer` on it."""

from collections.abc import Callable
from datetime import UTC, datetime

from modelsec.signing.asked_signer import is_ecdsa_der
from modelsec.signing.bundles.bundle import (
    OMS_PREDICATE,
    OWN_PREDICATE,
    Bundle,
    KeyMaterial,
    pae,
    parse_bundle,
    write_bundle,
)
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.keys.trusted_keys import TrustedKeys
from modelsec.signing.trust import Signer

_MESSAGES = (b"m", b"\x00\xff\n", b"m" * 64, b"m" * 65_537, pae(b"{}"))
_PAYLOAD = b'{"modelsec": "check_signer"}'
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def check_signer(signer: Signer, public: PublicKey) -> None:
    """Hold a signer to the contract of :class:`~modelsec.signing.Signer`.

    Call it from an ordinary test function. It makes about a dozen signatures that are of no use to
    anybody, so it may be run against a real device, with a key that is meant for tests.

    Example:
        >>> from modelsec.signing import PrivateKey
        >>> from modelsec.testing.signer_kit import check_signer
        >>> key = PrivateKey.generate()
        >>> check_signer(key, key.public)

    Args:
        signer: what signs.
        public: its public key, from elsewhere than the signer: what verifiers will be given.

    Raises:
        AssertionError: the message names the clause that the signer breaks, and how.
    """
    for clause in _CLAUSES:
        fact = f"the signer breaks the contract: {' '.join((clause.__doc__ or '').split())}"
        try:
            clause(signer, public)
        except AssertionError as broken:
            raise AssertionError(f"{fact} But: {broken}") from None
        except Exception as error:
            raise AssertionError(f"{fact} But it raised {type(error).__name__}: {error}") from error


def _it_has_the_shape(signer: Signer, public: PublicKey) -> None:
    """A signer has key_id, predicate_type, material and sign; its key_id is that of its key."""
    _hold(isinstance(signer, Signer), "one of the four members is missing")
    _hold(signer.key_id == public.key_id, f"key_id is {signer.key_id!r}, not {public.key_id!r}")
    _hold(signer.key_id == public.key_id, "key_id changes")


def _it_says_what_it_signs(signer: Signer, public: PublicKey) -> None:
    """The predicate type is that of OMS for ECDSA, and modelsec's own for Ed25519."""
    wanted = OWN_PREDICATE if public.kind == "ed25519" else OMS_PREDICATE
    _hold(signer.predicate_type == wanted, f"it is {signer.predicate_type!r}, not {wanted!r}")


def _it_signs_messages(signer: Signer, public: PublicKey) -> None:
    """Its signatures are bytes that the public key verifies, over the whole message.

    A device that takes a hash is given the hash of the message, once.
    """
    for message in _MESSAGES:
        signature: object = signer.sign(message)
        if not isinstance(signature, bytes):
            raise AssertionError(f"sign returned a {type(signature).__name__}")  # noqa: TRY004 - kit
        if public.kind != "ed25519":
            _hold(is_ecdsa_der(signature), f"its {len(signature)} bytes are not DER: raw r || s?")
        fits = public.verify(message, signature)
        _hold(fits, f"a message of {len(message)} bytes has a signature that does not fit")
        _hold(not public.verify(message + b"\x00", signature), "it signs a part of the message")


def _its_material_makes_a_bundle(signer: Signer, public: PublicKey) -> None:
    """Its material and a signature make a bundle, the same each time, that names its key."""
    bundle = _bundle(signer)
    _hold(signer.material() == signer.material(), "material changes")
    if isinstance(bundle.material, KeyMaterial):
        hint = bundle.material.hint
        _hold(hint == public.key_id, f"the hint is {hint!r}, not the key's id")


def _its_bundles_are_verified(signer: Signer, public: PublicKey) -> None:
    """Whoever trusts its public key accepts its bundles, where they are of a bare key."""
    bundle = _bundle(signer)
    if isinstance(bundle.material, KeyMaterial):
        found = TrustedKeys([public]).authenticate(bundle, now=_NOW)
        _hold(found.key_id == public.key_id, "another key is found")


def _bundle(signer: Signer) -> Bundle:
    return parse_bundle(write_bundle(_PAYLOAD, signer.sign(pae(_PAYLOAD)), signer.material()))


def _hold(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert takes it
    if not fact:
        raise AssertionError(otherwise)


_CLAUSES: tuple[Callable[[Signer, PublicKey], None], ...] = (
    _it_has_the_shape,
    _it_says_what_it_signs,
    _it_signs_messages,
    _its_material_makes_a_bundle,
    _its_bundles_are_verified,
)
