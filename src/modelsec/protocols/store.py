"""The store: one method, atomic per call, over typed operations on one packed record a key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

MAX_TIME_MS = 2**48 - 1
"""Latest time that a record can hold, in milliseconds since the Unix epoch."""

MAX_TIME_S = MAX_TIME_MS // 1000
"""The same in whole seconds."""


class Clock(Protocol):
    """Tells the time, in seconds since the Unix epoch."""

    def __call__(self) -> float:
        """Return the current time in seconds."""
        ...


# What is made anew for every request is a named tuple: as immutable as the frozen dataclasses
# elsewhere, and built in a third of the time.


class CellUpdate(NamedTuple):
    """What one call adds to one cell of a record.

    Attributes:
        tag: 4 bytes that name the cell within its record.
        kind: ``ring``, ``gaps``, ``total``, ``peak`` or ``distinct``.
        limit: bytes that a ring, gaps or distinct cell may hold; half-life in seconds of a
            total (0: never decays); unused by a peak.
        payload: bytes to append (ring), number to add (total) or compare (peak), index of the
            bit to set (distinct); unused by gaps.
    """

    tag: bytes
    kind: str
    limit: float
    payload: bytes | float


class Remember(NamedTuple):
    """Update the cells of one record, count the call, and return the record as it now is.

    Cells of the record that are not named (a newer or older detector put them there) are kept
    while the record fits ``max_bytes``.

    Attributes:
        key: which record; 1 to 128 characters of ``[A-Za-z0-9_.:@#-]``.
        now_ms: time of the call in integer milliseconds; ``None``: the store's own clock.
        ttl_seconds: the record vanishes when nothing was remembered for so long.
        max_bytes: most bytes the record may take.
        cells: what to add, at most one update a tag.
    """

    key: str
    now_ms: int | None
    ttl_seconds: int
    max_bytes: int
    cells: tuple[CellUpdate, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """Read one record without changing it."""

    key: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete one record."""

    key: str


@dataclass(frozen=True, slots=True)
class Record:
    """State of one key.

    Attributes:
        count: calls remembered, the present one included (saturates at 2**32 - 1).
        last_ms: time of the latest call, milliseconds since the Unix epoch. It never runs
            back, unless by more than five minutes: then the clock was reset, and is followed.
        cells: packed value of each cell by tag.
    """

    count: int
    last_ms: int
    cells: Mapping[bytes, bytes]


Operation: TypeAlias = Remember | Recall | Forget
Reply: TypeAlias = Record | None


class Store(Protocol):
    """A synchronous store. The whole call happens, or none of it."""

    def apply(self, operations: Sequence[Operation]) -> Sequence[Reply]:
        """Apply operations of one type, atomically and in one round trip.

        Args:
            operations: all :class:`Remember`, all :class:`Recall` or all :class:`Forget`; on a
                Redis Cluster the keys of one call must share a slot.

        Returns:
            One reply per operation: the record after a ``Remember``, the record or ``None``
            for a ``Recall``, the record that was deleted or ``None`` for a ``Forget``.

        Raises:
            StoreError: the store failed or holds a value that is not a record of ours;
                nothing was changed.
            ConfigurationError: the operations themselves are invalid.
        """
        ...


class AsyncStore(Protocol):
    """The same as :class:`Store`, awaited."""

    async def apply(self, operations: Sequence[Operation]) -> Sequence[Reply]:
        """Apply operations; see :meth:`Store.apply`."""
        ...
