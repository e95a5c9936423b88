"""Private keys in memory: the signer for those who keep their key in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelsec.errors import ConfigurationError, shown
from modelsec.signing.bundles.bundle import OMS_PREDICATE, OWN_PREDICATE
from modelsec.signing.keys.key_files import pem_block, read_key_file, write_key_file
from modelsec.signing.keys.public_key import SUPPORTED, PublicKey
from modelsec.signing.keys.signatures import (
    KINDS,
    Kind,
    key_kind,
    require_cryptography,
    sign_message,
)

if TYPE_CHECKING:
    from modelsec.signing.keys.signatures import PrivateKeyObject

_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY")


class PrivateKey:
    """A private key that signs models: a ``Signer``.

    It shows in no ``repr`` and travels in no pickle. A key that lives in an HSM or a key service
    needs no class of ours: whatever has the four members of ``Signer`` signs.

    Args:
        key: private key object of ``cryptography``. Mostly: ``PrivateKey.load`` or ``generate``.

    Raises:
        ConfigurationError: the key is of another kind.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, key: "PrivateKeyObject") -> None:
        if key_kind(key) is None or not hasattr(key, "private_bytes"):
            raise ConfigurationError(
                f"{type(key).__name__} is not a supported private key: it must be {SUPPORTED}; "
                "make one with PrivateKey.generate('ecdsa-p256')"
            )
        self._key = key
        self._public = PublicKey(key.public_key())

    @classmethod
    def generate(cls, kind: Kind = "ecdsa-p256") -> "PrivateKey":
        """Make a new key from the randomness of the operating system.

        Args:
            kind: the ECDSA kinds are those that every implementation of OMS verifies.

        Raises:
            ConfigurationError: the kind is unknown.
        """
        require_cryptography()
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - extra

        curves: dict[str, ec.EllipticCurve] = {
            "ecdsa-p256": ec.SECP256R1(),
            "ecdsa-p384": ec.SECP384R1(),
            "ecdsa-p521": ec.SECP521R1(),
        }
        if kind not in KINDS:
            raise ConfigurationError(
                f"the kind of a key must be one of {', '.join(KINDS)}, not {shown(kind)}"
            )
        if kind == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(curves[kind]))

    @classmethod
    def from_pem(cls, pem: bytes | str, password: bytes | str | None = None) -> "PrivateKey":
        """Read a key from PEM: PKCS#8, encrypted or not, or the older ``EC PRIVATE KEY``.

        Args:
            pem: with one block; text around it is ignored.
            password: of an encrypted key. With a key that is not encrypted it is refused: its
                owner believes what is not so.

        Raises:
            ConfigurationError: it is something else, a kind that is not supported, or the
                password is missing, wrong or not needed.
        """
        require_cryptography()
        label, block = pem_block(pem, "a private key")
        if label not in _LABELS:
            raise ConfigurationError(_instead_of_a_private_key(label))
        secret = _password(password)
        encrypted = label == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block.split(b"\n\n")[0]
        if encrypted and secret is None:
            raise ConfigurationError("the private key is encrypted: give its password")
        if secret is not None and not encrypted:
            raise ConfigurationError(
                "a password was given, but the private key is not encrypted: encrypt it "
                "(PrivateKey.to_pem(password)), or give none"
            )
        return cls(_loaded(block, secret))

    @classmethod
    def load(cls, path: str | Path, password: bytes | str | None = None) -> "PrivateKey":
        """Read a key from a PEM file.

        The file's permissions are not judged: secrets that an orchestrator mounts are often
        readable by a group. Keep the key where only the signer can read it.

        Raises:
            ConfigurationError: the file cannot be read, or as for ``from_pem``.
        """
        return cls.from_pem(read_key_file(path), password)

    @property
    def public(self) -> PublicKey:
        """The key for verifiers."""
        return self._public

    @property
    def kind(self) -> Kind:
        """E.g. ``ecdsa-p256``."""
        return self._public.kind

    @property
    def key_id(self) -> str:
        """Lowercase hex SHA-256 of the public key's PEM text."""
        return self._public.key_id

    @property
    def predicate_type(self) -> str:
        """That of OMS for ECDSA; Ed25519 is not in its registry and has one of our own."""
        return OWN_PREDICATE if self.kind == "ed25519" else OMS_PREDICATE

    def material(self) -> dict[str, object]:
        """Return the ``verificationMaterial``: the key's id as a hint (OMS v1.0, section 4.1)."""
        return {"publicKey": {"hint": self.key_id}, "tlogEntries": []}

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message.

        Raises:
            ConfigurationError: the message is not bytes.
        """
        if not isinstance(message, bytes):
            raise ConfigurationError(f"a message must be bytes, not {type(message).__name__}")
        return sign_message(self._key, message)

    def to_pem(self, password: bytes | str | None = None) -> bytes:
        """Return the key as PEM (PKCS#8), encrypted if a password is given.

        Raises:
            ConfigurationError: the password is empty or not text.
        """
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - extra

        secret = _password(password)
        protection: serialization.KeySerializationEncryption = (
            serialization.NoEncryption()
            if secret is None
            else serialization.BestAvailableEncryption(secret)
        )
        try:
            return self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
            )
        except ValueError:
            # From None: the message of the original must not carry the password.
            raise ConfigurationError("the password cannot be used: it is too long") from None

    def save(self, path: str | Path, password: bytes | str | None = None) -> None:
        """Write the key to a new PEM file that only its owner can read.

        Raises:
            ConfigurationError: the file exists or cannot be written, or as for ``to_pem``.
        """
        write_key_file(path, self.to_pem(password), private=True)

    def __repr__(self) -> str:
        """Show which key, not the key."""
        return f"PrivateKey({self.kind}, key_id={self.key_id!r})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a PrivateKey cannot be pickled; load it where it is needed")


def _loaded(block: bytes, password: bytes | None) -> "PrivateKeyObject":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - extra
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - extra
        load_pem_private_key,
    )

    try:
        # The constructor of PrivateKey refuses the kinds that are not supported.
        return cast("PrivateKeyObject", load_pem_private_key(block, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "its password is wrong, or it is damaged" if password else "it is damaged"
        raise ConfigurationError(
            f"the private key cannot be read: {reason}, or it is not {SUPPORTED}"
        ) from error


def _password(password: bytes | str | None) -> bytes | None:
    if isinstance(password, str):
        try:
            password = password.encode()
        except UnicodeEncodeError:
            # From None: the message of the original holds the password.
            raise ConfigurationError("the password is text that UTF-8 cannot encode") from None
    if password is not None and not isinstance(password, bytes):
        raise ConfigurationError(f"a password must be bytes or text, not {type(password).__name__}")
    if password == b"":
        raise ConfigurationError("the password is empty: give none, or one that protects")
    return password


def _instead_of_a_private_key(label: str) -> str:
    if label == "PUBLIC KEY":
        return "this is a public key, which verifies: signing needs the private one"
    if label == "CERTIFICATE":
        return "this is a certificate, which verifies: signing needs its private key"
    if label == "OPENSSH PRIVATE KEY":
        return (
            "this is a key of OpenSSH: convert it to PKCS#8 "
            "(ssh-keygen -p -m PKCS8 -f COPY), or make a new one"
        )
    return (
        f"this is a PEM block {label!r}: a private key is in a block 'PRIVATE KEY' (PKCS#8), and "
        f"must be {SUPPORTED}"
    )
