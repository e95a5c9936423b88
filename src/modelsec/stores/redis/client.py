"""Clients: how ours are set up, and what is refused of others."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.connection
import redis.exceptions

from modelsec.errors import ConfigurationError, StoreError, shown

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,32}\Z")


def settings(timeout: float, retry: object) -> dict[str, Any]:
    """Return the connection settings of a client of ours."""
    return {
        "socket_timeout": checked_seconds("timeout", timeout),
        "socket_connect_timeout": timeout,
        "retry": retry,
        "health_check_interval": 30,
        # RESP2: with RESP3 redis-py 8 reuses connections that the server has closed, because it
        # takes what is left on them for maintenance notifications.
        "protocol": 2,
    }


def checked_seconds(name: str, value: float) -> float:
    """Return a time, or refuse what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {shown(value)}")
    return value


def store_error(error: BaseException) -> StoreError:
    """Name the failure. Server messages are short and carry no values of ours."""
    text = str(error).removeprefix("MODELSEC ")[:300]
    return StoreError(f"the store failed: {text or type(error).__name__}")


@contextmanager
def reading(url: str, *, cluster: bool) -> Iterator[None]:
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


def checked_pool(pool: Any) -> Any:  # noqa: ANN401 - the two pools share no base class
    """Meet the mistakes in a URL's options now, not at the first request."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except redis.exceptions.RedisError as error:
        raise ConfigurationError(f"an option in the store's URL is not usable: {error}") from None
    # A client made by from_pool closes the pool when it is closed itself.
    return pool


def checked_client(client: Any, *kinds: type[Any]) -> Any:  # noqa: ANN401 - they share no base class
    """Return a client that speaks bytes, or refuse it."""
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


def checked_prefix(prefix: str) -> str:
    """Return a prefix of keys, or refuse it."""
    if not isinstance(prefix, str) or not _PREFIX.match(prefix):
        raise ConfigurationError(f"prefix {shown(prefix)} is not 1 to 32 of [A-Za-z0-9_.:-]")
    return prefix
