"""Which certificates may sign models, and which may issue others: the rules, each with its reason.

They follow RFC 5280, section 6.1, for code signing, and are stricter in three places: every CA
counts against a path length, name constraints and unknown critical extensions are refused rather
than processed, and ExtendedKeyUsage of a CA limits what is below it.
"""

from collections.abc import Iterator
from datetime import datetime

from modelsec.errors import shown
from modelsec.signing.moments import rfc3339, utc
from modelsec.signing.x509.facts import CertificateFacts

LEAF_KEYS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
"""Keys that may sign models by certificate: those of the OMS algorithm registry."""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Beyond it a signature costs milliseconds, and nobody asks for it in good faith."""

_CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
_ANY_PURPOSE = "2.5.29.37.0"
_ISSUER_KEYS = (*LEAF_KEYS, "ed25519")
_HASHES = ("sha256", "sha384", "sha512", "none")


def reference_time(now: datetime) -> datetime:
    """Return the time of a verification in UTC.

    Raises:
        ConfigurationError: it is not a time, or has no time zone.
    """
    return utc(now, "the verification time")


def leaf_faults(leaf: CertificateFacts) -> Iterator[str]:
    """Yield why a certificate may not sign models, whoever issued it and whatever the time."""
    who = f"the certificate of {shown(leaf.subject)}"
    if leaf.usage is None and leaf.purposes is None:
        yield (
            f"{who} says nothing about its use: it needs KeyUsage with digitalSignature or "
            "ExtendedKeyUsage with codeSigning"
        )
    if leaf.usage is not None and "digitalSignature" not in leaf.usage:
        yield f"{who} is not for signing: its KeyUsage lacks digitalSignature"
    if leaf.purposes is not None and _CODE_SIGNING not in leaf.purposes:
        yield f"{who} is not for signing code: its ExtendedKeyUsage lacks codeSigning"
    yield from _common_faults(leaf)


def issuer_faults(issuer: CertificateFacts, *, below: int) -> Iterator[str]:
    """Yield why a certificate may not issue others.

    Args:
        issuer: the certificate.
        below: CA certificates between it and the leaf.
    """
    who = f"the issuer {shown(issuer.subject)}"
    if not issuer.ca:
        yield f"{who} is not a CA: BasicConstraints with CA:TRUE is missing"
    if issuer.usage is not None and "keyCertSign" not in issuer.usage:
        yield f"{who} may not sign certificates: its KeyUsage lacks keyCertSign"
    if issuer.purposes is not None and not issuer.purposes & {_CODE_SIGNING, _ANY_PURPOSE}:
        yield f"{who} is not for code signing: its ExtendedKeyUsage lacks codeSigning"
    if issuer.path_length is not None and below > issuer.path_length:
        yield f"{who} permits {issuer.path_length} CAs below it, and there are {below}"
    if issuer.name_constraints:
        yield f"{who} has name constraints, which this verifier does not enforce"
    if not _strong(issuer.key):
        yield f"{who} has a key that is too weak or not supported: {issuer.key}"
    yield from _common_faults(issuer)


def signature_faults(child: CertificateFacts) -> Iterator[str]:
    """Yield why the way in which a certificate was signed is not good enough."""
    if child.signed_with not in _HASHES:
        yield (
            f"the certificate of {shown(child.subject)} was signed with {child.signed_with}, "
            "which is broken or not supported"
        )


def validity_faults(certificate: CertificateFacts, now: datetime) -> Iterator[str]:
    """Yield why a certificate is not valid at a time."""
    who = f"the certificate of {shown(certificate.subject)}"
    hint = f"it is {rfc3339(now)}; to judge as of another time, give the verifier a clock of it"
    if now > certificate.not_after:
        yield f"{who} expired on {rfc3339(certificate.not_after)}, and {hint}"
    if now < certificate.not_before:
        yield f"{who} is not valid before {rfc3339(certificate.not_before)}, and {hint}"


def _common_faults(certificate: CertificateFacts) -> Iterator[str]:
    if certificate.unhandled:
        yield (
            f"the certificate of {shown(certificate.subject)} has critical extensions that this "
            f"verifier does not process: {shown(', '.join(certificate.unhandled))}"
        )


def _strong(key: str) -> bool:
    kind, _, bits = key.partition("-")
    if kind == "rsa":
        return MIN_RSA_BITS <= int(bits) <= MAX_RSA_BITS
    return key in _ISSUER_KEYS
