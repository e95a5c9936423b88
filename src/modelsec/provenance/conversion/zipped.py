"""The members of a zip as ranges of an open file."""

import tempfile
from contextlib import ExitStack

from modelsec.errors import MalformedArtifactError, printable
from modelsec.provenance.conversion.transfer import CHUNK, Range, write
from modelsec.scanning.containers.archive import Ledger, Member
from modelsec.scanning.containers.zip_directory import find_directory, read_entries
from modelsec.scanning.containers.zip_local import Local, read_locals, shown_name
from modelsec.scanning.containers.zip_members import STORED, open_member
from modelsec.scanning.part import Part
from modelsec.scanning.source import Source


class Zip:
    """An archive that was scanned: its two views agree, and no name occurs twice.

    Attributes:
        names: of the members with content, in the order of the file.
    """

    def __init__(self, descriptor: int, part: Part, resources: ExitStack) -> None:
        self._descriptor = descriptor
        self._part = part
        self._resources = resources
        self._ledger = Ledger()
        self._members = {member.name: member for member in _members(part)}
        self.names = tuple(self._members)

    def source(self, name: str) -> Source:
        """Return a member's content, for reading its structure."""
        member = self._member(name)
        return open_member(self._part.source, self._ledger, member, self._part)

    def range(self, name: str) -> Range:
        """Return where a member's content is, after expanding it to a temporary file if need be."""
        member = self._member(name)
        if member.method == STORED:
            return Range(self._descriptor, member.data_offset, member.size)
        content = self.source(name)
        # Without a name: it is gone when it is closed, whatever happens.
        spool = self._resources.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the caller's
        for offset in range(0, content.size, CHUNK):
            piece = content.read(offset, min(CHUNK, content.size - offset))
            write(spool.fileno(), offset, memoryview(piece))
        return Range(spool.fileno(), 0, content.size)

    def _member(self, name: str) -> Member:
        found = self._members.get(name)
        if found is None:
            raise MalformedArtifactError(f"the archive has no member {printable(name)}")
        return found


def _members(part: Part) -> list[Member]:
    directory = find_directory(part.source)
    if directory is None:
        raise MalformedArtifactError("the zip has no directory at its end")
    entries, _ = read_entries(part.source, directory, part.budget)
    by_offset = sorted(entries, key=lambda entry: entry.header)
    members: list[Member] = []
    for local in read_locals(part.source, by_offset, part.budget):
        if not isinstance(local, Local):
            continue
        entry = local.entry
        members.append(
            Member(
                index=len(members),
                name=shown_name(entry),
                method=entry.method,
                size=entry.size,
                compressed=entry.compressed,
                crc=entry.crc,
                header_offset=entry.header,
                data_offset=local.data,
                flags=entry.flags,
                opener=_not_opened_so,
            )
        )
    return [member for member in members if not member.name.endswith("/")]


def _not_opened_so(member: Member, part: Part) -> Source:
    del part
    raise MalformedArtifactError(f"{printable(member.name)} is opened by the archive")
