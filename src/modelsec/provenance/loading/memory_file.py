"""A read-only file over bytes in memory, without a copy of them."""

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PEEK = 8192


class MemoryFile(io.RawIOBase):
    """A seekable binary file whose content is a ``memoryview``.

    ``io.BytesIO`` would copy the view. Reading copies what is read; ``getbuffer`` copies nothing.

    Attributes:
        name: of the file, for loaders that look at it.
    """

    def __init__(self, view: memoryview, name: str) -> None:
        super().__init__()
        self.name = name
        self._view = view
        self._position = 0

    def close(self) -> None:
        """Let go of the bytes; views of them stay valid."""
        self._view = memoryview(b"")
        super().close()

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be moved in."""
        return True

    def getbuffer(self) -> memoryview:
        """Return all of its bytes, read-only, without a copy."""
        self._check_open()
        return self._view

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer as far as there are bytes; return how many there were."""
        self._check_open()
        with memoryview(buffer) as whole, whole.cast("B") as target:
            piece = self._ahead(len(target))
            target[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes; all that are left if it is negative or None."""
        self._check_open()
        piece = self._ahead(len(self._view) if size is None or size < 0 else size)
        self._position += len(piece)
        return bytes(piece)

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return self.read()

    def peek(self, size: int = 0, /) -> bytes:
        """Return some of the next bytes without moving; ``readline`` is slow without it."""
        self._check_open()
        return bytes(self._ahead(max(size, _PEEK)))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; return the position."""
        self._check_open()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._view)}
        if whence not in bases:
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        if bases[whence] + offset < 0:
            raise ValueError("a position before the start of the file")
        self._position = bases[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        self._check_open()
        return self._position

    def _ahead(self, size: int) -> memoryview:
        start = min(self._position, len(self._view))
        return self._view[start : start + size]

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on a closed file")
