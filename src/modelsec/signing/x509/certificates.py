"""Sign with a certified key, and trust the signers for whom your own certificate roots vouch.

The chain of certificates comes with the bundle and is worth nothing by itself: it has to lead to
a certificate that the caller supplied. There is no default set of roots. Revocation is not checked:
keep certificates short-lived, or pin their identity and replace the root when a key is lost.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    shown,
    shown_path,
)
from modelsec.signing.bounded_file import read_at_most
from modelsec.signing.bundles.bundle import MAX_CERTIFICATES, OMS_PREDICATE, ChainMaterial
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.keys.signatures import ALGORITHMS, verify_signature
from modelsec.signing.trust import Signatory, Signer
from modelsec.signing.x509.chain import find_chain
from modelsec.signing.x509.facts import CertificateFacts, issued, read_all, read_der
from modelsec.signing.x509.identity import ANY_IDENTITY, Identity, PinnedIdentity
from modelsec.signing.x509.rules import LEAF_KEYS, leaf_faults, reference_time

if TYPE_CHECKING:
    from modelsec.signing.bundles.bundle import Bundle
    from modelsec.signing.keys.signatures import PublicKeyObject

__all__ = ["ANY_IDENTITY", "CertifiedKey", "TrustedRoots"]

MAX_FILE_BYTES = 8 * 1024 * 1024
"""Bytes in a file of certificates; the whole web PKI has about a quarter of a million."""

Certificates = bytes | str | Path
"""Certificates as PEM or DER bytes, or the path of a file of them."""


class CertifiedKey:
    """Sign with a private key whose certificate travels with the signature.

    Args:
        private: holds the key, or reaches it: anything that signs.
        leaf: the certificate of this key, PEM or DER; others behind it join the chain.
        chain: certificates of the CAs between it and the root, in any order; the root may be
            among them, but a verifier does not need it there.

    Raises:
        ConfigurationError: the certificate is not of this key, or no verifier would accept it;
            a certificate of the chain has not issued another one of it.
    """

    def __init__(self, private: Signer, leaf: bytes, chain: Sequence[bytes] = ()) -> None:
        if not isinstance(private, Signer):
            raise ConfigurationError(f"{shown(private)} cannot sign: give a PrivateKey")
        first, *behind = read_all(_data(leaf), where="the signer's certificate")
        for number, data in enumerate(_listed(chain), 1):
            behind += read_all(_data(data), where=f"certificate {number} of the chain")
        _check_leaf(first, private.key_id)
        self._private = private
        self._chain = _in_order(first, behind)

    @classmethod
    def load(
        cls,
        private_key: str | Path,
        certificate: str | Path,
        chain: Sequence[str | Path] = (),
        *,
        password: bytes | None = None,
    ) -> "CertifiedKey":
        """Read a private key, its certificate, and the CAs above it from files.

        Args:
            private_key: PEM, as ``PrivateKey.load`` reads it.
            certificate: PEM or DER; further certificates behind the first join the chain.
            chain: files of CA certificates, each with one or several.
            password: of the private key.

        Raises:
            ConfigurationError: a file cannot be read, or as the constructor.
        """
        from modelsec.signing.keys import PrivateKey  # noqa: PLC0415 - only for keys in files

        key = PrivateKey.load(private_key, password=password)
        return cls(key, _content(certificate), [_content(path) for path in _listed(chain)])

    @property
    def key_id(self) -> str:
        """Lowercase hex SHA-256 of the public key's PEM text."""
        return self._private.key_id

    @property
    def public(self) -> PublicKey:
        """The key that the certificate is of."""
        return _public_key(self._chain[0])

    @property
    def predicate_type(self) -> str:
        """The predicate of OMS, whose registry has every key that is accepted here."""
        return OMS_PREDICATE

    def material(self) -> dict[str, object]:
        """Return the certificates, the leaf first (OMS v1.0, section 4)."""
        certificates = [{"rawBytes": base64.b64encode(each.der).decode()} for each in self._chain]
        return {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}

    def sign(self, message: bytes) -> bytes:
        """Return the key's signature of a message."""
        return self._private.sign(message)


class TrustedRoots:
    """Trust the signers for whom one of these certificates vouches, if they are those meant.

    Every certificate that is supplied is an anchor: a root, an intermediate CA, or the very
    certificate of a signer. All rules are in ``docs/signing.md``.

    Args:
        roots: one or several of: PEM or DER bytes, or the path of a file of certificates.
        identity: who has to have signed: a subject (``CN=release,O=Example``) or a name
            (``email:alice@example.com``), compared exactly; several, of which one is enough; or
            ``ANY_IDENTITY``. None is accepted only under profiles that do not require one.

    Raises:
        ConfigurationError: there is no root, or one cannot be read; an identity is not text.
    """

    def __init__(
        self, roots: Certificates | Sequence[Certificates], *, identity: Identity = None
    ) -> None:
        sources: object = (roots,) if isinstance(roots, Certificates) else roots
        if not isinstance(sources, Sequence) or not sources:
            raise ConfigurationError(
                f"roots={shown(roots)}: there is no default set of roots, give the certificates "
                "of the CAs that you trust to name signers"
            )
        self._anchors: tuple[CertificateFacts, ...] = tuple(
            facts for source in sources for facts in _supplied(source)
        )
        self._pinned = PinnedIdentity(identity)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What this trust says nothing about, one sentence each."""
        gaps = ["revocation was not checked: a certificate that was withdrawn would pass"]
        if not self._pinned.names_somebody:
            gaps.append("no identity was named: anyone for whom the roots vouch would pass")
        return tuple(gaps)

    def authenticate(
        self, bundle: "Bundle", *, now: datetime, legacy: bool = False, identity: bool = True
    ) -> Signatory:
        """Return who signed: see ``Trust``; the checks and their order are in its docs.

        Raises:
            BundleFormatError: a certificate of the bundle cannot be read.
            UnsupportedBundleError: the bundle has no certificate chain, or a leaf with a key that
                is not ECDSA P-256, P-384 or P-521.
            UntrustedSignerError: no valid chain leads to a root, or the identity is another one.
            SignatureMismatchError: the signature is not by the leaf's key over this payload.
            ConfigurationError: ``now`` has no time zone.
        """
        now = reference_time(now)
        leaf, *others = _certificates(bundle)
        if leaf.key not in LEAF_KEYS:
            raise UnsupportedBundleError(
                f"the certificate of {shown(leaf.subject)} has a key of the kind {leaf.key}: "
                f"OMS knows certificates of {', '.join(LEAF_KEYS)}"
            )
        chain = find_chain(leaf, others, self._anchors, now=now)
        found = self._pinned.require(leaf, named=identity)
        key = _public_key(leaf)
        encoding = verify_signature(leaf.loaded.public_key(), bundle, legacy=legacy)
        if encoding is None:
            raise SignatureMismatchError(
                f"the signature is not by the key of {shown(leaf.subject)} over this statement: "
                "one of the three was changed or replaced"
            )
        return Signatory(
            method="certificate",
            key_id=key.key_id,
            algorithm=ALGORITHMS[key.kind],
            identity=found,
            issuer=chain[-1].subject,
            compatibility=encoding == "compatibility",
        )


def _certificates(bundle: "Bundle") -> list[CertificateFacts]:
    material = bundle.material
    if not isinstance(material, ChainMaterial):
        raise UnsupportedBundleError(
            "the bundle was not signed with a certificate chain, which is all that TrustedRoots "
            "judges: use TrustedKeys for bare keys, TrustedIdentity for Sigstore"
        )
    if not 1 <= len(material.certificates) <= MAX_CERTIFICATES:
        raise BundleFormatError(
            f"a chain of {len(material.certificates)} certificates: 1 to {MAX_CERTIFICATES} are "
            "permitted"
        )
    return [read_der(each) for each in material.certificates]


def _public_key(leaf: CertificateFacts) -> PublicKey:
    return PublicKey(cast("PublicKeyObject", leaf.loaded.public_key()))


def _check_leaf(leaf: CertificateFacts, key_id: str) -> None:
    if leaf.key not in LEAF_KEYS:
        raise ConfigurationError(
            f"the certificate of {shown(leaf.subject)} has a key of the kind {leaf.key}: "
            f"OMS knows certificates of {', '.join(LEAF_KEYS)}; use Ed25519 as a bare key"
        )
    if _public_key(leaf).key_id != key_id:
        raise ConfigurationError(
            f"the certificate of {shown(leaf.subject)} is of another key than the private one: "
            "give the two that belong together"
        )
    for fault in leaf_faults(leaf):
        raise ConfigurationError(f"no verifier would accept this signer: {fault}")


def _in_order(
    leaf: CertificateFacts, others: Sequence[CertificateFacts]
) -> tuple[CertificateFacts, ...]:
    """Return the leaf, then what issued it, then what issued that."""
    chain = [leaf]
    left = list({each.der: each for each in others if each.der != leaf.der}.values())
    for child in chain:
        # The list grows while it is walked, until nothing in it has an issuer that is left.
        above = [each for each in left if issued(child, each)]
        left = [each for each in left if each not in above]
        chain += above
    if left:
        raise ConfigurationError(
            f"the certificate of {shown(left[0].subject)} has issued nothing in the chain of "
            f"{shown(leaf.subject)}: leave it out"
        )
    if len(chain) > MAX_CERTIFICATES:
        raise ConfigurationError(
            f"a chain of {len(chain)} certificates is longer than {MAX_CERTIFICATES}"
        )
    return tuple(chain)


def _supplied(source: object) -> tuple[CertificateFacts, ...]:
    if isinstance(source, bytes):
        return read_all(source, where="the supplied roots")
    return read_all(_content(source), where=shown_path(source))


def _listed(chain: object) -> Sequence[object]:
    if isinstance(chain, str | bytes) or not isinstance(chain, Sequence):
        raise ConfigurationError(f"chain={shown(chain)} must be a list, of one or several")
    return chain


def _data(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ConfigurationError(
            f"a certificate is given as PEM or DER bytes, not as {shown(value)}; use "
            "CertifiedKey.load for files"
        )
    return value


def _content(path: object) -> bytes:
    if not isinstance(path, str | Path):
        raise ConfigurationError(f"certificates are given as bytes or a path, not {shown(path)}")
    if isinstance(path, str) and "-----BEGIN" in path:
        raise ConfigurationError("this is PEM text where a path is expected: pass it as bytes")
    content = read_at_most(path, MAX_FILE_BYTES)
    if content is None:
        raise ConfigurationError(
            f"{shown_path(path)} has more than {MAX_FILE_BYTES:,} bytes: it is no file of "
            "certificates"
        )
    return content
