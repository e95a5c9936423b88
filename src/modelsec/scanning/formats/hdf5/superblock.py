"""The superblock: where the file begins and ends, and where its root group is.

The signature may stand at 0, 512, 1024 and so on; what precedes it (the user block) is any bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.finding import Finding
from modelsec.scanning.formats.hdf5 import rules
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST = 256
_MODERN = 2
_SIZES = (2, 4, 8)  # 16 and 32 exist in the specification, not in files


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the superblock says.

    Attributes:
        space: the address space that it opens.
        root: address of the root group's object header.
        cached: B-tree and heap of the root group as its symbol table entry repeats them.
        extension: address of the object header with further superblock messages.
        driver: address of the block of a file driver (files in several pieces).
        declared: the base address that stands in the superblock.
    """

    space: Space
    root: int
    cached: tuple[int, int] | None
    extension: int | None
    driver: int | None
    declared: int

    def oddities(self) -> Iterator[Finding]:
        """Yield what makes readers disagree about the file."""
        if self.declared != self.space.base:
            yield rules.BASE.at(
                self.space.base,
                f"the superblock at {self.space.base} says that it stands at {self.declared}",
            )
        if self.driver is not None:
            yield rules.PIECES.at(
                self.space.base + self.driver,
                "a driver block: the data is spread over several files",
            )


def find(source: Source) -> int | None:
    """Return the offset of the first signature, as every reader looks for it."""
    offset = 0
    while offset + len(SIGNATURE) <= source.size:
        if source.read(offset, len(SIGNATURE)) == SIGNATURE:
            return offset
        offset = offset * 2 or 512
    return None


def read(source: Source, budget: Budget, base: int) -> Superblock:
    """Read the superblock at ``base``.

    Raises:
        MalformedArtifactError: it contradicts itself or the size of the file.
        UnsupportedFormatError: its version is not known.
    """
    size = source.size - base
    raw = source.read(base, min(_LARGEST, size))
    start = Fields(raw, Space(source, budget, base, size, 8, 8), "the superblock")
    start.take(len(SIGNATURE))
    version = start.version(0, 1, 2, 3)
    start.take(0 if version >= _MODERN else 4)
    offset_size, length_size = start.number(1), start.number(1)
    if offset_size not in _SIZES or length_size not in _SIZES:
        raise MalformedArtifactError(
            f"addresses of {offset_size} bytes and lengths of {length_size} are never written"
        )
    space = Space(source, budget, base, size, offset_size, length_size)
    fields = Fields(raw, space, "the superblock")
    if version >= _MODERN:
        fields.take(12)
        return _modern(fields, space)
    fields.take(28 if version else 24)
    return _old(fields, space)


def _modern(fields: Fields, space: Space) -> Superblock:
    declared, extension, end, root = (fields.address() for _ in range(4))
    return Superblock(
        _until(space, end, declared), _root(root), None, extension, None, declared or 0
    )


def _old(fields: Fields, space: Space) -> Superblock:
    declared, _, end, driver = (fields.address() for _ in range(4))
    fields.take(space.offset_size)  # the root has no name
    root = fields.address()
    cache = fields.number(4)
    fields.take(4)
    tree, heap = fields.address(), fields.address()
    cached = (tree, heap) if cache == 1 and tree is not None and heap is not None else None
    return Superblock(
        _until(space, end, declared), _root(root), cached, None, driver, declared or 0
    )


def _root(address: int | None) -> int:
    if address is None:
        raise MalformedArtifactError("the superblock names no root group")
    return address


def _until(space: Space, end: int | None, declared: int | None) -> Space:
    """Return the space up to the end-of-file address, which counts from the declared base."""
    size = -1 if end is None else end - (declared or 0)
    if not 0 < size <= space.size:
        raise MalformedArtifactError(
            f"the superblock promises {size} bytes, there are {space.size}: the file is cut off"
        )
    return Space(space.source, space.budget, space.base, size, space.offset_size, space.length_size)
