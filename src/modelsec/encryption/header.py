"""The header of an encrypted file, version 1: what it is for and how its key is wrapped.

======  =====================================================================================
bytes   field
======  =====================================================================================
8       magic ``89 4d 53 45 0d 0a 1a 0a``; a transfer as text would change it
2       version, 1
2       suite, 1: Tink ``AES256_GCM_HKDF`` with SHA-256, commitment by HKDF-SHA256
4       segment size in bytes, 4096 to 1048576
2 + n   context: number of pairs, then length and UTF-8 of each name and value, sorted by name
2 + n   key id, UTF-8, 1 to 2048 bytes
2 + n   wrapped data key, 1 to 8192 bytes
32      key commitment
======  =====================================================================================

Numbers are unsigned and big-endian. The Tink stream follows at once. Its associated data are the
bytes from the magic to the end of the context (``bound``): they never change. Key id and wrapped
key do when the key is rotated; the wrapper authenticates them (``wrap_context``).
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

from modelsec.encryption import context as contexts
from modelsec.encryption.cursor import Cursor
from modelsec.encryption.data_key import MAX_KEY_ID, MAX_WRAPPED, DataKey
from modelsec.encryption.segments import MAX_SEGMENT, MIN_SEGMENT
from modelsec.errors import DecryptionError

MAGIC: Final = b"\x89MSE\r\n\x1a\n"
VERSION: Final = 1
SUITE: Final = 1
COMMITMENT: Final = 32
MAX_HEADER: Final = 32 * 1024
"""No header is longer: the limits of its fields add up to less."""
_COMMITMENT_LABEL: Final = b"modelsec/encryption/v1/commitment\0"
_WRAP_LABEL: Final = b"modelsec/encryption/v1/wrap\0"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the stream. Parsed is not verified: these are claims.

    Attributes:
        segment_size: bytes of a full segment, its tag included.
        context: names and values, sorted.
        key_id: of the wrapper that wrapped the data key.
        wrapped_key: the data key, wrapped.
        commitment: to the data key and the salt of the stream.
    """

    segment_size: int
    context: contexts.Pairs
    key_id: str
    wrapped_key: bytes = field(repr=False)
    commitment: bytes = field(repr=False)

    @property
    def bound(self) -> bytes:
        """The part that never changes: the associated data of the stream."""
        return bound_part(self.segment_size, self.context)

    def encode(self) -> bytes:
        """Return the header; there is one encoding only."""
        key_id = self.key_id.encode()
        return b"".join(
            (
                self.bound,
                len(key_id).to_bytes(2),
                key_id,
                len(self.wrapped_key).to_bytes(2),
                self.wrapped_key,
                self.commitment,
            )
        )

    @classmethod
    def parse(cls, raw: bytes) -> tuple[Self, int]:
        """Read a header from the first bytes of a file; return it and its size.

        Raises:
            DecryptionError: the file is not ours, of another version, cut off, or breaks a rule.
        """
        cursor = Cursor(raw)
        if raw[: len(MAGIC)] != MAGIC:
            raise DecryptionError(
                "the file was not encrypted by modelsec: it does not begin as such a file does"
            )
        cursor.take(len(MAGIC))
        version, suite = cursor.number(2), cursor.number(2)
        if (version, suite) != (VERSION, SUITE):
            raise DecryptionError(
                f"the file has version {version} and suite {suite} of the format; this release "
                f"of modelsec reads version {VERSION} and suite {SUITE}"
            )
        segment_size = cursor.number(4)
        if not MIN_SEGMENT <= segment_size <= MAX_SEGMENT:
            raise DecryptionError(
                f"the header says segments of {segment_size} bytes: {MIN_SEGMENT} to "
                f"{MAX_SEGMENT} are possible"
            )
        header = cls(
            segment_size,
            contexts.decode(cursor),
            cursor.text(1, MAX_KEY_ID),
            cursor.sized(1, MAX_WRAPPED),
            cursor.take(COMMITMENT),
        )
        return header, cursor.position


def bound_part(segment_size: int, context: contexts.Pairs) -> bytes:
    """Return magic, version, suite, segment size and context."""
    fixed = MAGIC + VERSION.to_bytes(2) + SUITE.to_bytes(2) + segment_size.to_bytes(4)
    return fixed + contexts.encode(context)


def wrap_context(bound: bytes, key_id: str) -> bytes:
    """Return what a key wrapper authenticates together with the data key: 32 bytes.

    A digest, because services limit the size of what they authenticate, and log it.
    """
    return sha256(_WRAP_LABEL + bound + key_id.encode()).digest()


def commitment_of(key: DataKey, salt: bytes, bound: bytes) -> bytes:
    """Return the commitment to a data key, for one stream.

    AES-GCM is not key-committing: one can make a ciphertext that two keys decrypt to two texts
    (Dodis et al., "Fast Message Franking", CRYPTO 2018). The commitment is an output of the same
    HKDF under another label, so it says which key is the right one and nothing else about it.
    """
    return key.derive(salt, _COMMITMENT_LABEL + bound)


def check_commitment(header: Header, key: DataKey, salt: bytes) -> None:
    """Raise unless the key is the one that the header commits to, in constant time.

    Raises:
        DecryptionError: it is another key, or another stream.
    """
    expected = commitment_of(key, salt, header.bound)
    if not hmac.compare_digest(expected, header.commitment):
        raise DecryptionError(
            "the header does not fit the key and the stream that follows it: it was changed, or "
            "belongs to another file"
        )
