"""Digests of files and ranges, read in one pass into one buffer."""

import hashlib
import os
from collections.abc import Callable
from typing import Protocol

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError, shown
from modelsec.signing.manifest import DIGEST_BYTES

BUFFER_BYTES = 1_048_576
"""Bytes in a read: the time of a call does not show, and the buffer stays in the CPU's cache."""


class Hasher(Protocol):
    """A hash that is being computed."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Take the next bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""
        ...


def new_hasher(algorithm: str) -> Hasher:
    """Return a fresh hasher: ``sha256``, ``blake2b`` (512 bits) or ``blake3`` (256 bits).

    Raises:
        ConfigurationError: the algorithm is unknown, or its package is not installed.
    """
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "blake2b":
        return hashlib.blake2b()
    if algorithm == "blake3":
        return _blake3()
    raise ConfigurationError(
        f"no digest algorithm {shown(algorithm)}: choose one of {', '.join(DIGEST_BYTES)}"
    )


def hash_descriptor(  # noqa: PLR0913, PLR0917 - a range, and what it is read with
    descriptor: int,
    start: int,
    end: int,
    hasher: Hasher,
    buffer: bytearray | memoryview,
    advance: Callable[[int], None],
) -> bytes:
    """Hash a range of an open file.

    Args:
        descriptor: of a regular file, open for reading; its position neither matters nor moves
            where the system can read at an offset.
        start: first byte of the range.
        end: the byte behind it.
        hasher: takes the bytes; may hold some already.
        buffer: for the reads; not shared with another thread.
        advance: called with the number of bytes after each read; raising from it ends the work.

    Returns:
        The digest.

    Raises:
        DigestMismatchError: the file ends before the range does: it was cut.
        UnsafeTreeError: it cannot be read.
    """
    view = memoryview(buffer)
    offset = start
    while offset < end:
        try:
            count = _read(descriptor, view[: end - offset], offset)
        except OSError as error:
            raise UnsafeTreeError(f"cannot read at byte {offset}: {error.strerror}") from error
        if not count:
            raise DigestMismatchError(
                f"the file ends at byte {offset}, expected were {end}: it was cut while it was read"
            )
        hasher.update(view[:count])
        offset += count
        advance(count)
    return hasher.digest()


def check_end(descriptor: int, end: int) -> None:
    """Make sure that a file has no byte from ``end`` on, whatever size its file system tells.

    Raises:
        DigestMismatchError: it has.
        UnsafeTreeError: it cannot be read.
    """
    try:
        more = _read(descriptor, memoryview(bytearray(1)), end)
    except OSError as error:
        raise UnsafeTreeError(f"cannot read at byte {end}: {error.strerror}") from error
    if more:
        raise DigestMismatchError(f"the file has bytes behind its end at {end}")


def _read(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], offset)
    # Windows. Each range has a descriptor of its own, so that no thread moves another's position.
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)


def _blake3() -> Hasher:
    try:
        import blake3  # noqa: PLC0415 - an extra, imported on first use
    except ModuleNotFoundError as error:
        raise ConfigurationError("BLAKE3 needs: pip install 'modelsec[blake3]'") from error
    # One thread: ranges are what runs in parallel, and the CPU is not ours alone.
    return blake3.blake3(max_threads=1)
