"""Stores: memory for one process, Redis or Valkey for a fleet, one set of operations for both.

The Redis classes are resolved on first use, so that redis is needed only by those who use it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from modelsec.stores.memory import MemoryStore

if TYPE_CHECKING:
    from modelsec.stores.redis import AsyncRedisStore, RedisStore

__all__ = ["AsyncRedisStore", "MemoryStore", "RedisStore"]


def __getattr__(name: str) -> object:
    """Resolve the Redis stores on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module("modelsec.stores.redis"), name)
    return value
