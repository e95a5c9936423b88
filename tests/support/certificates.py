"""Small public-key infrastructures for tests, good and bad ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from modelsec.signing.bundles.bundle import Bundle, ChainMaterial, pae
from modelsec.signing.keys import PrivateKey
from modelsec.signing.keys.signatures import sign_message

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'

_PURPOSES = {
    "codeSigning": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.3"),
    "serverAuth": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1"),
    "any": x509.ObjectIdentifier("2.5.29.37.0"),
}
_NAMES: dict[str, type[x509.RFC822Name | x509.DNSName | x509.UniformResourceIdentifier]] = {
    "email": x509.RFC822Name,
    "dns": x509.DNSName,
    "uri": x509.UniformResourceIdentifier,
}
_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "k1": ec.SECP256K1,
}
RSA_SHA1 = bytes.fromhex("300d06092a864886f70d0101050500")
RSA_MD5 = bytes.fromhex("300d06092a864886f70d0101040500")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
EC_KEY = bytes.fromhex("06072a8648ce3d0201")
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def private(self) -> PrivateKey:
        return PrivateKey(self.key)


def new_key(kind: str = "p256") -> Any:
    """Make a key; RSA keys take long and are shared by all tests."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    return _rsa_key(int(kind.removeprefix("rsa")))


@cache
def _rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def issue(  # noqa: PLR0913 - everything that a certificate can have
    subject: str,
    by: Issued | None = None,
    *,
    key: Any = "p256",
    usage: Sequence[str] | None = ("digitalSignature",),
    purposes: Sequence[str] | None = ("codeSigning",),
    ca: bool | None = None,
    path_length: int | None = None,
    names: Sequence[tuple[str, str]] = (),
    since: datetime = NOW - timedelta(days=100),
    until: datetime = NOW + timedelta(days=100),
    serial: int | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Make a certificate, by default one that may sign models; without ``by``, self-signed."""
    private = new_key(key) if isinstance(key, str) else key
    name = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.certificate.subject)
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    for extension, critical in (*_extensions(usage, purposes, ca, path_length, names), *more):
        builder = builder.add_extension(extension, critical=critical)
    signing = private if by is None else by.key
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signing, algorithm), private)


def authority(subject: str, by: Issued | None = None, **changes: Any) -> Issued:
    """Make a CA: as ``issue``, with the usage of one."""
    return issue(
        subject, by, **{"usage": ("keyCertSign",), "purposes": None, "ca": True, **changes}
    )


def _extensions(
    usage: Sequence[str] | None,
    purposes: Sequence[str] | None,
    ca: bool | None,  # noqa: FBT001
    path_length: int | None,
    names: Sequence[tuple[str, str]],
) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if ca is not None:
        found.append((x509.BasicConstraints(ca=ca, path_length=path_length), True))
    if usage is not None:
        found.append(
            (
                x509.KeyUsage(
                    digital_signature="digitalSignature" in usage,
                    key_cert_sign="keyCertSign" in usage,
                    content_commitment="nonRepudiation" in usage,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    crl_sign=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                True,
            )
        )
    if purposes is not None:
        found.append((x509.ExtendedKeyUsage([_PURPOSES[word] for word in purposes]), False))
    if names:
        entries = [_NAMES[kind](value) for kind, value in names]
        found.append((x509.SubjectAlternativeName(entries), False))
    return found


def signed(
    leaf: Issued,
    *others: Issued | bytes,
    payload: bytes = PAYLOAD,
    signature: bytes | None = None,
) -> Bundle:
    """Return a bundle by a leaf, whatever its certificate says, with other certificates in it."""
    certificates = tuple(each if isinstance(each, bytes) else each.der for each in others)
    if signature is None:
        signature = sign_message(leaf.key, pae(payload))
    return Bundle(
        raw=b"",
        payload=payload,
        signature=signature,
        material=ChainMaterial((leaf.der, *certificates)),
    )


def edited(issued: Issued, edit: Callable[[bytes], bytes], by: Issued) -> bytes:
    """Return a certificate whose signed part was edited and signed again, with ECDSA."""
    body = edit(_content(issued.certificate.tbs_certificate_bytes))
    part = element(0x30, body)
    signature = by.key.sign(part, ec.ECDSA(hashes.SHA256()))
    return element(0x30, part + ECDSA_SHA256 + element(0x03, b"\x00" + signature))


def signed_with(issued: Issued, by: Issued, algorithm: bytes, digest: Any) -> bytes:
    """Return a certificate signed again by an RSA issuer, under an older hash."""
    part = issued.certificate.tbs_certificate_bytes.replace(RSA_SHA256, algorithm, 1)
    signature = by.key.sign(part, padding.PKCS1v15(), digest)
    return element(0x30, part + algorithm + element(0x03, b"\x00" + signature))


def element(tag: int, content: bytes) -> bytes:
    """Return a DER element."""
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def _content(der: bytes) -> bytes:
    size = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + size :]
