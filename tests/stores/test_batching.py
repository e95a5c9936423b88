"""The batcher on its own: what it merges, what it bounds, and that nobody's call is lost."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from modelsec.errors import StoreError
from modelsec.stores import batching
from modelsec.stores.batching import Batcher
from modelsec.stores.scripts import Call, Script

SCRIPT = Script("return 1", "0" * 40)


def call(number: int) -> Call:
    """Make a call that can be told from others."""
    return Call(SCRIPT, (), ((number,),))


class Wire:
    """Stands for the server: answers each call with its number, once it is let."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.open = asyncio.Event()
        self.broken: BaseException | None = None

    async def one(self, one: Call) -> object:
        return (await self.many([one]))[0]

    async def many(self, calls: Sequence[Call]) -> list[object]:
        numbers = [one.parts[0][0] for one in calls]
        self.sent.append(numbers)  # type: ignore[arg-type]
        await asyncio.sleep(0)  # a round trip takes at least one turn of the loop
        await self.open.wait()
        if self.broken is not None:
            raise self.broken
        return [ValueError("odd") if number == 13 else number for number in numbers]


def batcher(wire: Wire, max_wait: float = 60.0) -> Batcher:
    return Batcher(wire.one, wire.many, max_wait=max_wait)


async def finished(*calls: Awaitable[object], errors: bool = False) -> list[object]:
    """Return what calls return, or also raise; a call that hangs fails the test."""
    return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=errors), 10)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_lone_call_goes_at_once() -> None:
    """A call with no others around goes out at once, alone."""
    wire = Wire()
    wire.open.set()
    assert await batcher(wire).send(call(1)) == 1
    assert wire.sent == [[1]]


async def test_concurrent_calls_share_round_trips() -> None:
    """Of 50 simultaneous calls the first goes alone and the other 49 together."""
    wire = Wire()
    wire.open.set()
    shared = batcher(wire)
    replies = await finished(*(shared.send(call(i)) for i in range(100, 150)))
    assert replies == list(range(100, 150))
    assert [len(numbers) for numbers in wire.sent] == [1, 49]


async def test_flights_and_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two round trips are under way, with at most MAX_BATCH calls each."""
    monkeypatch.setattr(batching, "MAX_BATCH", 10)
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(100 + i))) for i in range(25)]
    await settle()
    assert [len(numbers) for numbers in wire.sent] == [1, 10]
    wire.open.set()
    assert await finished(*tasks) == list(range(100, 125))
    assert [len(numbers) for numbers in wire.sent] == [1, 10, 10, 4]


async def test_failure_of_one_is_its_own() -> None:
    """A call that the server refuses fails alone; the others of its batch succeed."""
    wire = Wire()
    wire.open.set()
    shared = batcher(wire)
    replies = await finished(*(shared.send(call(i)) for i in (1, 12, 13, 14)), errors=True)
    assert replies[:2] == [1, 12]
    assert isinstance(replies[2], ValueError)
    assert replies[3] == 14


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("bug"), StoreError("busy")])
async def test_failed_round_trip_fails_all(error: Exception) -> None:
    """When a round trip fails, every call in it gets a StoreError, and later calls succeed."""
    wire = Wire()
    wire.broken = error
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(4)]
    await settle()
    wire.open.set()
    outcomes = await finished(*tasks, errors=True)
    assert outcomes[0] is error  # the lone call's caller knows the client's exceptions
    assert [type(outcome) for outcome in outcomes[1:]] == [StoreError] * 3
    wire.broken = None
    assert await finished(shared.send(call(1)), shared.send(call(2))) == [1, 2]


async def test_short_reply_fails_all() -> None:
    """A round trip that returns too few results fails every call that got none, and hangs none."""

    async def short(calls: Sequence[Call]) -> list[object]:
        await asyncio.sleep(0)
        return [one.parts[0][0] for one in calls][:-1]

    wire = Wire()
    wire.open.set()
    shared = Batcher(wire.one, short, max_wait=60.0)
    outcomes = await finished(*(shared.send(call(i)) for i in range(4)), errors=True)
    assert outcomes[:3] == [0, 1, 2]
    assert isinstance(outcomes[3], StoreError)


async def test_cancelled_waiter_is_not_sent() -> None:
    """A call that is cancelled while it waits is never sent, and the others are."""
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(2)]
    await settle()  # both are under way: the next ones wait
    tasks += [asyncio.ensure_future(shared.send(call(i))) for i in range(2, 6)]
    await settle()
    tasks[3].cancel()
    await settle()
    wire.open.set()
    outcomes = await finished(*tasks, errors=True)
    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    assert outcomes == [0, 1, 2, 4, 5]
    assert wire.sent == [[0], [1], [2, 4, 5]]


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_cancelled_flight_delivers_to_the_others(victim: int) -> None:
    """A caller that is cancelled while its call is under way costs nobody else a reply."""
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(4)]
    await settle()
    tasks[victim].cancel()
    await settle()
    wire.open.set()
    outcomes = await finished(*tasks, errors=True)
    assert isinstance(outcomes.pop(victim), asyncio.CancelledError)
    assert outcomes == [i for i in range(4) if i != victim]
    assert await shared.send(call(9)) == 9


async def test_cancelling_everybody_frees_the_batcher() -> None:
    """After all callers were cancelled, the next call is served."""
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(200)]
    await settle()
    for task in tasks:
        task.cancel()
    await finished(*tasks, errors=True)
    wire.open.set()
    assert await asyncio.wait_for(shared.send(call(1_000)), 5) == 1_000


async def test_waiting_is_bounded_in_time() -> None:
    """A call that waited for its turn longer than max_wait fails with a StoreError."""
    wire = Wire()
    shared = batcher(wire, max_wait=0.01)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(2)]
    await settle()
    late = asyncio.ensure_future(shared.send(call(2)))
    await asyncio.sleep(0.02)
    wire.open.set()
    with pytest.raises(StoreError, match=r"busy for more than 0\.01 s"):
        await late
    assert await finished(*tasks) == [0, 1]
    assert [2] not in wire.sent


async def test_waiting_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call beyond the most that may wait fails at once."""
    monkeypatch.setattr(batching, "MAX_WAITING", 3)
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(2)]
    await settle()
    tasks += [asyncio.ensure_future(shared.send(call(i))) for i in range(2, 5)]
    await settle()
    with pytest.raises(StoreError, match="3 calls are waiting"):
        await shared.send(call(5))
    wire.open.set()
    assert await finished(*tasks) == [0, 1, 2, 3, 4]


async def test_cancelled_round_trip_fails_its_calls() -> None:
    """When a round trip itself is cancelled, its calls fail: none hangs."""
    wire = Wire()
    shared = batcher(wire)
    tasks = [asyncio.ensure_future(shared.send(call(i))) for i in range(3)]
    await settle()
    for flight in list(shared._tasks):
        flight.cancel()
    wire.open.set()
    outcomes = await finished(*tasks, errors=True)
    assert outcomes[0] == 0
    assert [type(outcome) for outcome in outcomes[1:]] == [StoreError] * 2
    assert await finished(shared.send(call(9))) == [9]
