"""The walk through a tar: from header to header, with what extension headers override."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.containers.ranges import Range
from modelsec.scanning.containers.tar_header import (
    BLOCK,
    EXTENSIONS,
    KNOWN,
    LONG_LINK,
    LONG_NAME,
    PAX_GLOBAL,
    REGULAR,
    SPARSE,
    Header,
    allow_extension,
    number,
    parse,
    pax_records,
    sparse_entries,
    text,
)
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.limits import MIB, Budget
from modelsec.scanning.source import Source

AFTER_END = Rule(
    "MS-TAR-001",
    "another archive behind the end of a tar",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: some readers stop at the end mark, others go on",
)
TWO_SIZES = Rule(
    "MS-TAR-002",
    "a member has two sizes",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    reference="CVE-2025-62518",
    remedy="refuse the file: readers find different members behind this one",
)
GLOBAL = Rule(
    "MS-TAR-003",
    "a global header renames or resizes every member",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: no honest writer does this",
)
REPEATED = Rule(
    "MS-TAR-004",
    "several headers override the same member",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: readers differ on which override counts",
)
ODD_NUMBER = Rule(
    "MS-TAR-005",
    "a number that not all readers accept",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: no honest writer writes numbers like this",
)
KIND = Rule(
    "MS-TAR-006",
    "a member of unknown type",
    Verdict.UNKNOWN,
    remedy="make the archive again with regular files and folders only",
)
BODY = Rule(
    "MS-TAR-007",
    "a size where there is no content",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: some readers skip as many bytes, others do not",
)

_LARGE = 8 << 30  # what eleven octal digits do not hold
_OVERRIDES = ("path", "linkpath", "size")
_ZEROS = 1 << 16


@dataclass(frozen=True, slots=True)
class Item:
    """A member as readers see it, overrides applied.

    Attributes:
        start: of its first header, extensions included.
        data, size: the bytes that are stored.
        stop: end of them, as far as they are there.
        pieces: offset and length of each stored piece of a sparse member.
        real_size: of a sparse member when expanded.
        pax_sparse: its content starts with, or needs, a map that is not read.
    """

    start: int
    kind: int
    name: str
    link: str
    data: int
    size: int
    stop: int
    pieces: tuple[Range, ...] = ()
    real_size: int | None = None
    pax_sparse: bool = False


@dataclass(slots=True)
class _Pending:
    """What extension headers say about the next member."""

    start: int | None = None
    name: str | None = None
    link: str | None = None
    size: int | None = None
    sparse: bool = False
    kinds: list[int] = field(default_factory=list)


def walk(source: Source, budget: Budget) -> Iterator[Item | Finding | Range]:
    """Yield members, what is wrong with them, and ranges of zero bytes at the end.

    Raises:
        MalformedArtifactError: there is no header where one must be, or no end mark.
        ResourceLimitError: too many members, or an extension header without measure.
    """
    offset, count = 0, 0
    pending = _Pending()
    while offset + BLOCK <= source.size:
        count += 1
        if count > budget.limits.members:
            raise ResourceLimitError(f"a tar of more than {count - 1} members")
        budget.check_time()
        block = source.read(offset, BLOCK)
        if not any(block):
            stop = _zeros(source, offset)
            yield offset, stop
            if pending.start is not None:
                raise MalformedArtifactError("an extension header without a member")
            offset = stop - stop % BLOCK
            if stop == source.size or not _header_at(source, offset):
                return
            yield AFTER_END.at(offset, "a header follows the zero blocks that end the archive")
            continue
        header = parse(block, offset)
        if header is None:
            raise MalformedArtifactError(f"no tar header at {offset}, and no end mark before it")
        if header.odd:
            yield ODD_NUMBER.at(offset, "a number is not plain octal", subject=header.name)
        if header.kind in EXTENSIONS:
            yield from _extension(source, header, pending)
            offset += BLOCK + _rounded(header.size)
            continue
        item, findings = _item(source, header, pending)
        yield from findings
        yield item
        pending = _Pending()
        if item.data + item.size > source.size:
            raise MalformedArtifactError("the last member is cut off")
        offset = item.data + _rounded(item.size)
    raise MalformedArtifactError("the tar has no end mark: it may be cut off")


def _rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _zeros(source: Source, offset: int) -> int:
    """Return where a run of zero bytes ends; it is followed for 1 MiB."""
    for start in range(offset, min(source.size, offset + MIB), _ZEROS):
        data = source.read(start, min(_ZEROS, source.size - start))
        rest = data.lstrip(b"\0")
        if rest:
            return start + len(data) - len(rest)
    return min(source.size, offset + MIB)


def _header_at(source: Source, offset: int) -> bool:
    return offset + BLOCK <= source.size and parse(source.read(offset, BLOCK), offset) is not None


def _extension(source: Source, header: Header, pending: _Pending) -> Iterator[Finding]:
    allow_extension(header.size)
    data = source.read(header.offset + BLOCK, header.size)
    if pending.start is None:
        pending.start = header.offset
    if header.kind != PAX_GLOBAL and header.kind in pending.kinds:
        yield REPEATED.at(header.offset, "two extension headers of one kind in a row")
    pending.kinds.append(header.kind)
    if header.kind == LONG_NAME:
        pending.name = text(data)
    elif header.kind == LONG_LINK:
        pending.link = text(data)
    elif header.kind == PAX_GLOBAL:
        records = pax_records(data)
        if not records.keys().isdisjoint(_OVERRIDES) or _is_sparse(records):
            message = "a header for all members sets a path, a size or a map"
            yield GLOBAL.at(header.offset, message, evidence=", ".join(records))
    else:
        records = pax_records(data)
        pending.name = records.get("path", pending.name)
        pending.link = records.get("linkpath", pending.link)
        pending.sparse = _is_sparse(records)
        size = records.get("size")
        if size is not None:
            if not (size.isascii() and size.isdigit() and len(size) < 20):  # noqa: PLR2004 - 2**64
                raise MalformedArtifactError("a pax header with a size that is no number")
            pending.size = int(size)


def _is_sparse(records: dict[str, str]) -> bool:
    return any(key.startswith("GNU.sparse.") for key in records)


def _item(source: Source, header: Header, pending: _Pending) -> tuple[Item, list[Finding]]:
    findings = []
    size = header.size
    if pending.size is not None and pending.size != size:
        if pending.size < _LARGE:
            message = f"{size} bytes in the header, {pending.size} in its extension"
            findings.append(TWO_SIZES.at(header.offset, message, subject=header.name))
        size = pending.size
    has_content = header.kind in REGULAR or header.kind not in KNOWN
    if header.kind not in KNOWN:
        message = f"type {chr(header.kind)!r} is not one that readers agree on"
        findings.append(KIND.at(header.offset, message, subject=header.name))
    if size and not has_content:
        message = f"{size} bytes are declared for a folder, a link or a device"
        findings.append(BODY.at(header.offset, message, subject=header.name))
        size = 0
    data = header.offset + BLOCK
    item = Item(
        start=header.offset if pending.start is None else pending.start,
        kind=header.kind,
        name=header.name if pending.name is None else pending.name,
        link=header.link if pending.link is None else pending.link,
        data=data,
        size=size,
        stop=min(data + size, source.size),
        pax_sparse=pending.sparse,
    )
    return (_sparse(source, header, item) if header.kind == SPARSE else item), findings


def _sparse(source: Source, header: Header, item: Item) -> Item:
    """Read the map of GNU's sparse members: four pieces in the header, 21 in each block more."""
    pieces = sparse_entries(header.block, 386, 4)
    more, data = header.block[482], item.data
    while more:
        block = source.read(data, BLOCK)
        allow_extension(len(pieces) * 24)
        pieces += sparse_entries(block, 0, 21)
        more, data = block[504], data + BLOCK
        if not any(block):
            raise MalformedArtifactError("the map of a sparse member is empty")
    real_size = _real_size(header.block[483:495])
    position = 0
    for offset, length in pieces:
        if offset < position or offset + length > real_size:
            raise MalformedArtifactError("the pieces of a sparse member overlap or lie outside")
        position = offset + length
    if sum(length for _, length in pieces) != item.size:
        raise MalformedArtifactError("the pieces of a sparse member are not what is stored")
    return replace(
        item,
        data=data,
        stop=min(data + item.size, source.size),
        pieces=tuple(pieces),
        real_size=real_size,
    )


def _real_size(data: bytes) -> int:
    value = number(data)
    if value is None or value[0] < 0:
        raise MalformedArtifactError("the size of a sparse member is no number")
    return value[0]
