"""Where a dataset's values are: in its header, in one piece, in chunks, or elsewhere."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.formats.hdf5 import chunks
from modelsec.scanning.formats.hdf5.fields import Fields, Space

COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = 0, 1, 2, 3
_OLD_TREE = 0
_MODERN = 4
_RANK = 33
_PARAMETERS = {chunks.IMPLICIT: 0, chunks.FIXED: 1, chunks.EXTENSIBLE: 5, chunks.MODERN_TREE: 6}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the values are.

    Attributes:
        kind: ``COMPACT``, ``CONTIGUOUS``, ``CHUNKED`` or ``VIRTUAL``.
        address: of the values, the chunks' index or the description; None if not allocated.
        size: bytes (contiguous), or number in the heap (virtual).
        data: the values themselves, if compact.
        shape: of a chunk, the element's size last.
        index: type of the chunks' index; 0 for the old B-tree.
        filtered: stored bytes of a single filtered chunk.
    """

    kind: int
    address: int | None = None
    size: int = 0
    data: bytes = field(default=b"", repr=False)
    shape: tuple[int, ...] = ()
    index: int = _OLD_TREE
    filtered: int | None = None

    def chunks(self, space: Space, shape: tuple[int, ...]) -> Iterator[chunks.Chunk]:
        """Yield the chunks that exist.

        Raises:
            MalformedArtifactError: the index is broken, or a chunk lies outside the file.
        """
        if self.address is None:
            return
        counts = [-(-size // max(one, 1)) for size, one in zip(shape, self.shape, strict=False)]
        index = chunks.Index(
            self.address, math.prod(self.shape), len(shape), math.prod(counts), self.filtered
        )
        if self.index == _OLD_TREE:
            yield from chunks.checked(space, chunks.old(space, index))
        else:
            yield from chunks.checked(space, chunks.modern(space, index, self.index))


def parse(fields: Fields) -> Layout:
    """Read a layout message.

    Raises:
        MalformedArtifactError, UnsupportedFormatError: it is broken, or of an unknown kind.
    """
    version = fields.version(1, 2, 3, 4, 5)
    if version < 3:  # noqa: PLR2004 - the specification's
        return _old(fields)
    kind = fields.number(1)
    if kind == COMPACT:
        return Layout(kind, data=fields.take(fields.number(2)))
    if kind == CONTIGUOUS:
        return Layout(kind, fields.address(), fields.length())
    if kind == VIRTUAL and version >= _MODERN:
        return Layout(kind, fields.address(), fields.number(4))
    if kind != CHUNKED:
        raise UnsupportedFormatError(f"a layout of class {kind} is not read")
    if version >= _MODERN:
        return _chunked(fields)
    rank = _rank(fields)
    address = fields.address()
    return Layout(kind, address, shape=tuple(fields.number(4) for _ in range(rank)))


def _old(fields: Fields) -> Layout:
    rank, kind = _rank(fields), fields.number(1)
    fields.take(5)
    address = fields.address() if kind != COMPACT else None
    shape = tuple(fields.number(4) for _ in range(rank))
    if kind == COMPACT:
        return Layout(kind, data=fields.take(fields.number(4)))
    if kind == CONTIGUOUS:
        return Layout(kind, address, -1)
    if kind == CHUNKED:
        return Layout(kind, address, shape=shape)
    raise UnsupportedFormatError(f"a layout of class {kind} is not read")


def _rank(fields: Fields) -> int:
    rank = fields.number(1)
    if rank > _RANK:
        raise MalformedArtifactError(f"a layout of {rank} dimensions")
    return rank


def _chunked(fields: Fields) -> Layout:
    flags, rank, width = fields.number(1), _rank(fields), fields.number(1)
    shape = tuple(fields.number(width) for _ in range(rank))
    index = fields.number(1)
    filtered = None
    if index == chunks.SINGLE:
        if flags & 2:
            filtered = fields.length()
            fields.take(4)
    elif index in _PARAMETERS:
        fields.take(_PARAMETERS[index])
    else:
        raise UnsupportedFormatError(f"a chunk index of type {index} is not read")
    return Layout(CHUNKED, fields.address(), shape=shape, index=index, filtered=filtered)


@dataclass(frozen=True, slots=True)
class Filter:
    """One step between stored and real values: its number and its name."""

    number: int
    name: bytes


def parse_filters(fields: Fields) -> list[Filter]:
    """Read a filter pipeline message."""
    version = fields.version(1, 2)
    count = fields.number(1)
    fields.take(6 if version == 1 else 0)
    found = []
    for _ in range(count):
        number = fields.number(2)
        named = version == 1 or number >= 256  # noqa: PLR2004 - names of built-in ones are known
        length = fields.number(2) if named else 0
        fields.take(2)
        values = fields.number(2)
        name = fields.take(-(-length // 8) * 8 if version == 1 else length)
        fields.take(4 * (values + (values & 1 if version == 1 else 0)))
        found.append(Filter(number, name.rstrip(b"\0")))
    return found
