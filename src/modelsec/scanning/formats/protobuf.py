"""Protocol buffers: the wire format, and a walk over it that a schema directs.

ONNX, TensorFlow and Core ML files are protocol-buffer messages without any magic. A message is a
run of fields, each a tag (field number and wire type) and a value; strings, raw tensors and nested
messages all look alike, so that nothing can be understood without a schema.

What an attacker does: declares lengths beyond the end or beyond the parent, nests without end,
writes one message in several pieces (parsers merge the pieces, careless scanners look at the first
or the last), hides things in groups, in overlong integers, in fields that a schema does not have.

What is checked: every length against the end of its parent; varints of at most ten bytes (tags and
lengths: five); matched groups; nesting; field number 0, wire types 6 and 7, and stray ends of a
group are errors, as for every parser. The pieces of a split message are walked as one. A field that
the schema does not have is skipped, as by a parser, and counted: the caller reports it.

Cost: the bytes are seen through a window of 32 KiB that jumps over whatever is not a message, so
that the numbers of a tensor are never read.
"""

from collections.abc import Iterator
from typing import TypeAlias

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source

VARINT, FIXED64, BYTES, START, END, FIXED32 = range(6)
"""Wire types; ``START`` and ``END`` delimit a group."""

DEPTH = 100
"""Messages or groups within one another: the limit that parsers themselves have."""
TAGS = range(1 << 3, 1 << 32)
"""Tags that exist: field numbers go from 1 to 2**29 - 1."""

_WINDOW = 32 << 10
_LONGEST = 24  # bytes of a tag and of a value or length, both as overlong as can be
_BATCH = 4096  # fields between two questions to the budget

MORE = 0x80
"""A byte of an integer from here on says that the integer continues."""

Range: TypeAlias = tuple[int, int]
"""Offsets [start, stop) within the source."""
Field: TypeAlias = tuple[int, int, int]
"""Tag, then for a varint its value and the offset behind it, for all others start and stop."""


class Reader:
    """Fields and bytes of a source; remembers the window that was read last.

    Attributes:
        budget: what may be spent.
        reached: the source's size, or the offset of the first field that is broken.
    """

    __slots__ = ("_base", "_data", "_source", "budget", "reached")

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self.budget = budget
        self._data = b""
        self._base = 0
        self.reached = source.size

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return self._source.size

    def text(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range; the budget is asked first."""
        self.budget.allow_read(stop - start)
        base = self._base
        if base <= start and stop <= base + len(self._data):
            return self._data[start - base : stop - base]
        return self._source.read(start, stop - start)

    def fields(  # noqa: C901, PLR0912 - one loop without calls, for it meets every field
        self, start: int, stop: int, *, flat: bool = False
    ) -> Iterator[Field]:
        """Yield the fields of the message at [start, stop), in order.

        Args:
            start: offset of the first tag.
            stop: end of the message; no field may reach beyond it.
            flat: yield the tags that start and end a group, instead of each group as one field.

        Raises:
            MalformedArtifactError: no parser would accept it.
        """
        data, base, enough = self._window(start, stop)
        position = start - base
        end = stop - base
        while position < end:
            if position > enough:
                current = base + position
                data, base, enough = self._window(current, stop)
                position, end = current - base, stop - base
            at = position
            try:
                tag = data[position]
                position += 1
                if tag >= MORE:
                    tag, position = varint(data, at, 5)
                wire = tag & 7
                if wire == BYTES:
                    value = data[position]
                    position += 1
                    if value >= MORE:
                        value, position = varint(data, position - 1, 5)
                    first = base + position
                    position += value
                    value, after = first, base + position
                elif wire == VARINT:
                    value = data[position]
                    position += 1
                    if value >= MORE:
                        value, position = varint(data, position - 1, 10)
                    after = base + position
                elif wire in {FIXED32, FIXED64}:
                    value = base + position
                    position += 4 if wire == FIXED32 else 8
                    after = base + position
                elif wire == START or (wire == END and flat):
                    value = after = base + position
                else:
                    raise self._broken(base + at, f"no field begins with {tag}")
            except IndexError:
                raise self._broken(base + at, "cut off, or an integer without end") from None
            if position > end:
                beyond = position - end
                raise self._broken(base + at, f"a field reaches {beyond} bytes beyond its message")
            if tag not in TAGS:
                raise self._broken(base + at, f"there is no field number {tag >> 3}")
            if wire == START and not flat:
                after = self._group(base + position, stop, tag >> 3)
                position = after - base
            yield tag, value, after

    def held(self, start: int, stop: int) -> tuple[bytes, int] | None:
        """Return the window and the place of ``start`` in it, if the range lies within it."""
        first = start - self._base
        if first >= 0 and stop - self._base <= len(self._data):
            return self._data, first
        return None

    def _window(self, start: int, stop: int) -> tuple[bytes, int, int]:
        """Return bytes, their offset, and the position in them from which to ask again.

        The window is shared: a message is mostly found in what its parent has read.
        """
        base, data = self._base, self._data
        if not (base <= start and min(stop, start + _LONGEST) <= base + len(data)):
            self.budget.check_time()
            length = min(_WINDOW, self._source.size - start)
            self._data = data = self._source.read(start, length)
            self._base = base = start
        whole = stop <= base + len(data)
        return data, base, stop - base if whole else len(data) - _LONGEST

    def _group(self, start: int, stop: int, number: int) -> int:
        """Return the offset behind the end of a group."""
        open_groups = [number]
        for count, (tag, _, after) in enumerate(self.fields(start, stop, flat=True), 1):
            if count % _BATCH == 0:
                self.budget.opcodes(_BATCH)
            if tag & 7 == START:
                open_groups.append(tag >> 3)
                if len(open_groups) > DEPTH:
                    raise ResourceLimitError(f"groups nested more than {DEPTH} deep at {after}")
            elif tag & 7 == END:
                if open_groups.pop() != tag >> 3:
                    raise self._broken(after, "a group ends that has not begun")
                if not open_groups:
                    return after
        raise self._broken(start, "a group does not end")

    def _broken(self, offset: int, what: str) -> MalformedArtifactError:
        self.reached = offset
        return MalformedArtifactError(f"{what}, at {offset}")


def varint(data: bytes, position: int, longest: int) -> tuple[int, int]:
    """Return a varint, cut to 64 bits as by every parser, and the position behind it.

    Raises:
        IndexError: it is cut off or longer than ``longest`` bytes.
    """
    value = shift = 0
    for index in range(position, position + longest):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < MORE:
            return value & 0xFFFF_FFFF_FFFF_FFFF, index + 1
        shift += 7
    raise IndexError


def signed(value: int) -> int:
    """Return a varint as the two's complement number that it stands for."""
    return value - (1 << 64) if value >> 63 else value
