"""Reading parts of an encrypted file without decrypting the whole."""

import io
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, NoReturn, Self

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context, Pairs, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.envelope import open_envelope
from modelsec.encryption.header import Header
from modelsec.encryption.memory import wipe, writable
from modelsec.encryption.source_file import Ciphertext, Source, readable
from modelsec.encryption.transform import open_segment
from modelsec.errors import ConfigurationError, DecryptionError, ResourceLimitError, shown

if TYPE_CHECKING:
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
        source: what ``encrypt_file`` wrote: its path, its bytes, or an open binary file of them,
            which has to stay open.
        wrapper: unwraps the data key.
        context: exactly the context that the file was encrypted with.

    Raises:
        DecryptionError: the file is not ours, damaged, cut off or extended, for another context,
            or the key does not fit.
        ConfigurationError: the file cannot be read, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """

    # Of the class: close() is also called when the constructor raised.
    _position = 0
    _held: tuple[int, bytearray] = (-1, bytearray())
    _stack: ExitStack | None = None

    def __init__(
        self, source: Ciphertext, wrapper: "KeyWrapper", *, context: Context | None = None
    ) -> None:
        super().__init__()
        pairs = pairs_of(context)
        key_id_of(wrapper)
        self._begin(readable(source, DecryptionError), wrapper, pairs)

    @classmethod
    def of(
        cls, opening: AbstractContextManager[Source], wrapper: "KeyWrapper", pairs: Pairs
    ) -> Self:
        """Read what a context manager opens, and leave it when the file is closed."""
        file = cls.__new__(cls)
        io.RawIOBase.__init__(file)
        file._begin(opening, wrapper, pairs)  # noqa: SLF001 - of this very class
        return file

    def _begin(
        self, opening: AbstractContextManager[Source], wrapper: "KeyWrapper", pairs: Pairs
    ) -> None:
        with ExitStack() as stack:
            self._file = stack.enter_context(opening)
            self._envelope = open_envelope(self._file, wrapper, pairs)
            self._layout = self._envelope.stream.cipher.layout
            self._stack = stack.pop_all()

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
        try:
            buffer = bytearray(length)
            self._fill(memoryview(buffer), offset)
            return bytes(buffer)
        except MemoryError as error:
            raise ResourceLimitError(
                f"there is no memory for {length} bytes at once: read less"
            ) from error

    def verify_whole(self, *, on_progress: Progress | None = None) -> None:
        """Decrypt every segment and drop it: the whole file is intact, or this raises.

        Raises:
            DecryptionError: a segment does not verify.
        """
        self._check_open()
        if on_progress is not None and not callable(on_progress):
            raise ConfigurationError(f"on_progress must be callable, not {shown(on_progress)}")
        for segment in range(self._layout.count):
            wipe(open_segment(self._file, self._envelope.stream, segment))
            if on_progress is not None:
                on_progress(self._layout.plain_stop(segment), self.size)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` verified bytes from the position on; all if it is negative.

        Raises:
            DecryptionError: a segment they are in does not verify.
            ResourceLimitError: there is no memory for so many bytes at once.
            ConfigurationError: the size is no integer, or the file is closed.
        """
        self._check_open()
        if size is not None and not isinstance(size, int):
            raise ConfigurationError(f"a size must be an integer, not {shown(size)}")
        if size is None or size < 0:
            # Piece by piece: a wrong segment shows before there is memory for everything.
            return self.readall()
        left = max(0, self.size - self._position)
        found = self.read_at(min(self._position, self.size), min(size, left))
        self._position += len(found)
        return found

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer from the position on; return how many bytes there were.

        Raises:
            DecryptionError: a segment they are in does not verify.
            ConfigurationError: the buffer cannot be written to, or the file is closed.
        """
        self._check_open()
        view = writable(buffer)
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
            if self._stack is not None:
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
