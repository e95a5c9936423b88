"""A file in blocks of some segments, worked on by some threads, in bounded memory."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Protocol

from modelsec.encryption.segments import Layout
from modelsec.errors import ConfigurationError, shown

Progress = Callable[[int, int], object]
"""Called with the bytes of plaintext done and in all; raising from it cancels the work."""

_BLOCK: Final = 1024 * 1024
_MOST_WORKERS: Final = 64
_DEFAULT_WORKERS: Final = 8
_BYTES_A_WORKER: Final = 8 * 1024 * 1024
_SMALL_SEGMENT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive segments that are read, worked on and written at once.

    Attributes:
        first: number of the first segment.
        stop: number after the last one.
        sealed_start: where their ciphertext begins in the stream.
        sealed_stop: and where it ends.
        plain_start: where their plaintext begins.
        plain_stop: and where it ends.
    """

    first: int
    stop: int
    sealed_start: int
    sealed_stop: int
    plain_start: int
    plain_stop: int

    @property
    def sealed_size(self) -> int:
        """Bytes of ciphertext and tags."""
        return self.sealed_stop - self.sealed_start

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext."""
        return self.plain_stop - self.plain_start


def segments_a_block(layout: Layout) -> int:
    """Return how many segments are worked on at once: about 1 MiB, which caches can hold."""
    return max(1, _BLOCK // layout.segment_size)


def blocks_of(layout: Layout) -> int:
    """Return the number of blocks."""
    return -(-layout.count // segments_a_block(layout))


def block_at(layout: Layout, number: int) -> Block:
    """Return one block."""
    first = number * segments_a_block(layout)
    stop = min(first + segments_a_block(layout), layout.count)
    return Block(
        first,
        stop,
        layout.sealed_start(first),
        layout.sealed_stop(stop - 1),
        layout.plain_start(first),
        layout.plain_stop(stop - 1),
    )


class Worker(Protocol):
    """What one thread does, with buffers of its own."""

    def work(self, block: Block) -> None:
        """Do one block."""
        ...

    def close(self) -> None:
        """Wipe and drop the buffers; called whatever happened."""
        ...


def workers_for(layout: Layout, asked: int | None) -> int:
    """Return how many threads to use.

    By default one for each processor that this process may use, at most 8 and one for each
    8 MiB; one for segments under 64 KiB, whose calls are so short that threads only wait for
    each other.

    Raises:
        ConfigurationError: the number asked for is not from 1 to 64.
    """
    if asked is not None:
        if type(asked) is not int or not 1 <= asked <= _MOST_WORKERS:
            raise ConfigurationError(
                f"workers must be an integer from 1 to {_MOST_WORKERS}, not {shown(asked)}"
            )
        return min(asked, blocks_of(layout))
    if layout.segment_size < _SMALL_SEGMENT:
        return 1
    return max(1, min(_processors(), _DEFAULT_WORKERS, layout.stream_size // _BYTES_A_WORKER))


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run(
    layout: Layout,
    make_worker: Callable[[], Worker],
    *,
    workers: int,
    on_progress: Progress | None,
) -> None:
    """Work on all blocks; with one worker in order and in this thread.

    Progress is told in the calling thread. Whatever is raised, by a worker or by the callback,
    stops all threads and is raised when none of them runs any more.
    """
    if on_progress is not None and not callable(on_progress):
        raise ConfigurationError(f"on_progress must be callable, not {shown(on_progress)}")
    tell: Progress = on_progress or (lambda done, total: None)  # noqa: ARG005 - the interface
    if workers == 1:
        _run_here(layout, make_worker, tell)
    else:
        _Crew(layout, make_worker, workers).run(tell)


def _run_here(layout: Layout, make_worker: Callable[[], Worker], tell: Progress) -> None:
    worker = make_worker()
    try:
        for number in range(blocks_of(layout)):
            block = block_at(layout, number)
            worker.work(block)
            tell(block.plain_stop, layout.plaintext_size)
    finally:
        worker.close()


class _Crew:
    """Threads that take the next block until there is none, or until one of them fails."""

    def __init__(self, layout: Layout, make_worker: Callable[[], Worker], workers: int) -> None:
        self._layout = layout
        self._make_worker = make_worker
        self._workers = workers
        self._total = blocks_of(layout)
        self._numbers = iter(range(self._total))
        self._lock = threading.Lock()
        self._stopped = False
        # Bytes of a block that is done, an error, or None from a thread that ends.
        self._news: SimpleQueue[int | BaseException | None] = SimpleQueue()

    def run(self, tell: Progress) -> None:
        started: list[threading.Thread] = []
        try:
            for number in range(self._workers):
                thread = threading.Thread(
                    target=self._thread, name=f"modelsec-segments-{number}", daemon=True
                )
                # Before it starts: an interrupt meanwhile must not lose sight of it.
                started.append(thread)
                try:
                    thread.start()
                except RuntimeError:
                    # The system gives no more threads: fewer do the same work.
                    started.pop()
                    break
            if started:
                self._listen(tell, len(started))
        finally:
            self._stopped = True
            _join(started)
        if not started:
            _run_here(self._layout, self._make_worker, tell)

    def _listen(self, tell: Progress, running: int) -> None:
        done = 0
        while running:
            news = self._news.get()
            if news is None:
                running -= 1
            elif isinstance(news, int):
                done += news
                tell(done, self._layout.plaintext_size)
            else:
                raise news

    def _thread(self) -> None:
        try:
            worker = self._make_worker()
            try:
                while (number := self._next()) is not None:
                    block = block_at(self._layout, number)
                    worker.work(block)
                    self._news.put(block.plain_size)
            finally:
                worker.close()
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._news.put(error)
        self._news.put(None)

    def _next(self) -> int | None:
        with self._lock:
            return None if self._stopped else next(self._numbers, None)


def _join(threads: list[threading.Thread]) -> None:
    """Wait for all threads, however often this is interrupted, and raise the interrupt then.

    They write to descriptors and buffers that the caller closes and wipes next.
    """
    interrupt: BaseException | None = None
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except BaseException as error:  # noqa: BLE001 - raised again below
                interrupt = error
    if interrupt is not None:
        raise interrupt
