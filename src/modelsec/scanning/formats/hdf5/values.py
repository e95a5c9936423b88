"""Values that can act: texts that somebody decodes, references to objects that no link names."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import UnsupportedFormatError
from modelsec.scanning.formats.hdf5.datatype import (
    REFERENCE,
    STRING,
    VLEN,
    Datatype,
)
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.formats.hdf5.heaps import GlobalHeaps

_OBJECT, _REGION = 0, 1
_CUTS = {0: b"\0", 1: b"\0", 2: b" "}


@dataclass(frozen=True, slots=True)
class Values:
    """Reads values of one file."""

    space: Space
    heaps: GlobalHeaps

    def texts(self, datatype: Datatype, data: bytes) -> Iterator[bytes]:
        """Yield every text of consecutive values; nothing if they are no texts."""
        size = max(datatype.size, 1)
        if datatype.kind == STRING:
            self.space.budget.opcodes(len(data) // size)
            cut = _CUTS.get(datatype.bits & 15, b"\0")
            for start in range(0, len(data), size):
                yield data[start : start + size].rstrip(cut)
        elif datatype.is_long_text:
            yield from self.rows(datatype, data)

    def rows(self, datatype: Datatype, data: bytes) -> Iterator[bytes]:
        """Yield every sequence of consecutive values of variable length, as bytes."""
        width = datatype.base.size if datatype.base is not None else 1
        for start in range(0, len(data) - datatype.size + 1, max(datatype.size, 1)):
            self.space.budget.opcodes(1)
            yield self._sequence(data[start : start + datatype.size], width)

    def references(self, datatype: Datatype, data: bytes) -> Iterator[int]:
        """Yield the address of every object that consecutive values refer to.

        Raises:
            UnsupportedFormatError: a reference is of a kind that is not read.
        """
        pending = [_split(datatype, data)] if datatype.refers else []
        while pending:
            self.space.budget.opcodes(1)
            current, value = next(pending[-1], (None, b""))
            if current is None:
                pending.pop()
            elif current.kind == REFERENCE:
                address = self._target(current, value)
                if address:
                    yield address
            elif current.refers:
                pending.append(self._inner(current, value))

    def _inner(self, datatype: Datatype, value: bytes) -> Iterator[tuple[Datatype, bytes]]:
        """Return the values that a value is made of."""
        base = datatype.base
        if base is None:
            return ((m, value[start : start + m.size]) for start, m in datatype.members)
        if datatype.kind == VLEN:
            value = self._sequence(value, base.size)
        return _split(base, value)

    def _sequence(self, value: bytes, size: int) -> bytes:
        """Return the bytes of a sequence or text in the global heap."""
        fields = Fields(value, self.space, "a value of variable length")
        count, address, index = fields.number(4), fields.address(), fields.number(4)
        if not count or not address:
            return b""
        return self.heaps.object(address, index)[: count * size]

    def _target(self, datatype: Datatype, value: bytes) -> int | None:
        fields = Fields(value, self.space, "a reference")
        kind = datatype.bits & 15
        if kind == _OBJECT:
            return fields.address()
        if kind != _REGION:
            if not value.strip(b"\0"):
                return None
            raise UnsupportedFormatError(f"a reference of type {kind} is not followed")
        heap, index = fields.address(), fields.number(4)
        if not heap:
            return None
        stored = self.heaps.object(heap, index)
        return Fields(stored, self.space, "a region reference").address()


def _split(datatype: Datatype, data: bytes) -> Iterator[tuple[Datatype, bytes]]:
    size = max(datatype.size, 1)
    return ((datatype, data[start : start + size]) for start in range(0, len(data), size))
