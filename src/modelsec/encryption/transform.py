"""One stream, sealed or opened block by block: into a file, or into memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modelsec.encryption.blocks import Block, Progress, Worker, run, segments_a_block, workers_for
from modelsec.encryption.cipher import SegmentCipher
from modelsec.encryption.memory import wipe
from modelsec.encryption.source_file import Source
from modelsec.errors import ConfigurationError


class Digest(Protocol):
    """What hashes: as the objects of ``hashlib`` do."""

    def update(self, data: memoryview, /) -> object:
        """Go on with these bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a stream is, and what seals or opens its segments.

    Attributes:
        cipher: of the stream.
        base: where in the encrypted file it begins.
    """

    cipher: SegmentCipher
    base: int


@dataclass(frozen=True, slots=True)
class Effort:
    """How the work is done.

    Attributes:
        workers: threads; None for as many as are worth it.
        on_progress: called with bytes done and in all.
        digest: hashes the plaintext; this needs order, and so one worker.
    """

    workers: int | None = None
    on_progress: Progress | None = None
    digest: Digest | None = None

    def threads(self, cipher: SegmentCipher) -> int:
        """Return how many threads to use.

        Raises:
            ConfigurationError: the number asked for is wrong.
        """
        found = workers_for(cipher.layout, self.workers)
        return found if self.digest is None else 1


def seal_to_file(source: Source, stream: Stream, target: int, effort: Effort) -> None:
    """Encrypt a whole file; what follows the stream's header is written to the descriptor."""
    _run(stream, effort, lambda: _Sealing(source, stream, target, effort))


def open_to_file(source: Source, stream: Stream, target: int, effort: Effort) -> None:
    """Decrypt a whole stream to a descriptor.

    Raises:
        DecryptionError: a segment does not verify: nothing in the target must be used.
    """
    _run(stream, effort, lambda: _OpeningToFile(source, stream, target, effort))


def open_to_memory(source: Source, stream: Stream, target: memoryview, effort: Effort) -> None:
    """Decrypt a whole stream into a buffer of exactly the plaintext's size.

    Raises:
        DecryptionError: a segment does not verify: nothing in the target must be used.
    """
    _run(stream, effort, lambda: _OpeningToMemory(source, stream, target))


def _run(stream: Stream, effort: Effort, make_worker: Callable[[], Worker]) -> None:
    run(
        stream.cipher.layout,
        make_worker,
        workers=effort.threads(stream.cipher),
        on_progress=effort.on_progress,
    )


def open_segment(source: Source, stream: Stream, segment: int) -> bytearray:
    """Decrypt one segment.

    Raises:
        DecryptionError: it does not verify.
    """
    layout = stream.cipher.layout
    start, stop = layout.sealed_start(segment), layout.sealed_stop(segment)
    sealed = memoryview(bytearray(stop - start))
    plain = bytearray(layout.plain_stop(segment) - layout.plain_start(segment))
    source.read_into(sealed, stream.base + start)
    try:
        stream.cipher.open(segment, segment + 1, sealed, memoryview(plain))
    except BaseException:
        wipe(plain)
        raise
    return plain


class _Sealing:
    """Reads a block, seals it, writes it; in two buffers of its own."""

    def __init__(self, source: Source, stream: Stream, target: int, effort: Effort) -> None:
        self._source, self._stream, self._target = source, stream, target
        self._digest = effort.digest
        self._plain, self._sealed = _new_block(stream), _new_block(stream)

    def work(self, block: Block) -> None:
        plain = self._plain[: block.plain_size]
        sealed = self._sealed[: block.sealed_size]
        self._source.read_into(plain, block.plain_start)
        if self._digest is not None:
            self._digest.update(plain)
        self._stream.cipher.seal(block.first, block.stop, plain, sealed)
        write_all(self._target, sealed, self._stream.base + block.sealed_start)

    def close(self) -> None:
        wipe(self._plain)


class _OpeningToFile:
    """Reads a block, opens it, writes it; in two buffers of its own."""

    def __init__(self, source: Source, stream: Stream, target: int, effort: Effort) -> None:
        self._source, self._stream, self._target = source, stream, target
        self._digest = effort.digest
        self._plain, self._sealed = _new_block(stream), _new_block(stream)

    def work(self, block: Block) -> None:
        plain = self._plain[: block.plain_size]
        _open_block(self._source, self._stream, block, self._sealed, plain)
        if self._digest is not None:
            self._digest.update(plain)
        write_all(self._target, plain, block.plain_start)

    def close(self) -> None:
        wipe(self._plain)


class _OpeningToMemory:
    """Reads a block into a buffer of its own and opens it into the common one."""

    def __init__(self, source: Source, stream: Stream, target: memoryview) -> None:
        self._source, self._stream, self._target = source, stream, target
        self._sealed = _new_block(stream)

    def work(self, block: Block) -> None:
        plain = self._target[block.plain_start : block.plain_stop]
        _open_block(self._source, self._stream, block, self._sealed, plain)

    def close(self) -> None:
        self._sealed.release()


def _open_block(
    source: Source, stream: Stream, block: Block, room: memoryview, plain: memoryview
) -> None:
    sealed = room[: block.sealed_size]
    source.read_into(sealed, stream.base + block.sealed_start)
    stream.cipher.open(block.first, block.stop, sealed, plain)


def _new_block(stream: Stream) -> memoryview:
    """Return a buffer that holds every block, sealed or plain."""
    layout = stream.cipher.layout
    room = segments_a_block(layout) * layout.segment_size
    return memoryview(bytearray(min(room, layout.stream_size)))


def write_all(descriptor: int, view: memoryview, offset: int) -> None:
    """Write a whole view at an offset.

    Raises:
        ConfigurationError: the disk is full, or refuses otherwise.
    """
    done = 0
    while done < len(view):
        try:
            done += os.pwrite(descriptor, view[done:], offset + done)
        except OSError as error:
            raise ConfigurationError(f"cannot write the result: {error.strerror}") from error
