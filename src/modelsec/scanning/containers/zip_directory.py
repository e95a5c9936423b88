"""View A of a zip: its end records and its central directory.

Readers find the end record from behind, and the directory from there: by its length (Python) or
by its offset (torch). Both places are computed; where both hold a directory, they must be one.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import ResourceLimitError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source

END_RECORD = Rule(
    "MS-ZIP-001",
    "zip readers disagree on where the archive's directory is",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: two loaders would see two different archives",
)
COUNT = Rule(
    "MS-ZIP-002",
    "the directory has not as many entries as declared",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: readers that count miss members that others load",
)
BROKEN_DIRECTORY = Rule(
    "MS-ZIP-003",
    "the directory is broken",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="reader disagreement",
    remedy="get the archive again from its source",
)
SPLIT = Rule(
    "MS-ZIP-004",
    "a part of a split archive",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="join the parts and scan the result",
)
COMMENT = Rule(
    "MS-ZIP-005",
    "the comment does not end where it says",
    Verdict.UNKNOWN,
    remedy="ask how the archive was made",
)

TAIL = (1 << 16) + 22 + 4096
"""Readers look for the end record this far from the end; torch's goes by blocks of 4 KiB."""

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
ENTRY = struct.Struct("<4s6H3I5H2I")
_CANDIDATES = 64
FULL16 = 0xFFFF
FULL32 = 0xFFFFFFFF
ZIP64 = 0x0001


@dataclass(frozen=True, slots=True)
class Directory:
    """Where an archive's directory is, and what its end records say.

    Attributes:
        start, stop: of the directory.
        base: what Python's reader adds to every offset; not 0 if something was put in front.
        count: declared entries.
        records: of the end: ranges in bytes.
        end: of the archive, its comment included.
        comment: where it starts; it ends at ``end``.
        findings: what is wrong so far.
    """

    start: int
    stop: int
    base: int
    count: int
    records: tuple[tuple[int, int], ...]
    end: int
    comment: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the central directory.

    Attributes:
        offset: of the record; ``length`` is its own.
        header: offset of the local header as declared, with ``Directory.base`` added.
        mode: of Unix, or 0.
        malformed: its extra fields cannot be what their lengths say, or contradict themselves.
    """

    offset: int
    length: int
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    disk: int
    mode: int
    header: int
    name: bytes
    extra: bytes
    comment: bytes
    malformed: bool


def find_directory(source: Source) -> Directory | None:
    """Return the directory that readers find from behind, or None if there is none."""
    tail_start = max(0, source.size - TAIL)
    tail = source.read(tail_start, source.size - tail_start)
    position = len(tail)
    for skipped in range(_CANDIDATES):
        position = tail.rfind(b"PK\5\6", 0, position)
        if position < 0:
            return None
        directory = _directory_at(source, tail_start + position, decoy=skipped > 0)
        if directory is not None:
            return directory
        position += 3
    return None


@dataclass(frozen=True, slots=True)
class _End:
    """What the end records say, zip64 included.

    Attributes:
        anchor: where the first end record starts: the directory ends there.
        locator: where zip64's locator points, or None if there is none.
    """

    anchor: int
    count: int
    size: int
    offset: int
    locator: int | None
    records: tuple[tuple[int, int], ...]
    findings: tuple[Finding, ...]


def _directory_at(source: Source, end: int, *, decoy: bool) -> Directory | None:
    if end + _END.size > source.size:
        return None
    says = _end_records(source, end)
    findings = list(says.findings)
    if decoy:
        message = "the last end record leads nowhere: readers that take the last one see no archive"
        findings.append(END_RECORD.at(end, message))
    shifted, offset, anchor = says.anchor - says.size, says.offset, says.anchor
    by_length = _is_entry(source, shifted, anchor)
    by_offset = _is_entry(source, offset, anchor)
    # An end record alone is an archive; behind something else it is a chance match.
    if not by_length and not by_offset and (says.size or says.count or anchor):
        return None
    if shifted != offset and by_offset:
        message = f"by its length the directory is at {shifted}, by its offset at {offset}"
        findings.append(END_RECORD.at(end, message))
    base = shifted - offset if by_length else 0
    if says.locator is not None and says.locator + base != anchor:
        message = "the locator points elsewhere than to the record beside it"
        findings.append(END_RECORD.at(end - _LOCATOR.size, message))
    start = shifted if by_length else min(offset, anchor)
    comment = end + _END.size
    stop = comment + int.from_bytes(source.read(comment - 2, 2), "little")
    if stop > source.size:
        message = f"a comment of {stop - comment} bytes reaches beyond the file"
        findings.append(COMMENT.at(end, message))
    return Directory(
        start=start,
        stop=min(start + says.size, anchor),
        base=base,
        count=says.count,
        records=says.records,
        end=min(stop, source.size),
        comment=comment,
        findings=tuple(findings),
    )


def _end_records(source: Source, end: int) -> _End:
    numbers = _END.unpack(source.read(end, _END.size))[1:7]
    anchor, locator = end, None
    records = [(end, end + _END.size)]
    findings: list[Finding] = []
    large = _zip64(source, end)
    if large is not None:
        anchor, wide = large
        records += [(anchor, anchor + _END64.size), (end - _LOCATOR.size, end)]
        findings += _compare64(end, numbers, wide)
        numbers, locator = wide[:6], wide[6]
        if anchor + _END64.size != end - _LOCATOR.size:
            message = "the zip64 record is not where Python's reader looks"
            findings.append(END_RECORD.at(end - _LOCATOR.size, message))
    disk, first_disk, here, count, size, offset = numbers
    if (disk, first_disk) not in {(0, 0), (1, 1)} or here != count:
        findings.append(SPLIT.at(end, "the end record speaks of further parts"))
    return _End(anchor, count, size, offset, locator, tuple(records), tuple(findings))


def _is_entry(source: Source, offset: int, stop: int) -> bool:
    return 0 <= offset <= stop - ENTRY.size and source.read(offset, 4) == b"PK\1\2"


def _zip64(source: Source, end: int) -> tuple[int, tuple[int, ...]] | None:
    """Return the place of the zip64 end record, its numbers, and where the locator points."""
    if end < _LOCATOR.size + _END64.size:
        return None
    start = end - _LOCATOR.size - _END64.size  # where Python's reader looks
    data = source.read(start, _END64.size + _LOCATOR.size)
    signature, _, declared, _ = _LOCATOR.unpack_from(data, _END64.size)
    if signature != b"PK\6\7":
        return None
    if not data.startswith(b"PK\6\6"):
        start = declared  # torch's reader follows the locator
        if start + _END64.size > end or source.read(start, 4) != b"PK\6\6":
            return None
        data = source.read(start, _END64.size)
    numbers = _END64.unpack_from(data)[4:]
    return start, (*numbers, declared)


def _compare64(end: int, classic: tuple[int, ...], numbers: tuple[int, ...]) -> Iterator[Finding]:
    limits = (FULL16, FULL16, FULL16, FULL16, FULL32, FULL32)
    for short, limit, long in zip(classic, limits, numbers, strict=False):
        if short not in {limit, long}:
            message = f"the end record says {short}, the zip64 end record {long}"
            yield END_RECORD.at(end, message)


def read_entries(
    source: Source, directory: Directory, budget: Budget
) -> tuple[list[Entry], list[Finding]]:
    """Return the directory's entries, and what is wrong with it.

    Raises:
        ResourceLimitError: there are more than the limits allow.
    """
    length = directory.stop - directory.start
    budget.allow_read(length)
    data = source.read(directory.start, length)
    entries: list[Entry] = []
    findings = list(directory.findings)
    position = 0
    while position + ENTRY.size <= length and data.startswith(b"PK\1\2", position):
        if len(entries) >= budget.limits.members:
            raise ResourceLimitError(f"an archive of more than {len(entries)} members")
        if not len(entries) & 0xFF:
            budget.check_time()
        entry = _entry(data, position, directory)
        if position + entry.length > length:
            break
        entries.append(entry)
        position += entry.length
    if position < length:
        message = f"{length - position} bytes of the directory are no entries"
        findings.append(BROKEN_DIRECTORY.at(directory.start + position, message))
    if len(entries) != directory.count:
        message = f"{directory.count} entries are declared, the directory holds {len(entries)}"
        findings.append(COUNT.at(directory.comment - _END.size, message))
    return entries, findings


def _entry(data: bytes, position: int, directory: Directory) -> Entry:
    (
        _, _, _, flags, method, _, _, crc, compressed, size,
        name_length, extra_length, comment_length, disk, _, attributes, header,
    ) = ENTRY.unpack_from(data, position)  # fmt: skip
    name_end = position + ENTRY.size + name_length
    extra_end = name_end + extra_length
    extra = data[name_end:extra_end]
    wide, malformed = (size, compressed, header), False
    if extra:
        numbers, malformed = zip64_numbers(extra, (size, compressed, header))
        wide = (numbers[0], numbers[1], numbers[2])
    return Entry(
        offset=directory.start + position,
        length=extra_end + comment_length - position,
        flags=flags,
        method=method,
        crc=crc,
        compressed=wide[1],
        size=wide[0],
        disk=disk,
        mode=attributes >> 16,
        header=wide[2] + directory.base,
        name=data[position + ENTRY.size : name_end],
        extra=extra,
        comment=data[extra_end : extra_end + comment_length],
        malformed=malformed,
    )


def zip64_numbers(extra: bytes, numbers: tuple[int, ...]) -> tuple[list[int], bool]:
    """Replace numbers that did not fit into 32 bits by those of the zip64 extra field.

    Returns:
        The numbers, and whether the field is missing, cut, or there twice.
    """
    wide = list(numbers)
    fields = [content for kind, _, content in extra_fields(extra) if kind == ZIP64]
    missing = [index for index, number in enumerate(numbers) if number == FULL32]
    if not fields:
        return wide, bool(missing)
    for place, index in enumerate(missing):
        content = fields[0][place * 8 : place * 8 + 8]
        if len(content) < 8:  # noqa: PLR2004 - a 64-bit number
            return wide, True
        wide[index] = int.from_bytes(content, "little")
    return wide, len(fields) > 1


def extra_fields(extra: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, offset and content of each extra field, as far as lengths make sense."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        stop = position + 4 + length
        if stop > len(extra):
            return
        yield kind, position, extra[position + 4 : stop]
        position = stop
