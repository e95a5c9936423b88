"""View B of a zip: the header in front of each member, compared with the directory.

Some loaders go by the directory, some by these headers, some compare the two and refuse. A
scanner that goes by one view sees what only some loaders see.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.scanning.containers.ranges import without
from modelsec.scanning.containers.zip_directory import Entry, extra_fields, zip64_numbers
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source

LOCAL_NAME = Rule(
    "MS-ZIP-010",
    "a member has two names",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    reference="CVE-2025-1944",
    remedy="refuse the file: scanners and loaders look members up by different names",
)
LOCAL_FIELDS = Rule(
    "MS-ZIP-011",
    "a member's header contradicts the directory",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: readers would expand different bytes",
)
LOCAL_DETAIL = Rule(
    "MS-ZIP-012",
    "a member's header differs from the directory",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: some readers refuse this one, others load it",
)
ENCRYPTION_BIT = Rule(
    "MS-ZIP-013",
    "a member is marked as encrypted in one place only",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    reference="CVE-2025-1945",
    remedy="refuse the file: the mark keeps scanners out and some loaders ignore it",
)
ENCRYPTED = Rule(
    "MS-ZIP-014",
    "a member is marked as encrypted",
    Verdict.UNKNOWN,
    incomplete=True,
    reference="CVE-2025-1945",
    remedy="scan the decrypted archive; loaders that ignore the mark load the bytes as they are",
)
NO_HEADER = Rule(
    "MS-ZIP-015",
    "the directory names a member that is not there",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="get the archive again from its source",
)
DESCRIPTOR = Rule(
    "MS-ZIP-016",
    "the sizes behind a member are missing or wrong",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: readers that stream it go by these sizes",
)

HEADER = struct.Struct("<4s5H3I2H")
SIGNATURE = b"PK\3\4"
_ENCRYPTED_BITS = 0x0001 | 0x0020 | 0x0040 | 0x2000  # plain, patch data, strong, masked
DESCRIPTOR_BIT = 0x0008
UTF8_BIT = 0x0800
_LONGEST_DESCRIPTOR = 24
_SMALL_EXTRA = 16
_PADDING_KINDS = {0x4246: 0, 0xD935: 2}  # torch's "FB", Android's: bytes before the filler
_TEXT_KINDS = {0x7075, 0x6375}  # name and comment in UTF-8
_SLACK = 128
_NEAR = 4096
_WINDOW = 1 << 16


@dataclass(frozen=True, slots=True)
class Local:
    """A member's header as it was found.

    Attributes:
        data: offset of the content.
        stop: end of the content and of its descriptor.
        claimed: ranges of header, content and descriptor that were understood.
    """

    entry: Entry
    data: int
    stop: int
    claimed: tuple[tuple[int, int], ...]


class _Window:
    """Reads small headers that lie close together at once: a remote read is a request."""

    __slots__ = ("_data", "_source", "_start", "_starts", "_stops")

    def __init__(self, source: Source, entries: list[Entry]) -> None:
        self._source = source
        self._start = 0
        self._data = b""
        self._starts = [entry.header for entry in entries]
        self._stops = [
            entry.header + HEADER.size + len(entry.name) + len(entry.extra) + _SLACK
            for entry in entries
        ]

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes; fewer at the end of the source."""
        at = offset - self._start
        if at < 0 or at + length > len(self._data):
            stop = self._ahead(offset, offset + length)
            self._start, at = offset, 0
            self._data = self._source.read(offset, max(0, min(stop, self._source.size) - offset))
        return self._data[at : at + length]

    def _ahead(self, offset: int, stop: int) -> int:
        if stop - offset > _WINDOW:
            return stop
        index = bisect_left(self._starts, offset)
        while index < len(self._starts) and self._starts[index] <= stop + _NEAR:
            if self._stops[index] - offset > _WINDOW:
                break
            stop = max(stop, self._stops[index])
            index += 1
        return stop


def read_locals(source: Source, entries: list[Entry], budget: Budget) -> Iterator[Local | Finding]:
    """Yield each member's header, and what is wrong with it.

    Args:
        source: of the archive.
        entries: of the directory, sorted by their headers' offset.
        budget: for the time.
    """
    window = _Window(source, entries)
    for number, entry in enumerate(entries):
        if not number & 0xFF:
            budget.check_time()
        start = entry.header
        head = b""
        if 0 <= start <= source.size - HEADER.size:
            head = window.read(start, HEADER.size)
        if head.startswith(SIGNATURE):
            yield from _read_local(source, window, entry, head)
        else:
            message = "there is no member where the directory says"
            yield NO_HEADER.at(entry.offset, message, subject=shown_name(entry))


def _read_local(
    source: Source, window: _Window, entry: Entry, head: bytes
) -> Iterator[Local | Finding]:
    start = entry.header
    _, _, flags, method, _, _, crc, compressed, size, names, extras = HEADER.unpack(head)
    variable = window.read(start + HEADER.size, names + extras)
    name, extra = variable[:names], variable[names:]
    data = start + HEADER.size + names + extras
    stop = data + entry.compressed
    if stop > source.size:
        message = f"a member of {entry.compressed} bytes reaches beyond the file"
        yield NO_HEADER.at(start, message, subject=shown_name(entry))
        return
    numbers, odd = (size, compressed), False
    if extra:
        wide, odd = zip64_numbers(extra, numbers)
        numbers = (wide[0], wide[1])
    here = (name, flags, method, crc, *numbers)
    there = (entry.name, entry.flags, entry.method, entry.crc, entry.size, entry.compressed)
    if here != there or flags & _ENCRYPTED_BITS:
        yield from _compare(entry, name, (flags, method, crc), numbers)
    if odd or entry.malformed:
        message = "the fields for large sizes are missing, cut or there twice"
        yield LOCAL_DETAIL.at(start, message, subject=shown_name(entry))
    if (flags | entry.flags) & DESCRIPTOR_BIT:
        length = descriptor_length(window.read(stop, _LONGEST_DESCRIPTOR), entry)
        if not length:
            message = "no sizes follow the member, though its header says so"
            yield DESCRIPTOR.at(stop, message, subject=shown_name(entry))
        stop += length
    holes = unexplained(extra, start + HEADER.size + names) if extra else []
    yield Local(entry, data, stop, tuple(without((start, stop), holes)))


def _compare(
    entry: Entry, name: bytes, fields: tuple[int, int, int], numbers: tuple[int, int]
) -> Iterator[Finding]:
    flags, method, crc = fields
    at, subject = entry.header, shown_name(entry)
    if name != entry.name:
        message = "the member's own name is not the one in the directory"
        yield LOCAL_NAME.at(at, message, subject=subject, evidence=name)
    both = (flags & _ENCRYPTED_BITS, entry.flags & _ENCRYPTED_BITS)
    if both[0] != both[1]:
        yield ENCRYPTION_BIT.at(at, "header and directory differ on encryption", subject=subject)
    elif both[0]:
        yield ENCRYPTED.at(at, "the content may be encrypted: scanned as it is", subject=subject)
    if method != entry.method:
        message = f"method {method} in the header, {entry.method} in the directory"
        yield LOCAL_FIELDS.at(at, message, subject=subject)
    streamed = bool(flags & DESCRIPTOR_BIT)
    if numbers != (entry.size, entry.compressed) and not (streamed and not any(numbers)):
        rule = LOCAL_FIELDS if any(numbers) else LOCAL_DETAIL
        message = (
            f"{numbers[1]} bytes of {numbers[0]} in the header, "
            f"{entry.compressed} of {entry.size} in the directory"
        )
        yield rule.at(at, message, subject=subject)
    if crc != entry.crc and not (streamed and crc == 0):
        yield LOCAL_DETAIL.at(at, "the check values differ", subject=subject)
    differing = (flags ^ entry.flags) & (DESCRIPTOR_BIT | UTF8_BIT)
    if differing & DESCRIPTOR_BIT or (differing and not name.isascii()):
        yield LOCAL_DETAIL.at(at, "the flags differ", subject=subject)


def descriptor_length(data: bytes, entry: Entry) -> int:
    """Return the length of the descriptor at the start of ``data``; 0 if there is none."""
    sizes64 = struct.pack("<IQQ", entry.crc, entry.compressed, entry.size)
    variants = [b"PK\7\x08" + sizes64, sizes64]
    if max(entry.compressed, entry.size) < 1 << 32:
        sizes32 = struct.pack("<III", entry.crc, entry.compressed, entry.size)
        variants[1:1] = [b"PK\7\x08" + sizes32]
        variants.append(sizes32)
    return next((len(variant) for variant in variants if data.startswith(variant)), 0)


def unexplained(extra: bytes, base: int) -> list[tuple[int, int]]:
    """Return the ranges of extra fields that are neither small, nor text, nor plain filler.

    Args:
        extra: the fields.
        base: their offset in the part, added to the result.
    """
    ranges = []
    position = 0
    for kind, offset, content in extra_fields(extra):
        position = offset + 4 + len(content)
        if len(content) <= _SMALL_EXTRA or kind in _TEXT_KINDS:
            continue
        filler = content[_PADDING_KINDS[kind] :] if kind in _PADDING_KINDS else content
        if kind not in _PADDING_KINDS or filler.strip(filler[:1]):
            ranges.append((base + offset, base + position))
    if len(extra) - position > 3 and extra[position:].strip(b"\0"):  # noqa: PLR2004 - no field
        ranges.append((base + position, base + len(extra)))
    return ranges


def shown_name(entry: Entry) -> str:
    """Return a member's name: UTF-8 if it says so, else the old code page of PCs."""
    return entry.name.decode("utf-8" if entry.flags & UTF8_BIT else "cp437", "replace")
