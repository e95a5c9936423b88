"""FlatBuffers, byte by byte: tables, vectors and strings, and a small TensorFlow Lite model."""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias


class Number(NamedTuple):
    """A scalar of a table, by its format in ``struct``."""

    value: int
    form: str = "I"


Value: TypeAlias = (
    "Number | str | bytes | Sequence[int] | Sequence[Mapping[int, Value]] | Mapping[int, Value]"
)
Table: TypeAlias = Mapping[int, Value]


class FlatBuffer:
    """Writes what points before what it points at, as unsigned offsets demand."""

    def __init__(self, root: Table, identifier: bytes) -> None:
        self.data = bytearray(4) + identifier
        self._point(0, self._table(root))

    def _point(self, place: int, target: int) -> None:
        struct.pack_into("<I", self.data, place, target - place)

    def _align(self, size: int) -> int:
        self.data += bytes(-len(self.data) % size)
        return len(self.data)

    def _put(self, value: Value) -> int:
        if isinstance(value, Mapping):
            return self._table(value)
        offset = self._align(4)
        if isinstance(value, str):
            content = value.encode()
            self.data += struct.pack("<I", len(content)) + content + b"\0"
        elif isinstance(value, bytes):
            self.data += struct.pack("<I", len(value)) + value
        else:
            assert not isinstance(value, Number)
            self.data += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for index, item in enumerate(value, 1):
                place = offset + 4 * index
                if isinstance(item, int):
                    struct.pack_into("<I", self.data, place, item)
                else:
                    self._point(place, self._table(item))
        return offset

    def _table(self, fields: Table) -> int:
        layout = self._align(8)
        count = max(fields, default=-1) + 1
        places = {number: 8 + 8 * index for index, number in enumerate(fields)}
        size = 8 + 8 * len(fields)
        self.data += struct.pack("<HH", 4 + 2 * count, size)
        self.data += b"".join(struct.pack("<H", places.get(n, 0)) for n in range(count))
        start = self._align(8)
        self.data += struct.pack("<i", start - layout) + bytes(size - 4)
        for number, value in fields.items():
            place = start + places[number]
            if isinstance(value, Number):
                struct.pack_into(f"<{value.form}", self.data, place, value.value)
            else:
                self._point(place, self._put(value))
        return start


def tflite(codes: Sequence[Table], **more: Value) -> bytes:
    """Return a model with one sub-graph, one operator for each code, and two buffers."""
    operators = [
        {0: Number(index), 1: [0], 2: [1], 5: b"options", 3: Number(17, "B"), 4: {0: [1, 4]}}
        for index, _ in enumerate(codes)
    ]
    tensors = [{0: [1, 4], 2: Number(1), 3: f"tensor {index}"} for index in range(2)]
    buffers: list[Table] = [{}, {0: bytes(range(16))}]
    model: dict[int, Value] = {
        0: Number(3),
        1: codes,
        2: [{0: tensors, 1: [0], 2: [1], 3: operators, 4: "main"}],
        3: "a test",
        4: buffers,
    }
    model.update({int(key.removeprefix("field_")): value for key, value in more.items()})
    return bytes(FlatBuffer(model, b"TFL3").data)


def builtin(number: int) -> Table:
    """Return the code of a built-in operator."""
    return {0: Number(min(number, 127), "b"), 3: Number(number, "i"), 2: Number(1, "i")}


def custom(name: str) -> Table:
    """Return the code of a custom operator."""
    return {0: Number(32, "b"), 1: name, 3: Number(32, "i")}
