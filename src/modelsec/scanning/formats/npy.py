r"""numpy's array file, ``.npy`` (the members of ``.npz`` too): a header, then the elements.

**Layout.** ``\x93NUMPY``, version (1: 16-bit header length; 2: 32-bit; 3: 32-bit, UTF-8), a Python
literal dict with ``descr``, ``fortran_order`` and ``shape``, then the elements as raw bytes. If
the type holds Python objects, a pickle follows instead.

**What an attacker does with it.** An object array runs code under ``allow_pickle=True``, which old
code passes by habit. The object type can be spelled in many ways (names, comma strings, fields,
escapes, a second ``descr`` key that wins), so that a scanner takes the pickle for numbers. A shape
may claim far more than the file holds: the loader allocates first. Bytes may hide after the array.

**What is checked.** The header is read with a literal grammar and a type grammar of our own (see
``literal`` and ``dtype``); every type that is not plainly numbers, text or bytes has its payload
scanned as a pickle. The payload has exactly the size of the shape. Several arrays in one file, as
repeated ``numpy.save`` writes them, are all read. Numeric payloads are not read.

**What is not checked.** The values.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import (
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
    printable,
)
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats.dtype import (
    ArrayType,
    ShapeOverflowError,
    element_count,
    from_descr,
)
from modelsec.scanning.formats.literal import Reader
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import Slice, Source

OBJECTS = Rule(
    "MS-NPY-001",
    "array of Python objects",
    Verdict.DATA_ONLY,
    remedy="store numbers, not objects; load with allow_pickle=False",
)
REPEATED = Rule(
    "MS-NPY-002",
    "header with a key twice",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: two readers would see two different arrays",
)
SPELLING = Rule(
    "MS-NPY-003",
    "type in an unusual spelling",
    Verdict.UNKNOWN,
    remedy="ask how the file was made: numpy writes types in one way only",
)
LARGE_HEADER = Rule("MS-NPY-004", "header beyond numpy's limit", Verdict.DATA_ONLY)
OVERFLOW = Rule(
    "MS-NPY-005",
    "shape that no memory holds",
    Verdict.DANGEROUS,
    incomplete=True,
    capability="resource exhaustion",
    remedy="refuse the file: a loader allocates before it reads",
)

_MAGIC = b"\x93NUMPY"
_NUMPY_LIMIT = 10_000
_HEADER_LIMIT = 4 << 20
_ABSURD = 1 << 48  # bytes; no machine has them, and no honest header claims them


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """The header of one array.

    Attributes:
        type: of an element.
        fortran_order: the first index varies fastest.
        shape: the dimensions.
        start: offset of the elements (or of the pickle) in the source.
        count: number of elements.
        length: bytes of the header's text.
        repeated: keys that occur twice.
        as_written: the type is spelled as numpy spells it.
    """

    type: ArrayType
    fortran_order: bool
    shape: tuple[int, ...]
    start: int
    count: int
    length: int
    repeated: tuple[str, ...]
    as_written: bool

    @property
    def extent(self) -> int:
        """Bytes of the elements; of no meaning if the type holds objects."""
        return self.count * self.type.itemsize


def read(part: Part) -> Iterator[Observation]:
    """Read one array, and those that follow it."""
    source = part.source
    offset = 0
    while True:
        part.budget.members()
        try:
            header = read_header(source, offset)
        except ShapeOverflowError as error:
            yield OVERFLOW.at(offset, str(error))
            raise
        yield from _about(header, offset)
        if header.type.has_object:
            yield Span(offset, source.size)
            yield OBJECTS.at(offset, "the elements are Python objects, stored as a pickle")
            rest = Slice(source, header.start, source.size - header.start)
            yield part.child(rest, "object array" if not offset else f"object array at {offset}")
            return
        stop = header.start + header.extent
        yield Span(offset, min(stop, source.size))
        if stop > source.size:
            if header.extent > _ABSURD:
                yield OVERFLOW.at(offset, f"the shape claims {header.extent} bytes")
            raise MalformedArtifactError(
                f"{header.extent} bytes of elements at {header.start} reach beyond the "
                f"{source.size} bytes there are"
            )
        offset = stop
        if source.read(offset, min(len(_MAGIC), source.size - offset)) != _MAGIC:
            return


def read_header(source: Source, offset: int = 0) -> NpyHeader:
    """Read the header of the array at an offset.

    Raises:
        NotThisFormat: there is no array's magic.
        MalformedArtifactError: the header is cut off or not one.
        UnsupportedFormatError: numpy might read it, we do not.
        ResourceLimitError: it is larger than 4 MiB or nested too deep.
    """
    if source.size - offset < len(_MAGIC) or source.read(offset, len(_MAGIC)) != _MAGIC:
        raise NotThisFormat
    major, minor = source.read(offset + 6, 2)
    if major not in (1, 2, 3) or minor:
        raise UnsupportedFormatError(f"npy version {major}.{minor}")
    wide = major > 1
    prefix = 8 + (4 if wide else 2)
    (length,) = struct.unpack("<I" if wide else "<H", source.read(offset + 8, prefix - 8))
    if length > _HEADER_LIMIT:
        raise ResourceLimitError(f"an npy header of {length} bytes")
    raw = source.read(offset + prefix, length)
    try:
        text = raw.decode("utf-8" if major == 3 else "latin-1")  # noqa: PLR2004 - the version
    except UnicodeDecodeError as error:
        raise MalformedArtifactError("an npy header that is not UTF-8") from error
    return _header(text, offset + prefix + length)


def _header(text: str, start: int) -> NpyHeader:
    reader = Reader(text)
    found = reader.read()
    if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
        raise MalformedArtifactError("an npy header without exactly descr, fortran_order and shape")
    shape, fortran_order = found["shape"], found["fortran_order"]
    if not isinstance(shape, tuple) or not isinstance(fortran_order, bool):
        raise MalformedArtifactError("an npy header whose shape or order is not one")
    type_ = from_descr(found["descr"])
    return NpyHeader(
        type=type_,
        fortran_order=fortran_order,
        shape=tuple(size for size in shape if isinstance(size, int)),
        start=start,
        count=element_count(shape, type_.itemsize),
        length=len(text),
        repeated=tuple(reader.repeated),
        as_written=type_.as_written and not reader.odd,
    )


def _about(header: NpyHeader, offset: int) -> Iterator[Observation]:
    for key in header.repeated[:10]:
        message = f"the header holds {printable(key)} more than once"
        yield REPEATED.at(offset, message, length=header.length, subject=key)
    if not header.as_written:
        message = "the header's type is not spelled as numpy spells it"
        yield SPELLING.at(offset, message, length=header.length)
    if header.length > _NUMPY_LIMIT:
        message = f"a header of {header.length} bytes is read only with allow_pickle=True"
        yield LARGE_HEADER.at(offset, message, length=header.length)
