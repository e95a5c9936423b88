"""Attacks on the form of the bundle: what readers disagree about, and what makes them fail."""

import os
from collections.abc import Iterator

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    UnsupportedBundleError,
)

from . import foreign
from .edits import with_envelope
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop

attacks = Attacks("bundle")

_DEPTH = 100_000
_DIGITS = 5_000
_SPARSE_BYTES = 300 * 1024 * 1024


@attacks.refused_as(BundleFormatError)
def two_envelopes(shop: Workshop) -> Iterator[Attempt]:
    """Put a forged envelope before the honest one under the same name; readers take either."""
    yield (attempt := shop.signed())
    forged = foreign.encoded(foreign.bundle(b"{}", shop.attacker)["dsseEnvelope"])
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
    forged = foreign.bundle(b"{}", shop.attacker)["dsseEnvelope"]
    shop.write({**shop.read(), "dsse_envelope": forged})
    yield attempt


@attacks.refused_as(BundleFormatError)
def payload_in_capitals(shop: Workshop) -> Iterator[Attempt]:
    """Add a forged payload under a name that readers without regard to case take for the first."""
    yield (attempt := shop.signed())
    shop.write(with_envelope(shop.read(), PAYLOAD="e30="))
    yield attempt


@attacks.refused_as(BundleFormatError)
def another_payload_type(shop: Workshop) -> Iterator[Attempt]:
    """Say that the payload is something else than what was signed."""
    yield (attempt := shop.signed())
    shop.write(with_envelope(shop.read(), payloadType="application/json"))
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
    shop.write(with_envelope(shop.read(), payload=f"{text[:8]}\n !{text[8:]}"))
    yield attempt


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
    shop.write(with_envelope(shop.read(), payload="\u00e9\u00e8\u00ea\u00eb"))
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
