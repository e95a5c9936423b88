"""Who signs, and who is trusted to have signed: two small protocols, and what crosses them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from modelsec.signing.bundles.bundle import Bundle

Method = Literal["key", "certificate", "sigstore", "hmac", "digest"]


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who signed, as far as it was proven.

    Attributes:
        method: how: a bare key, a certificate chain, Sigstore, a shared secret, a pinned digest.
        key_id: lowercase hex SHA-256 of the public key (of its PEM text, as OMS hints do); for a
            shared secret a fingerprint of it.
        algorithm: e.g. ``ecdsa-p256-sha256`` or ``ed25519``.
        identity: the subject or name that was required and found; where none was required, the
            certificate's subject; None for bare keys.
        issuer: who vouches for the identity; None for bare keys.
        compatibility: the signature fits only the text encoding of OMS 0.2.0.
    """

    method: Method
    key_id: str
    algorithm: str
    identity: str | None = None
    issuer: str | None = None
    compatibility: bool = False


@runtime_checkable
class Trust(Protocol):
    """Decide whether a bundle's signature is right, and whether its signer is trusted.

    A trust may have an attribute ``unchecked``, a tuple of sentences: what it says nothing about,
    such as ``("revocation was not checked",)``. Receipts repeat them when it was this trust that
    accepted the bundle. ``modelsec.testing.check_trust`` holds a trust to all of this.
    """

    def authenticate(
        self, bundle: "Bundle", *, now: datetime, legacy: bool = False, identity: bool = True
    ) -> Signatory:
        """Return who signed.

        Args:
            bundle: parsed and within limits, its payload not yet interpreted.
            now: the one reference time of this verification, aware, UTC.
            legacy: whether the text encoding of OMS 0.2.0 may be tried.
            identity: whether a certificate's identity must have been pinned by the caller.

        Raises:
            SignatureMismatchError: the signature does not fit.
            UntrustedSignerError: the key, chain or identity is not trusted, or not at this time.
            UnsupportedBundleError: the bundle's method is not the one that this trust is for.
        """
        ...


@runtime_checkable
class Signer(Protocol):
    """Hold a private key, or reach one, and sign.

    A signer may have an attribute ``public``, a ``PublicKey``: ``sign`` then verifies each
    signature before it writes one. ``modelsec.testing.check_signer`` holds a signer to all of this.
    """

    @property
    def key_id(self) -> str:
        """Lowercase hex SHA-256 of the public key's PEM text."""
        ...

    @property
    def predicate_type(self) -> str:
        """The predicate under which statements are signed: OMS's if its registry has the key."""
        ...

    def material(self) -> dict[str, object]:
        """Return the ``verificationMaterial`` of a Sigstore bundle v0.3, JSON-ready."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message.

        The message is the whole DSSE pre-authentication encoding, which can have megabytes: a
        device that signs hashes is given its SHA-256 (P-256), SHA-384 (P-384) or SHA-512 (P-521).
        An ECDSA signature is DER, not ``r || s``.
        """
        ...
