"""Attacks with honest signatures: of another model, an older one, or by too few signers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from modelsec.errors import (
    ConfigurationError,
    SignatureMismatchError,
    StaleModelError,
    UntrustedSignerError,
)
from modelsec.signing import Release, sign
from modelsec.signing.keys import PrivateKey

from . import foreign
from .bundle import P256_ORDER
from .probe import NOW, Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("identity")

NAME = "demo"


def released(
    shop: Workshop,
    release: Release | None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    to: Path | None = None,
    **more: object,
) -> Attempt:
    """Sign the model as it is, as a release, and return the request for it."""
    bundle = to or shop.bundle
    signer = PrivateKey.from_pem(_private_pem(key or shop.key))
    sign(shop.model, signer, signature=bundle, release=release)
    return replace(Attempt(shop.model, (bundle,), keys=(shop.trusted(),)), **more)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _other_content(shop: Workshop) -> None:
    put(shop.model / "weights.bin", HONEST["weights.bin"][::-1])


def _store(shop: Workshop) -> Path:
    return shop.folder / "releases.json"


@attacks.refused_as(StaleModelError, asked="the model's name")
def another_model(shop: Workshop) -> Iterator[Attempt]:
    """Put another model of the same signer in the place of this one."""
    shop.make()
    yield released(shop, Release(NAME), name=NAME)
    _other_content(shop)
    yield released(shop, Release("toy"), name=NAME)


@attacks.refused_as(StaleModelError, asked="the model's name")
def another_version(shop: Workshop) -> Iterator[Attempt]:
    """Put another version in the place of the one that is meant."""
    shop.make()
    yield released(shop, Release(NAME, version="2.0"), name=NAME, version="2.0")
    _other_content(shop)
    yield released(shop, Release(NAME, version="1.9"), name=NAME, version="2.0")


@attacks.refused_as(StaleModelError, asked="the model's name")
def model_without_a_name(shop: Workshop) -> Iterator[Attempt]:
    """Put an older signature, which names no model, in the place of one that does."""
    shop.make()
    yield released(shop, Release(NAME), name=NAME)
    yield released(shop, None, name=NAME)


@attacks.refused_as(StaleModelError, asked="a memory of releases")
def older_release(shop: Workshop) -> Iterator[Attempt]:
    """Put last year's model back, with last year's signature."""
    shop.make()
    yield released(shop, Release(NAME, serial=2), releases=_store(shop))
    _other_content(shop)
    yield released(shop, Release(NAME, serial=1), releases=_store(shop))


@attacks.refused_as(StaleModelError, asked="a memory of releases")
def older_release_of_the_old_key(shop: Workshop) -> Iterator[Attempt]:
    """Put a model back that is older than the signer's new key, while the old one is trusted."""
    shop.make()
    old = shop.attacker
    keys = (shop.trusted(), shop.trusted(old, "old"))
    yield released(shop, Release(NAME, serial=2), keys=keys, releases=_store(shop))
    _other_content(shop)
    older = released(shop, Release(NAME, serial=1), key=old, releases=_store(shop))
    yield replace(older, keys=keys[::-1])


@attacks.refused_as(StaleModelError, asked="a memory of releases")
def other_content_of_one_release(shop: Workshop) -> Iterator[Attempt]:
    """Put another model back that was signed under the same serial."""
    shop.make()
    yield released(shop, Release(NAME, serial=2), releases=_store(shop))
    _other_content(shop)
    yield released(shop, Release(NAME, serial=2), releases=_store(shop))


@attacks.refused_as(StaleModelError, asked="a memory of releases")
def release_without_a_serial(shop: Workshop) -> Iterator[Attempt]:
    """Put a model back that was signed before there were serials."""
    shop.make()
    yield released(shop, Release(NAME, serial=2), releases=_store(shop))
    yield released(shop, Release(NAME), releases=_store(shop))


@attacks.refused_as(ConfigurationError, asked="a memory of releases")
def memory_damaged(shop: Workshop) -> Iterator[Attempt]:
    """Damage the verifier's memory, in the hope that it starts afresh."""
    shop.make()
    attempt = released(shop, Release(NAME, serial=2), releases=_store(shop))
    yield attempt
    _store(shop).write_bytes(b'{"version": 1, "models": {"demo')
    yield attempt


@attacks.refused_as(StaleModelError, asked="the signed annotation")
def expired_release(shop: Workshop) -> Iterator[Attempt]:
    """Keep an old model in use after the day that its signer set."""
    shop.make()
    attempt = released(shop, Release(NAME, not_after=NOW + timedelta(days=1)))
    yield attempt
    yield replace(attempt, now=NOW + timedelta(days=2))


@attacks.refused_as(UntrustedSignerError, asked="a key set")
def revoked_key(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a key that was stolen and revoked."""
    yield (attempt := shop.signed())
    yield replace(attempt, keys=(replace(attempt.keys[0], revoked=True),))


@attacks.refused_as(UntrustedSignerError, asked="a key set")
def key_after_its_time(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a key that was rotated out."""
    yield (attempt := shop.signed())
    key = replace(attempt.keys[0], not_after=NOW - timedelta(days=1))
    yield replace(attempt, keys=(key,))


@attacks.refused_as(UntrustedSignerError, asked="a key set")
def key_before_its_time(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a key that is not in use yet."""
    yield (attempt := shop.signed())
    key = replace(attempt.keys[0], not_before=NOW + timedelta(days=1))
    yield replace(attempt, keys=(key,))


@attacks.refused_as(UntrustedSignerError, asked="several signers")
def one_signer_of_two(shop: Workshop) -> Iterator[Attempt]:
    """Deliver one signature where two are asked for."""
    attempt = _by_two(shop)
    yield attempt
    yield replace(attempt, bundles=attempt.bundles[:1])


@attacks.refused_as(UntrustedSignerError, asked="several signers")
def one_signer_twice(shop: Workshop) -> Iterator[Attempt]:
    """Deliver two signatures of one signer where two signers are asked for."""
    attempt = _by_two(shop)
    yield attempt
    shop.signed(to=shop.folder / "again.sig")
    yield replace(attempt, bundles=(attempt.bundles[0], shop.folder / "again.sig"))


@attacks.refused_as(UntrustedSignerError, asked="several signers")
def one_signature_twice(shop: Workshop) -> Iterator[Attempt]:
    """Turn one ECDSA signature into a second one that verifies, without the key."""
    attempt = _by_two(shop)
    yield attempt
    twin = mirrored(shop)
    yield replace(attempt, bundles=(attempt.bundles[0], twin))


@attacks.refused_as(UntrustedSignerError, asked="several signers")
def second_signer_is_nobody(shop: Workshop) -> Iterator[Attempt]:
    """Deliver a second signature by a key that nobody trusts."""
    attempt = _by_two(shop)
    yield attempt
    stranger = ec.generate_private_key(ec.SECP256R1())
    shop.signed(key=stranger, to=shop.folder / "stranger.sig")
    yield replace(attempt, bundles=(attempt.bundles[0], shop.folder / "stranger.sig"))


@attacks.refused_as(SignatureMismatchError, asked="several signers")
def signers_of_two_models(shop: Workshop) -> Iterator[Attempt]:
    """Deliver the second signer's signature of another model."""
    attempt = _by_two(shop)
    yield attempt
    document = shop.statement(names=[name for name in HONEST if name != "weights.bin"])
    shop.signed(document, key=shop.attacker, to=attempt.bundles[1])
    yield attempt


@attacks.refused_as(SignatureMismatchError, asked="several signers")
def signers_of_two_releases(shop: Workshop) -> Iterator[Attempt]:
    """Deliver the second signer's signature of the same files as another release."""
    shop.make()
    second = shop.folder / "second.sig"
    keys = (shop.trusted(), shop.trusted(shop.attacker, "second"))
    released(shop, Release(NAME, serial=2), key=shop.attacker, to=second)
    attempt = released(shop, Release(NAME, serial=2), keys=keys, threshold=2)
    attempt = replace(attempt, bundles=(shop.bundle, second))
    yield attempt
    released(shop, Release(NAME, serial=1), key=shop.attacker, to=second)
    yield attempt


def _by_two(shop: Workshop) -> Attempt:
    """Have a model signed by two keys, and ask for both."""
    second = shop.folder / "second.sig"
    keys = (shop.trusted(), shop.trusted(shop.attacker, "second"))
    shop.signed(key=shop.attacker, to=second)
    attempt = shop.signed(keys=keys, threshold=2)
    return replace(attempt, bundles=(shop.bundle, second))


def mirrored(shop: Workshop) -> Path:
    """Write the bundle again with the signature (r, n - s), and return where."""
    document = shop.read()
    entry = document["dsseEnvelope"]["signatures"][0]
    r, s = utils.decode_dss_signature(foreign.unb64(entry["sig"]))
    entry["sig"] = foreign.b64(utils.encode_dss_signature(r, P256_ORDER - s))
    where = shop.folder / "mirrored.sig"
    shop.write(document, where)
    return where
