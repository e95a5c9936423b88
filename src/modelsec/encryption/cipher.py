"""Sealing and opening segments: AES-256-GCM with Tink's key derivation and nonces."""

import secrets
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from operator import length_hint
from typing import Final, NoReturn, Self

from modelsec.encryption.data_key import DataKey
from modelsec.encryption.segments import STREAM_HEADER, TAG, Layout
from modelsec.errors import ConfigurationError, DecryptionError

SALT: Final = 32
_PREFIX: Final = 7
_COUNTER: Final = struct.Struct(">IB")


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """The 40 bytes before the first segment.

    Attributes:
        salt: of the key derivation; 32 random bytes.
        prefix: of every nonce; 7 random bytes.
    """

    salt: bytes
    prefix: bytes

    @classmethod
    def random(cls) -> Self:
        """Draw one for a new stream."""
        return cls(secrets.token_bytes(SALT), secrets.token_bytes(_PREFIX))

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read one.

        Raises:
            DecryptionError: it is too short, or its first byte is not its length.
        """
        if len(raw) != STREAM_HEADER or raw[0] != STREAM_HEADER:
            raise DecryptionError("no AES-256-GCM-HKDF stream begins here")
        return cls(raw[1 : 1 + SALT], raw[1 + SALT :])

    def encode(self) -> bytes:
        """Return the 40 bytes."""
        return bytes([STREAM_HEADER]) + self.salt + self.prefix


class SegmentCipher:
    """Seals or opens the segments of one stream, in any order and from several threads.

    Args:
        key: the data key; the segments' key is derived from it and is not kept as bytes here.
        header: salt and nonce prefix of the stream.
        associated_data: what the stream is bound to, besides the key.
        layout: of the stream.

    Raises:
        ConfigurationError: the extra ``encryption`` is not installed.
    """

    __slots__ = ("_aead", "_prefix", "_tag_error", "layout")

    def __init__(
        self, key: DataKey, header: StreamHeader, associated_data: bytes, layout: Layout
    ) -> None:
        try:
            # An extra, imported on first use.
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - idem
        except ImportError as error:
            raise ConfigurationError(
                "encryption needs cryptography: pip install 'modelsec[encryption]'"
            ) from error
        self._aead = AESGCM(key.derive(header.salt, associated_data))
        self._tag_error = InvalidTag
        self._prefix = header.prefix
        self.layout = layout

    def seal(self, first: int, stop: int, plain: memoryview, sealed: memoryview) -> None:
        """Encrypt the segments from ``first`` to before ``stop``.

        Args:
            first: number of the first segment.
            stop: number after the last one.
            plain: exactly their plaintext.
            sealed: exactly the room for their ciphertext and tags.
        """
        sealing = map(self._aead.encrypt_into, *self._pieces(first, stop, plain, sealed))
        deque(sealing, maxlen=0)

    def open(self, first: int, stop: int, sealed: memoryview, plain: memoryview) -> None:
        """Decrypt the segments from ``first`` to before ``stop``; see ``seal``.

        Raises:
            DecryptionError: a segment does not verify. What is in ``plain`` must not be used.
        """
        nonces, texts, nothing, rooms = self._pieces(first, stop, sealed, plain)
        left = iter(nonces)
        try:
            deque(map(self._aead.decrypt_into, left, texts, nothing, rooms), maxlen=0)
        except self._tag_error:
            number = stop - length_hint(left)
            raise DecryptionError(
                f"segment {number} of {self.layout.count} does not verify: the ciphertext was "
                "changed, cut off or put together from others, or the key or the context is "
                "another one"
            ) from None

    def _pieces(
        self, first: int, stop: int, source: memoryview, target: memoryview
    ) -> tuple[list[bytes], list[memoryview], Iterator[None], list[memoryview]]:
        """Return each segment's nonce, what is read, no associated data, and what is written.

        Lists and ``map``: with small segments, a loop in Python costs as much as the cipher.
        """
        prefix, pack, count = self._prefix, _COUNTER.pack, stop - first
        nonces = [prefix + pack(segment, 0) for segment in range(first, stop)]
        if stop == self.layout.count:
            nonces[-1] = prefix + pack(stop - 1, 1)
        short = 0 if first else STREAM_HEADER
        full = self.layout.segment_size
        # The text that is read is shorter than the room for it when it is plaintext.
        cuts = {True: (full - TAG, full), False: (full, full - TAG)}
        read, written = cuts[len(source) < len(target)]
        texts, rooms = _cut(source, read, short, count), _cut(target, written, short, count)
        return nonces, texts, repeat(None), rooms

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a cipher cannot be pickled")


def _cut(view: memoryview, step: int, short: int, count: int) -> list[memoryview]:
    """Return ``count`` parts of a block: the first is ``short`` bytes shorter, the last by any."""
    begin = step - short
    starts = range(begin, begin + step * (count - 1), step)
    return [view[:begin], *[view[start : start + step] for start in starts]]
