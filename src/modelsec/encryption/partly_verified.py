"""Reading parts of an encrypted file without decrypting the whole."""

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn, Self

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.envelope import open_envelope
from modelsec.encryption.header import Header
from modelsec.encryption.memory import wipe
from modelsec.encryption.source_file import opened
from modelsec.encryption.transform import open_segment
from modelsec.errors import ConfigurationError, DecryptionError, shown

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from modelsec.protocols.keys import KeyWrapper


class PartlyVerifiedFile(io.RawIOBase):
    """A readable, seekable file of plaintext that decrypts what is read, and only that.

    What is guaranteed: header, key, context and length were verified when the file was opened,
    and every byte that is returned was verified before, at its place. What is **not**: that the
    segments nobody has read are intact. ``verify_whole`` finds out; until then a reader must be
    able to stop half-way, at a :class:`~modelsec.errors.DecryptionError`.

    One segment is held in memory; 4 KiB segments suit small reads. One thread at a time.

    Args:
        source: what ``encrypt_file`` wrote.
        wrapper: unwraps the data key.
        context: exactly the context that the file was encrypted with.

    Raises:
        DecryptionError: the file is not ours, damaged, cut off or extended, for another context,
            or the key does not fit.
        ConfigurationError: the file cannot be read, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """

    def __init__(
        self, source: "str | Path", wrapper: "KeyWrapper", *, context: Context | None = None
    ) -> None:
        super().__init__()
        pairs = pairs_of(context)
        key_id_of(wrapper)
        self._position = 0
        self._held: tuple[int, bytearray] = (-1, bytearray())
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._file = stack.enter_context(opened(source, DecryptionError))
            self._envelope = open_envelope(self._file, wrapper, pairs)
            self._stack = stack.pop_all()
        self._layout = self._envelope.stream.cipher.layout

    @property
    def size(self) -> int:
        """Bytes of plaintext; verified."""
        return self._layout.plaintext_size

    @property
    def header(self) -> Header:
        """What the file says about itself; verified."""
        return self._envelope.header

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` verified bytes from ``offset``.

        Raises:
            DecryptionError: a segment they are in does not verify.
            ConfigurationError: they are not within the plaintext, or the file is closed.
        """
        if type(offset) is not int or type(length) is not int:
            raise ConfigurationError("offset and length must be integers")
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ConfigurationError(
                f"{shown(length)} bytes at {shown(offset)} are not within the {self.size} bytes "
                "of plaintext"
            )
        buffer = bytearray(length)
        self._fill(memoryview(buffer), offset)
        return bytes(buffer)

    def verify_whole(self, *, on_progress: Progress | None = None) -> None:
        """Decrypt every segment and drop it: the whole file is intact, or this raises.

        Raises:
            DecryptionError: a segment does not verify.
        """
        self._check_open()
        for segment in range(self._layout.count):
            wipe(open_segment(self._file, self._envelope.stream, segment))
            if on_progress is not None:
                on_progress(self._layout.plain_stop(segment), self.size)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer from the position on; return how many bytes there were."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self.size - self._position))
        self._fill(view[:size], self._position)
        self._position += size
        return size

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position; return it."""
        self._check_open()
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}
        known = isinstance(offset, int) and isinstance(whence, int) and whence in starts
        if not known or starts[whence] + offset < 0:
            raise ConfigurationError(
                f"cannot seek to {shown(offset)} from {shown(whence)}: there is no such position"
            )
        self._position = starts[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        self._check_open()
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file and wipe the segment that is held."""
        if not self.closed:
            wipe(self._held[1])
            self._held = (-1, bytearray())
            self._stack.close()
        super().close()

    def __enter__(self) -> Self:
        """Return itself; it is closed when the block ends."""
        self._check_open()
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a file that is being decrypted cannot be pickled")

    def _fill(self, view: memoryview, offset: int) -> None:
        self._check_open()
        done = 0
        while done < len(view):
            segment = self._layout.segment_at(offset + done)
            start = offset + done - self._layout.plain_start(segment)
            piece = self._segment(segment)[start : start + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)

    def _segment(self, segment: int) -> bytearray:
        if self._held[0] != segment:
            wipe(self._held[1])
            self._held = (-1, bytearray())
            plain = open_segment(self._file, self._envelope.stream, segment)
            self._held = (segment, plain)
        return self._held[1]

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigurationError("the file is closed: open it again")
