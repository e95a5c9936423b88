"""Random access to bytes, wherever they are: in memory, in a file, or in a range of either.

Readers ask for what they need by offset and never see a file object; nothing is read that nobody
asked for, so that a huge checkpoint costs its directory and its pickles.
"""

import os
import threading
from typing import BinaryIO, Protocol

from modelsec.errors import MalformedArtifactError


class Source(Protocol):
    """Bytes with a known size."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    @property
    def far(self) -> bool:
        """Whether each read is a request to somewhere else: readers leave out what they can."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``.

        Raises:
            MalformedArtifactError: the range is not within the source; nothing is padded.
        """
        ...


class BytesSource:
    """Bytes in memory that nobody changes; of a view only what is asked for is copied."""

    __slots__ = ("_data",)
    far = False

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        piece = self._data[offset : offset + length]
        return piece if isinstance(piece, bytes) else piece.tobytes()


class DescriptorSource:
    """An open regular file, by descriptor: concurrent reads need no lock, nothing is mapped.

    A map would be faster and would kill the process if somebody cut the file meanwhile.
    """

    __slots__ = ("_descriptor", "_size")
    far = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        """Number of bytes when the source was made."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        pieces = []
        while length:
            try:
                piece = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise MalformedArtifactError(
                    f"the file cannot be read at {offset}: {error.strerror}"
                ) from error
            if not piece:
                raise MalformedArtifactError(f"the file shrank while it was read, at {offset}")
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class SeekableSource:
    """Any seekable binary file object, local or remote; its position is moved."""

    __slots__ = ("_file", "_lock", "_size")
    far = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._size = file.seek(0, os.SEEK_END)

    @property
    def size(self) -> int:
        """Number of bytes when the source was made."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        pieces = []
        with self._lock:
            self._file.seek(offset)
            while length:
                piece = self._file.read(length)
                if not piece:
                    raise MalformedArtifactError(f"the file ended early, near {offset}")
                pieces.append(bytes(piece))
                length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Slice:
    """A range of another source."""

    __slots__ = ("_base", "_offset", "_size")

    def __init__(self, base: Source, offset: int, size: int) -> None:
        check_range(base, offset, size)
        # A slice of a slice is a slice: no towers.
        self._base: Source = base
        self._offset = offset
        if isinstance(base, Slice):
            self._base = base._base  # noqa: SLF001 - its own class
            self._offset += base._offset  # noqa: SLF001 - idem
        self._size = size

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size

    @property
    def far(self) -> bool:
        """As the source it is a range of."""
        return self._base.far

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        return self._base.read(self._offset + offset, length)


def check_range(source: Source, offset: int, length: int) -> None:
    """Raise unless ``offset`` and ``length`` lie within the source."""
    if offset < 0 or length < 0 or offset + length > source.size:
        raise MalformedArtifactError(
            f"{length} bytes at {offset} reach beyond the {source.size} bytes there are"
        )
