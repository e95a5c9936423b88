"""TensorFlow checkpoints: ``<name>.index``, a sorted table, and ``<name>.data-00000-of-00001``.

The index maps the name of each tensor to its type, shape, shard, offset and size; the data files
are the tensors' bytes one after the other, without any header. An attacker gains nothing by
numbers; what could be hidden is another file under the name of a shard.

What is checked: the index is read to its last entry, every block must belong to the table, every
entry must be a known message. A data file has no signature, so its name proposes and the index
beside it decides: it is accepted only if the index lies beside it, counts as many shards, and its
tensors cover the file exactly, without a gap. Other readings of the same bytes (a pickle, an
archive) are looked for all the same.

What is not: checksums, and what strings of the checkpoint say (the object graph names attributes).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.formats.protobuf import BYTES, FIXED32, VARINT, Reader, varint
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import BytesSource, Source

MAGIC = bytes.fromhex("57fb808b247547db")
"""Last bytes of an index."""

_FOOTER = 48
_TRAILER = 5  # of a block: its compression and a checksum
_SHARD = re.compile(r"(.+)\.data-([0-9]{5})-of-([0-9]{5})")
_ENTRY_TAGS = frozenset(
    {
        1 << 3 | VARINT,
        2 << 3 | BYTES,
        3 << 3 | VARINT,
        4 << 3 | VARINT,
        5 << 3 | VARINT,
        6 << 3 | FIXED32,
        7 << 3 | BYTES,
    }
)
_HEADER_TAGS = frozenset({1 << 3 | VARINT, 2 << 3 | VARINT, 3 << 3 | BYTES})
_SHARD_FIELD, _OFFSET_FIELD, _SIZE_FIELD = (number << 3 | VARINT for number in (3, 4, 5))


@dataclass(frozen=True, slots=True)
class Index:
    """What an index says.

    Attributes:
        shards: number of data files.
        extents: shard, offset and size of each tensor, in bytes.
        blocks: ranges of the index that were read.
    """

    shards: int
    extents: list[tuple[int, int, int]]
    blocks: list[tuple[int, int]]


def read(part: Part) -> Iterator[Observation]:
    """Read an index."""
    if not is_index(part.source):
        raise NotThisFormat
    index = read_index(part.source, part.budget)
    for start, stop in index.blocks:
        yield Span(start, stop)


def read_data(part: Part) -> Iterator[Observation]:
    """Accept a data file that the index beside it describes to the last byte."""
    name = _SHARD.fullmatch(part.name)
    if name is None or part.siblings is None:
        raise NotThisFormat
    beside = part.siblings.open(f"{name[1]}.index")
    if beside is None or not is_index(beside):
        raise NotThisFormat
    index = read_index(beside, part.budget)
    if index.shards != int(name[3]):
        raise NotThisFormat
    end = 0
    for offset, size in sorted(
        (offset, size) for shard, offset, size in index.extents if shard == int(name[2])
    ):
        if offset != end:
            raise NotThisFormat
        end += size
    if end != part.source.size:
        raise NotThisFormat
    yield Span(0, end)


def is_index(source: Source) -> bool:
    """Whether the last bytes are those of a table."""
    return source.size >= _FOOTER and source.read(source.size - 8, 8) == MAGIC


def read_index(source: Source, budget: Budget) -> Index:
    """Read all entries.

    Raises:
        MalformedArtifactError: it is not a table, or the table is not a checkpoint's index.
        UnsupportedFormatError: a block is compressed.
    """
    budget.allow_read(source.size)
    data = source.read(0, source.size)
    end = len(data) - _FOOTER
    blocks = [(end, len(data))]
    try:
        handles = _handles(data[end:-8], 2)
        extents: list[tuple[int, int, int]] = []
        shards = 0
        # The block after the index of blocks (the meta index) is empty in honest files.
        for position, handle in enumerate(handles):
            for _, value in _entries(data, handle, blocks, budget):
                if position == 0:
                    raise UnsupportedFormatError("the table has metadata")
                (block,) = _handles(value, 1)
                for key, entry in _entries(data, block, blocks, budget):
                    if key:
                        extents.append(_extent(entry, budget))
                    else:
                        shards = _shards(entry, budget)
    except (IndexError, struct.error):
        raise MalformedArtifactError("the table of the checkpoint is cut off") from None
    return Index(shards, extents, blocks)


def _handles(text: bytes, count: int) -> list[tuple[int, int]]:
    """Return offset and size of blocks."""
    position = 0
    found = []
    for _ in range(count):
        offset, position = varint(text, position, 10)
        size, position = varint(text, position, 10)
        found.append((offset, size))
    return found


def _entries(
    data: bytes, handle: tuple[int, int], blocks: list[tuple[int, int]], budget: Budget
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; each key omits what it shares with the one before."""
    offset, size = handle
    stop = offset + size
    if stop + _TRAILER > len(data) - _FOOTER:
        raise MalformedArtifactError(f"a block at {offset} reaches beyond the table")
    if data[stop]:
        raise UnsupportedFormatError("a block of the table is compressed")
    budget.members()
    blocks.append((offset, stop + _TRAILER))
    (restarts,) = struct.unpack_from("<I", data, stop - 4)
    entries_stop = stop - 4 - 4 * restarts
    if entries_stop < offset:
        raise MalformedArtifactError(f"a block at {offset} has {restarts} restarts")
    position = offset
    key = b""
    while position < entries_stop:
        shared, position = varint(data, position, 5)
        rest, position = varint(data, position, 5)
        length, position = varint(data, position, 5)
        if shared > len(key) or position + rest + length > entries_stop:
            raise MalformedArtifactError(f"an entry at {position} reaches beyond its block")
        budget.opcodes(1)
        key = key[:shared] + data[position : position + rest]
        position += rest
        yield key, data[position : position + length]
        position += length


def _extent(entry: bytes, budget: Budget) -> tuple[int, int, int]:
    """Return shard, offset and size of a tensor."""
    values = {_SHARD_FIELD: 0, _OFFSET_FIELD: 0, _SIZE_FIELD: 0}
    for tag, value, _ in Reader(BytesSource(entry), budget).fields(0, len(entry)):
        if tag not in _ENTRY_TAGS:
            raise UnsupportedFormatError(f"a tensor of the checkpoint has field {tag >> 3}")
        if tag in values:
            values[tag] = value
    return values[_SHARD_FIELD], values[_OFFSET_FIELD], values[_SIZE_FIELD]


def _shards(entry: bytes, budget: Budget) -> int:
    """Return the number of shards, from the entry without a key."""
    shards = 0
    for tag, value, _ in Reader(BytesSource(entry), budget).fields(0, len(entry)):
        if tag not in _HEADER_TAGS:
            raise UnsupportedFormatError(f"the checkpoint's header has field {tag >> 3}")
        if tag == 1 << 3 | VARINT:
            shards = value
    return shards
