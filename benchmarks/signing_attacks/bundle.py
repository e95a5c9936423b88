"""Attacks on the bundle, by somebody without the signer's key."""

import base64
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import utils

from modelsec.errors import (
    BundleFormatError,
    SignatureMismatchError,
    UntrustedSignerError,
)

from . import foreign
from .edits import with_envelope, with_signature
from .foreign import Document
from .probe import Attacks, Attempt
from .workshop import Workshop, put

attacks = Attacks("bundle")

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _signature(document: Document) -> bytes:
    return base64.b64decode(document["dsseEnvelope"]["signatures"][0]["sig"])


def _infected(shop: Workshop) -> bytes:
    """Change the model, and return the payload that would fit it."""
    put(shop.model / "modeling.py")
    return foreign.encoded(shop.statement())


@attacks.refused_as(SignatureMismatchError)
def payload_edited(shop: Workshop) -> Iterator[Attempt]:
    """Change the model and write its new digest into the payload."""
    yield (attempt := shop.signed())
    payload = _infected(shop)
    shop.write(with_envelope(shop.read(), payload=foreign.b64(payload)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def payload_rewritten(shop: Workshop) -> Iterator[Attempt]:
    """Write the same payload with another space."""
    yield (attempt := shop.signed())
    shop.write(with_envelope(shop.read(), payload=foreign.b64(shop.payload() + b" ")))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_bit(shop: Workshop) -> Iterator[Attempt]:
    """Flip one bit of the signature."""
    yield (attempt := shop.signed())
    signature = bytearray(_signature(shop.read()))
    signature[-1] ^= 1
    shop.write(with_signature(shop.read(), foreign.b64(bytes(signature))))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_another_model(shop: Workshop) -> Iterator[Attempt]:
    """Take the signature that the same signer made for another model."""
    yield (attempt := shop.signed())
    other = _signature(foreign.bundle(b"{}", shop.key))
    shop.write(with_signature(shop.read(), foreign.b64(other)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_zeros(shop: Workshop) -> Iterator[Attempt]:
    """Sign with (0, 0), which careless implementations accept for everything."""
    yield (attempt := shop.signed())
    forged = foreign.bundle(_infected(shop), shop.attacker, shop.read()["verificationMaterial"])
    shop.write(with_signature(forged, foreign.b64(utils.encode_dss_signature(0, 0))))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_orders(shop: Workshop) -> Iterator[Attempt]:
    """Sign with (n, n), which is (0, 0) once it is reduced."""
    yield (attempt := shop.signed())
    forged = foreign.bundle(_infected(shop), shop.attacker, shop.read()["verificationMaterial"])
    shop.write(
        with_signature(forged, foreign.b64(utils.encode_dss_signature(P256_ORDER, P256_ORDER)))
    )
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_with_a_tail(shop: Workshop) -> Iterator[Attempt]:
    """Append bytes to the signature's encoding."""
    yield (attempt := shop.signed())
    shop.write(with_signature(shop.read(), foreign.b64(_signature(shop.read()) + b"\0\0")))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signed_again_under_the_same_hint(shop: Workshop) -> Iterator[Attempt]:
    """Sign the changed model with another key, and name the trusted one."""
    yield (attempt := shop.signed())
    material = shop.read()["verificationMaterial"]
    shop.write(foreign.bundle(_infected(shop), shop.attacker, material))
    yield attempt


@attacks.refused_as(UntrustedSignerError)
def signed_again(shop: Workshop) -> Iterator[Attempt]:
    """Sign the changed model with another key, and name that."""
    yield (attempt := shop.signed())
    shop.write(foreign.bundle(_infected(shop), shop.attacker))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signed_again_without_a_hint(shop: Workshop) -> Iterator[Attempt]:
    """Sign the changed model with another key, and name none, as old bundles do."""
    yield (attempt := shop.signed())
    material: Document = {"publicKey": {}, "tlogEntries": []}
    shop.write(foreign.bundle(_infected(shop), shop.attacker, material))
    yield attempt


@attacks.refused_as(UntrustedSignerError)
def key_in_the_bundle(shop: Workshop) -> Iterator[Attempt]:
    """Sign the changed model with another key, and bring that key along, as old bundles do."""
    yield (attempt := shop.signed())
    key = foreign.b64(foreign.public_pem(shop.attacker))
    material = {"publicKey": {"rawBytes": key, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    shop.write(foreign.bundle(_infected(shop), shop.attacker, material))
    yield attempt


@attacks.refused_as(BundleFormatError)
def junk_before_the_signature(shop: Workshop) -> Iterator[Attempt]:
    """Put another signature before the valid one; readers disagree which of them counts."""
    yield (attempt := shop.signed())
    document = shop.read()
    valid = document["dsseEnvelope"]["signatures"]
    shop.write(with_envelope(document, signatures=[{"sig": "anVuaw==", "keyid": ""}, *valid]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def junk_behind_the_signature(shop: Workshop) -> Iterator[Attempt]:
    """Put another signature behind the valid one; readers disagree which of them counts."""
    yield (attempt := shop.signed())
    document = shop.read()
    valid = document["dsseEnvelope"]["signatures"]
    shop.write(with_envelope(document, signatures=[*valid, {"sig": "anVuaw==", "keyid": ""}]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def no_signature(shop: Workshop) -> Iterator[Attempt]:
    """Remove the signature."""
    yield (attempt := shop.signed())
    _infected(shop)
    shop.write(with_envelope(shop.read(), signatures=[]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def empty_signature(shop: Workshop) -> Iterator[Attempt]:
    """Leave the signature empty."""
    yield (attempt := shop.signed())
    shop.write(with_signature(shop.read(), foreign.b64(b"")))
    yield attempt


@attacks.refused_as(BundleFormatError)
def signature_is_a_number(shop: Workshop) -> Iterator[Attempt]:
    """Write numbers where text belongs."""
    yield (attempt := shop.signed())
    shop.write(with_signature(shop.read(), 1, 2))
    yield attempt


@attacks.refused_as(BundleFormatError)
def signature_with_spare_bits(shop: Workshop) -> Iterator[Attempt]:
    """Set bits of the signature's base64 that decode to nothing: a second text of one bundle."""
    yield (attempt := shop.signed())
    while not _signature_text(shop).endswith("=="):
        shop.signed()  # the length of a signature varies with its leading zeros
    text = _signature_text(shop)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spare = alphabet[alphabet.index(text[-3]) ^ 1]
    shop.write(with_signature(shop.read(), f"{text[:-3]}{spare}=="))
    yield attempt


def _signature_text(shop: Workshop) -> str:
    return str(shop.read()["dsseEnvelope"]["signatures"][0]["sig"])
