"""Heaps: where names, long texts and densely stored messages are kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, ResourceLimitError, UnsupportedFormatError
from modelsec.scanning.formats.hdf5.fields import Fields, Space, encoded_width
from modelsec.scanning.formats.hdf5.trees import modern_records

_MANAGED, _HUGE, _TINY = 0, 1, 2
_LONG_ID = 18
_ENTRIES = 1_000_000


class LocalHeap:
    """The names of a group in the old style."""

    __slots__ = ("_data", "_space")

    def __init__(self, space: Space, address: int) -> None:
        fields = space.block(address, 8 + 2 * space.length_size + space.offset_size, b"HEAP")
        fields.version(0)
        fields.take(3)
        size = fields.length()
        fields.length()
        data = fields.address()
        if data is None:
            raise MalformedArtifactError("a local heap without data")
        self._space = space
        self._data = space.read(data, size, "a local heap")

    def text(self, offset: int) -> bytes:
        """Return the text at an offset."""
        end = self._data.find(b"\0", offset)
        if offset >= len(self._data) or end < 0:
            raise MalformedArtifactError(f"a name at {offset} lies outside its heap")
        return self._data[offset:end]


class GlobalHeaps:
    """Long texts, sequences and descriptions, in collections anywhere in the file."""

    __slots__ = ("_entries", "_known", "_space")

    def __init__(self, space: Space) -> None:
        self._space = space
        self._known: dict[int, dict[int, tuple[int, int]]] = {}
        self._entries = 0

    def object(self, address: int, index: int) -> bytes:
        """Return one object of the collection at an address."""
        if address not in self._known:
            self._known[address] = dict(self._objects(address))
        place = self._known[address].get(index)
        if place is None:
            raise MalformedArtifactError(f"no object {index} in the heap at address {address}")
        return self._space.read(*place, "an object of a global heap")

    def _objects(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        space = self._space
        fields = space.block(address, 8 + space.length_size, b"GCOL")
        fields.version(1)
        fields.take(3)
        end = address + fields.length()
        space.check(address, end - address, "a global heap")
        head = 8 + space.length_size
        position = address + -(-head // 8) * 8
        while position + head <= end:
            space.budget.opcodes(1)
            entry = space.fields(position, head, "a global heap")
            index = entry.number(2)
            entry.take(6)
            size = entry.length()
            if index == 0:  # the rest is free
                return
            self._entries += 1
            if self._entries > _ENTRIES:
                raise ResourceLimitError(f"more than {_ENTRIES} objects in global heaps")
            position += head
            if position + size > end:
                raise MalformedArtifactError("an object reaches beyond its global heap")
            yield index, (position, size)
            position += -(-size // 8) * 8


@dataclass(frozen=True, slots=True)
class _Table:
    """The doubling table of a fractal heap: how large the blocks of each row are."""

    width: int
    start: int
    largest: int
    bits: int

    def size(self, row: int) -> int:
        """Return the size of a block in a row."""
        return self.start << max(row - 1, 0)

    @property
    def direct_rows(self) -> int:
        """Number of rows whose blocks hold data, not tables."""
        return self.largest.bit_length() - self.start.bit_length() + 2

    def rows(self, size: int) -> int:
        """Return the number of rows of the table of a block of ``size`` bytes."""
        return size.bit_length() - (self.start * self.width).bit_length() + 1


class FractalHeap:
    """Links or attributes of an object that has many."""

    __slots__ = (
        "_blocks",
        "_direct_huge",
        "_huge",
        "_id",
        "_numbered",
        "_space",
        "_table",
        "_widths",
    )

    def __init__(self, space: Space, address: int) -> None:
        self._space = space
        size = 26 + 12 * space.length_size + 3 * space.offset_size
        fields = space.block(address, size, b"FRHP")
        fields.version(0)
        self._id, filters = fields.number(2), fields.number(2)
        fields.take(1)
        largest_object = fields.number(4)
        fields.length()
        huge = fields.address()
        fields.length()
        fields.address()
        for _ in range(8):
            fields.length()
        width, start, largest = fields.number(2), fields.length(), fields.length()
        bits, _ = fields.number(2), fields.number(2)
        root, rows = fields.address(), fields.number(2)
        if filters:
            raise UnsupportedFormatError("a fractal heap with filters is not read")
        self._table = _table(width, start, largest, bits)
        self._widths = (
            -(-bits // 8),
            min(encoded_width(largest), encoded_width(largest_object)),
        )
        self._direct_huge = space.offset_size + space.length_size <= self._id - 1
        self._huge = huge
        self._numbered: dict[int, tuple[int | None, int]] | None = None
        self._blocks = sorted(self._find(root, rows)) if root is not None else []

    def object(self, identity: bytes) -> bytes:
        """Return the object of a heap ID.

        Raises:
            MalformedArtifactError: there is none.
            UnsupportedFormatError: the kind of ID is not known.
        """
        fields = Fields(identity, self._space, "a heap ID")
        first = fields.number(1)
        kind = first >> 4 & 3
        if first >> 6 or kind > _TINY:
            raise UnsupportedFormatError(f"a heap ID that begins with {first:#04x} is not read")
        if kind == _TINY:
            length = first & 15
            if self._id > _LONG_ID:
                length = length << 8 | fields.number(1)
            return fields.take(length + 1)
        if kind == _MANAGED:
            return self._managed(fields.number(self._widths[0]), fields.number(self._widths[1]))
        return self._large(fields)

    def _managed(self, offset: int, length: int) -> bytes:
        """Return bytes of the heap's own space: the block is found by bisection."""
        low, high = 0, len(self._blocks)
        while low < high:
            middle = (low + high) // 2
            if self._blocks[middle][0] <= offset:
                low = middle + 1
            else:
                high = middle
        start, address, size = self._blocks[low - 1] if low else (0, 0, 0)
        if offset + length > start + size:
            raise MalformedArtifactError(f"{length} bytes at {offset} lie in no block of the heap")
        return self._space.read(address + offset - start, length, "an object of a fractal heap")

    def _large(self, fields: Fields) -> bytes:
        if self._direct_huge:
            address, length = fields.address(), fields.length()
        else:
            address, length = self._huge_by_number(fields.number(min(fields.left, 8)))
        if address is None:
            raise MalformedArtifactError("an object of a fractal heap is nowhere")
        return self._space.read(address, length, "an object of a fractal heap")

    def _huge_by_number(self, number: int) -> tuple[int | None, int]:
        if self._numbered is None:
            self._numbered = dict(self._huge_objects())
        if number not in self._numbered:
            raise MalformedArtifactError(f"no huge object {number} in the heap")
        return self._numbered[number]

    def _huge_objects(self) -> Iterator[tuple[int, tuple[int | None, int]]]:
        if self._huge is None:
            return
        for kind, record in modern_records(self._space, self._huge):
            if kind != 1:
                raise UnsupportedFormatError(f"huge objects of kind {kind} are not read")
            fields = Fields(record, self._space, "a huge object's record")
            self._space.budget.members()
            place = fields.address(), fields.length()
            yield fields.length(), place

    def _find(self, root: int, rows: int) -> Iterator[tuple[int, int, int]]:
        """Yield offset in the heap, address and size of every direct block."""
        table, space = self._table, self._space
        if not rows:
            yield self._direct(root, 0, table.start)
            return
        pending = [(root, 0, rows)]
        seen = set()
        while pending:
            address, offset, count = pending.pop()
            if address in seen or count > table.bits + 1:
                raise MalformedArtifactError("the tables of a fractal heap contradict each other")
            seen.add(address)
            head = 5 + space.offset_size + self._widths[0]
            entries = count * table.width
            fields = space.block(address, head + entries * space.offset_size, b"FHIB")
            fields.version(0)
            fields.take(space.offset_size + self._widths[0])
            space.budget.opcodes(entries)
            for entry in range(entries):
                row = entry // table.width
                size = table.size(row)
                child = fields.address()
                if child is not None and row < table.direct_rows:
                    space.budget.members()
                    yield self._direct(child, offset, size)
                elif child is not None:
                    pending.append((child, offset, table.rows(size)))
                offset += size

    def _direct(self, address: int, offset: int, size: int) -> tuple[int, int, int]:
        self._space.block(address, 4, b"FHDB")
        self._space.check(address, size, "a block of a fractal heap")
        return offset, address, size


def _table(width: int, start: int, largest: int, bits: int) -> _Table:
    powers = all(number and number & (number - 1) == 0 for number in (width, start, largest))
    if not powers or bits > 64 or not start <= largest < 1 << 32:  # noqa: PLR2004 - as HDF5 has it
        raise MalformedArtifactError("the measures of a fractal heap make no sense")
    if width > 1 << 12:
        raise ResourceLimitError(f"a fractal heap with {width} blocks in a row")
    return _Table(width, start, largest, bits)
