"""A secret that cannot be printed, and the subkeys derived from it."""

import hmac
import secrets

from modelsec.errors import ConfigurationError

MIN_SECRET_BYTES = 16


class Secret:
    """Secret bytes that never show in ``repr``, logs or pickles.

    Args:
        key: at least 16 bytes, uniformly random (``secrets.token_bytes(32)``).

    Raises:
        ConfigurationError: the key is not bytes, or too short.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes):
            raise ConfigurationError(
                f"a secret must be bytes, not {type(key).__name__}; make one with "
                "secrets.token_bytes(32) and keep it in your secret manager"
            )
        if len(key) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"a secret of {len(key)} bytes is too short: {MIN_SECRET_BYTES} is the minimum, "
                "32 random bytes are recommended"
            )
        self._key = key

    @classmethod
    def random(cls) -> "Secret":
        """Make a secret that lives as long as this process."""
        return cls(secrets.token_bytes(32))

    def subkey(self, purpose: str) -> bytes:
        """Derive 32 bytes for one purpose.

        This is HKDF-Expand with SHA-256 for one block (RFC 5869, section 2.3); extraction is
        not needed because the secret is uniformly random by contract. Different purposes give
        independent keys.
        """
        info = f"modelsec/v1/{purpose}".encode()
        return hmac.digest(self._key, info + b"\x01", "sha256")

    def __repr__(self) -> str:
        """Show that there is a secret, not which."""
        return "Secret(...)"

    def __reduce__(self) -> str:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a Secret cannot be pickled; pass the key itself where it is needed")
