import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption import blocks
from modelsec.encryption.blocks import Block, block_at, blocks_of, run, workers_for
from modelsec.encryption.segments import Layout

LAYOUT = Layout.of_plaintext(20_000_000, 1_048_576)


class Recorder:
    """A worker that remembers its blocks, and fails at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.done: list[Block] = []
        self.closed = 0
        self._fail_at = fail_at

    def work(self, block: Block) -> None:
        if block.first == self._fail_at:
            raise ZeroDivisionError
        self.done.append(block)

    def close(self) -> None:
        self.closed += 1


@given(
    size=st.integers(0, 2**24), segment=st.sampled_from([4096, 5000, 65_536, 1_000_000, 1_048_576])
)
def test_blocks_tile(size: int, segment: int) -> None:
    """Blocks follow each other, sealed and plain, and none is larger than the buffers."""
    layout = Layout.of_plaintext(size, segment)
    found = [block_at(layout, number) for number in range(blocks_of(layout))]
    assert found[0].first == found[0].plain_start == 0
    assert found[0].sealed_start == 40
    for one, two in pairwise(found):
        assert (one.stop, one.plain_stop, one.sealed_stop) == (
            two.first,
            two.plain_start,
            two.sealed_start,
        )
    assert (found[-1].stop, found[-1].plain_stop) == (layout.count, size)
    assert found[-1].sealed_stop == layout.stream_size
    room = min(blocks.segments_a_block(layout) * segment, layout.stream_size)
    assert all(block.plain_size <= block.sealed_size <= room for block in found)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_block_once(workers: int) -> None:
    """However many threads there are, each block is worked on once, and all buffers are closed."""
    made: list[Recorder] = []
    lock = threading.Lock()

    def make() -> Recorder:
        with lock:
            made.append(Recorder())
        return made[-1]

    run(LAYOUT, make, workers=workers, on_progress=None)
    done = sorted(block.first for worker in made for block in worker.done)
    assert done == list(range(LAYOUT.count))
    assert [worker.closed for worker in made] == [1] * len(made)


@pytest.mark.parametrize("workers", [1, 3])
def test_failures(workers: int) -> None:
    """A failing block, or a worker that cannot be made, is raised when all threads have ended."""
    worker = Recorder(fail_at=4)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run(LAYOUT, lambda: worker, workers=workers, on_progress=None)
    assert worker.closed == workers
    with pytest.raises(MemoryError):
        run(LAYOUT, _no_memory, workers=workers, on_progress=None)
    assert threading.active_count() == before


def _no_memory() -> Recorder:
    raise MemoryError


@pytest.mark.parametrize("threads", [0, 2])
def test_threads_that_cannot_start(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, those that started do the work, or the caller."""
    start = threading.Thread.start
    started: list[threading.Thread] = []
    worker = Recorder()

    def limited(thread: threading.Thread) -> None:
        if len(started) == threads:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    run(LAYOUT, lambda: worker, workers=4, on_progress=None)
    assert sorted(block.first for block in worker.done) == list(range(LAYOUT.count))
    assert worker.closed == max(1, threads)
    assert not any(thread.is_alive() for thread in started)


def test_default_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files and small segments get one thread, large ones one for each processor, up to 8."""
    monkeypatch.setattr(blocks, "_processors", lambda: 64)
    large = Layout.of_plaintext(2**30, 1_048_576)
    assert workers_for(large, None) == 8
    assert workers_for(Layout.of_plaintext(2**30, 4096), None) == 1
    assert workers_for(Layout.of_plaintext(10, 1_048_576), None) == 1
    assert workers_for(LAYOUT, None) == 2
    assert workers_for(LAYOUT, 64) == 20
    monkeypatch.setattr(blocks, "_processors", lambda: 2)
    assert workers_for(large, None) == 2
    monkeypatch.undo()
    assert workers_for(large, None) >= 1


def test_where_affinity_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems that cannot tell which processors we may use tell how many there are."""
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert workers_for(Layout.of_plaintext(2**30, 1_048_576), None) == 1
