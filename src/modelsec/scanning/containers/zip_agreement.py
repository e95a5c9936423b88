"""Whether all readers of a zip see the same members: names, folders, links, overlaps."""

import stat
from collections.abc import Iterator

from modelsec.errors import ArtifactError
from modelsec.scanning.containers.archive import Archive
from modelsec.scanning.containers.names import (
    LINK,
    LONGEST,
    SPECIAL,
    THROUGH_LINK,
    about_name,
    below_link,
    escapes,
    path_key,
)
from modelsec.scanning.containers.zip_directory import SPLIT, Entry, extra_fields
from modelsec.scanning.containers.zip_local import UTF8_BIT, Local, shown_name
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.part import Part

DUPLICATE = Rule(
    "MS-ZIP-030",
    "two members of one name",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: loaders disagree on which one they load",
)
CASE = Rule(
    "MS-ZIP-031",
    "names that differ only in case, in a file whose loader ignores case",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: its loader and other readers load different members",
)
CASE_NOTE = Rule("MS-ZIP-032", "names that differ only in case", Verdict.DATA_ONLY)
OVERLAP = Rule(
    "MS-ZIP-033",
    "members overlap",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    remedy="refuse the file: overlapping members make few bytes expand to very many",
)
FOLDER = Rule(
    "MS-ZIP-034",
    "a folder entry with content",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="ask how the archive was made",
)
ENCODING = Rule(
    "MS-ZIP-035",
    "a name that readers decode differently",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again: some readers refuse this one",
)
INNER_LINK = Rule("MS-ZIP-036", "a link within the archive", Verdict.DATA_ONLY)

_UNICODE_PATH = 0x7075


def about_entries(entries: list[Entry]) -> Iterator[Finding]:
    """Yield what is wrong with the records of the directory, each by itself."""
    for entry in entries:
        name = shown_name(entry)
        yield from about_name(name, entry.offset)
        if entry.disk not in {0, 0xFFFF}:
            yield SPLIT.at(entry.offset, "a member on another disk", subject=name)
        if entry.flags & UTF8_BIT and "\ufffd" in name:
            message = "the name claims to be UTF-8 and is not"
            yield ENCODING.at(entry.offset, message, subject=name, evidence=entry.name)
        if b"up" in entry.extra and _renamed(entry):
            message = "an extra field gives the member another name"
            yield ENCODING.at(entry.offset, message, subject=name, evidence=entry.extra)
        if name.endswith(("/", "\\")) and entry.size:
            message = f"the folder entry holds {entry.size} bytes"
            yield FOLDER.at(entry.offset, message, subject=name)


def _renamed(entry: Entry) -> bool:
    """Whether a field of UTF-8 names differs from a name that needed none."""
    for kind, _, content in extra_fields(entry.extra):
        if kind == _UNICODE_PATH and entry.name.isascii() and content[5:] != entry.name:
            return True
    return False


def about_names(archive: Archive, offsets: list[int], *, folds_case: bool) -> Iterator[Finding]:
    """Yield the names that more than one member has, for one reader or another.

    Args:
        archive: its members.
        offsets: of the members' records, for the findings.
        folds_case: the loader of this archive ignores case.
    """
    exact: set[str] = set()
    folded: dict[str, str] = {}
    for member, offset in zip(archive.members, offsets, strict=True):
        key = path_key(member.name)
        plain = member.name.rstrip("/")
        earlier = folded.setdefault(key, plain)
        if plain in exact:
            yield DUPLICATE.at(offset, "a further member of this name", subject=member.name)
        elif earlier != plain:
            only_case = earlier.casefold() == plain.casefold()
            rule = (CASE if folds_case else CASE_NOTE) if only_case else DUPLICATE
            message = "the name is another member's, written differently"
            yield rule.at(offset, message, subject=member.name)
        exact.add(plain)


def about_modes(part: Part, archive: Archive, entries: list[Entry]) -> Iterator[Finding]:
    """Yield links and special files, and members that would be written through a link."""
    links: set[str] = set()
    for member, entry in zip(archive.members, entries, strict=True):
        if below_link(member.name, links):
            yield THROUGH_LINK.at(entry.offset, "its folder is a link", subject=member.name)
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFLNK:
            links.add(path_key(member.name))
            yield from _link(part, archive, member.index, entry)
        elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            yield SPECIAL.at(entry.offset, "not a regular file", subject=member.name)


def _link(part: Part, archive: Archive, index: int, entry: Entry) -> Iterator[Finding]:
    member = archive.members[index]
    target = ""
    if member.size <= LONGEST:
        try:
            source = member.source(part)
            target = source.read(0, min(source.size, LONGEST)).decode("utf-8", "replace")
        except ArtifactError:
            pass  # said when the members are read; a link to nowhere counts as leaving
    if escapes(member.name, target, symbolic=True):
        message = "a symbolic link leads out of the folder"
        yield LINK.at(entry.offset, message, subject=member.name, evidence=target)
    else:
        message = "a symbolic link within the archive"
        yield INNER_LINK.at(entry.offset, message, subject=member.name, evidence=target)


def overlaps(placed: list[Local], directory: int) -> Finding | None:
    """Return the finding that members begin before the ones in front of them end.

    Args:
        placed: members, sorted by offset.
        directory: where the directory begins.
    """
    reach = count = 0
    first: Local | None = None
    for local in placed:
        start = local.entry.header
        if start < reach or local.stop > directory > start:
            first = first or local
            count += 1
        reach = max(reach, local.stop)
    if first is None:
        return None
    start = first.entry.header
    return OVERLAP.at(
        start,
        f"{count} members share bytes with others or with the directory",
        length=first.stop - start,
        subject=shown_name(first.entry),
    )
