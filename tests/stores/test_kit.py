"""The kit itself: a store that breaks one clause is caught by that clause."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from modelsec import MemoryStore
from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import CellUpdate, Forget, Operation, Recall, Record, Remember, Reply
from modelsec.stores import cells, memory
from modelsec.testing import check_store

Advance = Callable[[bytes | None, CellUpdate, int, int], bytes]
advanced = cells.advanced


class Forgetful(MemoryStore):
    """Leaves out the reply to the last operation."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        replies = super().apply(operations)
        return replies[:-1] if len(replies) > 1 else replies


class Miscounting(MemoryStore):
    """Counts the calls of a record from zero."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        return [r and replace(r, count=r.count - 1) for r in super().apply(operations)]


class Piecemeal(MemoryStore):
    """Applies the operations of a call one after the other."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        memory.checked_shape(operations)
        return [reply for one in operations for reply in super(Piecemeal, self).apply([one])]


class Deduplicating(MemoryStore):
    """Applies only the last operation on each key."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        memory.checked_shape(operations)
        last = {operation.key: operation for operation in operations}
        replies = dict(zip(last, super().apply(list(last.values())), strict=True))
        return [replies[operation.key] for operation in operations]


class Careless(MemoryStore):
    """Takes every key."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        clean = [Recall("x") if isinstance(o, Recall) and " " in o.key else o for o in operations]
        return super().apply(clean)


class Touching(MemoryStore):
    """Counts recalls as well."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        replies = super().apply(operations)
        for operation, reply in zip(operations, replies, strict=True):
            if isinstance(operation, Recall) and reply is not None:
                changed = replace(reply, count=reply.count + 1)
                self._records[operation.key] = (changed, 2**60)
        return replies


class Undeleting(MemoryStore):
    """Forgets nothing."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        if operations and all(isinstance(operation, Forget) for operation in operations):
            operations = [Recall(operation.key) for operation in operations]
        return super().apply(operations)


class Racing(MemoryStore):
    """Reads, lets others run, and writes: the classic lost update."""

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        memory.checked_shape(operations)
        if not isinstance(operations[0], Remember) or len(operations) > 1:
            return super().apply(operations)
        operation = operations[0]
        known = self._records.get(operation.key)
        time.sleep(0.0005)
        made = MemoryStore()
        if known is not None:
            made._records[operation.key] = known
        replies = made.apply(operations)
        self._records[operation.key] = made._records[operation.key]
        return replies


class Timeless(MemoryStore):
    """Has a clock that runs back."""

    def __init__(self) -> None:
        ticks = iter(range(10**9, 0, -1_000))
        super().__init__(clock=lambda: float(next(ticks)))


@pytest.mark.parametrize(
    ("store", "clause"),
    [
        (Forgetful, "one reply for each"),
        (Miscounting, "Every call is counted"),
        (Piecemeal, "changes nothing, whatever else is in it"),
        (Deduplicating, "comes twice in one call is updated twice"),
        (Careless, "are a ConfigurationError"),
        (Touching, "which it does not change|changes nothing"),
        (Undeleting, "Forget deletes"),
        (Racing, "at the same time are all counted"),
        (Timeless, "without a time get the store's own"),
    ],
)
def test_broken_store_is_caught(store: type[MemoryStore], clause: str) -> None:
    """A store that misbehaves breaks the clause about it, which the message quotes."""
    with pytest.raises(AssertionError, match=f"breaks the contract: .*({clause})"):
        check_store(store)


@pytest.mark.parametrize(
    ("kind", "value", "clause"),
    [
        ("ring", lambda old, u, *_: (old or b"") + u.payload, "latest bytes that fit"),
        ("ring", lambda old, u, *_: (u.payload + (old or b""))[: int(u.limit)], "oldest first"),
        ("gaps", lambda old, *_: (old or b"") + bytes(2), "Gaps are milliseconds"),
        ("total", lambda *_: bytes(6) + b"1.0", "A total adds"),
        ("peak", lambda _, u, *__: b"%g" % u.payload, "A peak is the largest"),
        ("distinct", lambda _, u, *__: bytes(int(u.limit)), "sets its bit"),
    ],
)
def test_broken_arithmetic_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: str, value: Advance, clause: str
) -> None:
    """A cell that is updated wrongly breaks the clause about its kind."""

    def broken(old: bytes | None, update: CellUpdate, gap_ms: int, now_ms: int) -> bytes:
        right = advanced(old, update, gap_ms, now_ms)
        return value(old, update, gap_ms, now_ms) if update.kind == kind else right

    monkeypatch.setattr(cells, "advanced", broken)
    with pytest.raises(AssertionError, match=f"breaks the contract: .*{clause}"):
        check_store(MemoryStore)


@pytest.mark.parametrize(
    ("module", "name", "broken", "clause"),
    [
        (cells, "settled_clock", lambda _, now: now, "Time never runs back"),
        (cells, "settled_clock", max, "Time never runs back"),
        (memory, "fitted", lambda record, _: record, "When max_bytes is short"),
        (
            memory,
            "remembered",
            lambda record, operation, now: cells.remembered(
                record, operation._replace(ttl_seconds=10**9), now
            ),
            "starts afresh",
        ),
        (
            memory,
            "remembered",
            lambda record, operation, now: cells.remembered(
                record and replace(record, cells={}), operation, now
            ),
            "A ring keeps",
        ),
    ],
)
def test_broken_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, broken: object, clause: str
) -> None:
    """A store that ignores a rule about time or size breaks the clause about it."""
    monkeypatch.setattr(module, name, broken)
    with pytest.raises(AssertionError, match=f"breaks the contract: .*{clause}"):
        check_store(MemoryStore)


def test_leaked_exception_is_caught() -> None:
    """A store that lets another exception escape is told which clause it was in."""

    class Leaking(MemoryStore):
        def apply(self, operations: Sequence[Operation]) -> list[Reply]:
            try:
                return super().apply(operations)
            except (StoreError, ConfigurationError) as error:
                raise KeyError(1) from error

    with pytest.raises(AssertionError, match="raised KeyError") as caught:
        check_store(Leaking)
    assert isinstance(caught.value.__cause__, KeyError)


def test_wrong_error_is_caught() -> None:
    """A store that blames the server for the caller's mistake is told so."""

    class Blaming(MemoryStore):
        def apply(self, operations: Sequence[Operation]) -> list[Reply]:
            try:
                return super().apply(operations)
            except ConfigurationError as error:
                raise StoreError("it is the server's fault") from error

    with pytest.raises(AssertionError, match="StoreError was raised, not ConfigurationError"):
        check_store(Blaming)


def test_broken_async_store_is_caught() -> None:
    """An asynchronous store that loses updates is caught by 64 tasks."""

    class AsyncRacing:
        def __init__(self) -> None:
            self._store = MemoryStore()

        async def apply(self, operations: Sequence[Operation]) -> list[Reply]:
            known = dict(self._store._records)
            replies = self._store.apply(operations)
            if len(operations) == 1 and isinstance(operations[0], Remember):
                after = self._store._records[operations[0].key]
                self._store._records.clear()
                self._store._records.update(known)
                await asyncio.sleep(0)
                self._store._records[operations[0].key] = after
            return replies

    with pytest.raises(AssertionError, match="at the same time are all counted"):
        check_store(AsyncRacing)


def test_store_is_closed() -> None:
    """The kit closes what it made: ``aclose()`` of an asynchronous store, else ``close()``."""
    closed = []

    class Closing(MemoryStore):
        def close(self) -> None:
            closed.append("close")

    class AsyncClosing:
        def __init__(self) -> None:
            self._store = MemoryStore()

        async def apply(self, operations: Sequence[Operation]) -> list[Reply]:
            return self._store.apply(operations)

        async def aclose(self) -> None:
            closed.append("aclose")

    check_store(Closing)
    check_store(AsyncClosing)
    assert closed == ["close", "aclose"]


def test_record_type_is_checked() -> None:
    """A reply that is no Record is named."""

    class Dictionaries(MemoryStore):
        def apply(self, operations: Sequence[Operation]) -> list[Reply]:
            return [vars_of(reply) for reply in super().apply(operations)]  # type: ignore[misc]

    def vars_of(reply: Record | None) -> object:
        return reply and {"count": reply.count}

    with pytest.raises(AssertionError, match="not a Record"):
        check_store(Dictionaries)
