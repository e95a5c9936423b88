"""The synchronous store."""

from collections.abc import Sequence
from threading import BoundedSemaphore
from typing import Any

import redis
import redis.backoff
import redis.exceptions
import redis.retry

from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import Operation, Reply
from modelsec.stores.redis.client import (
    checked_client,
    checked_pool,
    checked_prefix,
    checked_seconds,
    reading,
    settings,
    store_error,
)
from modelsec.stores.scripts import Call, decode_replies, encode_call
from modelsec.stores.validate import checked_count


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
        self._client: Any = checked_client(client, redis.Redis, redis.RedisCluster)
        self._prefix = checked_prefix(prefix)
        self._turns = BoundedSemaphore(checked_count("max_concurrency", max_concurrency))
        self._max_wait = checked_seconds("max_wait", max_wait)

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
        options = settings(timeout, redis.retry.Retry(redis.backoff.NoBackoff(), 0))
        client: Any
        try:
            with reading(url, cluster=cluster):
                if cluster:
                    client = redis.RedisCluster.from_url(url, **options)
                else:
                    # Turns bound the connections in use, so a pool that waits is not needed.
                    pool = redis.ConnectionPool.from_url(
                        url, max_connections=max_connections, **options
                    )
                    client = redis.Redis.from_pool(checked_pool(pool))
        except ConfigurationError:
            raise
        except Exception as error:
            raise store_error(error) from error
        return cls(client, prefix=prefix, max_concurrency=max_connections, max_wait=max_wait)

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        """Apply operations of one type, atomically; see :meth:`modelsec.protocols.Store.apply`."""
        call = encode_call(self._prefix, operations)
        if not self._turns.acquire(timeout=self._max_wait):
            raise StoreError(f"no connection became free within {self._max_wait} s")
        try:
            raw = self._send(call)
        except Exception as error:
            raise store_error(error) from error
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
