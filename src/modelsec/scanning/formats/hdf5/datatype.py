"""Datatypes and dataspaces: how large a value is, and where it holds references or texts."""

import math
from dataclasses import dataclass, field

from modelsec.errors import MalformedArtifactError, ResourceLimitError, UnsupportedFormatError
from modelsec.scanning.formats.hdf5.fields import DEPTH, Fields

STRING, OPAQUE, COMPOUND, REFERENCE, ENUM, VLEN, ARRAY = 3, 5, 6, 7, 8, 9, 10
_PROPERTIES = {0: 4, 1: 12, 2: 2, STRING: 0, 4: 4, REFERENCE: 0}
_COMPLEX = 11
_RANK = 32
_VERSIONS = range(1, 6)
_PACKED = 3  # the version since which nothing is padded


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    Attributes:
        kind: its class.
        size: bytes of one value as it is stored.
        bits: the class's bit field.
        base: what it is made of (sequences, arrays, enumerations).
        members: offsets and datatypes of a compound's members.
        count: elements of an array.
        refers: a value can name other objects of the file.
    """

    kind: int
    size: int
    bits: int
    base: "Datatype | None" = None
    members: tuple[tuple[int, "Datatype"], ...] = ()
    count: int = 1
    refers: bool = field(init=False)

    def __post_init__(self) -> None:
        """Note once what is asked of every value."""
        inner = [datatype.refers for _, datatype in self.members]
        inner.append(self.base is not None and self.base.refers)
        object.__setattr__(self, "refers", self.kind == REFERENCE or any(inner))

    @property
    def is_text(self) -> bool:
        """Whether one value is one text, of fixed or variable length."""
        return self.kind == STRING or self.is_long_text

    @property
    def is_long_text(self) -> bool:
        """Whether one value is one text in the global heap."""
        return self.kind == VLEN and self.bits & 15 == 1


def parse(fields: Fields, depth: int = 0) -> Datatype:
    """Read one datatype.

    Raises:
        MalformedArtifactError: it contradicts itself or is cut off.
        UnsupportedFormatError: its class or version is not known.
    """
    if depth > DEPTH:
        raise ResourceLimitError(f"datatypes are nested more than {DEPTH} deep")
    head = fields.number(1)
    kind, version = head & 15, head >> 4
    if version not in _VERSIONS:
        raise UnsupportedFormatError(f"a datatype of version {version} is not read")
    bits, size = fields.number(3), fields.number(4)
    if kind in _PROPERTIES:
        fields.take(_PROPERTIES[kind])
        return Datatype(kind, size, bits)
    if kind == OPAQUE:
        fields.take(bits & 0xFF)
        return Datatype(kind, size, bits)
    if kind == COMPOUND:
        return Datatype(kind, size, bits, members=_members(fields, version, (bits, size), depth))
    if kind == ARRAY:
        count = _array(fields, version)
        base = parse(fields, depth + 1)
        if base.size * count != size:
            raise MalformedArtifactError("an array datatype is not as large as its elements")
        return Datatype(kind, size, bits, base, count=count)
    if kind in {ENUM, VLEN, _COMPLEX}:
        base = parse(fields, depth + 1)
        if kind == ENUM:
            _names(fields, version, bits & 0xFFFF)
            fields.take((bits & 0xFFFF) * base.size)
        return Datatype(kind, size, bits, base)
    raise UnsupportedFormatError(f"a datatype of class {kind} is not read")


def _members(
    fields: Fields, version: int, head: tuple[int, int], depth: int
) -> tuple[tuple[int, Datatype], ...]:
    bits, size = head
    found = []
    for _ in range(bits & 0xFFFF):
        fields.text(1 if version >= _PACKED else 8)
        width = -(-size.bit_length() // 8) if version >= _PACKED else 4
        offset = fields.number(width)
        count = _old_array(fields) if version == 1 else 1
        member = parse(fields, depth + 1)
        if count > 1:
            member = Datatype(ARRAY, member.size * count, 0, member, count=count)
        if offset + member.size > size:
            raise MalformedArtifactError("a member lies outside its compound datatype")
        found.append((offset, member))
    return tuple(found)


def _old_array(fields: Fields) -> int:
    rank = fields.number(1)
    fields.take(11)
    sizes = [fields.number(4) for _ in range(4)]
    return math.prod(sizes[:rank])


def _array(fields: Fields, version: int) -> int:
    rank = fields.number(1)
    if rank > _RANK:
        raise MalformedArtifactError(f"an array datatype of {rank} dimensions")
    fields.take(3 if version < _PACKED else 0)
    count = math.prod(fields.number(4) for _ in range(rank))
    fields.take(4 * rank if version < _PACKED else 0)
    return count


def _names(fields: Fields, version: int, count: int) -> None:
    for _ in range(count):
        fields.text(1 if version >= _PACKED else 8)


def parse_dataspace(fields: Fields) -> tuple[int, ...] | None:
    """Return the shape, () for a scalar, None for no value at all.

    Raises:
        MalformedArtifactError, UnsupportedFormatError: as for datatypes.
    """
    version = fields.version(1, 2)
    rank, flags, kind = fields.number(1), fields.number(1), fields.number(1)
    if rank > _RANK:
        raise MalformedArtifactError(f"a dataspace of {rank} dimensions")
    fields.take(4 if version == 1 else 0)
    shape = tuple(fields.length() for _ in range(rank))
    if flags & 1:
        _ = [fields.length() for _ in range(rank)]  # the largest shape it may grow to
    return None if version == 2 and kind == 2 else shape  # noqa: PLR2004 - the null dataspace
