"""A store in this process: bounded, thread-safe, and safe to call from a running event loop."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from modelsec.errors import StoreError
from modelsec.protocols import Clock, Operation, Recall, Record, Remember, Reply
from modelsec.stores.cells import remembered
from modelsec.stores.codec import packed_size
from modelsec.stores.validate import checked_count, checked_shape


class MemoryStore:
    """Keeps records in a dictionary; the least recently used one goes first.

    Use it for tests, for replays, and for services of one process. It never blocks on anything
    but a lock held for microseconds, so asynchronous code may call it directly.

    Args:
        max_records: most records kept; beyond it the least recently used one is evicted, and
            counted in :attr:`evictions`.
        clock: time source for operations that carry no time, and for expiry.

    Raises:
        ConfigurationError: ``max_records`` is not a positive integer.
    """

    shared = False
    """Other processes do not see this store."""

    def __init__(self, *, max_records: int = 100_000, clock: Clock = time.time) -> None:
        self._max_records = checked_count("max_records", max_records)
        self._clock = clock
        self._lock = Lock()
        self._records: OrderedDict[str, tuple[Record, int]] = OrderedDict()  # with expiry in ms
        self.evictions = 0

    def apply(self, operations: Sequence[Operation]) -> list[Reply]:
        """Apply operations of one type, atomically; see :meth:`modelsec.protocols.Store.apply`."""
        shape = checked_shape(operations)
        with self._lock:
            if shape is Remember:
                return self._remember(operations)  # type: ignore[arg-type]
            if shape is Recall:
                return [self._live(operation.key) for operation in operations]
            replies = []
            for operation in operations:
                replies.append(self._live(operation.key))
                self._records.pop(operation.key, None)
            return replies

    def __len__(self) -> int:
        """Return the number of records kept, expired ones that were not met since included."""
        return len(self._records)

    def _remember(self, operations: Sequence[Remember]) -> list[Reply]:
        replies: list[Reply] = []
        pending: dict[str, tuple[Record, int]] = {}
        clock_ms = round(self._clock() * 1000)
        for operation in operations:
            entry = pending.get(operation.key) or self._records.get(operation.key)
            known = entry[0] if entry is not None and entry[1] > clock_ms else None
            now_ms = clock_ms if operation.now_ms is None else operation.now_ms
            record = fitted(remembered(known, operation, now_ms), operation)
            pending[operation.key] = (record, clock_ms + operation.ttl_seconds * 1000)
            replies.append(record)
        # Nothing was kept until here: a call happens whole or not at all.
        for key, entry in pending.items():
            self._records[key] = entry
            self._records.move_to_end(key)
        while len(self._records) > self._max_records:
            self._records.popitem(last=False)
            self.evictions += 1
        return replies

    def _live(self, key: str) -> Record | None:
        entry = self._records.get(key)
        if entry is None or entry[1] <= self._clock() * 1000:
            return None
        return entry[0]


def fitted(record: Record, operation: Remember) -> Record:
    """Return the record within its size: cells of other detectors are guests and go first."""
    if packed_size(record.cells) <= operation.max_bytes:
        return record
    named = {update.tag for update in operation.cells}
    cells = {tag: value for tag, value in record.cells.items() if tag in named}
    size = packed_size(cells)
    if size > operation.max_bytes:
        raise StoreError(f"the record would take {size} bytes, {operation.max_bytes} are allowed")
    return Record(record.count, record.last_ms, cells)
