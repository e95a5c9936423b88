"""Attacks on the bundle, by somebody without the signer's key."""

import base64
import os
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
)

from . import foreign
from .foreign import Document
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("bundle")

_DEPTH = 100_000
_DIGITS = 5_000
_SPARSE_BYTES = 300 * 1024 * 1024
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _envelope(document: Document) -> Document:
    return dict(document["dsseEnvelope"])


def _with(document: Document, **changes: Any) -> Document:
    """Return a bundle with other members of its envelope."""
    return {**document, "dsseEnvelope": {**document["dsseEnvelope"], **changes}}


def _signature(document: Document) -> bytes:
    return base64.b64decode(document["dsseEnvelope"]["signatures"][0]["sig"])


def _signed_as(document: Document, signature: bytes) -> Document:
    return _with(document, signatures=[{"sig": foreign.b64(signature), "keyid": ""}])


def _infected(shop: Workshop) -> bytes:
    """Change the model, and return the payload that would fit it."""
    put(shop.model / "modeling.py")
    return foreign.encoded(shop.statement())


@attacks.refused_as(SignatureMismatchError)
def payload_edited(shop: Workshop) -> Iterator[Attempt]:
    """Change the model and write its new digest into the payload."""
    yield (attempt := shop.signed())
    payload = _infected(shop)
    shop.write(_with(shop.read(), payload=foreign.b64(payload)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def payload_rewritten(shop: Workshop) -> Iterator[Attempt]:
    """Write the same payload with another space."""
    yield (attempt := shop.signed())
    shop.write(_with(shop.read(), payload=foreign.b64(shop.payload() + b" ")))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_bit(shop: Workshop) -> Iterator[Attempt]:
    """Flip one bit of the signature."""
    yield (attempt := shop.signed())
    signature = bytearray(_signature(shop.read()))
    signature[-1] ^= 1
    shop.write(_signed_as(shop.read(), bytes(signature)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_another_model(shop: Workshop) -> Iterator[Attempt]:
    """Take the signature that the same signer made for another model."""
    yield (attempt := shop.signed())
    other = _signature(foreign.bundle(b"{}", shop.key))
    shop.write(_signed_as(shop.read(), other))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_zeros(shop: Workshop) -> Iterator[Attempt]:
    """Sign with (0, 0), which careless implementations accept for everything."""
    yield (attempt := shop.signed())
    forged = foreign.bundle(_infected(shop), shop.attacker, shop.read()["verificationMaterial"])
    shop.write(_signed_as(forged, utils.encode_dss_signature(0, 0)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_of_orders(shop: Workshop) -> Iterator[Attempt]:
    """Sign with (n, n), which is (0, 0) once it is reduced."""
    yield (attempt := shop.signed())
    forged = foreign.bundle(_infected(shop), shop.attacker, shop.read()["verificationMaterial"])
    shop.write(_signed_as(forged, utils.encode_dss_signature(P256_ORDER, P256_ORDER)))
    yield attempt


@attacks.refused_as(SignatureMismatchError)
def signature_with_a_tail(shop: Workshop) -> Iterator[Attempt]:
    """Append bytes to the signature's encoding."""
    yield (attempt := shop.signed())
    shop.write(_signed_as(shop.read(), _signature(shop.read()) + b"\0\0"))
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
def two_envelopes(shop: Workshop) -> Iterator[Attempt]:
    """Put a forged envelope before the honest one under the same name; readers take either."""
    yield (attempt := shop.signed())
    forged = foreign.encoded(_envelope(foreign.bundle(b"{}", shop.attacker)))
    raw = shop.bundle.read_bytes()
    shop.bundle.write_bytes(b'{"dsseEnvelope": ' + forged + b", " + raw[1:])
    yield attempt


@attacks.refused_as(BundleFormatError)
def two_payloads(shop: Workshop) -> Iterator[Attempt]:
    """Put a forged payload before the honest one under the same name; readers take either."""
    yield (attempt := shop.signed())
    raw = shop.bundle.read_bytes()
    shop.bundle.write_bytes(raw.replace(b'"payload":', b'"payload": "e30=", "payload":', 1))
    yield attempt


@attacks.refused_as(BundleFormatError)
def payload_by_its_other_name(shop: Workshop) -> Iterator[Attempt]:
    """Add a forged envelope under the name that protobuf also reads."""
    yield (attempt := shop.signed())
    forged = _envelope(foreign.bundle(b"{}", shop.attacker))
    shop.write({**shop.read(), "dsse_envelope": forged})
    yield attempt


@attacks.refused_as(BundleFormatError)
def payload_in_capitals(shop: Workshop) -> Iterator[Attempt]:
    """Add a forged payload under a name that readers without regard to case take for the first."""
    yield (attempt := shop.signed())
    shop.write(_with(shop.read(), PAYLOAD="e30="))
    yield attempt


@attacks.refused_as(BundleFormatError)
def junk_before_the_signature(shop: Workshop) -> Iterator[Attempt]:
    """Put another signature before the valid one; readers disagree which of them counts."""
    yield (attempt := shop.signed())
    document = shop.read()
    valid = document["dsseEnvelope"]["signatures"]
    shop.write(_with(document, signatures=[{"sig": "anVuaw==", "keyid": ""}, *valid]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def junk_behind_the_signature(shop: Workshop) -> Iterator[Attempt]:
    """Put another signature behind the valid one; readers disagree which of them counts."""
    yield (attempt := shop.signed())
    document = shop.read()
    valid = document["dsseEnvelope"]["signatures"]
    shop.write(_with(document, signatures=[*valid, {"sig": "anVuaw==", "keyid": ""}]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def no_signature(shop: Workshop) -> Iterator[Attempt]:
    """Remove the signature."""
    yield (attempt := shop.signed())
    _infected(shop)
    shop.write(_with(shop.read(), signatures=[]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def empty_signature(shop: Workshop) -> Iterator[Attempt]:
    """Leave the signature empty."""
    yield (attempt := shop.signed())
    shop.write(_signed_as(shop.read(), b""))
    yield attempt


@attacks.refused_as(BundleFormatError)
def signature_is_a_number(shop: Workshop) -> Iterator[Attempt]:
    """Write numbers where text belongs."""
    yield (attempt := shop.signed())
    shop.write(_with(shop.read(), signatures=[{"sig": 1, "keyid": 2}]))
    yield attempt


@attacks.refused_as(BundleFormatError)
def another_payload_type(shop: Workshop) -> Iterator[Attempt]:
    """Say that the payload is something else than what was signed."""
    yield (attempt := shop.signed())
    shop.write(_with(shop.read(), payloadType="application/json"))
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def another_media_type(shop: Workshop) -> Iterator[Attempt]:
    """Say that the bundle is of a version to come."""
    yield (attempt := shop.signed())
    shop.write({**shop.read(), "mediaType": "application/vnd.dev.sigstore.bundle.v0.9+json"})
    yield attempt


@attacks.refused_as(BundleFormatError)
def payload_with_blanks(shop: Workshop) -> Iterator[Attempt]:
    """Put characters into the payload's base64 that lenient readers skip."""
    yield (attempt := shop.signed())
    text = shop.read()["dsseEnvelope"]["payload"]
    shop.write(_with(shop.read(), payload=f"{text[:8]}\n !{text[8:]}"))
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
    shop.write(_with(shop.read(), signatures=[{"sig": f"{text[:-3]}{spare}==", "keyid": ""}]))
    yield attempt


def _signature_text(shop: Workshop) -> str:
    return str(shop.read()["dsseEnvelope"]["signatures"][0]["sig"])


@attacks.refused_as(BundleFormatError)
def truncated(shop: Workshop) -> Iterator[Attempt]:
    """Cut the bundle off."""
    yield (attempt := shop.signed())
    raw = shop.bundle.read_bytes()
    shop.bundle.write_bytes(raw[: len(raw) // 2])
    yield attempt


@attacks.refused_as(BundleFormatError)
def empty(shop: Workshop) -> Iterator[Attempt]:
    """Empty the bundle."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(b"")
    yield attempt


@attacks.refused_as(BundleFormatError)
def a_list(shop: Workshop) -> Iterator[Attempt]:
    """Put the bundle into a list."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(b"[" + shop.bundle.read_bytes() + b"]")
    yield attempt


@attacks.refused_as(BundleFormatError)
def nothing_where_the_material_is(shop: Workshop) -> Iterator[Attempt]:
    """Write null for the verification material."""
    yield (attempt := shop.signed())
    shop.write({**shop.read(), "verificationMaterial": None})
    yield attempt


@attacks.refused_as(BundleFormatError)
def no_envelope(shop: Workshop) -> Iterator[Attempt]:
    """Leave the envelope out."""
    yield (attempt := shop.signed())
    document = shop.read()
    del document["dsseEnvelope"]
    shop.write(document)
    yield attempt


@attacks.refused_as(BundleFormatError)
def not_text(shop: Workshop) -> Iterator[Attempt]:
    """Write bytes that are no UTF-8."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(b'{"mediaType": "\xff\xfe"}')
    yield attempt


@attacks.refused_as(BundleFormatError)
def another_alphabet(shop: Workshop) -> Iterator[Attempt]:
    """Write the payload in letters that are no base64."""
    yield (attempt := shop.signed())
    shop.write(_with(shop.read(), payload="\u00e9\u00e8\u00ea\u00eb"))
    yield attempt


@attacks.refused_as(BundleFormatError)
def deep_brackets(shop: Workshop) -> Iterator[Attempt]:
    """Nest brackets until recursion fails."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(b"[" * _DEPTH + b"]" * _DEPTH)
    yield attempt


@attacks.refused_as(BundleFormatError)
def long_number(shop: Workshop) -> Iterator[Attempt]:
    """Write a number of 5,000 digits."""
    yield (attempt := shop.signed())
    raw = shop.bundle.read_bytes()
    shop.bundle.write_bytes(raw.replace(b"[]", b'[{"logIndex": ' + b"9" * _DIGITS + b"}]", 1))
    yield attempt


@attacks.refused_as(BundleFormatError)
def no_number(shop: Workshop) -> Iterator[Attempt]:
    """Write NaN, which is not JSON, where nobody looks."""
    yield (attempt := shop.signed())
    raw = shop.bundle.read_bytes()
    shop.bundle.write_bytes(raw.replace(b"[]", b'[{"logIndex": NaN}]', 1))
    yield attempt


@attacks.refused_as(BundleFormatError)
def very_large(shop: Workshop) -> Iterator[Attempt]:
    """Make the bundle a sparse file of 300 MiB."""
    yield (attempt := shop.signed())
    os.truncate(shop.bundle, _SPARSE_BYTES)
    yield attempt


@attacks.refused_as(ConfigurationError)
def pipe_as_bundle(shop: Workshop) -> Iterator[Attempt]:
    """Put a named pipe in the place of the bundle: whoever reads it waits."""
    yield (attempt := shop.signed())
    shop.bundle.unlink()
    os.mkfifo(shop.bundle)
    yield attempt


@attacks.refused_as(BundleFormatError)
def two_methods(shop: Workshop) -> Iterator[Attempt]:
    """Bring a certificate beside the key; readers take either."""
    yield (attempt := shop.signed())
    document = shop.read()
    chain = {"certificates": [{"rawBytes": "MAA="}]}
    document["verificationMaterial"]["x509CertificateChain"] = chain
    shop.write(document)
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def certificate_for_a_key(shop: Workshop) -> Iterator[Attempt]:
    """Bring a certificate to a verifier who trusts keys."""
    yield (attempt := shop.signed())
    document = shop.read()
    chain = {"certificates": [{"rawBytes": "MAA="}]}
    document["verificationMaterial"] = {"x509CertificateChain": chain, "tlogEntries": []}
    shop.write(document)
    yield attempt


@attacks.refused_as(BundleFormatError)
def a_pickle(shop: Workshop) -> Iterator[Attempt]:
    """Put a pickle in the place of the bundle."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(b"\x80\x04N.")
    yield attempt


@attacks.refused_as(BundleFormatError)
def honest_file_as_bundle(shop: Workshop) -> Iterator[Attempt]:
    """Put one of the model's JSON files in the place of the bundle."""
    yield (attempt := shop.signed())
    shop.bundle.write_bytes(HONEST["config.json"])
    yield attempt
