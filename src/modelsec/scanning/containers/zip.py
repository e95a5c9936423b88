"""Zip archives, read twice: by the directory at the end and by the headers of the members.

**Format.** Members one after another, each behind a header of its own; then a directory that
repeats every header; then an end record that says where the directory is. PyTorch checkpoints,
``.npz``, ``.keras``, skops and TorchServe files are zips.

**What an attacker does.** Lets the two views differ, because torch's reader, Python's ``zipfile``
and streaming readers believe different ones: two names for a member, names that differ in case or
behind a NUL, a wrong check value, an encryption mark, a count that is too small, members that are
in no directory, two archives in a row. Puts other formats in front of the first or behind the
last byte. Lets members overlap, so that few bytes expand to very many. Writes names that leave
the folder when extracted.

**What is checked.** Both views are read and compared, header by header, and every difference is a
finding. Every member is scanned by content, also one that is marked as encrypted, and those that
a torch, Keras, skops or TorchServe loader gives a meaning are read as that loader does. Stored,
deflate, bzip2 and LZMA members are read; check values are compared for what is read whole. Bytes
in front, between, behind, in long extra fields or in comments that are no text are claimed by
nobody, so they are findings and are scanned themselves. A file that ends before its directory is
read from the front.

**What is not.** Other compression methods and encrypted content are incomplete. Check values of
large stored members are not computed: a gigabyte of weights costs its headers only.
"""

from collections.abc import Iterator

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.containers.archive import (
    Application,
    Archive,
    Ledger,
    Member,
    applicable,
    read_members,
)
from modelsec.scanning.containers.zip_agreement import (
    about_entries,
    about_modes,
    about_names,
    overlaps,
)
from modelsec.scanning.containers.zip_directory import Entry, find_directory, read_entries
from modelsec.scanning.containers.zip_gaps import claims, is_nested
from modelsec.scanning.containers.zip_local import SIGNATURE, Local, read_locals, shown_name
from modelsec.scanning.containers.zip_members import open_member
from modelsec.scanning.containers.zip_stream import read_without_directory
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import Slice, Source

OVERLAP_BOMB = Rule(
    "MS-ZIP-050",
    "overlapping members were not all read",
    Verdict.DANGEROUS,
    incomplete=True,
    capability="resource exhaustion",
    remedy="refuse the file: no honest writer shares bytes between members",
)
LEFTOVER = Rule(
    "MS-ZIP-051",
    "bytes behind the end of a compressed member",
    Verdict.UNKNOWN,
    remedy="nothing honest hides bytes in a member; ask how the archive was made",
)


def _torch(names: frozenset[str]) -> bool:
    endings = ("/data.pkl", "/archive_format", ".data/extern_modules")
    return not names.isdisjoint({"data.pkl", "archive_format"}) or any(
        name.endswith(endings) for name in names
    )


def _keras(names: frozenset[str]) -> bool:
    # Keras builds the model from config.json before it looks for anything else.
    return "config.json" in names and any(name.startswith("model.weights.") for name in names)


APPLICATIONS = (
    Application("torch", _torch, "formats.torch_zip:read_archive", folds_case=True),
    Application("keras", _keras, "formats.keras:read_archive"),
    Application("skops", lambda names: "schema.json" in names, "formats.skops:read_archive"),
    Application("mar", lambda names: "mar-inf/manifest.json" in names, "formats.mar:read_archive"),
)


def read(part: Part) -> Iterator[Observation]:
    """Read both views of an archive, and every member."""
    source = part.source
    directory = find_directory(source)
    entries: list[Entry] = []
    findings: list[Finding] = []
    if directory is not None:
        try:
            entries, findings = read_entries(source, directory, part.budget)
        except ResourceLimitError:
            yield Span(0, source.size)  # all of it is what the error is about
            raise
    if directory is None or (directory.count and not entries):
        if source.read(0, min(4, source.size)) != SIGNATURE:
            raise NotThisFormat
        yield from read_without_directory(part)
        raise MalformedArtifactError("the zip has no directory at its end: it may be cut off")
    by_offset = sorted(entries, key=lambda entry: entry.header)
    if is_nested(part, directory, by_offset[0].header if by_offset else 0):
        raise NotThisFormat
    yield from findings
    placed: list[Local] = []
    for observed in read_locals(source, by_offset, part.budget):
        if isinstance(observed, Local):
            placed.append(observed)
        else:
            yield observed
    ranges, findings = claims(source, directory, entries, placed)
    yield from findings
    yield from (Span(start, stop) for start, stop in ranges)
    yield from about_entries(entries)
    shared = overlaps(placed, directory.start)
    if shared is not None:
        yield shared
        placed, bomb = _within_reason(placed, source.size)
        yield from bomb
    yield from _read_archive(part, placed)


def _within_reason(placed: list[Local], size: int) -> tuple[list[Local], list[Finding]]:
    """Keep the work linear: members that share bytes are read until twice the file is read."""
    left = 2 * size + MIB
    for index, local in enumerate(placed):
        left -= local.entry.compressed
        if left < 0:
            message = f"{len(placed) - index} of {len(placed)} members were not read"
            return placed[:index], [OVERLAP_BOMB.at(local.entry.header, message)]
    return placed, []


def _read_archive(part: Part, placed: list[Local]) -> Iterator[Observation]:
    placed = sorted(placed, key=lambda local: local.entry.offset)
    entries = [local.entry for local in placed]
    archive = _archive(part.source, placed)
    applications = applicable(archive, APPLICATIONS)
    folds_case = any(application.folds_case for application in applications)
    offsets = [entry.offset for entry in entries]
    yield from about_names(archive, offsets, folds_case=folds_case)
    if any(entry.mode for entry in entries):
        yield from about_modes(part, archive, entries)
    if not applications and _is_npz(archive):
        yield Identified("npz")
    yield from read_members(part, archive, applications)
    for index, used in archive.ledger.used.items():
        member = archive.members[index]
        rest = member.compressed - used
        if rest > 0:
            start = member.data_offset + used
            message = f"{rest} bytes follow the compressed content"
            yield LEFTOVER.at(start, message, length=rest, subject=member.name)
            yield part.child(Slice(part.source, start, rest), f"bytes at {start}")


def _archive(source: Source, placed: list[Local]) -> Archive:
    ledger = Ledger()

    def opener(member: Member, part: Part) -> Source:
        return open_member(source, ledger, member, part)

    def member(index: int, entry: Entry, data: int) -> Member:
        name = shown_name(entry)
        return Member(
            index=index,
            name=name,
            method=entry.method,
            size=entry.size,
            compressed=entry.compressed,
            crc=entry.crc,
            header_offset=entry.header,
            data_offset=data,
            flags=entry.flags,
            opener=opener,
            directory=name.endswith("/"),
        )

    members = (member(index, local.entry, local.data) for index, local in enumerate(placed))
    return Archive(tuple(members), ledger)


def _is_npz(archive: Archive) -> bool:
    names = [member.name for member in archive.members]
    return bool(names) and all(name.endswith(".npy") for name in names)
