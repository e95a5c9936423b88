"""The packed record: one string a key, understood by Python and by the server's scripts.

Layout, all integers big-endian::

    "MS"  version:1  length:2  last_ms:6  count:4  { tag:4  length:2  bytes }*

The cells are self-describing, so detectors with different signals can share a record during a
rolling upgrade. The total length makes a truncated record evident.
"""

from collections.abc import Mapping
from struct import Struct

from modelsec.errors import StoreError
from modelsec.protocols import Record

MAGIC = b"MS"
VERSION = 1
HEADER_BYTES = 15
CELL_OVERHEAD_BYTES = 6

_HEADER = Struct(">2sBHHII")  # last_ms as 16 + 32 bits
_CELL = Struct(">4sH")


def decode(raw: bytes) -> Record:
    """Unpack a record.

    Raises:
        StoreError: not a record of ours, truncated, or of a newer version.
    """
    if len(raw) < HEADER_BYTES or raw[:2] != MAGIC:
        raise StoreError(
            "the value is not a modelsec record: another program uses this key; "
            "give the store a prefix of its own, or delete the key"
        )
    _, version, length, last_high, last_low, count = _HEADER.unpack_from(raw)
    if version != VERSION:
        raise StoreError(
            f"the record has version {version}, this modelsec knows version {VERSION}: "
            "upgrade the process that wrote this message"
        )
    if length != len(raw):
        raise StoreError(f"the record is damaged: {len(raw)} bytes, its header says {length}")
    cells: dict[bytes, bytes] = {}
    position = HEADER_BYTES
    while position < length:
        start = position + CELL_OVERHEAD_BYTES
        if start > length:
            raise StoreError("the record is damaged: a cell header ends outside it")
        tag, size = _CELL.unpack_from(raw, position)
        position = start + size
        if position > length:
            raise StoreError("the record is damaged: a cell ends outside it")
        cells[tag] = raw[start:position]
    return Record(count, last_high << 32 | last_low, cells)


def encode(record: Record) -> bytes:
    """Pack a record."""
    parts = [b""]
    for tag, value in record.cells.items():
        parts += (_CELL.pack(tag, len(value)), value)
    length = HEADER_BYTES + sum(map(len, parts))
    last = record.last_ms
    parts[0] = _HEADER.pack(MAGIC, VERSION, length, last >> 32, last & 0xFFFFFFFF, record.count)
    return b"".join(parts)


def packed_size(cells: Mapping[bytes, bytes]) -> int:
    """Return the bytes of a record with these cells."""
    return HEADER_BYTES + CELL_OVERHEAD_BYTES * len(cells) + sum(map(len, cells.values()))
