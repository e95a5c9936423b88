"""What every store checks before it touches anything."""

import re
from collections.abc import Sequence

from modelsec.errors import ConfigurationError, shown
from modelsec.protocols import Forget, Operation, Recall, Remember
from modelsec.protocols.store import MAX_TIME_MS

_KEY = re.compile(r"[A-Za-z0-9_.:@#-]{1,128}\Z")
_SHAPES = (Remember, Recall, Forget)
MAX_RECORD_BYTES = 65_535
_MAX_TTL_S = 2**31 - 1
_TAG_BYTES = 4


def checked_shape(operations: Sequence[Operation]) -> type[Operation]:
    """Return the type that all operations share.

    Raises:
        ConfigurationError: no operations, several types, a malformed key, time or limit.
    """
    if not isinstance(operations, (tuple, list)) or not operations:
        raise ConfigurationError("a store call needs a list of at least one operation")
    shape = type(operations[0])
    if shape not in _SHAPES:
        raise ConfigurationError(
            f"{shape.__name__} is no store operation: use Remember, Recall or Forget"
        )
    for operation in operations:
        if type(operation) is not shape:
            raise ConfigurationError(
                "the operations of one call must have one type: "
                f"{shape.__name__} and {type(operation).__name__} were mixed"
            )
        if not isinstance(operation.key, str) or not _KEY.match(operation.key):
            raise ConfigurationError(
                f"store key {shown(operation.key)} is not 1 to 128 characters of [A-Za-z0-9_.:@#-]"
            )
        if shape is Remember:
            _check_remember(operation)
    return shape


def _check_remember(operation: Remember) -> None:
    now_ms = operation.now_ms
    if now_ms is not None and (type(now_ms) is not int or not 0 <= now_ms <= MAX_TIME_MS):
        raise _no_integer("now_ms", now_ms, 0, MAX_TIME_MS)
    if type(operation.ttl_seconds) is not int or not 1 <= operation.ttl_seconds <= _MAX_TTL_S:
        raise _no_integer("ttl_seconds", operation.ttl_seconds, 1, _MAX_TTL_S)
    if type(operation.max_bytes) is not int or not 1 <= operation.max_bytes <= MAX_RECORD_BYTES:
        raise _no_integer("max_bytes", operation.max_bytes, 1, MAX_RECORD_BYTES)
    for cell in operation.cells:
        if not isinstance(cell.tag, bytes) or len(cell.tag) != _TAG_BYTES:
            raise ConfigurationError(f"cell tag {shown(cell.tag)} is not {_TAG_BYTES} bytes")


def _no_integer(name: str, value: object, low: int, high: int) -> ConfigurationError:
    return ConfigurationError(f"{name} must be a whole number, {low} to {high}, not {shown(value)}")


def checked_count(name: str, value: int) -> int:
    """Return a positive whole number, or refuse what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a positive integer, not {shown(value)}")
    return value
