"""torch checkpoints since 1.6: a zip with one pickle and raw storages.

Under one folder: ``data.pkl`` (protocol 2), ``data/<key>`` (raw storages), ``version``,
``byteorder`` and small marks. ``torch.load`` looks members up without regard to case, and takes a
file with ``constants.pkl`` for TorchScript, whose ``code/`` is run. The storages are raw numbers:
their sizes are checked against the pickle's declarations, their bytes are never read.

Also here: packages of ``torch.package`` (Python sources that run on import) and PT2 archives
(ahead-of-time compiled models with native libraries).
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from modelsec.errors import ArtifactError, MalformedArtifactError, printable
from modelsec.scanning.containers.archive import Archive, Member, Taken
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats.torch_storages import BAD_STORAGE, MISSING_STORAGE, Storages
from modelsec.scanning.part import Identified, Observation, Part, Reader
from modelsec.scanning.source import Slice

if TYPE_CHECKING:
    from modelsec.scanning.pickle.reader import Stream

PACKAGE = Rule(
    "MS-TOR-020",
    "a torch package: Python sources that run on import",
    Verdict.DANGEROUS,
    capability="code execution by design",
    remedy="load it only if you trust its author: review, then pin the file's digest",
)
COMPILED = Rule(
    "MS-TOR-021",
    "an ahead-of-time compiled model",
    Verdict.DANGEROUS,
    capability="native code",
    remedy="load it only if you trust its author: review, then pin the file's digest",
)
FOLDERS = Rule(
    "MS-TOR-022",
    "members outside the checkpoint's folder",
    Verdict.UNKNOWN,
    remedy="torch writes one folder; ask how the file was made",
)
MARK = Rule(
    "MS-TOR-023",
    "a mark that is not what torch writes",
    Verdict.UNKNOWN,
    remedy="ask how the file was made",
)
UNDECLARED = Rule(
    "MS-TOR-024",
    "a storage that nothing refers to",
    Verdict.DATA_ONLY,
    remedy="nothing reads it, so nothing checks it",
)

NOT_NUMBERS = Rule(
    "MS-TOR-025",
    "a storage that looks like more than numbers",
    Verdict.UNKNOWN,
    capability="something for a loader of the attacker's own",
    remedy="torch reads it as numbers; ask how the file was made",
)

_MARKS = frozenset(
    {
        "version",
        "byteorder",
        ".format_version",
        ".storage_alignment",
        ".data/serialization_id",
        ".data/version",
    }
)
_TRACED = "traced_inputs/"
"""Of these storages torch writes the declarations only."""
_PICKLES = (
    ("data.pkl", "data/"),
    ("constants.pkl", "constants/"),
    ("traced_inputs.pkl", _TRACED),
)
"""Each with the folder of its storages."""
_LONGEST_MARK = 64
_STORAGE_HEAD = 4096
_PROGRAMS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


def read_archive(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
    """Read the members that torch reads."""
    folder = archive.members[0].name.partition("/")[0] if archive.members else ""
    members = {}
    for member in archive.members:
        top, slash, rest = member.name.partition("/")
        if slash and top == folder:
            members[rest.casefold()] = member
        elif not member.directory:
            yield FOLDERS.at(None, f"{printable(member.name)} is not in {printable(folder)}/")
    if ".data/extern_modules" in members or ".data/python_version" in members:
        yield Identified("torch package")
        yield PACKAGE.at(None, "the archive is a torch package")
        return
    if "archive_format" in members:
        yield from _compiled(members)
        return
    # Here torch minds the case: spelled otherwise, the file is a checkpoint like any other.
    script = "constants.pkl" in members and members["constants.pkl"].name.endswith("/constants.pkl")
    yield Identified("torchscript" if script else "torch")
    for pickle, folder in _PICKLES:
        if pickle not in members:
            continue
        storages = Storages()
        source = members[pickle].source(part)
        yield Taken(members[pickle].index)
        # The engine reads it before it asks for more: the declarations are complete then.
        yield part.child(source, members[pickle].name, torch_pickle(storages, script=script))
        yield from _storages(part, members, storages, folder)
    yield from _marks(part, members)
    if script:
        # Imported on use: most checkpoints hold no script.
        from modelsec.scanning.formats.torchscript import read_members  # noqa: PLC0415

        yield from read_members(part, members)


def torch_pickle(storages: Storages, *, script: bool) -> Reader:
    """Return a reader of one pickle whose persistent ids are storages.

    Args:
        storages: collects the declarations.
        script: TorchScript's own types (``__torch__``) are defined in the archive.
    """
    return partial(_read_pickle, storages=storages, script=script)


def _read_pickle(part: Part, storages: Storages, *, script: bool) -> Iterator[Observation]:
    # The pickle reader knows legacy torch files: imported here, it closes the circle.
    from modelsec.scanning.pickle.reader import read_one  # noqa: PLC0415

    local = ("__torch__",) if script else ()
    stream: Stream = read_one(part, 0, storages.persistent, local=local, skip=True)
    yield Identified("torch pickle")
    yield from stream.observations()
    if stream.broken is not None:
        raise stream.broken


def _storages(
    part: Part, members: dict[str, Member], storages: Storages, folder: str
) -> Iterator[Observation | Taken]:
    """Check every storage against its declaration; nothing is read."""
    for storage in storages.declared.values():
        member = members.get(f"{folder}{storage.key}".casefold())
        if member is None:
            message = f"storage {printable(storage.key)} is not in the archive"
            yield MISSING_STORAGE.at(storage.offset, message, subject=storage.key)
        elif member.size != storage.size and (member.size or folder != _TRACED):
            message = (
                f"storage {printable(storage.key)} has {member.size} bytes, {storage.size} declared"
            )
            yield BAD_STORAGE.at(storage.offset, message, subject=storage.key)
    declared = {key.casefold() for key in storages.declared}
    for name, member in members.items():
        if not name.startswith(folder) or member.directory:
            continue
        yield Taken(member.index)
        if name[len(folder) :] not in declared:
            yield UNDECLARED.at(None, f"nothing refers to {printable(member.name)}")
        if not part.source.far:
            yield from _not_numbers(part, member)


def _not_numbers(part: Part, member: Member) -> Iterator[Observation]:
    """Look at the start of a storage; string rules on weights would only raise false alarms.

    Only a whole pickle that acts, or the header of a program, is told: chance makes neither.
    """
    source = member.source(part)
    start = Slice(source, 0, min(source.size, _STORAGE_HEAD))
    head = start.read(0, min(start.size, 4))
    if head.startswith(_PROGRAMS):
        message = f"{printable(member.name)} begins like a program"
        yield NOT_NUMBERS.at(0, message, subject=member.name, evidence=head)
    if head[:1] == b"\x80":
        from modelsec.scanning.pickle.reader import acts  # noqa: PLC0415 - closes the circle

        if acts(part, start):
            message = f"{printable(member.name)} begins with a pickle that imports"
            yield NOT_NUMBERS.at(0, message, subject=member.name)


def _marks(part: Part, members: dict[str, Member]) -> Iterator[Observation | Taken]:
    """Read the small text members."""
    for name, member in members.items():
        if name not in _MARKS:
            continue
        yield Taken(member.index)
        try:
            text = member.source(part).read(0, min(member.size, _LONGEST_MARK))
        except ArtifactError as error:
            raise MalformedArtifactError(f"{printable(member.name)}: {error}") from error
        if member.size > _LONGEST_MARK or not text.isascii():
            yield MARK.at(None, f"{printable(member.name)} is not a short text", evidence=text)
        if name == "byteorder" and text not in (b"little", b"big"):
            yield MARK.at(None, "the byte order is neither little nor big", evidence=text)


def _compiled(members: dict[str, Member]) -> Iterator[Observation]:
    yield Identified("pt2")
    native = [name for name in members if "/aotinductor/" in f"/{name}"]
    if native:
        message = f"{len(native)} members are compiled code, which is loaded as a library"
        yield COMPILED.at(None, message, evidence=native[0])
