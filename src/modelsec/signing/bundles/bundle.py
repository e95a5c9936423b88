"""The container: a Sigstore bundle v0.3 that holds a DSSE envelope, read strictly."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    UnsupportedBundleError,
    shown,
    shown_path,
)
from modelsec.signing.bounded_file import read_at_most
from modelsec.signing.bundles import strict_json
from modelsec.signing.bundles.members import as_object, list_of_objects, only_keys, text_in

OMS_PREDICATE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE = "https://model_signing/Digests/v0.1"
OWN_PREDICATE = "urn:modelsec:model-signature:v1"
"""The same predicate body, for keys outside the OMS registry (Ed25519)."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

MAX_CERTIFICATES = 16
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_KEY_BYTES = 64 * 1024
MAX_SIGNATURE_BYTES = 64 * 1024

_MEDIA_TYPES = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;version=0\.[123])"
)
BUNDLE_LIMIT = 64 * 1024 * 1024
"""Bytes in a bundle; that of a model with 100,000 files has about 20 million."""
_STANDARD = re.compile("[+/]")
_URL_ALPHABET = str.maketrans("-_", "+/")
_METHODS = ("publicKey", "x509CertificateChain", "certificate")
_MATERIAL_KEYS = (*_METHODS, "tlogEntries", "timestampVerificationData")


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """The key method: a hint, or (before OMS 1.1.0) the key itself, or nothing. None is trusted."""

    hint: str | None = None
    raw_bytes: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChainMaterial:
    """The certificate method: DER certificates, the leaf first. None is trusted by being here."""

    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeylessMaterial:
    """The sigstore method: one short-lived certificate; the log entries stay in the raw bundle."""

    certificate: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose form is right; whether its signature is, is the business of a ``Trust``.

    Attributes:
        raw: the bytes as they were read.
        payload: the decoded payload; not to be interpreted before the signature is verified.
        signature: the decoded signature, exactly one. Never an identity: of an ECDSA signature
            anybody can make a second one that verifies.
        material: one of the three methods.
    """

    raw: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes
    material: KeyMaterial | ChainMaterial | KeylessMaterial


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the pre-authentication encoding of a payload (DSSE v1, protocol)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_bundle(raw: bytes) -> Bundle:
    """Return a bundle whose form is right (OMS v1.0, section 4; Sigstore bundle v0.3).

    Nothing is verified, and the payload is not interpreted. Unknown members are refused where a
    reader of protobuf might take them for another spelling of a known one.

    Args:
        raw: the whole file.

    Raises:
        BundleFormatError: it breaks the rules of its format, or is too large.
        UnsupportedBundleError: it is a bundle of another kind or version.
    """
    document = as_object(strict_json.loads(raw), "the bundle")
    only_keys(
        document,
        required=("mediaType", "verificationMaterial", "dsseEnvelope"),
        where="the bundle",
    )
    media_type = text_in(document, "mediaType", "the bundle")
    if not _MEDIA_TYPES.fullmatch(media_type):
        raise UnsupportedBundleError(
            f"the bundle has the media type {shown(media_type)}: this verifier reads Sigstore "
            "bundles v0.1 to v0.3"
        )
    material = _material(document["verificationMaterial"])
    payload, signature = _envelope(document["dsseEnvelope"])
    return Bundle(raw=raw, payload=payload, signature=signature, material=material)


def write_bundle(payload: bytes, signature: bytes, material: Mapping[str, object]) -> bytes:
    """Return a bundle as bytes; the same input gives the same bytes.

    Args:
        payload: the in-toto statement.
        signature: over ``pae(payload)``.
        material: the ``verificationMaterial`` of the signer.

    Raises:
        ConfigurationError: the parts do not make a bundle that ``parse_bundle`` reads.
    """
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise ConfigurationError(
            f"payload and signature must be bytes, not {type(payload).__name__} and "
            f"{type(signature).__name__}"
        )
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": envelope,
    }
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        raw = text.encode() + b"\n"
        parse_bundle(raw)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the signer's material is not JSON: {shown(material)}: {error}"
        ) from error
    except (BundleFormatError, UnsupportedBundleError) as error:
        raise ConfigurationError(
            f"payload, signature and the signer's material do not make a bundle: {error}"
        ) from error
    return raw


def _material(value: object) -> KeyMaterial | ChainMaterial | KeylessMaterial:
    where = "verificationMaterial"
    material = as_object(value, where)
    only_keys(material, optional=_MATERIAL_KEYS, where=where)
    methods = [name for name in _METHODS if name in material]
    if len(methods) != 1:
        raise BundleFormatError(
            f"{where} must hold exactly one of {', '.join(_METHODS)}, not {len(methods)}"
        )
    (method,) = methods
    content = as_object(material[method], method)
    entries = list_of_objects(material.get("tlogEntries", []), "tlogEntries")
    as_object(material.get("timestampVerificationData", {}), "timestampVerificationData")
    if method == "publicKey":
        return _key(content)
    if method == "x509CertificateChain":
        return _chain(content)
    if not entries:
        raise BundleFormatError(
            "tlogEntries is missing or empty: a bundle of the sigstore method needs one entry of "
            "the transparency log"
        )
    return KeylessMaterial(_certificate(content, "certificate"))


def _key(content: dict[str, object]) -> KeyMaterial:
    where = "publicKey"
    hint = text_in(content, "hint", where) if "hint" in content else None
    raw = None
    if "rawBytes" in content:
        raw = decoded(text_in(content, "rawBytes", where), "publicKey.rawBytes", MAX_KEY_BYTES)
    # An empty text is how protobuf writes a field that is not set.
    return KeyMaterial(hint=hint or None, raw_bytes=raw or None)


def _chain(content: dict[str, object]) -> ChainMaterial:
    where = "x509CertificateChain.certificates"
    entries = list_of_objects(content.get("certificates"), where)
    if not 1 <= len(entries) <= MAX_CERTIFICATES:
        raise BundleFormatError(
            f"{where} has {len(entries)} certificates: 1 to {MAX_CERTIFICATES} are permitted"
        )
    return ChainMaterial(tuple(_certificate(entry, where) for entry in entries))


def _certificate(content: dict[str, object], where: str) -> bytes:
    der = decoded(text_in(content, "rawBytes", where), f"{where}.rawBytes", MAX_CERTIFICATE_BYTES)
    if not der:
        raise BundleFormatError(f"{where}.rawBytes is empty")
    return der


def _envelope(value: object) -> tuple[bytes, bytes]:
    where = "dsseEnvelope"
    envelope = as_object(value, where)
    only_keys(envelope, required=("payload", "payloadType", "signatures"), where=where)
    payload_type = text_in(envelope, "payloadType", where)
    if payload_type != PAYLOAD_TYPE:
        raise BundleFormatError(
            f"{where}.payloadType is {shown(payload_type)}, it has to be {PAYLOAD_TYPE}"
        )
    signatures = list_of_objects(envelope["signatures"], f"{where}.signatures")
    if len(signatures) != 1:
        raise BundleFormatError(
            f"{where} has {len(signatures)} signatures: exactly one is permitted, because readers "
            "disagree about which of several counts; write one bundle for each key"
        )
    payload = decoded(text_in(envelope, "payload", where), f"{where}.payload")
    if not payload:
        raise BundleFormatError(f"{where}.payload is empty")
    return payload, _signature(signatures[0])


def _signature(entry: dict[str, object]) -> bytes:
    where = "dsseEnvelope.signatures[0]"
    only_keys(entry, required=("sig",), optional=("keyid",), where=where)
    if not isinstance(entry.get("keyid"), str | None):
        raise BundleFormatError(f"{where}.keyid must be text or null")
    signature = decoded(text_in(entry, "sig", where), f"{where}.sig", MAX_SIGNATURE_BYTES)
    if not signature:
        raise BundleFormatError(f"{where}.sig is empty")
    return signature


def decoded(text: str, where: str, limit: int | None = None) -> bytes:
    """Return the bytes of base64 in its canonical form (RFC 4648, section 3.5).

    DSSE lets signers choose the standard alphabet or the one for URLs; a mix of them is neither.
    """
    if limit is not None and len(text.rstrip("=")) * 3 // 4 > limit:
        raise BundleFormatError(f"{where} is longer than {limit:,} bytes")
    try:
        standard = text if _STANDARD.search(text) else text.translate(_URL_ALPHABET)
        data = base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleFormatError(f"{where} is not base64: {error}") from error
    if base64.b64encode(data) != standard.encode():
        raise BundleFormatError(f"{where} is not base64 in its canonical form")
    return data


def read_bundle(path: Path) -> bytes:
    """Return the content of a bundle's file.

    Raises:
        BundleFormatError: it is too large to be one.
        ConfigurationError: it cannot be opened, or is not a regular file.
    """
    content = read_at_most(path, BUNDLE_LIMIT)
    if content is None:
        raise BundleFormatError(
            f"{shown_path(path)} has more than {BUNDLE_LIMIT:,} bytes: that is no signature bundle"
        )
    return content
