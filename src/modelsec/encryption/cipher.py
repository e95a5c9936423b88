"""Sealing and opening segments: AES-256-GCM with Tink's key derivation and nonces."""

import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
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
        encrypt = self._aead.encrypt_into
        for nonce, at, end, plain_at, plain_end in self._pieces(first, stop):
            encrypt(nonce, plain[plain_at:plain_end], None, sealed[at:end])

    def open(self, first: int, stop: int, sealed: memoryview, plain: memoryview) -> None:
        """Decrypt the segments from ``first`` to before ``stop``; see ``seal``.

        Raises:
            DecryptionError: a segment does not verify. What is in ``plain`` must not be used.
        """
        decrypt, segment = self._aead.decrypt_into, first
        try:
            for nonce, at, end, plain_at, plain_end in self._pieces(first, stop):
                decrypt(nonce, sealed[at:end], None, plain[plain_at:plain_end])
                segment += 1
        except self._tag_error:
            raise DecryptionError(
                f"segment {segment + 1} of {self.layout.count} does not verify: the ciphertext was "
                "changed, cut off or put together from others, or the key or the context is "
                "another one"
            ) from None

    def _pieces(self, first: int, stop: int) -> Iterator[tuple[bytes, int, int, int, int]]:
        """Yield each segment's nonce, its sealed range and its plain range within the block."""
        layout, prefix, pack = self.layout, self._prefix, _COUNTER.pack
        last, full = layout.count - 1, layout.segment_size
        at = plain_at = 0
        for segment in range(first, stop):
            size = full
            if segment in {0, last}:
                size = layout.sealed_stop(segment) - layout.sealed_start(segment)
            end, plain_end = at + size, plain_at + size - TAG
            yield prefix + pack(segment, segment == last), at, end, plain_at, plain_end
            at, plain_at = end, plain_end

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a cipher cannot be pickled")
