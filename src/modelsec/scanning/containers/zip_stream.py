"""A zip without a directory, read from the front as streaming readers do."""

from collections.abc import Iterator

from modelsec.errors import ArtifactError
from modelsec.scanning.containers.archive import Ledger, Member, unread
from modelsec.scanning.containers.expand import DEFLATE, expand
from modelsec.scanning.containers.names import about_name
from modelsec.scanning.containers.zip_directory import Entry, zip64_numbers
from modelsec.scanning.containers.zip_local import (
    DESCRIPTOR_BIT,
    ENCRYPTED,
    HEADER,
    SIGNATURE,
    descriptor_length,
    shown_name,
)
from modelsec.scanning.containers.zip_members import STORED, open_member
from modelsec.scanning.part import Observation, Part, Span
from modelsec.scanning.source import Slice

_DEFLATE = 8


def read_without_directory(part: Part) -> Iterator[Observation]:
    """Yield what the headers lead to; the caller says that the directory is missing."""
    source = part.source
    offset = 0
    while offset + HEADER.size <= source.size and source.read(offset, 4) == SIGNATURE:
        part.budget.members()
        entry, data = _header(part, offset)
        name = shown_name(entry)
        yield from about_name(name, offset)
        if entry.flags & 1:
            yield ENCRYPTED.at(offset, "the content may be encrypted: scanned as it is")
        unsized = entry.flags & DESCRIPTOR_BIT and not entry.compressed
        if unsized and entry.method == STORED:
            # Only a search for the next header would tell where it ends: scan all of the rest.
            yield Span(offset, source.size)
            yield part.child(Slice(source, data, source.size - data), name)
            return
        ledger = Ledger()
        member = _member(part, entry, data, ledger)
        if unsized and entry.method == _DEFLATE:
            result = expand(Slice(source, data, source.size - data), DEFLATE, part.budget)
            stop = data + result.consumed
            content, error = result.source, result.error
        else:
            stop = data + member.compressed
            content, error = None, None
            try:
                content = member.source(part)
            except ArtifactError as problem:
                error = problem
        stop += _descriptor(part, entry, stop, unsized=bool(unsized))
        yield Span(offset, stop)
        if content is not None and content.size:
            yield part.child(content, name)
        yield from ledger.drain()
        if error is not None:
            yield unread(member, error)
        offset = stop


def _header(part: Part, offset: int) -> tuple[Entry, int]:
    source = part.source
    head = source.read(offset, HEADER.size)
    _, _, flags, method, _, _, crc, compressed, size, names, extras = HEADER.unpack(head)
    variable = source.read(offset + HEADER.size, names + extras)
    name, extra = variable[:names], variable[names:]
    wide, malformed = zip64_numbers(extra, (size, compressed))
    data = offset + HEADER.size + names + extras
    entry = Entry(
        offset=offset,
        length=data - offset,
        flags=flags,
        method=method,
        crc=crc,
        compressed=wide[1],
        size=wide[0],
        disk=0,
        mode=0,
        header=offset,
        name=name,
        extra=extra,
        comment=b"",
        malformed=malformed,
    )
    return entry, data


def _member(part: Part, entry: Entry, data: int, ledger: Ledger) -> Member:
    """Return the member, cut to the bytes that there are."""
    source = part.source
    return Member(
        index=0,
        name=shown_name(entry),
        method=entry.method,
        size=entry.size,
        compressed=min(entry.compressed, source.size - data),
        crc=entry.crc,
        header_offset=entry.offset,
        data_offset=data,
        flags=entry.flags,
        opener=lambda member, within: open_member(source, ledger, member, within),
    )


def _descriptor(part: Part, entry: Entry, offset: int, *, unsized: bool) -> int:
    """Return the length of the sizes behind a member; they cannot be compared if unsized."""
    if not entry.flags & DESCRIPTOR_BIT:
        return 0
    data = part.source.read(offset, min(24, part.source.size - offset))
    if unsized and data.startswith(b"PK\7\x08"):
        return next((n for n in (16, 24) if data[n : n + 2] == b"PK"), min(16, len(data)))
    return descriptor_length(data, entry)
