"""Moving bytes between open files, in bounded memory, by the kernel where it can."""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError

CHUNK = 1 << 18
"""Bytes that are read at once: they stay in the processor's cache for hashing and comparing."""

_AT_ONCE = 1 << 28
_NO_KERNEL_COPY = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
    errno.ETXTBSY,
}


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of an open file.

    Attributes:
        descriptor: of the file.
        start: of the range, in bytes.
        size: of the range, in bytes.
    """

    descriptor: int
    start: int
    size: int


Progress = Callable[[int], None]
"""Told the number of bytes that were dealt with since it was last told."""


def read_into(descriptor: int, offset: int, buffer: memoryview) -> None:
    """Fill a buffer from a file.

    Raises:
        MalformedArtifactError: the file ends before.
    """
    while buffer:
        read = os.preadv(descriptor, [buffer], offset)
        if not read:
            raise MalformedArtifactError(f"the file shrank while it was read, at {offset}")
        buffer = buffer[read:]
        offset += read


def write(descriptor: int, offset: int, data: memoryview) -> None:
    """Write all of some bytes at an offset."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data = data[written:]
        offset += written


def copy(source: Range, target: int, position: int, progress: Progress) -> None:
    """Copy a range of one file into another.

    Args:
        source: what to copy.
        target: descriptor of the file to write to.
        position: where to write.
        progress: told as it goes.

    Raises:
        MalformedArtifactError: the source ends before.
    """
    done = _kernel_copy(source, target, position, progress)
    buffer = memoryview(bytearray(min(CHUNK, source.size - done)))
    while done < source.size:
        piece = buffer[: source.size - done]
        read_into(source.descriptor, source.start + done, piece)
        write(target, position + done, piece)
        done += len(piece)
        progress(len(piece))


def _kernel_copy(source: Range, target: int, position: int, progress: Progress) -> int:
    """Return how many bytes the kernel copied: none where it cannot."""
    done = 0
    if not hasattr(os, "copy_file_range"):
        return done
    while done < source.size:
        size, start = min(source.size - done, _AT_ONCE), source.start + done
        try:
            copied = os.copy_file_range(source.descriptor, target, size, start, position + done)
        except OSError as error:
            if error.errno in _NO_KERNEL_COPY:
                break
            raise
        if not copied:
            break
        done += copied
        progress(copied)
    return done


def digest(what: Range, progress: Progress | None = None) -> str:
    """Return the SHA-256 (hex) of a range of a file."""
    state = hashlib.sha256()
    buffer = memoryview(bytearray(min(CHUNK, what.size)))
    for offset in range(0, what.size, CHUNK):
        piece = buffer[: what.size - offset]
        read_into(what.descriptor, what.start + offset, piece)
        state.update(piece)
        if progress:
            progress(len(piece))
    return state.hexdigest()


def same(first: Range, second: int, position: int) -> bool:
    """Return whether a range of one file equals the bytes at a position of another."""
    one, two = bytearray(min(CHUNK, first.size)), bytearray(min(CHUNK, first.size))
    for offset in range(0, first.size, CHUNK):
        if first.size - offset < CHUNK:
            del one[first.size - offset :], two[first.size - offset :]
        read_into(first.descriptor, first.start + offset, memoryview(one))
        read_into(second, position + offset, memoryview(two))
        if one != two:  # whole bytearrays compare at the speed of memory, views do not
            return False
    return True
