"""Public keys: what verifies a signature, and its id."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError
from modelsec.signing.keys.key_files import pem_block, read_key_file, write_key_file
from modelsec.signing.keys.plain_pem import plain_key
from modelsec.signing.keys.signatures import (
    ALGORITHMS,
    Kind,
    key_kind,
    public_key_id,
    require_cryptography,
    verify_message,
    verify_signature,
)

if TYPE_CHECKING:
    from modelsec.signing.bundles.bundle import Bundle
    from modelsec.signing.keys.signatures import Encoding, PublicKeyObject

SUPPORTED = "ECDSA on P-256, P-384 or P-521, or Ed25519"


class PublicKey:
    """A public key of a supported kind.

    Two of them are equal when they are the same key.

    Args:
        key: public key object of ``cryptography``. From PEM: ``PublicKey.from_pem``.

    Raises:
        ConfigurationError: the key is of another kind.
    """

    __slots__ = ("_key", "_key_id", "_kind")

    def __init__(self, key: "PublicKeyObject") -> None:
        kind = key_kind(key)
        if kind is None or not hasattr(key, "public_bytes"):
            raise ConfigurationError(
                f"{type(key).__name__} is not a supported public key: it must be {SUPPORTED}"
            )
        self._key = key
        self._kind = kind
        self._key_id: str | None = None

    @classmethod
    def from_pem(cls, pem: bytes | str) -> "PublicKey":
        """Read a key from PEM (SubjectPublicKeyInfo); text around the block is ignored.

        Raises:
            ConfigurationError: it is something else, or a kind that is not supported.
        """
        require_cryptography()
        label, block = pem_block(pem, "a public key")
        if label != "PUBLIC KEY":
            raise ConfigurationError(_instead_of_a_public_key(label))
        try:
            plain = plain_key(block)
        except ValueError as error:
            raise ConfigurationError(
                f"the public key cannot be read, it must be {SUPPORTED}: {error}"
            ) from error
        if plain is not None:
            known = cls(plain[0])
            known._key_id = plain[1]
            return known
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - extra
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - extra
            load_pem_public_key,
        )

        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigurationError(
                f"the public key cannot be read, it must be {SUPPORTED}: {error}"
            ) from error
        return cls(key)  # type: ignore[arg-type]  # the constructor refuses other kinds

    @classmethod
    def load(cls, path: str | Path) -> "PublicKey":
        """Read a key from a PEM file.

        Raises:
            ConfigurationError: the file cannot be read, or is not a supported public key.
        """
        return cls.from_pem(read_key_file(path))

    @property
    def key_id(self) -> str:
        """Lowercase hex SHA-256 of the key's PEM text."""
        if self._key_id is None:
            self._key_id = public_key_id(self._key)
        return self._key_id

    @property
    def kind(self) -> Kind:
        """E.g. ``ecdsa-p256``."""
        return self._kind

    @property
    def algorithm(self) -> str:
        """The kind with its hash, e.g. ``ecdsa-p256-sha256``."""
        return ALGORITHMS[self._kind]

    @property
    def pem(self) -> bytes:
        """The SubjectPublicKeyInfo as PEM."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - extra
            Encoding,
            PublicFormat,
        )

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def der(self) -> bytes:
        """The SubjectPublicKeyInfo as DER."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - extra
            Encoding,
            PublicFormat,
        )

        return self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def save(self, path: str | Path) -> None:
        """Write the key to a new PEM file.

        Raises:
            ConfigurationError: the file exists or cannot be written.
        """
        write_key_file(path, self.pem, private=False)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether this key made the signature of exactly this message.

        Raises:
            ConfigurationError: message or signature are not bytes.
        """
        if not isinstance(message, bytes) or not isinstance(signature, bytes):
            raise ConfigurationError(
                f"message and signature must be bytes, not {type(message).__name__} and "
                f"{type(signature).__name__}"
            )
        return verify_message(self._key, message, signature)

    def verify_bundle(self, bundle: "Bundle", *, legacy: bool = False) -> "Encoding | None":
        """Say over which encoding of its payload a bundle's signature fits; None: over none.

        See ``signatures.verify_signature``.
        """
        return verify_signature(self._key, bundle, legacy=legacy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.key_id == other.key_id

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __repr__(self) -> str:
        return f"PublicKey({self._kind}, key_id={self.key_id!r})"


def _instead_of_a_public_key(label: str) -> str:
    if label == "CERTIFICATE":
        return (
            "this is a certificate, not a bare public key: trust its issuer with TrustedRoots, "
            "or take its key out with: openssl x509 -pubkey -noout -in FILE"
        )
    if label.endswith("PRIVATE KEY"):
        return (
            "this is a private key: keep it where models are signed, and give verifiers the "
            "public one (PrivateKey.load(...).public.pem)"
        )
    return f"this is a PEM block {label!r}: a public key is in a block 'PUBLIC KEY'"
