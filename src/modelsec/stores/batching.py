"""Concurrent calls share round trips, without delaying any of them.

The first call goes out at once. Calls made while others are under way queue up, and leave
together as soon as a slot is free: the busier the service, the larger the batches, and no timer
is needed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from modelsec.errors import StoreError
from modelsec.stores.scripts import Call

MAX_BATCH = 64
MAX_IN_FLIGHT = 2
MAX_WAITING = 10_000


@dataclass(slots=True)
class _Waiting:
    call: Call
    future: "asyncio.Future[object]"
    since: float


class Batcher:
    """Merges calls of one event loop.

    Args:
        send_one: sends one call.
        send_many: sends several in one round trip; returns one result or exception for each.
        max_wait: longest time a call may wait for its turn, in seconds.
        max_in_flight: most round trips under way at once.
    """

    def __init__(
        self,
        send_one: Callable[[Call], Awaitable[object]],
        send_many: Callable[[Sequence[Call]], Awaitable[Sequence[object]]],
        *,
        max_wait: float,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._send_one = send_one
        self._send_many = send_many
        self._max_wait = max_wait
        self._max_in_flight = max_in_flight
        self._waiting: deque[_Waiting] = deque()
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, call: Call) -> object:
        """Send ``call``, alone or in company, and return its result.

        Raises:
            StoreError: too many calls are waiting, or this one waited too long.
        """
        if not self._waiting and self._in_flight == 0:
            self._in_flight += 1
            try:
                return await self._send_one(call)
            finally:
                self._in_flight -= 1
                self._dispatch()
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError(f"{MAX_WAITING} calls are waiting for the store already")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            # Next turn of the loop: by then everybody who is ready has queued up.
            loop.call_soon(self._dispatch)
        return await waiting.future

    def _dispatch(self) -> None:
        while self._waiting and self._in_flight < self._max_in_flight:
            batch = self._next_batch()
            if batch:
                self._in_flight += 1
                task = asyncio.get_running_loop().create_task(self._flush(batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        latest = asyncio.get_running_loop().time() - self._max_wait
        while self._waiting and len(batch) < MAX_BATCH:
            waiting = self._waiting.popleft()
            if waiting.future.done():  # its caller was cancelled
                continue
            if waiting.since < latest:
                waiting.future.set_exception(
                    StoreError(f"the store was busy for more than {self._max_wait} s")
                )
                continue
            batch.append(waiting)
        return batch

    async def _flush(self, batch: list[_Waiting]) -> None:
        try:
            results = await self._send_many([waiting.call for waiting in batch])
            for waiting, result in zip(batch, results, strict=True):
                if waiting.future.done():
                    continue
                if isinstance(result, BaseException):
                    waiting.future.set_exception(result)
                else:
                    waiting.future.set_result(result)
        except BaseException as error:
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(
                        StoreError(f"the store failed: {error!s:.300} ({type(error).__name__})")
                    )
            if not isinstance(error, Exception):
                raise
        finally:
            self._in_flight -= 1
            self._dispatch()
