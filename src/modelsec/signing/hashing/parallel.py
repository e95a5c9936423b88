"""Run jobs in threads, and leave none behind.

Hashing and reading release the interpreter's lock, so threads scale over cores. The caller's thread
waits for answers: progress is told there, and an exception in it (an interrupt too) stops all.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeAlias, TypeVar

from modelsec.signing.hashing.digests import BUFFER_BYTES

Job = TypeVar("Job")
Work: TypeAlias = Callable[[Job, bytearray, Callable[[int], None]], bytes]


class _Stopped(Exception):  # noqa: N818 - no error: somebody else had one
    """The others are to end."""


def run(
    jobs: Sequence[Job], work: Work[Job], *, threads: int, advance: Callable[[int], None]
) -> list[bytes]:
    """Return the results of jobs in their order.

    Args:
        jobs: begun in this order.
        work: called with a job, a buffer that is the thread's own, and a function that takes what
            was done and raises when all are to end.
        threads: at most so many.
        advance: called in this thread with what was done.

    Raises:
        BaseException: the first that a job or ``advance`` raised, when all threads have ended.
    """
    return _Crew(jobs, work).run(threads, advance)


class _Crew(Generic[Job]):
    """Threads at work on one list of jobs."""

    def __init__(self, jobs: Sequence[Job], work: Work[Job]) -> None:
        self._jobs = jobs
        self._work = work
        self._waiting = deque(range(len(jobs)))
        self._stop = threading.Event()
        # What was done since, a job's number and result, or what went wrong.
        self._answers: SimpleQueue[int | tuple[int, bytes] | BaseException] = SimpleQueue()

    def run(self, threads: int, advance: Callable[[int], None]) -> list[bytes]:
        crew: list[threading.Thread] = []
        try:
            self._start(crew, threads)
            return self._collect(advance)
        finally:
            self._stop.set()
            for thread in crew:
                # One that an interrupt met before it began ends as soon as it does.
                with suppress(RuntimeError):
                    thread.join()

    def _start(self, crew: list[threading.Thread], threads: int) -> None:
        for number in range(threads):
            thread = threading.Thread(target=self._labour, name=f"modelsec-hash-{number}")
            crew.append(thread)
            try:
                thread.start()
            except RuntimeError:
                # The system gives no more threads; those that run do all the work.
                crew.pop()
                break
        if not crew:
            self._labour()

    def _collect(self, advance: Callable[[int], None]) -> list[bytes]:
        results: dict[int, bytes] = {}
        while len(results) < len(self._jobs):
            answer = self._answers.get()
            if isinstance(answer, int):
                advance(answer)
            elif isinstance(answer, tuple):
                results[answer[0]] = answer[1]
            else:
                raise answer
        return [results[number] for number in range(len(self._jobs))]

    def _labour(self) -> None:
        try:
            buffer = bytearray(BUFFER_BYTES)
            while (number := self._next()) is not None:
                self._answers.put((number, self._work(self._jobs[number], buffer, self._tell)))
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._answers.put(error)

    def _next(self) -> int | None:
        if self._stop.is_set():
            return None
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _tell(self, count: int) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._answers.put(count)
