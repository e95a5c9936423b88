"""Attributes: small named values of an object, and what Python libraries do with some of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from modelsec.errors import ArtifactError, ResourceLimitError, UnsupportedFormatError
from modelsec.scanning.finding import Finding
from modelsec.scanning.formats import json_text, keras
from modelsec.scanning.formats.hdf5 import datatype, headers, rules
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.formats.hdf5.heaps import FractalHeap
from modelsec.scanning.formats.hdf5.trees import modern_records
from modelsec.scanning.formats.hdf5.values import Values
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import BytesSource, Source

_CONFIGS = (b"model_config", b"training_config")
_HEAP_ID = 8
_LEAST_PICKLE = 2

Resolve = Callable[[bytes, int], Fields]
"""Follows a shared message of a type to the real one."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        name: as it is stored.
        datatype: of one value.
        data: the values.
        place: offset of the message in the part; None if it is densely stored.
    """

    name: bytes
    datatype: datatype.Datatype
    data: bytes = field(repr=False)
    place: int | None = None


def parse(fields: Fields, resolve: Resolve, place: int | None) -> Attribute:
    """Read an attribute message.

    Raises:
        MalformedArtifactError, UnsupportedFormatError: it is broken, or of an unknown form.
    """
    version = fields.version(1, 2, 3)
    flags = fields.number(1) if version > 1 else fields.number(1) & 0
    sizes = [fields.number(2) for _ in range(3)]
    fields.take(1 if version == 3 else 0)  # noqa: PLR2004 - the specification's
    align = 8 if version == 1 else 1
    pieces = [fields.take(-(-size // align) * align)[:size] for size in sizes]
    kind = datatype.parse(
        resolve(pieces[1], headers.DATATYPE) if flags & 1 else fields.part(pieces[1])
    )
    shape = datatype.parse_dataspace(
        resolve(pieces[2], headers.DATASPACE) if flags & 2 else fields.part(pieces[2])
    )
    length = 0 if shape is None else math.prod(shape) * kind.size
    name = pieces[0].partition(b"\0")[0]  # older HDF5 ends a name there, whatever its length
    return Attribute(name, kind, fields.take(length), place)


def dense(space: Space, message: headers.Message) -> Iterator[Fields]:
    """Yield the attribute messages that an object keeps in a heap, as any index names them."""
    fields = message.fields(space)
    fields.version(0)
    flags = fields.number(1)
    fields.take(2 if flags & 1 else 0)
    heap, by_name = fields.address(), fields.address()
    by_order = fields.address() if flags & 2 else None
    if heap is None:
        return
    stored = FractalHeap(space, heap)
    seen = set()
    for index in (by_name, by_order):
        for _, record in modern_records(space, index) if index is not None else ():
            identity = record[:_HEAP_ID]
            if identity in seen:
                continue
            seen.add(identity)
            space.budget.members()
            if len(record) > _HEAP_ID and record[_HEAP_ID] & 2:
                raise UnsupportedFormatError("attributes in a shared heap are not read")
            yield Fields(stored.object(identity), space, "a densely stored attribute")


def marks_pickles(values: Values, attribute: Attribute) -> bool:
    """Whether an attribute tells PyTables to unpickle each row of the array it is on."""
    return attribute.name == b"PSEUDOATOM" and b"object" in values.texts(
        attribute.datatype, attribute.data
    )


def meaning(part: Part, values: Values, attribute: Attribute) -> Iterator[Observation]:
    """Yield what Python libraries make of an attribute: Keras models, PyTables pickles."""
    texts = values.texts(attribute.datatype, attribute.data)
    if attribute.name in _CONFIGS:
        yield from _config(part, attribute, texts)
        return
    if attribute.datatype.kind == datatype.OPAQUE:
        texts = iter([attribute.data])
    for text in texts:
        if looks_pickled(text) or (text.endswith(b".") and len(text) > _LEAST_PICKLE):
            yield perhaps_pickle(part, BytesSource(text), attribute.name)


def _config(part: Part, attribute: Attribute, texts: Iterator[bytes]) -> Iterator[Observation]:
    name = attribute.name.decode()
    if name == "model_config":
        yield Identified("keras h5")
    if not attribute.datatype.is_text:
        yield rules.BROKEN_CONFIG.at(attribute.place, f"{name} is no text", subject=name)
    for text in texts:
        try:
            document = json_text.parse(text, part.budget)
        except ResourceLimitError:
            raise
        except ArtifactError as error:
            yield rules.BROKEN_CONFIG.at(attribute.place, f"{name}: {error}", subject=name)
            continue
        for key in document.duplicates:
            yield rules.DUPLICATE_KEYS.at(
                attribute.place, f"{name} has the key {key!r} twice in one object", subject=key
            )
        found = keras.check_config(document.value, part.budget, part.policy, origin=name)
        for observed in found:
            if isinstance(observed, Finding):
                yield replace(observed, offset=attribute.place)
            else:
                yield observed


def looks_pickled(start: bytes) -> bool:
    """Whether bytes begin as pickles of protocol 2 and later do."""
    return start[:1] == b"\x80" and b"\2" <= start[1:2] <= b"\5"


def perhaps_pickle(part: Part, source: Source, name: bytes) -> Part:
    """Return bytes that PyTables and others unpickle if they can, as a part to be judged."""
    label = name.decode("utf-8", "backslashreplace")
    return part.child(source, label, reader=_read_perhaps_pickle)


def _read_perhaps_pickle(part: Part) -> Iterator[Observation]:
    """Judge bytes as a pickle; a text that no unpickler acts on stays a text."""
    from modelsec.scanning.pickle.reader import read_effects_only  # noqa: PLC0415 - a heavy machine

    try:
        yield from read_effects_only(part)
    except NotThisFormat:
        yield Identified("text")
    yield Span(0, part.source.size)
