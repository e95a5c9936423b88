"""Security of machine-learning models in production.

The public names below are resolved on first use (PEP 562), so that ``import modelsec`` costs
next to nothing and a missing extra is noticed only where it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.errors import (
        ConfigurationError,
        ModelSecError,
        PluginError,
        ScorerError,
        StoreError,
    )
    from modelsec.extraction import (
        Assessment,
        DetectionPolicy,
        ModelTheftDetector,
        SyncModelTheftDetector,
        Weighted,
    )
    from modelsec.stores import AsyncRedisStore as AsyncRedisStore
    from modelsec.stores import MemoryStore
    from modelsec.stores import RedisStore as RedisStore

__version__ = "0.1.0"

_HOMES = {
    "Assessment": "modelsec.extraction",
    "AsyncRedisStore": "modelsec.stores",
    "ConfigurationError": "modelsec.errors",
    "DetectionPolicy": "modelsec.extraction",
    "MemoryStore": "modelsec.stores",
    "ModelSecError": "modelsec.errors",
    "ModelTheftDetector": "modelsec.extraction",
    "PluginError": "modelsec.errors",
    "RedisStore": "modelsec.stores",
    "ScorerError": "modelsec.errors",
    "StoreError": "modelsec.errors",
    "SyncModelTheftDetector": "modelsec.extraction",
    "Weighted": "modelsec.extraction",
}

# What needs an extra is public, too, but not part of `import *`, which would need the extra.
__all__ = [
    "Assessment",
    "ConfigurationError",
    "DetectionPolicy",
    "MemoryStore",
    "ModelSecError",
    "ModelTheftDetector",
    "PluginError",
    "ScorerError",
    "StoreError",
    "SyncModelTheftDetector",
    "Weighted",
]


def __getattr__(name: str) -> object:
    """Resolve a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, resolved or not."""
    return sorted({*globals(), *_HOMES})
