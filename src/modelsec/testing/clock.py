"""A clock that stands still until it is told otherwise."""

import math
from threading import Lock

from modelsec.errors import ConfigurationError

_NANOSECONDS = 1_000_000_000


class FakeClock:
    """A :class:`~modelsec.protocols.Clock` for tests: time passes only by :meth:`advance`.

    It counts whole nanoseconds, so that a thousand steps of a millisecond are one second. Threads
    may share it.

    Example:
        >>> clock = FakeClock()
        >>> clock.advance(0.5)
        >>> clock()
        1000000.5

    Args:
        start: first reading, in seconds since the Unix epoch.

    Raises:
        ConfigurationError: not a finite number of seconds.
    """

    __slots__ = ("_lock", "_now_ns")

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._lock = Lock()
        self._now_ns = _nanoseconds(start)

    def __call__(self) -> float:
        """Return the time in seconds since the Unix epoch."""
        with self._lock:
            return self._now_ns / _NANOSECONDS

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back.

        Raises:
            ConfigurationError: not a finite number of seconds.
        """
        step_ns = _nanoseconds(seconds)
        with self._lock:
            self._now_ns += step_ns

    def __repr__(self) -> str:
        """Show the time."""
        return f"FakeClock({self()})"


def _nanoseconds(seconds: float) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ConfigurationError(f"a clock runs in seconds, not in {type(seconds).__name__}")
    if not math.isfinite(seconds):
        raise ConfigurationError(f"a clock cannot be moved by {seconds} seconds")
    return round(seconds * _NANOSECONDS)
