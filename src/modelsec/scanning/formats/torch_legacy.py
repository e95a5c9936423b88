"""torch files from before version 1.6: five pickles in a row, then raw storages.

A magic number, a protocol number, the byte order and type sizes, the object, and the list of
storage keys; then for each key, in that order, an int64 count of elements and the bytes. Because
``pickle.load`` is called for each of the five, each may hold a payload. The magic has to be a
literal: one that is the result of a call has already been executed.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from modelsec.errors import MalformedArtifactError, printable
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats.torch_storages import BAD_STORAGE, MISSING_STORAGE, Storages
from modelsec.scanning.part import Identified, Observation, Part, Span
from modelsec.scanning.pickle.values import Container, Value

if TYPE_CHECKING:
    from modelsec.scanning.pickle.reader import Stream

MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

HEADER = Rule(
    "MS-TOR-010",
    "the header is not that of a torch file",
    Verdict.UNKNOWN,
    remedy="torch refuses this file, or reads it otherwise than its magic promises",
)


def is_magic(value: Value) -> bool:
    """Return whether a pickle's result is the magic number of a legacy torch file."""
    return type(value) is int and value == MAGIC


def read(part: Part, magic: "Stream", read_one: "Callable[..., Stream]") -> Iterator[Observation]:
    """Read on behind the magic number."""
    yield Identified("torch legacy")
    yield from magic.observations()
    storages = Storages()
    position = magic.end
    results: list[Value] = []
    for number in range(4):
        is_object = number == 2  # noqa: PLR2004
        rule = storages.persistent if is_object else None
        stream = read_one(part, position, rule, skip=is_object)
        yield from stream.observations()
        if stream.broken is not None:
            raise stream.broken
        position = stream.end
        results.append(stream.machine.result)
    protocol, system, _, keys = results
    if protocol != _PROTOCOL:
        yield HEADER.at(magic.end, f"the protocol is not {_PROTOCOL}")
    order = system.get("little_endian") if isinstance(system, Container) else None
    if order is False:
        yield HEADER.at(magic.end, "the numbers are big-endian")
    elif order is not True:
        yield HEADER.at(magic.end, "the byte order is not told")
    yield from _raw(part, position, keys, storages)


def _raw(part: Part, position: int, keys: Value, storages: Storages) -> Iterator[Observation]:
    """Account for the raw storages."""
    if (
        not isinstance(keys, Container)
        or keys.kind != "list"
        or not all(isinstance(key, str) for key in keys.items)
    ):
        raise MalformedArtifactError(
            f"the list of storage keys is not a list of text, at {position}"
        )
    part.budget.members(len(keys.items))
    present = [str(key) for key in keys.items]
    if len(set(present)) != len(present):
        yield BAD_STORAGE.at(position, "a storage key is listed twice")
    for key in present:
        declared = storages.declared.get(key)
        if declared is None:
            raise MalformedArtifactError(f"storage {printable(key)} is listed, but not declared")
        elements = int.from_bytes(part.source.read(position, 8), "little", signed=True)
        if elements != declared.elements:
            message = (
                f"storage {printable(key)} has {elements} elements, {declared.elements} declared"
            )
            yield BAD_STORAGE.at(position, message, subject=key)
        end = position + 8 + declared.size
        if end > part.source.size:
            raise MalformedArtifactError(f"storage {printable(key)} is cut off, at {position}")
        yield Span(position, end)
        position = end
    for key in storages.declared.keys() - set(present):
        yield MISSING_STORAGE.at(position, f"storage {printable(key)} is not listed", subject=key)
