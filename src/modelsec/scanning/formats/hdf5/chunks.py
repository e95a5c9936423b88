"""Indexes of chunked datasets: where every chunk is, and how many bytes it has.

Chunks hold numbers. They are not read: each one has to lie within the file, and together they say
how much is really stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.formats.hdf5.trees import CHUNKS, modern_records, old_entries

SINGLE, IMPLICIT, FIXED, EXTENSIBLE, MODERN_TREE = 1, 2, 3, 4, 5
_FILTERED_RECORDS = 11
_MASK = 4
_CHECKSUM = 4
_BITS = 64

Chunk = tuple[int, int]
"""Address and stored bytes."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where a dataset's chunks are listed.

    Attributes:
        address: of the index, or of the only chunk.
        chunk: bytes of one chunk before filters.
        rank: dimensions of the dataset.
        count: chunks of the present shape.
        filtered: stored size of the single chunk, if it was filtered.
    """

    address: int
    chunk: int
    rank: int
    count: int
    filtered: int | None = None


def old(space: Space, index: Index) -> Iterator[Chunk]:
    """Yield the chunks of a version 1 B-tree."""
    for key, child in old_entries(space, index.address, CHUNKS, 8 + 8 * (index.rank + 1)):
        if child is not None:
            yield child, int.from_bytes(key[:4], "little")


def modern(space: Space, index: Index, kind: int) -> Iterator[Chunk]:
    """Yield the chunks of any of the five indexes of version 4 layouts.

    Raises:
        UnsupportedFormatError: there is a sixth.
    """
    if kind == SINGLE:
        yield index.address, index.chunk if index.filtered is None else index.filtered
    elif kind == IMPLICIT:
        yield index.address, index.chunk * index.count
    elif kind == FIXED:
        yield from _fixed(space, index)
    elif kind == EXTENSIBLE:
        yield from _extensible(space, index)
    elif kind == MODERN_TREE:
        yield from _tree(space, index)
    else:
        raise UnsupportedFormatError(f"a chunk index of type {kind} is not read")


def _tree(space: Space, index: Index) -> Iterator[Chunk]:
    for kind, record in modern_records(space, index.address):
        fields = Fields(record, space, "a chunk's record")
        address = fields.address()
        size = index.chunk
        if kind == _FILTERED_RECORDS:
            size = fields.number(max(fields.left - _MASK - 8 * index.rank, 0))
        if address is not None:
            yield address, size


@dataclass(frozen=True, slots=True)
class _Elements:
    """How the elements of an array of chunks are written."""

    index: Index
    filtered: bool
    size: int

    def read(self, fields: Fields, count: int) -> Iterator[Chunk]:
        """Yield the chunks among the next elements."""
        for _ in range(count):
            start = fields.position
            address = fields.address()
            width = self.size - (fields.position - start)
            size = fields.number(max(width - _MASK, 0)) if self.filtered else self.index.chunk
            fields.take(self.size - (fields.position - start))
            if address is not None:
                yield address, size


def _fixed(space: Space, index: Index) -> Iterator[Chunk]:
    head = space.block(index.address, 8 + space.length_size + space.offset_size, b"FAHD")
    head.version(0)
    elements = _Elements(index, bool(head.number(1)), head.number(1))
    page, count, data = head.number(1), head.length(), head.address()
    if data is None:
        return
    prefix = 6 + space.offset_size
    _check_count(space, count, elements.size)
    space.block(data, prefix, b"FADB")
    yield from _block(space, (data + prefix, count, page), elements)


def _block(
    space: Space, where: tuple[int, int, int], elements: _Elements, bitmap: bytes | None = None
) -> Iterator[Chunk]:
    """Yield the chunks of one data block, in pages if it has more elements than a page.

    Args:
        space: of the file.
        where: address behind the block's prefix, number of elements, bits of a page's length.
        elements: how they are written.
        bitmap: which pages exist, if that is not part of the block.
    """
    address, count, bits = where
    if bits > _BITS:
        raise MalformedArtifactError(f"pages of 2**{bits} elements")
    _check_count(space, count, elements.size)
    space.budget.opcodes(count)
    per_page = 1 << bits
    if count <= per_page:
        yield from elements.read(space.fields(address, count * elements.size, "chunks"), count)
        return
    pages = -(-count // per_page)
    if bitmap is None:
        bitmap = space.read(address, -(-pages // 8), "a bitmap of pages")
        address += len(bitmap)
    elif len(bitmap) < -(-pages // 8):
        raise MalformedArtifactError("a bitmap of pages is missing")
    address += _CHECKSUM
    for page in range(pages):
        here = min(per_page, count - page * per_page)
        if bitmap[page // 8] & 128 >> page % 8:
            yield from elements.read(space.fields(address, here * elements.size, "chunks"), here)
        address += here * elements.size + _CHECKSUM


@dataclass(frozen=True, slots=True)
class _Growing:
    """The measures of an extensible array."""

    bits: int
    inline: int
    least: int
    pointers: int
    page: int

    @property
    def supers(self) -> int:
        """Number of super blocks that there can be."""
        return 1 + self.bits - (self.least.bit_length() - 1)

    @property
    def direct(self) -> int:
        """Number of super blocks whose data blocks the index block lists itself."""
        return 2 * (self.pointers.bit_length() - 1)

    def blocks(self, number: int) -> int:
        """Return the number of data blocks of a super block."""
        return 1 << number // 2

    def elements(self, number: int) -> int:
        """Return the number of elements in each data block of a super block."""
        return self.least << (number + 1) // 2


def _extensible(space: Space, index: Index) -> Iterator[Chunk]:
    head = space.block(index.address, 12 + 6 * space.length_size + space.offset_size, b"EAHD")
    head.version(0)
    elements = _Elements(index, bool(head.number(1)), head.number(1))
    growing = _Growing(*(head.number(1) for _ in range(5)))
    for _ in range(6):
        head.length()
    start = head.address()
    if start is None:
        return
    powers = (growing.least, growing.pointers)
    if growing.bits > _BITS or any(not number or number & (number - 1) for number in powers):
        raise MalformedArtifactError("the measures of an extensible array make no sense")
    blocks = [number for number in range(growing.direct) for _ in range(growing.blocks(number))]
    supers = range(growing.direct, growing.supers)
    size = 6 + space.offset_size + growing.inline * elements.size
    size += (len(blocks) + len(supers)) * space.offset_size
    fields = space.block(start, size, b"EAIB")
    fields.take(2 + space.offset_size)
    yield from elements.read(fields, growing.inline)
    for number, address in zip(blocks, [fields.address() for _ in blocks], strict=True):
        if address is not None:
            yield from _data_block(space, (address, number), growing, elements)
    for number, address in zip(supers, [fields.address() for _ in supers], strict=True):
        if address is not None:
            yield from _super_block(space, (address, number), growing, elements)


def _data_block(
    space: Space,
    where: tuple[int, int],
    growing: _Growing,
    elements: _Elements,
    bitmap: bytes = b"",
) -> Iterator[Chunk]:
    address, number = where
    prefix = 6 + space.offset_size + -(-growing.bits // 8)
    space.block(address, prefix, b"EADB")
    place = (address + prefix, growing.elements(number), growing.page)
    yield from _block(space, place, elements, bitmap)


def _super_block(
    space: Space, where: tuple[int, int], growing: _Growing, elements: _Elements
) -> Iterator[Chunk]:
    address, number = where
    count = growing.blocks(number)
    pages = growing.elements(number) >> growing.page
    width = -(-pages // 8) if pages > 1 else 0
    prefix = 6 + space.offset_size + -(-growing.bits // 8)
    size = prefix + count * (width + space.offset_size)
    _check_count(space, count, space.offset_size)
    fields = space.block(address, size, b"EASB")
    fields.take(prefix - 4)
    space.budget.opcodes(count)
    bitmaps = [fields.take(width) for _ in range(count)]
    for bitmap in bitmaps:
        child = fields.address()
        if child is not None:
            yield from _data_block(space, (child, number), growing, elements, bitmap)


def _check_count(space: Space, count: int, size: int) -> None:
    if not size or count * size > space.size:
        raise MalformedArtifactError(
            f"{count} entries of {size} bytes are more than the file holds"
        )


def checked(space: Space, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield all chunks.

    Raises:
        MalformedArtifactError: a chunk lies outside the file.
    """
    for address, size in chunks:
        space.check(address, size, "a chunk")
        yield address, size
