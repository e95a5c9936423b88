"""What is read from X.509 certificates: once, eagerly, and at one seam.

``cryptography`` parses extensions and keys when they are looked at, and then raises errors of many
kinds. Here everything that a rule may ask for is read at once, so that the rules work on plain
values and nothing foreign is raised later.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    VerificationError,
    shown,
)
from modelsec.signing.bundles.bundle import MAX_CERTIFICATE_BYTES
from modelsec.signing.keys.signatures import key_kind, require_cryptography

if TYPE_CHECKING:
    from cryptography import x509

    _Value = TypeVar("_Value", bound=x509.ExtensionType)

NameKind = Literal["email", "dns", "uri"]

_HANDLED = frozenset({"2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"})
"""KeyUsage, SubjectAlternativeName, BasicConstraints, ExtendedKeyUsage: what the rules process."""

_BEGIN = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate, as plain values.

    Attributes:
        der: the certificate, encoded.
        subject: its subject, as RFC 4514 writes it (most specific part first).
        issuer: its issuer, likewise.
        subject_name: the subject's DER, for comparison.
        issuer_name: the issuer's DER, for comparison.
        not_before: first moment of its validity (aware, UTC).
        not_after: last moment of its validity (aware, UTC).
        key: the kind of its key, e.g. ``ecdsa-p256``, ``ed25519``, ``rsa-3072``, or ``unknown``.
        signed_with: hash under its issuer's signature: ``sha256``, ...; ``none`` for schemes that
            need no other (Ed25519); or ``unknown``.
        ca: whether BasicConstraints is there and says CA:TRUE.
        path_length: how many CA certificates may follow this one; None for no limit.
        usage: of KeyUsage: ``digitalSignature``, ``keyCertSign``; None if it is absent.
        purposes: the OIDs of ExtendedKeyUsage; None if it is absent.
        names: email, DNS and URI entries of SubjectAlternativeName.
        unhandled: critical extensions that no rule here processes, by OID.
        name_constraints: whether it limits the names below it.
        loaded: the certificate as ``cryptography`` holds it.
    """

    der: bytes = field(repr=False)
    subject: str
    issuer: str
    subject_name: bytes = field(repr=False)
    issuer_name: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    key: str
    signed_with: str
    ca: bool
    path_length: int | None
    usage: frozenset[str] | None
    purposes: frozenset[str] | None
    names: tuple[tuple[NameKind, str], ...]
    unhandled: tuple[str, ...]
    name_constraints: bool
    loaded: "x509.Certificate" = field(repr=False, compare=False)


def read_der(data: bytes) -> CertificateFacts:
    """Read one certificate of a bundle.

    Raises:
        BundleFormatError: it is no certificate, or longer than 64 KiB.
        ConfigurationError: the extra `signing` is not installed.
    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise BundleFormatError(
            f"a certificate of {len(data)} bytes is longer than {MAX_CERTIFICATE_BYTES}"
        )
    with _readable():
        from cryptography import x509  # noqa: PLC0415 - an extra, imported on first use

        return _facts(x509.load_der_x509_certificate(data))


def read_all(data: bytes, *, where: str) -> tuple[CertificateFacts, ...]:
    """Read every certificate of a PEM file (with text between them), or the one of a DER file.

    Args:
        data: the file.
        where: what to call it in messages.

    Raises:
        ConfigurationError: there is none, or one of them cannot be read.
    """
    try:
        if b"-----BEGIN" not in data:
            return (read_der(data),)
        with _readable():
            from cryptography import x509  # noqa: PLC0415 - an extra, imported on first use

            found = tuple(_facts(one) for one in x509.load_pem_x509_certificates(data))
    except VerificationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    begun = len(_BEGIN.findall(data))
    if begun != len(found):
        # A block that is cut off is skipped in silence, and that would be a smaller set.
        raise ConfigurationError(
            f"{where}: {begun} certificates begin, but only {len(found)} can be read"
        )
    return found


def issued(child: CertificateFacts, issuer: CertificateFacts) -> bool:
    """Return whether the issuer bears the name that the child names, and its key signed it."""
    try:
        child.loaded.verify_directly_issued_by(issuer.loaded)
    except Exception:  # noqa: BLE001 - a wrong name, key, algorithm, signature: none of it is a yes
        return False
    return True


@contextmanager
def _readable() -> Iterator[None]:
    """Turn whatever reading a certificate raises into one of our errors."""
    require_cryptography()
    try:
        yield
    except VerificationError:
        raise
    # ValueError, TypeError, x509.DuplicateExtension, ..., and warnings that were made errors.
    except Exception as error:
        raise BundleFormatError(f"a certificate cannot be read: {shown(str(error))}") from error


def _facts(loaded: "x509.Certificate") -> CertificateFacts:
    from cryptography import x509  # noqa: PLC0415 - an extra, imported on first use
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    if loaded.serial_number <= 0:
        # cryptography warns of these today and refuses them tomorrow: the answer is to be one.
        raise BundleFormatError("a certificate's serial number is not positive (RFC 5280, 4.1.2.2)")
    extensions = loaded.extensions
    constraints = _value(extensions, x509.BasicConstraints)
    return CertificateFacts(
        der=loaded.public_bytes(Encoding.DER),
        subject=loaded.subject.rfc4514_string(),
        issuer=loaded.issuer.rfc4514_string(),
        subject_name=loaded.subject.public_bytes(),
        issuer_name=loaded.issuer.public_bytes(),
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        key=_key(loaded),
        signed_with=_signed_with(loaded),
        ca=constraints is not None and constraints.ca,
        path_length=None if constraints is None else constraints.path_length,
        usage=_usage(_value(extensions, x509.KeyUsage)),
        purposes=_purposes(_value(extensions, x509.ExtendedKeyUsage)),
        names=_names(_value(extensions, x509.SubjectAlternativeName)),
        unhandled=tuple(
            each.oid.dotted_string
            for each in extensions
            if each.critical and each.oid.dotted_string not in _HANDLED
        ),
        name_constraints=_value(extensions, x509.NameConstraints) is not None,
        loaded=loaded,
    )


def _value(extensions: "x509.Extensions", kind: "type[_Value]") -> "_Value | None":
    return next((each.value for each in extensions if isinstance(each.value, kind)), None)


def _key(loaded: "x509.Certificate") -> str:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric.rsa import (  # noqa: PLC0415 - as above
        RSAPublicKey,
    )

    try:
        key = loaded.public_key()
    except UnsupportedAlgorithm:
        return "unknown"
    if isinstance(key, RSAPublicKey):
        return f"rsa-{key.key_size}"
    return key_kind(key) or "unknown"


def _signed_with(loaded: "x509.Certificate") -> str:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra

    try:
        algorithm = loaded.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return "none" if algorithm is None else algorithm.name


def _usage(extension: "x509.KeyUsage | None") -> frozenset[str] | None:
    if extension is None:
        return None
    found = {
        "digitalSignature": extension.digital_signature,
        "keyCertSign": extension.key_cert_sign,
    }
    return frozenset(word for word, is_set in found.items() if is_set)


def _purposes(extension: "x509.ExtendedKeyUsage | None") -> frozenset[str] | None:
    return None if extension is None else frozenset(oid.dotted_string for oid in extension)


def _names(extension: "x509.SubjectAlternativeName | None") -> tuple[tuple[NameKind, str], ...]:
    from cryptography import x509  # noqa: PLC0415 - an extra, imported on first use

    if extension is None:
        return ()
    return (
        *(("email", name) for name in extension.get_values_for_type(x509.RFC822Name)),
        *(("dns", name) for name in extension.get_values_for_type(x509.DNSName)),
        *(("uri", name) for name in extension.get_values_for_type(x509.UniformResourceIdentifier)),
    )
