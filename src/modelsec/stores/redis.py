"""Stores on Redis (6.2 or later) and Valkey, single server or Cluster: one script call a request.

Both classes share the codec (:mod:`modelsec.stores.scripts`); they differ in one awaited line.
A call is sent at most once: after a lost reply the caller sees a :class:`StoreError`, never a
request counted twice. (That holds for clients made by ``from_url``; a client of your own keeps
the retry policy you gave it.)
"""

import asyncio
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, cast

try:
    import redis
    import redis.asyncio
    import redis.asyncio.retry
    import redis.backoff
    import redis.connection
    import redis.exceptions
    import redis.retry
except ImportError as error:  # pragma: no cover - exercised in a bare environment
    from modelsec.errors import ConfigurationError as _ConfigurationError

    raise _ConfigurationError(
        "the Redis stores need the redis client: pip install 'modelsec[redis]'"
    ) from error

from threading import BoundedSemaphore

from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import Operation, Reply
from modelsec.stores.batching import MAX_IN_FLIGHT, Batcher
from modelsec.stores.scripts import Call, decode_replies, encode_call, merged, parted

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,32}\Z")


class RedisStore:
    """Synchronous store on a Redis-protocol server.

    Args:
        client: a ``redis.Redis`` or ``redis.RedisCluster`` without ``decode_responses``.
        prefix: first part of every key, 1 to 32 characters of ``[A-Za-z0-9_.:-]``.
        max_concurrency: calls in flight at once; further ones wait for ``max_wait`` seconds.
        max_wait: longest wait for a turn, in seconds.

    Raises:
        ConfigurationError: a client that decodes responses, or a malformed prefix.
    """

    shared = True
    """Other processes see this store: detectors on it need one common secret."""

    def __init__(
        self,
        client: "redis.Redis | redis.RedisCluster",
        *,
        prefix: str = "ms",
        max_concurrency: int = 64,
        max_wait: float = 1.0,
    ) -> None:
        self._client: Any = _checked_client(client, redis.Redis, redis.RedisCluster)
        self._prefix = _checked_prefix(prefix)
        self._turns = BoundedSemaphore(_positive("max_concurrency", max_concurrency))
        self._max_wait = _seconds("max_wait", max_wait)

    @classmethod
    def from_url(  # noqa: PLR0913 - each is one line of an operator's configuration
        cls,
        url: str,
        *,
        cluster: bool = False,
        prefix: str = "ms",
        timeout: float = 0.5,
        max_connections: int = 16,
        max_wait: float = 1.0,
    ) -> "RedisStore":
        """Connect to ``redis://``, ``rediss://`` or ``unix://``.

        Args:
            url: where the server is; credentials go into the URL.
            cluster: the server is a node of a Cluster.
            prefix: first part of every key.
            timeout: longest time to connect, and to wait for a reply, in seconds.
            max_connections: connections (per node); further calls wait for their turn.
            max_wait: longest wait for a turn, in seconds.

        Raises:
            ConfigurationError: a malformed URL or setting.
            StoreError: a Cluster that cannot be reached.
        """
        settings = _settings(timeout, redis.retry.Retry(redis.backoff.NoBackoff(), 0))
        client: Any
        try:
            with _reading(url, cluster=cluster):
                if cluster:
                    client = redis.RedisCluster.from_url(url, **settings)
                else:
                    # Turns bound the connections in use, so a pool that waits is not needed.
                    pool = redis.ConnectionPool.from_url(
                        url, max_connections=max_connections, **settings
                    )
                    client = redis.Redis.from_pool(_checked_pool(pool))
        except ConfigurationError:
            raise
        except Exception as error:
            raise _store_error(error) from error
        return cls(client, prefix=prefix, max_concurrency=max_connections, max_wait=max_wait)

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        """Apply operations of one type, atomically; see :meth:`modelsec.protocols.Store.apply`."""
        call = encode_call(self._prefix, operations)
        if not self._turns.acquire(timeout=self._max_wait):
            raise StoreError(f"no connection became free within {self._max_wait} s")
        try:
            raw = self._send(call)
        except Exception as error:
            raise _store_error(error) from error
        finally:
            self._turns.release()
        return decode_replies(raw, len(operations))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, call: Call) -> object:
        try:
            return self._client.evalsha(call.script.digest, len(call.keys), *call.wire())
        except redis.exceptions.NoScriptError:
            # A restarted server or a new primary: EVAL runs the script and caches it again.
            return self._client.eval(call.script.text, len(call.keys), *call.wire())


class AsyncRedisStore:
    """Asynchronous store on a Redis-protocol server.

    Calls that are made in the same turn of the event loop, or while others are under way, share
    one pipeline, and so one round trip (``batch``); a lone call goes out at once. On a Cluster,
    whose pipelines cannot carry scripts, every call goes on its own. A store belongs to the event
    loop of its first call.

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
        self._client: Any = _checked_client(client, redis.asyncio.Redis, redis.asyncio.RedisCluster)
        self._prefix = _checked_prefix(prefix)
        self._turns = asyncio.Semaphore(_positive("max_concurrency", max_concurrency))
        self._max_wait = _seconds("max_wait", max_wait)
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
        settings = _settings(timeout, retry)
        client: Any
        with _reading(url, cluster=cluster):
            if cluster:
                # A slot that moved is one redirection; by default every fifth one closes all
                # connections, whoever uses them.
                client = redis.asyncio.RedisCluster.from_url(
                    url, max_connections=max_connections, reinitialize_steps=0, **settings
                )
            else:
                # One deadline around a call costs less than the client's around each of its
                # steps, which make tasks and turns of the loop.
                settings["socket_timeout"] = None
                # Turns bound the connections in use, so a pool that waits is not needed.
                pool = redis.asyncio.ConnectionPool.from_url(
                    url, max_connections=max_connections, **settings
                )
                client = redis.asyncio.Redis.from_pool(_checked_pool(pool))
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
        except Exception as error:
            raise _store_error(error) from error
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


def _settings(timeout: float, retry: object) -> dict[str, Any]:
    return {
        "socket_timeout": _seconds("timeout", timeout),
        "socket_connect_timeout": timeout,
        "retry": retry,
        "health_check_interval": 30,
        # RESP2: with RESP3 redis-py 8 reuses connections that the server has closed, because it
        # takes what is left on them for maintenance notifications.
        "protocol": 2,
    }


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r:.60}")
    return value


def _store_error(error: BaseException) -> StoreError:
    """Name the failure. Server messages are short and carry no values of ours."""
    text = str(error).removeprefix("MODELSEC ")[:300]
    return StoreError(f"the store failed: {text or type(error).__name__}")


@contextmanager
def _reading(url: str, *, cluster: bool) -> Iterator[None]:
    """Refuse an unusable URL without quoting it, since it may hold a password."""
    try:
        options = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
        if "max_connections" in options:
            raise ConfigurationError(
                "max_connections is an argument of from_url, which counts turns by it, "
                "not an option in the URL"
            )
        if cluster and (options.get("path") or options.get("db")):
            raise ConfigurationError(
                "a Cluster has neither Unix sockets nor databases: redis://host:port is needed"
            )
        yield
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationError(
            "the store's URL is not usable: redis://user:password@host:port, rediss://... or "
            "unix://path is needed, with a percent-encoded password and options of redis-py only"
        ) from None


def _checked_pool(pool: Any) -> Any:  # noqa: ANN401 - the two pools share no base class
    """Meet the mistakes in a URL's options now, not at the first request."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except redis.exceptions.RedisError as error:
        raise ConfigurationError(f"an option in the store's URL is not usable: {error}") from None
    # A client made by from_pool closes the pool when it is closed itself.
    return pool


def _checked_client(client: Any, *kinds: type[Any]) -> Any:  # noqa: ANN401 - they share no base class
    if not isinstance(client, kinds):
        home = kinds[0].__module__.removesuffix(".client")
        raise ConfigurationError(
            f"a {home}.Redis or {home}.RedisCluster is needed, not "
            f"{type(client).__module__}.{type(client).__name__}; or use from_url(...)"
        )
    encoder: Any = client.get_encoder()
    if encoder.decode_responses:
        raise ConfigurationError("records are bytes: make the client with decode_responses=False")
    return client


def _checked_prefix(prefix: str) -> str:
    if not isinstance(prefix, str) or not _PREFIX.match(prefix):
        raise ConfigurationError(f"prefix {prefix!r:.60} is not 1 to 32 of [A-Za-z0-9_.:-]")
    return prefix


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a positive integer, not {value!r}")
    return value
