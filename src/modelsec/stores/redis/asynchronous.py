"""The asynchronous store."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any, cast

import redis.asyncio
import redis.asyncio.retry
import redis.backoff
import redis.exceptions

from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import Operation, Reply
from modelsec.stores.batching import MAX_IN_FLIGHT, Batcher
from modelsec.stores.redis.client import (
    checked_client,
    checked_pool,
    checked_prefix,
    checked_seconds,
    reading,
    settings,
    store_error,
)
from modelsec.stores.scripts import Call, decode_replies, encode_call, merged, parted
from modelsec.stores.validate import checked_count


class AsyncRedisStore:
    """Asynchronous store on a Redis-protocol server.

    Calls that are made in the same turn of the event loop, or while others are under way, share
    one round trip (``batch``); a lone call goes out at once. On a Cluster, where one call reaches
    one slot, every call goes on its own. A store belongs to the event loop of its first call.

    Args:
        client: a ``redis.asyncio.Redis`` or ``RedisCluster`` without ``decode_responses``.
        prefix: first part of every key, 1 to 32 characters of ``[A-Za-z0-9_.:-]``.
        batch: let concurrent calls share round trips.
        max_concurrency: without batching, calls in flight at once; further ones wait.
        max_wait: longest wait for a turn, in seconds.

    Raises:
        ConfigurationError: a client that decodes responses, or a malformed prefix.
    """

    shared = True
    """Other processes see this store: detectors on it need one common secret."""

    def __init__(
        self,
        client: "redis.asyncio.Redis | redis.asyncio.RedisCluster",
        *,
        prefix: str = "ms",
        batch: bool = True,
        max_concurrency: int = 64,
        max_wait: float = 1.0,
    ) -> None:
        self._client: Any = checked_client(client, redis.asyncio.Redis, redis.asyncio.RedisCluster)
        self._prefix = checked_prefix(prefix)
        self._turns = asyncio.Semaphore(checked_count("max_concurrency", max_concurrency))
        self._max_wait = checked_seconds("max_wait", max_wait)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadline: float | None = None  # a client of the caller's own has its timeouts
        self._batcher = None
        self._cluster_limit: float | None = None
        self._is_cluster = isinstance(client, redis.asyncio.RedisCluster)
        if self._is_cluster:
            timeout = self._client.get_connection_kwargs().get("socket_timeout")
            self._cluster_limit = timeout and timeout + max_wait
        elif batch:
            self._batcher = Batcher(
                self._send_one,
                self._send_many,
                max_wait=max_wait,
                max_in_flight=min(MAX_IN_FLIGHT, max_concurrency),
            )

    @classmethod
    def from_url(  # noqa: PLR0913 - each is one line of an operator's configuration
        cls,
        url: str,
        *,
        cluster: bool = False,
        prefix: str = "ms",
        batch: bool = True,
        timeout: float = 0.5,
        max_connections: int = 16,
        max_wait: float = 1.0,
    ) -> "AsyncRedisStore":
        """Connect to ``redis://``, ``rediss://`` or ``unix://``; see :meth:`RedisStore.from_url`.

        Nothing is sent before the first call.
        """
        retry = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
        options = settings(timeout, retry)
        client: Any
        with reading(url, cluster=cluster):
            if cluster:
                # A slot that moved is one redirection; by default every fifth one closes all
                # connections, whoever uses them.
                client = redis.asyncio.RedisCluster.from_url(
                    url, max_connections=max_connections, reinitialize_steps=0, **options
                )
            else:
                # One deadline around a call costs less than the client's around each of its
                # steps, which make tasks and turns of the loop.
                options["socket_timeout"] = None
                # Turns bound the connections in use, so a pool that waits is not needed.
                pool = redis.asyncio.ConnectionPool.from_url(
                    url, max_connections=max_connections, **options
                )
                client = redis.asyncio.Redis.from_pool(checked_pool(pool))
        store = cls(
            client,
            prefix=prefix,
            batch=batch,
            max_concurrency=max_connections,
            max_wait=max_wait,
        )
        if not cluster:
            store._deadline = timeout
        return store

    async def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        """Apply operations of one type, atomically; see :meth:`modelsec.protocols.Store.apply`."""
        call = encode_call(self._prefix, operations)
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError(
                "an AsyncRedisStore belongs to the event loop of its first call, as its "
                "connections do: make one store for each loop"
            )
        try:
            raw = await (self._batcher.send(call) if self._batcher else self._send_in_turn(call))
        except StoreError:
            raise
        except TimeoutError as error:
            raise StoreError("the store failed: it did not reply in time") from error
        except Exception as error:
            raise store_error(error) from error
        return decode_replies(raw, len(operations))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._is_cluster and self._loop is not None:
            # After a failure the Cluster client closes nothing unless it is initialized again.
            with suppress(Exception):
                await self._client.initialize()
        await self._client.aclose()

    async def _send_in_turn(self, call: Call) -> object:
        try:
            # A free turn is taken at once, without the price of a timeout.
            async with asyncio.timeout(self._max_wait) if self._turns.locked() else nullcontext():
                await self._turns.acquire()
        except TimeoutError:
            raise StoreError(f"no connection became free within {self._max_wait} s") from None
        try:
            return await (self._send_to_node(call) if self._is_cluster else self._send_one(call))
        finally:
            self._turns.release()

    async def _send_to_node(self, call: Call) -> object:
        """Send a call to a Cluster, whose client may have to look for its nodes first.

        Each caller in turn looks for them while they cannot be found, hence the limit. A client
        that has not looked yet would send the call to any node, hence the first line.
        """
        async with asyncio.timeout(self._cluster_limit):
            await self._client.initialize()
            return await self._send_one(call)

    async def _send_one(self, call: Call) -> object:
        async with asyncio.timeout(self._deadline):
            return await self._evaluate(call)

    async def _evaluate(self, call: Call) -> object:
        try:
            return await self._client.evalsha(call.script.digest, len(call.keys), *call.wire())
        except redis.exceptions.NoScriptError:
            return await self._client.eval(call.script.text, len(call.keys), *call.wire())

    async def _send_many(self, calls: Sequence[Call]) -> list[object]:
        """Send calls in one round trip: those of one script as one call, which is cheapest."""
        if len({call.script for call in calls}) == 1:
            try:
                return parted(await self._send_one(merged(calls)), calls)
            except redis.exceptions.ResponseError:
                # One of them met a record that is not ours, so nothing was changed. Sent each on
                # its own, it fails alone.
                return await self._send_each(calls)
        return await self._send_each(calls)

    async def _send_each(self, calls: Sequence[Call]) -> list[object]:
        async with asyncio.timeout(self._deadline):
            return await self._evaluate_each(calls)

    async def _evaluate_each(self, calls: Sequence[Call]) -> list[object]:
        results = await self._pipelined(calls)
        lost = [i for i, r in enumerate(results) if isinstance(r, redis.exceptions.NoScriptError)]
        if lost:
            for script in {calls[i].script for i in lost}:
                await self._client.script_load(script.text)
            again = await self._pipelined([calls[i] for i in lost])
            for i, result in zip(lost, again, strict=True):
                results[i] = result
        return results

    async def _pipelined(self, calls: Sequence[Call]) -> list[object]:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(call.script.digest, len(call.keys), *call.wire())
        return cast("list[object]", await pipeline.execute(raise_on_error=False))
