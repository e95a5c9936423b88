"""What every archive has in common: members, and loaders that give some of them a meaning.

A container's reader finds the members. A loader's format on top of it (a torch checkpoint is a
zip) is an *application*: it looks at the names, deals with the members it knows, and says which
those were. Every other member is scanned by content, so that nothing passes because an
application did not ask for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import TypeAlias, cast

from modelsec.errors import ArtifactError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.part import NotThisFormat, Observation, Part
from modelsec.scanning.source import Source

UNREAD = Rule(
    "MS-ARC-001",
    "a member could not be read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the archive again from its source; loaders differ on what cannot be read",
)


@dataclass(slots=True)
class Ledger:
    """What comes to light while members are opened; the container's reader reports it.

    Attributes:
        findings: not yet reported.
        used: bytes of its range that each opened member needed, by index.
    """

    findings: list[Finding] = field(default_factory=list)
    used: dict[int, int] = field(default_factory=dict)

    def drain(self) -> Iterator[Finding]:
        """Yield the findings once."""
        findings, self.findings = self.findings, []
        yield from findings


@dataclass(frozen=True, slots=True)
class Member:
    """A file within an archive.

    Attributes:
        index: in ``Archive.members``.
        name: as the directory says, undecodable bytes replaced.
        method: of compression; 0 is stored.
        size: bytes of the content, as declared.
        compressed: bytes in the archive.
        crc: declared CRC-32 of the content; 0 where the format has none.
        header_offset, data_offset: in bytes, within the archive's part.
        flags: general purpose bits of a zip.
        directory: the entry stands for a folder.
        opener: gives the content.
    """

    index: int
    name: str
    method: int
    size: int
    compressed: int
    crc: int
    header_offset: int
    data_offset: int
    flags: int
    opener: Callable[["Member", Part], Source] = field(repr=False, compare=False)
    directory: bool = False

    def source(self, part: Part) -> Source:
        """Return the content; a compressed one is expanded now, under the part's budget.

        Of a broken stream it is what came out before the break; the container reports the break.

        Args:
            part: the archive's own.

        Raises:
            ArtifactError: nothing of the content can be had.
        """
        return self.opener(self, part)


@dataclass(frozen=True, slots=True)
class Archive:
    """The members of an archive, in the order of its directory."""

    members: tuple[Member, ...]
    ledger: Ledger = field(default_factory=Ledger, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """An application dealt with this member itself: it need not be scanned by content."""

    index: int


ArchiveReader: TypeAlias = Callable[[Part, Archive], Iterator[Observation | Taken]]


@dataclass(frozen=True, slots=True)
class Application:
    """A format that a loader builds on an archive.

    Attributes:
        name: as reports call it.
        matches: given the case-folded names of all members.
        home: ``module:function`` of its ``ArchiveReader``, imported when needed.
        folds_case: its loader looks members up without regard to case.
    """

    name: str
    matches: Callable[[frozenset[str]], bool]
    home: str
    folds_case: bool = False

    def reader(self) -> ArchiveReader:
        """Import the reader."""
        module, _, function = self.home.partition(":")
        imported = import_module(f"modelsec.scanning.{module}")
        return cast("ArchiveReader", getattr(imported, function))


def applicable(archive: Archive, applications: tuple[Application, ...]) -> list[Application]:
    """Return the applications that claim an archive with these names: all of them are read."""
    names = frozenset(member.name.casefold() for member in archive.members)
    return [application for application in applications if application.matches(names)]


def read_members(
    part: Part, archive: Archive, applications: list[Application]
) -> Iterator[Observation]:
    """Yield what the applications say, then each member that none of them took."""
    taken: set[int] = set()
    for application in applications:
        yield from _apply(part, archive, application, taken)
    for member in archive.members:
        if member.index in taken:
            if member.method and member.index not in archive.ledger.used:
                # Nobody looked inside, but a loader would expand it: that has to end well.
                yield from _open(part, archive, member, scan=False)
        elif member.size or member.compressed:
            yield from _open(part, archive, member, scan=True)


def _apply(
    part: Part, archive: Archive, application: Application, taken: set[int]
) -> Iterator[Observation]:
    dealt_with = set()
    try:
        for observed in application.reader()(part, archive):
            if isinstance(observed, Taken):
                dealt_with.add(observed.index)
            else:
                yield observed
            yield from archive.ledger.drain()
    except NotThisFormat:
        return
    except ArtifactError as error:  # the members that it left over are scanned by content
        yield UNREAD.at(None, f"read as {application.name}: {error}")
    taken |= dealt_with


def _open(part: Part, archive: Archive, member: Member, *, scan: bool) -> Iterator[Observation]:
    try:
        source = member.source(part)
    except ArtifactError as error:
        yield from archive.ledger.drain()
        yield unread(member, error)
        return
    if scan and source.size:
        yield part.child(source, member.name)
    yield from archive.ledger.drain()


def unread(member: Member, error: ArtifactError) -> Finding:
    """Return the finding that a member could not be read, or not to its end."""
    return UNREAD.at(
        member.header_offset,
        f"a member could not be read: {error}",
        operation="read",
        subject=member.name,
    )
