"""How the store kit reaches a store, synchronous or not, and how it says what is wrong."""

import asyncio
import math
from binascii import crc_hqx
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Protocol
from uuid import uuid4

from modelsec.errors import ModelSecError
from modelsec.protocols import AsyncStore, Operation, Record, Reply, Store

_THREADS, _CALLS = 8, 64


class Probe(Protocol):
    """A store under test."""

    async def apply(self, *operations: Operation) -> Sequence[Reply]:
        """Apply operations in one call."""
        ...

    async def refuses(self, expected: type[ModelSecError], *operations: Operation) -> None:
        """Hold the store to raising ``expected``."""
        ...

    async def together(self, operation: Operation) -> list[Reply]:
        """Apply an operation 64 times, from 64 tasks or 8 threads."""
        ...

    async def aclose(self) -> None:
        """Close the store if it can be closed."""
        ...


class SyncProbe:
    """A synchronous store under test; its coroutines never suspend."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def apply(self, *operations: Operation) -> Sequence[Reply]:
        """Apply operations in one call."""
        return self._store.apply(operations)

    async def refuses(self, expected: type[ModelSecError], *operations: Operation) -> None:
        """Hold the store to raising ``expected``."""
        await _refused(self.apply(*operations), expected)

    async def together(self, operation: Operation) -> list[Reply]:
        """Apply an operation 64 times, from 8 threads."""
        with ThreadPoolExecutor(_THREADS) as threads:
            every = threads.map(self._store.apply, [(operation,)] * _CALLS)
            return [reply for replies in every for reply in replies]

    async def aclose(self) -> None:
        """Call the store's ``close()`` if it has one."""
        close = getattr(self._store, "close", None)
        if callable(close):
            close()


class AsyncProbe:
    """An asynchronous store under test."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def apply(self, *operations: Operation) -> Sequence[Reply]:
        """Apply operations in one call."""
        return await self._store.apply(operations)

    async def refuses(self, expected: type[ModelSecError], *operations: Operation) -> None:
        """Hold the store to raising ``expected``."""
        await _refused(self.apply(*operations), expected)

    async def together(self, operation: Operation) -> list[Reply]:
        """Apply an operation 64 times, from 64 tasks."""
        every = await asyncio.gather(*(self.apply(operation) for _ in range(_CALLS)))
        return [reply for replies in every for reply in replies]

    async def aclose(self) -> None:
        """Call the store's ``aclose()`` if it has one."""
        close = getattr(self._store, "aclose", None)
        if callable(close):
            await close()


def hold(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - that is what an assertion takes
    """Raise an AssertionError that says ``otherwise`` unless ``fact`` holds."""
    if not fact:
        raise AssertionError(otherwise)


def same(found: object, expected: object, what: str) -> None:
    """Hold two values equal."""
    hold(found == expected, f"{what}: {found!r:.300}, not {expected!r:.300}")


def close(found: float, expected: float, what: str) -> None:
    """Hold two numbers equal but for rounding."""
    hold(
        math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9),
        f"{what}: {found!r}, not {expected!r}",
    )


def record_of(reply: Reply) -> Record:
    """Hold a reply to being a record."""
    if not isinstance(reply, Record):
        raise AssertionError(f"a reply was {reply!r:.100}, not a Record")  # noqa: TRY004
    return reply


def fresh_key() -> str:
    """Return a key that nobody has used."""
    return f"kit.{uuid4().hex}"


def keys_of_one_slot(number: int) -> list[str]:
    """Return fresh keys that a Cluster with the hash tag ``{key}`` keeps on one node."""
    stem = fresh_key() + "."
    crc = crc_hqx(stem.encode(), 0)
    slots = ((i, crc_hqx(b"%d" % i, crc) % 16_384) for i in count())
    first, wanted = next(slots)
    keys = [f"{stem}{first}"]
    while len(keys) < number:
        keys.append(next(f"{stem}{i}" for i, slot in slots if slot == wanted))
    return keys


async def _refused(outcome: Awaitable[object], expected: type[ModelSecError]) -> None:
    try:
        await outcome
    except ModelSecError as error:
        if isinstance(error, expected):
            return
        raise AssertionError(
            f"{type(error).__name__} was raised, not {expected.__name__}: {error}"
        ) from None
    raise AssertionError(f"no {expected.__name__} was raised")
