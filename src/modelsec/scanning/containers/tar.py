"""Tar archives, of every dialect that Python's ``tarfile`` opens.

**Format.** A header block of 512 bytes, the content filled up to whole blocks, the next header,
two zero blocks at the end. Headers are recognised by their checksum alone: the oldest dialect
has no magic number, and the first hundred bytes are a free name, so a tar may start with pickle
opcodes. Extension headers (pax, GNU) override name, link and size of the member behind them.
NeMo files and the checkpoints of torch before 1.0 are tars; ``torch.load`` tries tar on any file.

**What an attacker does.** Lets two readers disagree on a size, so that one of them finds members
inside the content of another; puts a second archive behind the end mark; renames by a global
header; writes links and names that leave the folder, or files below a link; declares a size of
terabytes for a sparse member.

**What is checked.** Every header of every dialect, the end mark and what follows it, the bytes
that fill blocks up; names, links, special files, duplicates. Regular members are scanned by
content, sparse ones (GNU's own map) as a source with holes.

**What is not.** Sparse members of pax are incomplete: their stored bytes are scanned as they are.
"""

from bisect import bisect_right
from collections.abc import Iterator

from modelsec.errors import ArtifactError
from modelsec.scanning.containers.archive import (
    Application,
    Archive,
    Member,
    applicable,
    read_members,
)
from modelsec.scanning.containers.names import (
    LINK,
    SPECIAL,
    THROUGH_LINK,
    about_name,
    below_link,
    escapes,
    path_key,
)
from modelsec.scanning.containers.ranges import Range
from modelsec.scanning.containers.tar_header import (
    BLOCK,
    KNOWN,
    LINKS,
    REGULAR,
    SYMBOLIC,
    parse,
)
from modelsec.scanning.containers.tar_header import SPECIAL as SPECIAL_KINDS
from modelsec.scanning.containers.tar_walk import Item, walk
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import Slice, Source, check_range

DUPLICATE = Rule(
    "MS-TAR-010",
    "two members of one name",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: some loaders take the first, some the last",
)
PAX_SPARSE = Rule(
    "MS-TAR-011",
    "a sparse member of a dialect that is not read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="make the archive again without sparse members",
)

APPLICATIONS = (
    Application(
        "torch tar",
        lambda names: {"sys_info", "pickle", "storages", "tensors"} <= names,
        "formats.torch_tar:read_archive",
    ),
)


def read(part: Part) -> Iterator[Observation]:
    """Read every member, whatever breaks between them."""
    source = part.source
    if not _starts(source):
        raise NotThisFormat
    items: list[Item] = []
    broken: ArtifactError | None = None
    try:
        for observed in walk(source, part.budget):
            if isinstance(observed, Item):
                items.append(observed)
                yield from _spans(source, observed)
            elif isinstance(observed, Finding):
                yield observed
            else:
                yield Span(*observed)
    except ArtifactError as error:  # what was found until here is judged first
        broken = error
    yield from _about(items)
    contents = [item for item in items if _has_content(item)]
    archive = _archive(source, contents)
    yield from read_members(part, archive, applicable(archive, APPLICATIONS))
    if broken is not None:
        raise broken


def data_ranges(source: Source, budget: Budget) -> Iterator[Range]:
    """Yield where the content of each member lies; nothing if this is no tar.

    Raises:
        ArtifactError: the walk breaks off; what was yielded is right.
    """
    if _starts(source):
        for observed in walk(source, budget):
            if isinstance(observed, Item):
                yield observed.data, observed.stop


def _starts(source: Source) -> bool:
    return source.size >= BLOCK and parse(source.read(0, BLOCK), 0) is not None


def _spans(source: Source, item: Item) -> Iterator[Span]:
    """Claim headers and content, and the zero bytes that fill its last block."""
    yield Span(item.start, item.stop)
    padding = min(-item.stop % BLOCK, source.size - item.stop)
    if padding and not source.read(item.stop, padding).strip(b"\0"):
        yield Span(item.stop, item.stop + padding)


def _has_content(item: Item) -> bool:
    return item.kind in REGULAR or item.kind not in KNOWN


def _about(items: list[Item]) -> Iterator[Finding]:
    links: set[str] = set()
    names: set[str] = set()
    for item in items:
        yield from about_name(item.name.removesuffix("/") or item.name, item.start)
        if below_link(item.name, links):
            yield THROUGH_LINK.at(item.start, "its folder is a link", subject=item.name)
        if item.kind in SPECIAL_KINDS:
            yield SPECIAL.at(item.start, "a device or a pipe", subject=item.name)
        elif item.kind in LINKS:
            symbolic = item.kind == SYMBOLIC
            links.add(path_key(item.name))
            if escapes(item.name, item.link, symbolic=symbolic):
                message = f"a {'symbolic' if symbolic else 'hard'} link leads out of the folder"
                yield LINK.at(item.start, message, subject=item.name, evidence=item.link)
        elif _has_content(item):
            if item.name in names:
                yield DUPLICATE.at(item.start, "a further member of this name", subject=item.name)
            names.add(item.name)
        if item.pax_sparse:
            message = "the map of a sparse member is not read"
            yield PAX_SPARSE.at(item.start, message, subject=item.name)


def _archive(source: Source, items: list[Item]) -> Archive:
    def opener(member: Member, part: Part) -> Source:
        item = items[member.index]
        stored = Slice(source, item.data, item.stop - item.data)
        if item.real_size is None:
            return stored
        # Holes cost nothing to store and everything to read.
        size = item.real_size
        part.budget.expanded(size, produced=size, consumed=stored.size)
        return _Sparse(stored, item.pieces, size)

    return Archive(
        tuple(
            Member(
                index=index,
                name=item.name,
                method=0,
                size=item.size if item.real_size is None else item.real_size,
                compressed=item.stop - item.data,
                crc=0,
                header_offset=item.start,
                data_offset=item.data,
                flags=0,
                opener=opener,
            )
            for index, item in enumerate(items)
        )
    )


class _Sparse:
    """Stored pieces with zero bytes between them."""

    __slots__ = ("_pieces", "_places", "_size", "_starts", "_stored")
    far = False

    def __init__(self, stored: Source, pieces: tuple[Range, ...], size: int) -> None:
        self._stored = stored
        self._pieces = pieces
        self._size = size
        self._starts = [offset for offset, _ in pieces]
        self._places: list[int] = []
        place = 0
        for _, length in pieces:
            self._places.append(place)
            place += length

    @property
    def size(self) -> int:
        """Number of bytes, holes included."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        check_range(self, offset, length)
        stop = offset + length
        result = bytearray(length)
        index = max(0, bisect_right(self._starts, offset) - 1)
        while index < len(self._pieces) and self._starts[index] < stop:
            piece, piece_length = self._pieces[index]
            start = max(piece, offset)
            end = min(piece + piece_length, stop)
            if start < end:
                place = self._places[index] + start - piece
                result[start - offset : end - offset] = self._stored.read(place, end - start)
            index += 1
        return bytes(result)
