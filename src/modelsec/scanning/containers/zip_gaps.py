"""The bytes of a zip that are in no member: whose they are, and what may hide there."""

from modelsec.errors import ArtifactError
from modelsec.scanning.containers import tar
from modelsec.scanning.containers.ranges import Range, between, merged, without
from modelsec.scanning.containers.zip_directory import (
    ENTRY,
    Directory,
    Entry,
    find_directory,
)
from modelsec.scanning.containers.zip_local import SIGNATURE, Local, unexplained
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.part import Part
from modelsec.scanning.recognise import Head, strong
from modelsec.scanning.source import Slice, Source

HIDDEN = Rule(
    "MS-ZIP-040",
    "a member that is in no directory",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: readers that stream it load this member, others never see it",
)
CONCATENATED = Rule(
    "MS-ZIP-041",
    "two zip archives in one file",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: some loaders read the first, some the last",
)

_ALIGNMENT = 4096


def claims(
    source: Source, directory: Directory, entries: list[Entry], placed: list[Local]
) -> tuple[list[Range], list[Finding]]:
    """Return the ranges that belong to the archive, and what hides between them."""
    ranges: list[Range] = list(directory.records)
    for local in placed:
        ranges += local.claimed
    for entry in entries:
        ranges += _record(entry)
    if is_text(source.read(directory.comment, directory.end - directory.comment)):
        ranges.append((directory.comment, directory.end))
    ranges = merged(ranges)
    findings = []
    first = placed[0].entry.header if placed else directory.start
    for start, stop in list(between(ranges, first, directory.stop)):
        head = source.read(start, min(stop - start, _ALIGNMENT))
        if stop - start <= _ALIGNMENT and not head.strip(b"\0"):
            ranges.append((start, stop))  # alignment
        elif head.lstrip(b"\0").startswith(SIGNATURE):
            message = "a header of a member that the directory does not know"
            findings.append(HIDDEN.at(start, message, length=stop - start))
    if first > 0 and find_directory(Slice(source, 0, first)) is not None:
        message = "a whole archive lies in front of the one that is read from behind"
        findings.append(CONCATENATED.at(0, message, length=first))
    return merged(ranges), findings


def _record(entry: Entry) -> list[Range]:
    """Return the ranges of a directory record that were understood."""
    start, stop = entry.offset, entry.offset + entry.length
    if not entry.extra and not entry.comment:
        return [(start, stop)]
    extra = start + ENTRY.size + len(entry.name)
    holes = unexplained(entry.extra, extra)
    if not is_text(entry.comment):
        holes.append((stop - len(entry.comment), stop))
    return without((start, stop), holes)


def is_text(comment: bytes) -> bool:
    """Whether a comment is something to be read by people."""
    try:
        text = comment.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(character >= " " or character in "\t\r\n" for character in text)


def is_nested(part: Part, directory: Directory, first: int) -> bool:
    """Whether the archive is a member of a tar, stored at its end.

    Python's ``zipfile`` would open such a tar as a zip. Its content is scanned as that member, if
    the recogniser agrees that the file is a tar: somebody has to read it.
    """
    if not 0 < first < directory.end:
        return False
    if all(format_.name != "tar" for format_ in strong(Head(part.source))):
        return False
    try:
        return any(
            start <= first and directory.end <= stop
            for start, stop in tar.data_ranges(part.source, part.budget)
        )
    except ArtifactError:
        return False
