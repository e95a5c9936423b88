"""What every store checks before it touches anything."""

import re
from collections.abc import Sequence

from modelsec.errors import ConfigurationError
from modelsec.protocols import Forget, Operation, Recall, Remember

_KEY = re.compile(r"[A-Za-z0-9_.:@#-]{1,128}\Z")
_SHAPES = (Remember, Recall, Forget)
MAX_RECORD_BYTES = 65_535
_MAX_TIME_MS = 2**48 - 1


def checked_shape(operations: Sequence[Operation]) -> type[Operation]:
    """Return the type that all operations share.

    Raises:
        ConfigurationError: no operations, several types, a malformed key, time or limit.
    """
    if not operations:
        raise ConfigurationError("a store call needs at least one operation")
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
                f"store key {operation.key!r:.60} is not 1 to 128 characters of [A-Za-z0-9_.:@#-]"
            )
        if shape is Remember:
            _check_remember(operation)  # type: ignore[arg-type]
    return shape


def _check_remember(operation: Remember) -> None:
    if operation.now_ms is not None and not 0 <= operation.now_ms <= _MAX_TIME_MS:
        raise ConfigurationError(
            f"time {operation.now_ms} ms is outside 0 to {_MAX_TIME_MS} ms since the Unix epoch"
        )
    if operation.ttl_seconds < 1:
        raise ConfigurationError(f"ttl_seconds must be at least 1, not {operation.ttl_seconds}")
    if not 1 <= operation.max_bytes <= MAX_RECORD_BYTES:
        raise ConfigurationError(
            f"max_bytes must be 1 to {MAX_RECORD_BYTES}, not {operation.max_bytes}"
        )
