"""Decompression that an attacker pays for: piece by piece, under a budget, never whole in memory.

A compressed stream is expanded into a ``Source``: up to 16 MiB in memory, more than that in a
temporary file that has no name. What came out before a break is kept: a loader that reads a
stream has acted on it before it meets the break.
"""

import bz2
import contextlib
import lzma
import os
import tempfile
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from modelsec.errors import (
    ArtifactError,
    MalformedArtifactError,
    ResourceLimitError,
)
from modelsec.scanning.limits import MIB, Budget
from modelsec.scanning.source import Source, check_range

IN_MEMORY = 16 * MIB
_INPUT = 1 << 16
_OUTPUT = 1 << 18


class Decoder(Protocol):
    """An incremental decoder, as ``bz2.BZ2Decompressor`` and ``lzma.LZMADecompressor`` are."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was met."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without new input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was fed beyond the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most ``max_length`` further bytes."""
        ...


class Inflate:
    """A ``Decoder`` over zlib, whose own object has a face of its own."""

    __slots__ = ("_decoder", "needs_input")

    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was met."""
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        """What was fed beyond the end of the stream."""
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most ``max_length`` further bytes."""
        pending = self._decoder.unconsumed_tail
        output = self._decoder.decompress(pending + data if pending else data, max_length)
        self.needs_input = len(output) < max_length  # otherwise zlib may hold more of it
        return output


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to decompress.

    Attributes:
        name: for messages.
        decoder: makes one for each stream; it is told how much memory it may use, in bytes.
        errors: what the decoder raises about bad data.
        follows: whether bytes behind a stream can start a further one that loaders read through.
        skips_zeros: loaders skip zero bytes between streams.
    """

    name: str
    decoder: Callable[[int], Decoder]
    errors: tuple[type[Exception], ...]
    follows: Callable[[bytes], bool] = field(default=lambda _: False)
    skips_zeros: bool = False


GZIP = Codec(
    "gzip",
    lambda _: Inflate(31),
    (zlib.error,),
    follows=lambda data: data.startswith(b"\x1f\x8b"),
    skips_zeros=True,
)
ZLIB = Codec("zlib", lambda _: Inflate(15), (zlib.error,))
DEFLATE = Codec("deflate", lambda _: Inflate(-15), (zlib.error,))
BZIP2 = Codec(
    "bzip2",
    lambda _: bz2.BZ2Decompressor(),
    (OSError, ValueError),
    follows=lambda data: data.startswith(b"BZh"),
)
LZMA = Codec(
    # Python's reader tries both formats for every stream, so a chain may mix them.
    "lzma",
    lambda memory: lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=memory),
    (lzma.LZMAError, EOFError),
    follows=lambda data: data.startswith((b"\xfd7zXZ\0", b"\x5d\0")),
)


class Spool:
    """A ``Source`` that grows: in memory first, then in an unlinked temporary file."""

    __slots__ = ("__weakref__", "_close", "_data", "_descriptor", "_size")
    far = False

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptor: int | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """Number of bytes so far."""
        return self._size

    def add(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            ResourceLimitError: there is no room for temporary files.
        """
        self._size += len(data)
        if self._descriptor is None and self._size <= IN_MEMORY:
            self._data += data
            return
        try:
            if self._descriptor is None:
                with tempfile.TemporaryFile(buffering=0) as file:
                    self._descriptor = os.dup(file.fileno())
                self._close = weakref.finalize(self, os.close, self._descriptor)
                self._write(self._data)
                self._data = bytearray()
            self._write(data)
        except OSError as error:
            raise ResourceLimitError(f"no room to expand into: {error.strerror}") from error

    def _write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view and self._descriptor is not None:
            view = view[os.write(self._descriptor, view) :]

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        if self._descriptor is None:
            return bytes(memoryview(self._data)[offset : offset + length])
        pieces = []
        while length:
            pieces.append(os.pread(self._descriptor, length, offset))
            if not pieces[-1]:
                raise MalformedArtifactError("the temporary file was cut by somebody else")
            offset += len(pieces[-1])
            length -= len(pieces[-1])
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Expansion:
    """What came out of one or more streams.

    Attributes:
        source: the content, or as much as came out.
        consumed: where in the input the last stream that was read ends.
        ended: that stream's end mark and its check value were met.
        error: why it did not; None if it did, or if the caller's limit was reached.
        crc: CRC-32 of the content, 0 unless asked for.
    """

    source: Source
    consumed: int
    ended: bool
    error: ArtifactError | None
    crc: int = 0


def expand(
    source: Source,
    codec: Codec,
    budget: Budget,
    *,
    stop_after: int | None = None,
    checksum: bool = False,
) -> Expansion:
    """Decompress a stream and what loaders read through behind it.

    Args:
        source: the input.
        codec: how to.
        budget: for the output.
        stop_after: give up once more than this many bytes came out (a declared size).
        checksum: compute the CRC-32 of the output.
    """
    run = _Run(source, codec, budget)
    consumed = 0
    error: ArtifactError | None = None
    while error is None:
        before = run.spool.size
        ended, error = run.stream(stop_after, checksum=checksum)
        if error is not None and before and run.spool.size == before and _is_bad(error):
            # Not one byte of a further stream: a tail, which loaders ignore. Nobody claims it.
            return Expansion(run.spool, consumed, ended=True, error=None, crc=run.crc)
        consumed = run.position
        if not ended or not run.next_stream():
            return Expansion(run.spool, consumed, ended, error, run.crc)
    return Expansion(run.spool, consumed, ended=False, error=error, crc=run.crc)


def _is_bad(error: ArtifactError) -> bool:
    return isinstance(error, MalformedArtifactError)


class _Run:
    """The state of one expansion."""

    __slots__ = ("_budget", "_codec", "_fed", "_source", "_waiting", "crc", "spool")

    def __init__(self, source: Source, codec: Codec, budget: Budget) -> None:
        self._source = source
        self._codec = codec
        self._budget = budget
        self._fed = 0
        self._waiting = b""  # read from the source, not yet fed
        self.crc = 0
        self.spool = Spool()

    @property
    def position(self) -> int:
        """Where in the input the decoder stands."""
        return self._fed - len(self._waiting)

    def _input(self) -> bytes:
        if self._waiting:
            data, self._waiting = self._waiting, b""
            return data
        data = self._source.read(self._fed, min(_INPUT, self._source.size - self._fed))
        self._fed += len(data)
        return data

    def stream(
        self, stop_after: int | None, *, checksum: bool
    ) -> tuple[bool, ArtifactError | None]:
        """Expand one stream: whether its end was met, and what is wrong if not."""
        try:
            return self._stream(stop_after, checksum=checksum), None
        except ArtifactError as error:
            return False, error
        except MemoryError:
            return False, ResourceLimitError(f"the {self._codec.name} stream needs too much memory")
        except self._codec.errors as error:
            reason = f"the {self._codec.name} stream is broken: {error}"
            if "emory" in str(error):  # lzma's, if the dictionary is larger than it may be
                return False, ResourceLimitError(reason)
            return False, MalformedArtifactError(reason)

    def _stream(self, stop_after: int | None, *, checksum: bool) -> bool:
        decoder = self._codec.decoder(self._budget.limits.read_bytes)
        while not decoder.eof:
            data = self._input() if decoder.needs_input else b""
            if not data and decoder.needs_input:
                raise MalformedArtifactError(f"the {self._codec.name} stream is cut off")
            output = decoder.decompress(data, _OUTPUT)
            self.spool.add(output)
            if checksum:
                self.crc = zlib.crc32(output, self.crc)
            self._budget.expanded(len(output), produced=self.spool.size, consumed=self._fed)
            if stop_after is not None and self.spool.size > stop_after:
                return False
        self._waiting = decoder.unused_data
        return True

    def next_stream(self) -> bool:
        """Move to a further stream that loaders would read through, if there is one."""
        if not self._waiting and self._fed == self._source.size:
            return False
        with contextlib.suppress(ArtifactError):
            self._budget.members()
            if len(self._waiting) < 6:  # noqa: PLR2004 - the longest magic number
                self._refill()
            if self._codec.skips_zeros:
                while self._waiting and not self._waiting.strip(b"\0"):
                    self._waiting = b""
                    self._refill()
                self._waiting = self._waiting.lstrip(b"\0")
            return self._codec.follows(self._waiting)
        return False

    def _refill(self) -> None:
        self._budget.check_time()
        data = self._source.read(self._fed, min(_INPUT, self._source.size - self._fed))
        self._fed += len(data)
        self._waiting += data
