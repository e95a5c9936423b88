"""What a bundle claims, for people who ask why it was refused: nothing of it is verified."""

from base64 import encodebytes
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from modelsec.errors import BundleFormatError, ConfigurationError, shown
from modelsec.files import as_path
from modelsec.signing.bundles.bundle import (
    Bundle,
    ChainMaterial,
    KeyMaterial,
    parse_bundle,
    read_bundle,
)
from modelsec.signing.bundles.statement import Statement, parse_statement
from modelsec.signing.moments import rfc3339
from modelsec.signing.profile import OMS
from modelsec.signing.receipt import Release

if TYPE_CHECKING:
    from cryptography import x509

    from modelsec.signing.keys.signatures import PublicKeyObject
    from modelsec.signing.x509.facts import CertificateFacts

WARNING = "nothing was verified: whoever wrote the bundle can have written anything into it"

_PROFILE = replace(OMS, name="inspection", legacy=True)
"""As much as can be read is shown; what is accepted is decided elsewhere."""

_ISSUER, _ISSUER_BEFORE = "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"
"""Sigstore's extensions for the OpenID Connect issuer: as UTF8String, and formerly as bare text."""
_UTF8_STRING = 0x0C
_LONG_LENGTH = 0x80


@dataclass(frozen=True, slots=True)
class ClaimedCertificate:
    """A certificate in a bundle; anybody can make one that says the same.

    Attributes:
        subject: as RFC 4514 writes it.
        issuer: likewise.
        names: of SubjectAlternativeName, as ``email:alice@example.com``.
        not_before: first moment of its validity (aware, UTC).
        not_after: last moment of its validity (aware, UTC).
        key: the kind of its key.
        oidc_issuer: who vouched for the identity, in certificates of Sigstore.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key: str
    oidc_issuer: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values; times as RFC 3339 in UTC."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "not_before": rfc3339(self.not_before),
            "not_after": rfc3339(self.not_after),
            "key": self.key,
            "oidc_issuer": self.oidc_issuer,
        }


@dataclass(frozen=True, slots=True)
class UnverifiedClaims:
    """What a bundle says of itself. Never decide anything by it: see ``Verifier``.

    Texts are as the bundle has them: escape them (``modelsec.errors.printable``) to show them.

    Attributes:
        method: how it says to be signed.
        key_id: of the key that it names; None if it names none.
        certificates: those in it, the signer's first.
        predicate_type: what kind of statement it holds.
        legacy: it is a statement of OMS 0.2.0.
        subject: the signer's name for the model.
        release: which model it says to be.
        algorithm: of the files' digests.
        shard_size: bytes in a shard; None for whole files.
        allow_symlinks: whether links were followed.
        files: the names that it lists, in code-point order.
        ignore_paths: what it says to leave out.
        tree_digest: over what it lists, hex.
        root_digest: likewise, of OMS.
    """

    method: Literal["key", "certificate", "sigstore"]
    key_id: str | None
    certificates: tuple[ClaimedCertificate, ...]
    predicate_type: str
    legacy: bool
    subject: str
    release: Release | None
    algorithm: str
    shard_size: int | None
    allow_symlinks: bool
    files: tuple[str, ...]
    ignore_paths: tuple[str, ...]
    tree_digest: str
    root_digest: str

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values, with the warning in front."""
        return {
            "verified": False,
            "warning": WARNING,
            "method": self.method,
            "key_id": self.key_id,
            "certificates": [each.to_dict() for each in self.certificates],
            "predicate_type": self.predicate_type,
            "legacy": self.legacy,
            "subject": self.subject,
            "release": None if self.release is None else self.release.to_dict(),
            "algorithm": self.algorithm,
            "shard_size": self.shard_size,
            "allow_symlinks": self.allow_symlinks,
            "count": len(self.files),
            "files": list(self.files),
            "ignore_paths": list(self.ignore_paths),
            "tree_digest": self.tree_digest,
            "root_digest": self.root_digest,
        }


def unverified_claims(bundle: bytes | str | Path) -> UnverifiedClaims:
    """Return what a bundle claims. No signature, certificate or file is judged.

    Args:
        bundle: its bytes, or the path of its file.

    Raises:
        BundleFormatError: it breaks the rules of its format.
        UnsupportedBundleError: it is of a kind or version that is not read.
        ConfigurationError: the file cannot be opened, or the extra ``signing`` is missing.
    """
    raw = bundle if isinstance(bundle, bytes) else read_bundle(as_path(bundle, "bundle"))
    parsed = parse_bundle(raw)
    statement = _statement(parsed.payload)
    manifest = statement.manifest
    method, key_id, certificates = _signer(parsed)
    return UnverifiedClaims(
        method=method,
        key_id=key_id,
        certificates=certificates,
        predicate_type=statement.predicate_type,
        legacy=statement.legacy,
        subject=statement.subject,
        release=statement.release,
        algorithm=manifest.layout.algorithm,
        shard_size=manifest.layout.shard_size,
        allow_symlinks=manifest.layout.allow_symlinks,
        files=manifest.names,
        ignore_paths=manifest.layout.ignore_paths,
        tree_digest=manifest.tree_digest,
        root_digest=manifest.root_digest,
    )


def _statement(payload: bytes) -> Statement:
    try:
        return parse_statement(payload, profile=_PROFILE)
    except BundleFormatError as refusal:
        try:
            # The reference implementation calls a model that is one file ".".
            return parse_statement(payload, profile=_PROFILE, single_file=True)
        except BundleFormatError:
            raise refusal from None


def _signer(
    bundle: Bundle,
) -> tuple[Literal["key", "certificate", "sigstore"], str | None, tuple[ClaimedCertificate, ...]]:
    material = bundle.material
    if isinstance(material, KeyMaterial):
        return "key", material.hint or _key_id(material.raw_bytes), ()
    from modelsec.signing.x509.facts import read_der  # noqa: PLC0415 - cryptography

    if isinstance(material, ChainMaterial):
        found = tuple(map(read_der, material.certificates))
        return "certificate", _id_of(found[0]), tuple(map(_claimed, found))
    leaf = read_der(material.certificate)
    return "sigstore", _id_of(leaf), (_claimed(leaf),)


def _key_id(raw: bytes | None) -> str | None:
    """Return the id of a key that lies in the bundle, PEM or DER, as before OMS 1.1.0."""
    if raw is None:
        return None
    if b"-----BEGIN" not in raw:
        raw = b"-----BEGIN PUBLIC KEY-----\n%b-----END PUBLIC KEY-----\n" % encodebytes(raw)
    from modelsec.signing.keys.public_key import PublicKey  # noqa: PLC0415 - cryptography

    try:
        return PublicKey.from_pem(raw).key_id
    except ConfigurationError as error:
        raise BundleFormatError(f"the key in the bundle cannot be read: {error}") from error


def _id_of(leaf: "CertificateFacts") -> str | None:
    from modelsec.signing.keys.public_key import PublicKey  # noqa: PLC0415 - cryptography

    if leaf.key == "unknown" or leaf.key.startswith("rsa-"):
        return None
    return PublicKey(cast("PublicKeyObject", leaf.loaded.public_key())).key_id


def _claimed(facts: "CertificateFacts") -> ClaimedCertificate:
    return ClaimedCertificate(
        subject=facts.subject,
        issuer=facts.issuer,
        names=tuple(f"{kind}:{value}" for kind, value in facts.names),
        not_before=facts.not_before,
        not_after=facts.not_after,
        key=facts.key,
        oidc_issuer=_oidc_issuer(facts.loaded),
    )


def _oidc_issuer(certificate: "x509.Certificate") -> str | None:
    from cryptography.x509 import UnrecognizedExtension  # noqa: PLC0415 - an extra

    found = {
        each.oid.dotted_string: each.value.value
        for each in certificate.extensions
        if isinstance(each.value, UnrecognizedExtension)
    }
    value = found.get(_ISSUER_BEFORE)
    if _ISSUER in found:
        value = _utf8_string(found[_ISSUER])
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"the issuer {shown(value)} is not UTF-8") from error


def _utf8_string(der: bytes) -> bytes:
    """Return the content of a DER UTF8String (X.690, 8.1.3): the tag, the length, the text."""
    header, size = 2, der[1] if len(der) > 1 else 0
    if size >= _LONG_LENGTH:
        header += size - _LONG_LENGTH
        size = int.from_bytes(der[2:header], "big")
    if not der or der[0] != _UTF8_STRING or len(der) != header + size:
        raise BundleFormatError(f"the issuer {shown(der)} is not a DER UTF8String")
    return der[header:]
