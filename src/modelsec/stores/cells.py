"""How one update changes one record: the reference that every store must agree with.

``lua/remember.lua`` is the same arithmetic on a server; :func:`modelsec.testing.check_store`
holds the two together.
"""

from typing import cast

from modelsec.errors import StoreError, shown
from modelsec.protocols import CellUpdate, Record, Remember

GAP_CAP_MS = 65_535
CLOCK_RESET_MS = 300_000
MAX_COUNT = 2**32 - 1
KINDS = ("ring", "gaps", "total", "peak", "distinct")


def remembered(record: Record | None, operation: Remember, now_ms: int) -> Record:
    """Return the record after ``operation``, at ``now_ms``."""
    gap_ms, count, cells = GAP_CAP_MS, 1, {}
    if record is not None:
        now_ms = settled_clock(record.last_ms, now_ms)
    if record is not None and now_ms - record.last_ms < operation.ttl_seconds * 1000:
        gap_ms = max(0, now_ms - record.last_ms)
        count = min(record.count + 1, MAX_COUNT)
        cells = dict(record.cells)
    for update in operation.cells:
        try:
            cells[update.tag] = advanced(cells.get(update.tag), update, gap_ms, now_ms)
        except (ValueError, OverflowError) as error:
            raise StoreError(
                f"the record is damaged: a cell of kind {update.kind} cannot be read"
            ) from error
    return Record(count, now_ms, cells)


def settled_clock(last_ms: int, now_ms: int) -> int:
    """Return the time to record: never back, unless the clock was evidently reset."""
    if now_ms < last_ms and last_ms - now_ms <= CLOCK_RESET_MS:
        return last_ms
    return now_ms


def advanced(old: bytes | None, update: CellUpdate, gap_ms: int, now_ms: int) -> bytes:
    """Return the new packed value of one cell."""
    kind, limit, payload = update.kind, update.limit, update.payload
    if kind == "ring":
        return ((old or b"") + cast("bytes", payload))[-int(limit) :]
    if kind == "gaps":
        return ((old or b"") + min(gap_ms, GAP_CAP_MS).to_bytes(2, "little"))[-int(limit) :]
    number = float(payload)
    if kind == "total":
        total = 0.0
        if old is not None:
            total = float(old[6:])
            if limit > 0:
                idle_s = max(0, now_ms - int.from_bytes(old[:6], "big")) / 1000
                total *= 0.5 ** (idle_s / limit)
        return now_ms.to_bytes(6, "big") + b"%.17g" % (total + number)
    if kind == "peak":
        return b"%.17g" % (number if old is None else max(float(old), number))
    if kind == "distinct":
        bitmap = bytearray(old or bytes(int(limit)))
        index = int(number)
        if len(bitmap) != limit or not 0 <= index < 8 * limit:
            raise ValueError(index)
        bitmap[index // 8] |= 1 << (index % 8)
        return bytes(bitmap)
    raise StoreError(f"unknown cell kind {shown(kind)}: there are {', '.join(KINDS)}")
