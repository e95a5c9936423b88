"""What every key wrapper takes and gives: the limits of keys, contexts and blobs."""

import math
from hashlib import sha256

from modelsec.errors import ConfigurationError, DecryptionError, shown

MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 512
MAX_CONTEXT_BYTES = 65_536
MAX_BLOB_BYTES = 8_192
"""Largest wrapped key; AWS KMS stops at 6,144 bytes."""


def check_key(key: object) -> None:
    """Refuse what cannot be a data key.

    Raises:
        ConfigurationError: not bytes, or not of 16 to 512 bytes.
    """
    if not isinstance(key, bytes):
        raise ConfigurationError(f"a key to wrap must be bytes, not {type(key).__name__}")
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ConfigurationError(
            f"a key to wrap has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, not {len(key)}; "
            "larger secrets are encrypted with a data key, which is wrapped in turn"
        )


def check_context(context: object) -> None:
    """Refuse what cannot be associated data.

    Raises:
        ConfigurationError: not bytes, or more than 65,536 bytes.
    """
    if not isinstance(context, bytes):
        raise ConfigurationError(f"a context must be bytes, not {type(context).__name__}")
    if len(context) > MAX_CONTEXT_BYTES:
        raise ConfigurationError(
            f"a context has at most {MAX_CONTEXT_BYTES} bytes, not {len(context)}; "
            "pass a digest of it"
        )


def check_blob(blob: object) -> None:
    """Refuse what cannot be a wrapped key, before it is parsed or sent anywhere.

    Raises:
        ConfigurationError: not bytes.
        DecryptionError: empty, or more than 8,192 bytes.
    """
    if not isinstance(blob, bytes):
        raise ConfigurationError(f"a wrapped key must be bytes, not {type(blob).__name__}")
    if not 0 < len(blob) <= MAX_BLOB_BYTES:
        raise DecryptionError(
            f"a wrapped key has 1 to {MAX_BLOB_BYTES} bytes, this has {len(blob)}: "
            "the header of the encrypted file is damaged, or not ours"
        )


def check_timeout(seconds: object) -> None:
    """Refuse what is no finite, positive number of seconds.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        try:
            if math.isfinite(seconds) and seconds > 0:
                return
        except OverflowError:
            pass
    raise ConfigurationError(f"a timeout is a positive number of seconds, not {shown(seconds)}")


def unwrapped(key: object, key_id: str) -> bytes:
    """Return what a service decrypted, if it can be a data key.

    Raises:
        DecryptionError: it is of another type or size.
    """
    if isinstance(key, bytes) and MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        return key
    raise DecryptionError(
        f"what {key_id} decrypted is not a data key of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes: "
        "the blob was not made by a key wrapper"
    )


def context_digest(context: bytes) -> bytes:
    """Return the SHA-256 of a context: what a service may log instead of the context."""
    return sha256(context).digest()
