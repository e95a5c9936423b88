"""Keys of your own, in memory or in a file: the key wrapper that needs no service."""

import hmac
import re
import secrets
from pathlib import Path
from typing import NoReturn, Self

from modelsec.encryption.key_storage import (
    KEY_BYTES,
    MAX_KEYS,
    add,
    create,
    identifier,
    read,
    remove,
)
from modelsec.encryption.wrapped_key import (
    MIN_KEY_BYTES,
    check_blob,
    check_context,
    check_key,
    unwrapped,
)
from modelsec.errors import ConfigurationError, DecryptionError, shown
from modelsec.keyed import Secret

_VERSION = 1
_ID = slice(1, 17)
_SALT = slice(17, 49)
_COMMITMENT = slice(49, 81)
_HEADER_BYTES = 81
_TAG_BYTES = 16
_SALT_BYTES = 32
_NONCE = bytes(12)  # every blob has an AES key of its own, so one nonce is never used twice


class LocalKeyWrapper:
    """Wrap data keys under 256-bit keys that this process holds.

    The first key wraps, all of them unwrap: that is how keys are rotated. A wrapped key is::

        version 0x01 | key id[16] | salt[32] | commitment[32] | ciphertext | tag[16]

    HKDF-SHA256 (RFC 5869) derives an AES key and the commitment from the wrapping key and the
    salt; AES-256-GCM encrypts the data key, with everything before the ciphertext and the context
    as associated data. GCM alone decrypts under more than one key (Albertini et al., "How to
    Abuse and Fix Authenticated Encryption Without Key Commitment", USENIX Security 2022); the
    commitment, compared in constant time, makes it one. Salts of 256 bits leave no practical
    limit on how many keys are wrapped.

    Args:
        keys: 1 to 64 keys of 32 uniformly random bytes each, the one that wraps first.

    Raises:
        ConfigurationError: the keys are not that, or one is repeated.
    """

    __slots__ = ("_key_id", "_primary", "_secrets")

    def __init__(self, *keys: bytes) -> None:
        if not 0 < len(keys) <= MAX_KEYS:
            raise ConfigurationError(f"pass 1 to {MAX_KEYS} wrapping keys, not {len(keys)}")
        for key in keys:
            if not isinstance(key, bytes) or len(key) != KEY_BYTES:
                given = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
                raise ConfigurationError(
                    f"a wrapping key is {KEY_BYTES} random bytes (secrets.token_bytes"
                    f"({KEY_BYTES})), not {given}; a password is none"
                )
        held = [Secret(key) for key in keys]
        self._secrets = {identifier(secret): secret for secret in held}
        if len(self._secrets) < len(keys):
            raise ConfigurationError("a wrapping key is repeated: pass each one once")
        self._primary = identifier(held[0])
        self._key_id = _shown_id(self._primary)

    @classmethod
    def generate(cls, path: str | Path) -> Self:
        """Make a key file with one new random key, readable by its owner only.

        Raises:
            ConfigurationError: the name is taken, or the folder cannot be written to.
        """
        key = secrets.token_bytes(KEY_BYTES)
        create(_path(path), key)
        return cls(key)

    @classmethod
    def load(cls, path: str | Path, *, readable_by_others: bool = False) -> Self:
        """Read a key file.

        Args:
            path: the file, or a link to it.
            readable_by_others: accept that group or others may read it, as they may where
                Kubernetes mounts a secret. That they may write is never accepted.

        Raises:
            ConfigurationError: it cannot be read, belongs to another user than this one or root,
                is open to others, or breaks the format.
        """
        return cls(*read(_path(path), readable_by_others=bool(readable_by_others)))

    @classmethod
    def from_bytes(cls, key: bytes) -> Self:
        """Wrap under a key that a secret manager of yours handed out.

        Raises:
            ConfigurationError: the key is not 32 bytes.
        """
        return cls(key)

    @classmethod
    def rotate(cls, path: str | Path) -> Self:
        """Add a new key to a key file: it wraps from now on, and the older ones still unwrap.

        Wrappers that were loaded before know the older keys only: load them again.

        Raises:
            ConfigurationError: the file cannot be read or written, is another user's or open to
                others, breaks the format, holds 64 keys, or is being rotated by somebody else.
        """
        add(_path(path))
        return cls.load(path)

    @classmethod
    def retire(cls, path: str | Path, key_id: str) -> Self:
        """Delete a key that does not wrap any more from a key file.

        What it wrapped and was not wrapped again since cannot be decrypted any more.

        Args:
            path: the key file.
            key_id: one of ``key_ids``, but not the first.

        Raises:
            ConfigurationError: as for :meth:`rotate`; or there is no such key, or it still wraps.
        """
        remove(_path(path), _parsed_id(key_id))
        return cls.load(path)

    @property
    def key_id(self) -> str:
        """Name of the key that wraps: ``local:`` and 32 hexadecimal digits."""
        return self._key_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Names of all keys, the one that wraps first."""
        return tuple(_shown_id(name) for name in self._secrets)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key.

        Raises:
            ConfigurationError: key or context are not bytes or of a wrong size, or the package
                cryptography is missing.
        """
        check_key(key)
        check_context(context)
        salt = secrets.token_bytes(_SALT_BYTES)
        aes_key, commitment = _derived(self._secrets[self._primary], salt)
        header = bytes((_VERSION,)) + self._primary + salt + commitment
        return header + _sealed(aes_key, key, header + context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt a data key with whichever key it was wrapped under.

        Raises:
            DecryptionError: the key is not here, the context is another, or the blob was changed.
            ConfigurationError: blob or context are not bytes, the context is too long, or the
                package cryptography is missing.
        """
        check_blob(blob)
        check_context(context)
        if blob[0] != _VERSION or len(blob) < _HEADER_BYTES + MIN_KEY_BYTES + _TAG_BYTES:
            raise DecryptionError(
                f"a blob of {len(blob)} bytes that begins with {shown(blob[:8])} was not wrapped "
                "by this version of LocalKeyWrapper: it is damaged, or another service's"
            )
        secret = self._secrets.get(blob[_ID])
        if secret is None:
            raise DecryptionError(
                f"wrapped under the key {_shown_id(blob[_ID])}, which is not among those given "
                f"({', '.join(self.key_ids[:3])}{' ...' if len(self._secrets) > 3 else ''}); "  # noqa: PLR2004 - enough to recognise a file
                "load the key file that holds it"
            )
        aes_key, commitment = _derived(secret, blob[_SALT])
        if not hmac.compare_digest(commitment, blob[_COMMITMENT]):
            raise DecryptionError(
                f"the blob names the key {_shown_id(blob[_ID])} but was not made with it: "
                "it was changed"
            )
        header = blob[:_HEADER_BYTES]
        return unwrapped(
            _opened(aes_key, blob[_HEADER_BYTES:], header + context), _shown_id(blob[_ID])
        )

    def __repr__(self) -> str:
        """Show which keys there are, not the keys."""
        return f"LocalKeyWrapper(key_id={self._key_id!r}, keys={len(self._secrets)})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: keys do not travel in files that are not key files."""
        raise TypeError("a LocalKeyWrapper cannot be pickled; load its key file where it is needed")


def _shown_id(name: bytes) -> str:
    return f"local:{name.hex()}"


def _parsed_id(key_id: object) -> bytes:
    digits = key_id.removeprefix("local:") if isinstance(key_id, str) else ""
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        raise ConfigurationError(
            f"a key is named by local: and 32 hexadecimal digits, not {shown(key_id)}"
        )
    return bytes.fromhex(digits)


def _path(path: object) -> Path:
    if isinstance(path, str | Path) and Path(path).name:
        return Path(path)
    raise ConfigurationError(f"a key file is named by a str or a Path, not {shown(path)}")


def _derived(secret: Secret, salt: bytes) -> tuple[bytes, bytes]:
    """Return the AES key and the commitment of one blob."""
    try:
        # Here: the extra is needed by those who wrap keys only.
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "wrapping keys needs the package cryptography: pip install 'modelsec[encryption]'"
        ) from None
    hkdf = HKDF(SHA256(), length=64, salt=salt, info=b"modelsec/v1/key-wrap")
    output = hkdf.derive(secret.subkey("encryption/key-wrap"))
    return output[:32], output[32:]


def _sealed(aes_key: bytes, key: bytes, associated: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see _derived

    return AESGCM(aes_key).encrypt(_NONCE, key, associated)


def _opened(aes_key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _derived
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(aes_key).decrypt(_NONCE, ciphertext, associated)
    except InvalidTag:
        raise DecryptionError(
            "the key is the right one, but the blob was changed, or it was wrapped with another "
            "context: another model, version or file name"
        ) from None
