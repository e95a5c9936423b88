"""Stores on Redis (6.2 or later) and Valkey, single server or Cluster: one script call a request.

Both classes share the codec (:mod:`modelsec.stores.scripts`) and the care for clients
(:mod:`modelsec.stores.redis.client`); what differs is what is awaited. A call is sent at most
once: after a lost reply the caller sees a :class:`~modelsec.errors.StoreError`, never a request
counted twice. (That holds for clients made by ``from_url``; a client of your own keeps the retry
policy you gave it.)
"""

from importlib.util import find_spec

from modelsec.errors import ConfigurationError

if find_spec("redis") is None:  # pragma: no cover - exercised in a bare environment
    raise ConfigurationError(
        "the Redis stores need the redis client: pip install 'modelsec[redis]'"
    )

from modelsec.stores.redis.asynchronous import AsyncRedisStore
from modelsec.stores.redis.synchronous import RedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
