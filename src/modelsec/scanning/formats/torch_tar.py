"""torch files from before version 0.1.10: a tar of four members.

**Format.** ``storages`` holds a pickled count, then for each storage a pickle (key, location,
storage class), an int64 count of elements and the raw bytes, then a pickled list of views into
them. ``tensors`` holds a pickled count, then for each tensor a pickle (key, key of its storage,
tensor class), the number of dimensions (int32, four bytes unused), sizes, strides and the offset
as int64. ``pickle`` holds the object; it names storages and tensors by persistent ids, which are
their keys. ``sys_info`` is a pickled dict that no loader asks any more.

**What an attacker does.** Every one of these pickles is loaded, thousands of them, between raw
bytes: a payload in the count, behind a storage, or in the list of views. ``torch.load`` tries this
format on every file on disk. Sizes and strides may reach beyond the storage, and old versions of
torch do not check.

**What is checked.** Each pickle, where the loader starts it; sizes against the bytes that are
there; views and tensors against their storages; persistent ids against the keys. Bytes behind the
last structure belong to nobody. **What is not.** A class that a persistent id names, together with
its source, is not followed into calls: such modules are not cleared.
"""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.containers.archive import Archive, Taken
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats.torch_legacy import HEADER
from modelsec.scanning.formats.torch_storages import (
    BAD_ID,
    BAD_STORAGE,
    ITEM_SIZES,
    MISSING_STORAGE,
    SOURCE_IN_ID,
)
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.pickle.values import Container, Global, PersistentId, Value

if TYPE_CHECKING:
    from modelsec.scanning.pickle.effects import PersistentRule
    from modelsec.scanning.pickle.reader import Stream

BAD_TENSOR = Rule(
    "MS-TOR-030",
    "a tensor that reaches beyond its storage",
    Verdict.DANGEROUS,
    capability="memory corruption in loaders that trust the declaration",
    reference="CVE-2026-24747",
    remedy="do not load this file",
)
EXPANDED = Rule(
    "MS-TOR-031",
    "a tensor that is far larger than its storage",
    Verdict.UNKNOWN,
    capability="resource exhaustion",
    remedy="whoever copies the tensor allocates all of it; ask how the file was made",
)

_MEMBERS = ("storages", "tensors", "pickle", "sys_info")
_DIMENSIONS = 64
"""torch's own limit."""
_MATERIALISED: Final = 1 << 31
"""Elements that an expanded tensor may have, whatever its storage holds."""


def read_archive(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
    """Read the four members, in the loader's order; every other one is left over."""
    # Of two members of one name, the loader takes the last.
    members = {member.name: member for member in archive.members}
    if not members.keys() >= set(_MEMBERS):
        raise NotThisFormat  # other cases of the names, or folders: the loader finds none of them
    yield Identified("torch tar")
    objects = _Objects()
    readers = (_storages, _tensors, _object, _system)
    for name, read in zip(_MEMBERS, readers, strict=True):
        source = members[name].source(part)
        yield Taken(members[name].index)
        # The engine reads it before it asks for more: the keys are known then.
        yield part.child(source, name, partial(read, objects=objects))


@dataclass(slots=True)
class _Objects:
    """What the loader knows by key.

    Attributes:
        storages: number of elements, by key; views are storages, too.
        tensors: keys.
    """

    storages: dict[int, int] = field(default_factory=dict)
    tensors: set[int] = field(default_factory=set)


def _storages(part: Part, objects: _Objects) -> Iterator[Observation]:
    yield Identified("torch storages")
    count, position = yield from _count(part)
    for _ in range(count):
        part.budget.members()
        start = position
        entry, position = yield from _pickled(part, position)
        match entry:
            case Container(
                kind="tuple",
                items=[int() as key, str() | bytes(), Global("torch" | "torch.cuda", kind)],
            ) if kind in ITEM_SIZES:
                pass
            case _:
                raise MalformedArtifactError(f"no key, location and class of a storage, at {start}")
        (elements,) = struct.unpack("<q", part.source.read(position, 8))
        end = position + 8 + elements * ITEM_SIZES[kind]
        if elements < 0 or end > part.source.size:
            message = f"storage {key} declares {elements} elements, which are not there"
            yield BAD_STORAGE.at(position, message, subject=str(key))
            raise MalformedArtifactError(f"storage {key} is cut off, at {position}")
        if key in objects.storages:
            message = f"storage {key} is declared twice"
            yield BAD_STORAGE.at(start, message, subject=str(key))
        objects.storages[key] = elements
        yield Span(position, end)
        position = end
    views, _ = yield from _pickled(part, position)
    if not isinstance(views, Container) or views.kind not in {"list", "tuple"} or views.hidden:
        raise MalformedArtifactError(f"no list of views, at {position}")
    for view in views.items:
        yield from _view(view, position, objects)


def _view(view: Value, position: int, objects: _Objects) -> Iterator[Observation]:
    match view:
        case Container(
            kind="tuple", items=[int() as key, int() as root, int() as offset, int() as elements]
        ):
            pass
        case _:
            raise MalformedArtifactError(f"a view that is not four numbers, at {position}")
    held = objects.storages.get(root)
    if held is None:
        yield MISSING_STORAGE.at(position, f"storage {root} is missing", subject=str(root))
    elif min(offset, elements) < 0 or offset + elements > held:
        message = f"view {key} reaches beyond storage {root}, which has {held} elements"
        yield BAD_STORAGE.at(position, message, subject=str(key))
    if key in objects.storages:
        yield BAD_STORAGE.at(position, f"storage {key} is declared twice", subject=str(key))
    objects.storages[key] = elements


def _tensors(part: Part, objects: _Objects) -> Iterator[Observation]:
    yield Identified("torch tensors")
    count, position = yield from _count(part)
    for _ in range(count):
        part.budget.members()
        start = position
        entry, position = yield from _pickled(part, position)
        match entry:
            case Container(kind="tuple", items=[int() as key, int() | None as storage, Global()]):
                pass
            case _:
                raise MalformedArtifactError(f"no keys and class of a tensor, at {start}")
        (dimensions,) = struct.unpack("<i4x", part.source.read(position, 8))
        if not 0 <= dimensions <= _DIMENSIONS:
            raise MalformedArtifactError(f"a tensor of {dimensions} dimensions, at {position}")
        length = 8 * (2 * dimensions + 1)
        numbers = struct.unpack(f"<{2 * dimensions + 1}q", part.source.read(position + 8, length))
        yield Span(position, position + 8 + length)
        # A tensor under the key of a storage would take its place for the tensors behind it.
        if key in objects.tensors or key in objects.storages:
            yield BAD_TENSOR.at(start, f"key {key} is declared twice", subject=str(key))
        objects.tensors.add(key)
        held = None if storage is None else objects.storages.get(storage)
        if held is None:
            message = f"storage {storage} of tensor {key} is missing"
            yield MISSING_STORAGE.at(start, message, subject=str(storage))
        else:
            yield from _bounds(position, key, numbers, held)
        position += 8 + length


def _bounds(
    position: int, key: int, numbers: tuple[int, ...], elements: int
) -> Iterator[Observation]:
    """Compare what a tensor reaches with the elements of its storage.

    Args:
        position: of the numbers, for findings.
        key: of the tensor.
        numbers: the sizes, as many strides, and the offset.
        elements: of the storage.
    """
    dimensions = len(numbers) // 2
    sizes, strides, offset = numbers[:dimensions], numbers[dimensions:-1], numbers[-1]
    if min(numbers) < 0:
        message = f"a size, stride or offset of tensor {key} is negative"
        yield BAD_TENSOR.at(position, message, subject=str(key))
        return
    last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= elements:
        message = f"tensor {key} reaches element {last} of a storage of {elements}"
        yield BAD_TENSOR.at(position, message, subject=str(key))
    elif prod(sizes) > max(_MATERIALISED, 4096 * elements):
        message = f"tensor {key} expands {elements} elements to {prod(sizes)}"
        yield EXPANDED.at(position, message, subject=str(key))


def _object(part: Part, objects: _Objects) -> Iterator[Observation]:
    """Read the object; behind it, the loader reads nothing."""
    yield Identified("torch pickle")

    def persistent(offset: int, identity: PersistentId) -> Iterator[Observation]:
        match identity.id:
            case Container(kind="tuple", items=[Global(), file, source]):
                if file and source:
                    yield SOURCE_IN_ID.at(offset, "the file holds the source code of a module")
                return
            case bool():
                pass
            case int() as key if key in objects.storages or key in objects.tensors:
                return
            case str() as text if text.isascii() and text.isdigit() and len(text) <= 20:  # noqa: PLR2004
                # Written as text: the loader takes int() of it.
                if int(text) in objects.storages or int(text) in objects.tensors:
                    return
        yield BAD_ID.at(offset, "the persistent id is no key of a storage or tensor")

    yield from _pickled(part, 0, persistent)


def _system(part: Part, objects: _Objects) -> Iterator[Observation]:
    """Read what the writer told of its machine; current loaders do not."""
    del objects
    yield Identified("pickle")
    system, _ = yield from _pickled(part, 0)
    if not isinstance(system, Container) or system.get("little_endian") is not True:
        yield HEADER.at(0, "the numbers are not told to be little-endian")


def _count(part: Part) -> Generator[Observation, None, tuple[int, int]]:
    """Read the number of entries; return it, and where the first one starts."""
    count, position = yield from _pickled(part, 0)
    if type(count) is not int or not 0 <= count <= part.source.size - position:
        raise MalformedArtifactError("the number of entries is none, or more than can follow")
    return count, position


def _pickled(
    part: Part, start: int, persistent: "PersistentRule | None" = None
) -> Generator[Observation, None, tuple[Value, int]]:
    """Judge one pickle; return what it makes, and where it ends.

    Raises:
        MalformedArtifactError: it breaks off; what it did until then is told before.
    """
    # The pickle reader knows torch files: imported here, it closes the circle.
    from modelsec.scanning.pickle.reader import read_one  # noqa: PLC0415

    stream: Stream = read_one(part, start, persistent, skip=persistent is not None)
    yield from stream.observations()
    if stream.broken is not None:
        raise stream.broken
    return stream.machine.result, stream.end
