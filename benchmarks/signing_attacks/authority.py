"""Certificates of every kind, good and bad."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import foreign
from .foreign import Document
from .probe import NOW

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING,)
TLS_SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
_RSA_SHA256 = bytes.fromhex("06092a864886f70d01010b")
_RSA_SHA1 = bytes.fromhex("06092a864886f70d010105")
SIGNER = "release@example.com"


def _fresh() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Request:
    """What a certificate says; the defaults are those of a good leaf.

    Attributes:
        name: common name of the subject.
        key: its key.
        emails: in SubjectAlternativeName; empty for no such extension.
        not_before: first moment of validity.
        not_after: last moment.
        ca: BasicConstraints; None for no such extension.
        path_length: of BasicConstraints.
        usage: names of KeyUsage bits; None for no such extension.
        purposes: of ExtendedKeyUsage; empty for no such extension.
        extra: further extensions, with whether they are critical.
    """

    name: str = "release"
    key: Key = field(default_factory=_fresh)
    emails: tuple[str, ...] = (SIGNER,)
    not_before: datetime = NOW - timedelta(days=30)
    not_after: datetime = NOW + timedelta(days=30)
    ca: bool | None = False
    path_length: int | None = None
    usage: tuple[str, ...] | None = ("digital_signature",)
    purposes: tuple[x509.ObjectIdentifier, ...] = CODE_SIGNING
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def issuer(name: str, **changes: object) -> Request:
    """Return what a good CA certificate says."""
    good = Request(
        name=name,
        emails=(),
        not_before=NOW - timedelta(days=300),
        not_after=NOW + timedelta(days=300),
        ca=True,
        usage=("key_cert_sign", "crl_sign"),
        purposes=(),
    )
    return replace(good, **changes)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate and the private key to it."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def entry(self) -> Document:
        """The certificate as a bundle carries it."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return {"rawBytes": foreign.b64(der)}


def certify(request: Request, by: Certified | None = None) -> Certified:
    """Return a certificate, signed by an issuer or by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(request.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(request.not_before)
        .not_valid_after(request.not_after)
    )
    # Key identifiers tell an issuer from a certificate that only bears its name.
    issuing = by.key if by else request.key
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(request.key.public_key()), critical=False
    ).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), critical=False
    )
    for extension, critical in _extensions(request):
        builder = builder.add_extension(extension, critical=critical)
    return Certified(builder.sign(issuing, hashes.SHA256()), request.key)


def _extensions(request: Request) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = list(request.extra)
    if request.ca is not None:
        found.append((x509.BasicConstraints(request.ca, request.path_length), True))
    if request.usage is not None:
        found.append((_usage(request.usage), True))
    if request.purposes:
        found.append((x509.ExtendedKeyUsage(request.purposes), False))
    if request.emails:
        names = [x509.RFC822Name(email) for email in request.emails]
        found.append((x509.SubjectAlternativeName(names), False))
    return found


def _usage(wanted: tuple[str, ...]) -> x509.KeyUsage:
    bits = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in wanted for bit in bits})


def material(*chain: Certified) -> Document:
    """Return the verification material of a chain, the leaf first."""
    certificates = [each.entry for each in chain]
    return {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}


def signed_over_sha1(good: Certified, by: Certified) -> Certified:
    """Return a certificate again, with the issuer's RSA signature over SHA-1.

    ``cryptography`` does not make such certificates any more. The two object identifiers have the
    same length, so that only they and the signature have to be replaced.
    """
    assert isinstance(by.key, rsa.RSAPrivateKey)
    contents = good.certificate.tbs_certificate_bytes.replace(_RSA_SHA256, _RSA_SHA1)
    signature = by.key.sign(contents, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - on purpose
    algorithm = _der(0x30, _RSA_SHA1 + b"\x05\x00")
    whole = _der(0x30, contents + algorithm + _der(0x03, b"\0" + signature))
    return Certified(x509.load_der_x509_certificate(whole), good.key)


def _der(tag: int, content: bytes) -> bytes:
    """Encode one element (X.690, 8.1.3)."""
    length = len(content)
    if length < 128:  # noqa: PLR2004 - the short form
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
