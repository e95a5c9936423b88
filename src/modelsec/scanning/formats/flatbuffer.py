"""FlatBuffers: tables that point at each other by offsets.

A table begins with a signed offset to its layout (the vtable), which says where in the table each
field lies; strings, vectors and other tables are reached by unsigned offsets. Nothing is read in
order, so that a hostile file can make tables overlap, point back, or point beyond the end.

What is checked: every offset, count and length against the file; each table is visited once, and
their number is bounded. What the tables, strings and vectors occupy is what the file is made of:
the rest is alignment, or something that no reader of the format would find.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source


class One(NamedTuple):
    """A field that is a table of a kind."""

    kind: str


class Many(NamedTuple):
    """A field that is a vector of tables of a kind."""

    kind: str


class Union(NamedTuple):
    """A field that is a table whose kind another field tells.

    Attributes:
        selector: that field, one byte.
        kinds: by its value; tables of all other kinds hold numbers only.
    """

    selector: int
    kinds: Mapping[int, str]


Field: TypeAlias = int | One | Many | Union
"""A vector of elements of so many bytes, or what the classes say."""

STRING = -1
"""A field that is a string: bytes with a zero behind them."""

_PAGE = 16 << 10
_TABLES = 2_000_000
_ALIGNMENT = 64  # zero bytes between two structures that need no mention
_NUMBERS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        kind: as in the schema.
        start: its offset.
        fields: for each field, its offset within the table, 0 if it is absent.
        size: bytes of the table itself.
    """

    kind: str
    start: int
    fields: tuple[int, ...]
    size: int


class Flat:
    """Reads tables, and knows which bytes were met.

    Attributes:
        met: ranges [start, stop) of everything that was read or passed over as numbers.
    """

    def __init__(self, source: Source, budget: Budget) -> None:
        self.source = source
        self.budget = budget
        self.met: list[tuple[int, int]] = []
        self._page = b""
        self._base = 0

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return a few bytes, mostly from the page that was read last."""
        start = offset - self._base
        if not (start >= 0 and start + length <= len(self._page)):
            if length > _PAGE // 2 or not 0 <= offset <= self.source.size - length:
                return self.source.read(offset, length)
            self._base = max(0, offset - _PAGE // 2)
            self._page = self.source.read(self._base, min(_PAGE, self.source.size - self._base))
            start = offset - self._base
        return self._page[start : start + length]

    def number(self, offset: int, size: int) -> int:
        """Return the unsigned little-endian number at an offset."""
        (value,) = struct.unpack(_NUMBERS[size], self.bytes_at(offset, size))
        return int(value)

    def table(self, kind: str, start: int) -> Table:
        """Read the layout of the table at an offset."""
        (back,) = struct.unpack("<i", self.bytes_at(start, 4))
        layout = start - back
        length = self.number(layout, 2)
        size = self.number(layout + 2, 2)
        if length < 4 or length % 2 or size < 4:  # noqa: PLR2004 - two lengths; one offset
            raise MalformedArtifactError(f"the table at {start} has an impossible layout")
        fields = struct.unpack(f"<{length // 2 - 2}H", self.bytes_at(layout + 4, length - 4))
        if any(field >= size for field in fields) or start + size > self.source.size:
            raise MalformedArtifactError(f"the table at {start} has fields beyond its end")
        self.met.append((layout, layout + length))
        self.met.append((start, start + size))
        return Table(kind, start, fields, size)

    def scalar(self, table: Table, field: int, size: int) -> int:
        """Return a number of a table, 0 if it is absent."""
        place = table.fields[field] if field < len(table.fields) else 0
        if place and place + size > table.size:
            raise MalformedArtifactError(f"the table at {table.start} has a field beyond its end")
        return self.number(table.start + place, size) if place else 0

    def target(self, table: Table, field: int) -> int:
        """Return the offset that a field leads to, 0 if it is absent."""
        relative = self.scalar(table, field, 4)
        return table.start + table.fields[field] + relative if relative else 0

    def vector(self, offset: int, element: int) -> tuple[int, int]:
        """Return offset and count of a vector's elements."""
        count = self.number(offset, 4)
        stop = offset + 4 + count * element
        if stop > self.source.size:
            raise MalformedArtifactError(f"the vector at {offset} has {count} elements")
        self.met.append((offset, stop))
        return offset + 4, count

    def text(self, table: Table, field: int, longest: int = 4096) -> bytes:
        """Return a string of a table, cut if it is too long; b"" if it is absent."""
        offset = self.target(table, field)
        if not offset:
            return b""
        start, length = self.string(offset)
        return self.source.read(start, min(length, longest))

    def string(self, offset: int) -> tuple[int, int]:
        """Return offset and length of a string."""
        start, length = self.vector(offset, 1)
        if start + length < self.source.size and not self.number(start + length, 1):
            self.met.append((start + length, start + length + 1))
        return start, length

    def gaps_closed(self) -> list[tuple[int, int]]:
        """Return the ranges that were met, in order, joined where only alignment lies between."""
        joined: list[tuple[int, int]] = []
        for start, stop in sorted(self.met):
            if joined:
                before = joined[-1][1]
                close = start - before <= _ALIGNMENT
                if start <= before or (
                    close and not self.bytes_at(before, start - before).strip(b"\0")
                ):
                    joined[-1] = (joined[-1][0], max(before, stop))
                    continue
            joined.append((start, stop))
        return joined


def walk(
    flat: Flat, schema: Mapping[str, Mapping[int, Field]], kind: str, start: int
) -> Iterator[Table]:
    """Yield every table that can be reached, each once.

    Raises:
        MalformedArtifactError: an offset, a count or a length leads out of the file.
        ResourceLimitError: there are too many tables, or the budget is used up.
    """
    queue = [(kind, start)]
    seen = set(queue)
    while queue:
        name, offset = queue.pop()
        flat.budget.opcodes(1)
        table = flat.table(name, offset)
        yield table
        for field, leads in schema.get(name, {}).items():
            for inner in _inner(flat, table, field, leads):
                if inner not in seen:
                    seen.add(inner)
                    queue.append(inner)
        if len(seen) > _TABLES:
            raise ResourceLimitError(f"more than {_TABLES} tables")


def _inner(flat: Flat, table: Table, field: int, leads: Field) -> Iterator[tuple[str, int]]:
    """Yield kind and offset of the tables that a field leads to."""
    offset = flat.target(table, field)
    if not offset:
        return
    if isinstance(leads, One):
        yield leads.kind, offset
    elif isinstance(leads, Union):
        yield leads.kinds.get(flat.scalar(table, leads.selector, 1), "numbers"), offset
    elif isinstance(leads, Many):
        start, count = flat.vector(offset, 4)
        for index in range(count):
            if index % 4096 == 0:
                flat.budget.opcodes(min(4096, count - index))
            place = start + 4 * index
            yield leads.kind, place + flat.number(place, 4)
    elif leads == STRING:
        flat.string(offset)
    else:
        flat.vector(offset, leads)
