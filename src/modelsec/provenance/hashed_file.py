"""A file that can be read only as it was when it was hashed.

A check that hashes a file and then reads it again trusts that nobody wrote to it in between. Here
the state of the hash is kept for every block. Whoever reads later gets a block only if hashing it
from the state before leads to the state behind, which no other bytes do (SHA-256 is collision
resistant). One pass of hashing, no copy of the file, and no gap between hash and scan.
"""

import hashlib
import hmac
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelsec.errors import MalformedArtifactError
from modelsec.signing.hashing.digests import check_end

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

_BLOCK = 1 << 20  # bytes; the state of one block costs about 0.5 kB
_KEPT = 4


class HashedFile(io.RawIOBase):
    """Bytes of an open regular file, hashed at once and compared whenever they are read.

    Args:
        descriptor: open for reading; it stays the caller's, and open.
        advance: told the number of bytes after each block that was hashed.

    Attributes:
        sha256: hex digest of the whole content.
        length: bytes that were hashed.
        changed: a block was read later that is not what was hashed.

    Raises:
        MalformedArtifactError: the file cannot be read.
        DigestMismatchError: it goes on behind the size that its file system tells.
    """

    def __init__(self, descriptor: int, *, advance: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._position = 0
        self._recent: dict[int, bytes] = {}
        self.changed = False
        state = hashlib.sha256()
        self._states = [state.copy()]
        self.length = 0
        # Not to the end: a file that somebody appends to would never end.
        total = os.fstat(descriptor).st_size
        while self.length < total:
            data = self._pread(self.length, min(_BLOCK, total - self.length))
            if not data:
                raise MalformedArtifactError("the file shrank while it was hashed")
            state.update(data)
            self._states.append(state.copy())
            self.length += len(data)
            if advance is not None:
                advance(len(data))
        check_end(descriptor, total)
        self.sha256 = state.hexdigest()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte and return its offset."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._position

    def readinto(self, buffer: "Buffer") -> int:
        """Read up to the end of a block, and return how many bytes that were.

        Raises:
            MalformedArtifactError: the bytes are no longer those that were hashed.
        """
        view = memoryview(buffer).cast("B")
        if not view or self._position >= self.length:
            return 0
        index, start = divmod(self._position, _BLOCK)
        data = self._block(index)[start : start + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _block(self, index: int) -> bytes:
        if index in self._recent:
            return self._recent[index]
        start = index * _BLOCK
        data = self._pread(start, min(_BLOCK, self.length - start))
        state = self._states[index].copy()
        state.update(data)
        if not hmac.compare_digest(state.digest(), self._states[index + 1].digest()):
            self.changed = True
            raise MalformedArtifactError("the file changed after it was hashed")
        if len(self._recent) >= _KEPT:
            del self._recent[next(iter(self._recent))]
        self._recent[index] = data
        return data

    def _pread(self, offset: int, missing: int) -> bytes:
        """Return that many bytes, or fewer if the file ends before."""
        pieces: list[bytes] = []
        try:
            while missing and (piece := os.pread(self._descriptor, missing, offset)):
                pieces.append(piece)
                offset += len(piece)
                missing -= len(piece)
        except OSError as error:
            raise MalformedArtifactError(
                f"the file cannot be read at {offset}: {error.strerror}"
            ) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
