"""The key of one file: random, derived from, wrapped by a key that lives elsewhere, and wiped."""

import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar

from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    KeyServiceError,
    ModelSecError,
    shown,
)

if TYPE_CHECKING:
    from types import TracebackType

    from modelsec.protocols.keys import KeyWrapper

_Answer = TypeVar("_Answer")

KEY_SIZE: Final = 32
MAX_WRAPPED: Final = 8 * 1024
MAX_KEY_ID: Final = 2 * 1024


class DataKey:
    """32 bytes that show neither in ``repr`` nor in pickles, and that are wiped after use.

    Wiping covers this object's own copy. Python, the wrapper and OpenSSL make copies that
    nobody can reach: it shortens the time in which a key lies in memory, it proves nothing.

    Raises:
        ConfigurationError: the key is not 32 bytes.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:
            what = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
            raise ConfigurationError(f"a data key must be {KEY_SIZE} bytes, not {what}")
        self._key = bytearray(key)

    @classmethod
    def random(cls) -> Self:
        """Make a new key."""
        return cls(secrets.token_bytes(KEY_SIZE))

    @classmethod
    def unwrapped(cls, wrapper: "KeyWrapper", blob: bytes, context: bytes) -> Self:
        """Ask a wrapper for the key in a blob.

        Raises:
            DecryptionError: the blob holds no key of ours, or the wrapper says that it does not
                fit the context.
            KeyServiceError: the wrapper could not answer, or raised what is not ours.
        """
        key = _asked("unwrap", lambda: wrapper.unwrap(blob, context))
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:
            raise DecryptionError(
                f"what the key wrapper unwrapped is not a data key of {KEY_SIZE} bytes"
            )
        return cls(key)

    def wrapped(self, wrapper: "KeyWrapper", context: bytes) -> bytes:
        """Ask a wrapper to wrap this key.

        Raises:
            KeyServiceError: the wrapper could not, or returned nothing that can be stored.
        """
        blob = _asked("wrap", lambda: wrapper.wrap(bytes(self._key), context))
        if not isinstance(blob, bytes) or not 0 < len(blob) <= MAX_WRAPPED:
            what = f"{len(blob)} bytes" if isinstance(blob, bytes) else type(blob).__name__
            raise KeyServiceError(
                f"the key wrapper returned {what} as the wrapped key: 1 to {MAX_WRAPPED} bytes "
                "are possible"
            )
        return blob

    def derive(self, salt: bytes, info: bytes) -> bytes:
        """Return 32 bytes: HKDF with SHA-256 (RFC 5869), of which one block is enough."""
        extracted = hmac.digest(salt, self._key, "sha256")
        return hmac.digest(extracted, info + b"\x01", "sha256")

    def wipe(self) -> None:
        """Overwrite the key."""
        self._key[:] = bytes(len(self._key))

    def __enter__(self) -> Self:
        """Return itself; it is wiped when the block ends."""
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Wipe the key."""
        self.wipe()

    def __repr__(self) -> str:
        """Show that there is a key, not which."""
        return "DataKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a data key cannot be pickled")


def key_id_of(wrapper: "KeyWrapper") -> str:
    """Return a wrapper's key id.

    Raises:
        ConfigurationError: it is not a key wrapper, or its id is no text of 1 to 2048 bytes.
        KeyServiceError: asking for it failed.
    """
    if isinstance(wrapper, type):
        raise ConfigurationError(
            f"a key wrapper is an instance, not the class {wrapper.__name__}: make one, for "
            "example with LocalKeyWrapper.load(path)"
        )
    if not _asked("use", lambda: _has_methods(wrapper)):
        raise ConfigurationError(
            f"a key wrapper has key_id, wrap and unwrap; {type(wrapper).__name__} has not"
        )
    key_id: object = _asked("name", lambda: wrapper.key_id)
    try:
        size = len(key_id.encode()) if isinstance(key_id, str) else 0
    except UnicodeEncodeError:
        size = 0
    if not isinstance(key_id, str) or not 0 < size <= MAX_KEY_ID:
        raise ConfigurationError(
            f"a wrapper's key_id must be text of 1 to {MAX_KEY_ID} bytes, not {shown(key_id)}"
        )
    return key_id


def _has_methods(wrapper: object) -> bool:
    return all(callable(getattr(wrapper, name, None)) for name in ("wrap", "unwrap"))


def _asked(verb: str, ask: Callable[[], _Answer]) -> _Answer:
    """Return what a wrapper answers.

    Raises:
        KeyServiceError: it raised what is not ours.
    """
    try:
        return ask()
    except ModelSecError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a wrapper's transport raises
        kind = type(error).__name__
    # Out here, and only the kind: the error may hold the key that the wrapper was given.
    raise KeyServiceError(f"the key wrapper could not {verb} the key: {kind}")
