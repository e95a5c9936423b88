"""The container: a Sigstore bundle v0.3 that holds a DSSE envelope, read strictly."""

from dataclasses import dataclass

OMS_PREDICATE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE = "https://model_signing/Digests/v0.1"
OWN_PREDICATE = "urn:modelsec:model-signature:v1"
"""The same predicate body, for keys outside the OMS registry (Ed25519)."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


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
        signature: the decoded signature, exactly one.
        material: one of the three methods.
    """

    raw: bytes
    payload: bytes
    signature: bytes
    material: KeyMaterial | ChainMaterial | KeylessMaterial


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the pre-authentication encoding of a payload (DSSE v1, protocol)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
