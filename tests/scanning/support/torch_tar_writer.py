"""A writer of torch's oldest checkpoints, pickle by pickle, as torch 0.1 wrote them."""

import struct
from dataclasses import dataclass, field

from tests.scanning.support.assembler import (
    BINPERSID,
    DICT,
    EMPTY_LIST,
    MARK,
    NONE,
    PROTO2,
    STOP,
    TUPLE,
    name,
    number,
)
from tests.scanning.support.containers import TAR_END, padded, tar_block


def unicode(value: str) -> bytes:
    """BINUNICODE: protocol 2 has no shorter one."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def pickled(body: bytes) -> bytes:
    """A protocol 2 pickle of what the opcodes make."""
    return PROTO2 + body + STOP


def entry(*items: bytes) -> bytes:
    """A pickled tuple."""
    return pickled(MARK + b"".join(items) + TUPLE)


@dataclass
class Tensor:
    """A tensor and its numbers; what is None follows from the storage."""

    key: int = 9
    storage: int | None = 5
    sizes: tuple[int, ...] = (2, 3)
    strides: tuple[int, ...] = (3, 1)
    offset: int = 0
    kind: str = "FloatTensor"

    def written(self) -> bytes:
        """Return its entry in ``tensors``."""
        storage = NONE if self.storage is None else number(self.storage)
        count = len(self.sizes)
        return entry(number(self.key), storage, name("torch", self.kind)) + struct.pack(
            f"<i4x{2 * count + 1}q", count, *self.sizes, *self.strides, self.offset
        )


@dataclass
class Storage:
    """A storage of floats; the count can lie."""

    key: int = 5
    values: tuple[float, ...] = (1, 2, 3, 4, 5, 6)
    elements: int | None = None
    kind: str = "FloatStorage"
    location: str = "cpu"

    def written(self) -> bytes:
        """Return its entry in ``storages``."""
        elements = len(self.values) if self.elements is None else self.elements
        head = entry(number(self.key), unicode(self.location), name("torch", self.kind))
        return head + struct.pack(f"<q{len(self.values)}f", elements, *self.values)


@dataclass
class Checkpoint:
    """A whole file: a state dict with one weight, unless told otherwise."""

    storages: list[Storage] = field(default_factory=lambda: [Storage()])
    tensors: list[Tensor] = field(default_factory=lambda: [Tensor()])
    views: list[tuple[int, int, int, int]] = field(default_factory=list)
    body: bytes = MARK + unicode("weight") + unicode("9") + BINPERSID + DICT
    little_endian: bytes = b"\x88"
    counts: tuple[int | None, int | None] = (None, None)
    before_views: bytes = b""
    after: bytes = b""

    def members(self) -> dict[str, bytes]:
        """Return the members' contents, in the writer's order."""
        counts = [
            len(entries) if count is None else count
            for count, entries in zip(self.counts, (self.storages, self.tensors), strict=True)
        ]
        listed = b"".join(
            MARK + b"".join(number(value) for value in view) + TUPLE for view in self.views
        )
        views = pickled(EMPTY_LIST + MARK + listed + b"e")
        return {
            "sys_info": pickled(
                MARK + unicode("protocol_version") + number(1000)
                + unicode("little_endian") + self.little_endian + DICT
            ),
            "pickle": pickled(self.body),
            "tensors": pickled(number(counts[1])) + b"".join(t.written() for t in self.tensors),
            "storages": pickled(number(counts[0]))
            + b"".join(s.written() for s in self.storages)
            + self.before_views + views + self.after,
        }  # fmt: skip

    def written(self, **instead: bytes) -> bytes:
        """Return the tar; members can be replaced."""
        members = self.members() | instead
        blocks = (
            tar_block(member.encode(), len(data)) + padded(data) for member, data in members.items()
        )
        return b"".join(blocks) + TAR_END
