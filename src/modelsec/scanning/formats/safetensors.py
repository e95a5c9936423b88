"""safetensors: a JSON table of tensors, then their bytes. Data only, if the table is true.

The first eight bytes are the length of a JSON object (little-endian, at most 100,000,000). It maps
names to ``{"dtype", "shape", "data_offsets": [begin, end)}`` and may hold ``__metadata__``, strings
by name. The bytes of the tensors follow: from the first to the last byte of the file, without a
hole, without an overlap.

Nothing in the format can run. What is left to an attacker is to make two readers see two models
(a name that occurs twice, ranges that overlap), to reach beyond the file in a reader that does not
check (offsets, products that overflow), and to carry something else in the same file (a hole, a
zip archive after the data).

Checked: the length, the encoding, duplicate keys, every offset and product, that the ranges cover
the data exactly. Bytes that no tensor owns are left unclaimed, so they are scanned as a file of
their own. Not checked: the strings (names and metadata are data, whatever they say), and the
numbers, which are not even read.
"""

import re
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from modelsec.errors import ArtifactError, MalformedArtifactError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import json_text
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
    "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
}  # fmt: skip
"""Bits of one element; types of less than eight bits fill whole bytes."""

MAX_HEADER = 100_000_000

TWICE = Rule(
    "MS-SFT-001",
    "a key occurs twice in a safetensors header",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: one reader takes the first, another the last",
)
OVERLAP = Rule(
    "MS-SFT-002",
    "tensors overlap",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: no honest writer lets two tensors share bytes",
)
OUTSIDE = Rule(
    "MS-SFT-003",
    "a tensor's range cannot be",
    Verdict.DANGEROUS,
    capability="memory corruption",
    remedy="refuse the file: a reader that does not check reads memory that is not the tensor's",
)
CUT = Rule(
    "MS-SFT-004",
    "tensors reach beyond the end of the file",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="get the file again from its source: it was cut off, or its header lies",
)
HOLE = Rule(
    "MS-SFT-005",
    "bytes between tensors belong to none",
    Verdict.UNKNOWN,
    capability="hidden payload",
    remedy="write the file anew with a safetensors library",
)
ENTRY = Rule(
    "MS-SFT-006",
    "an entry is not of the form that the format demands",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="write the file anew with a safetensors library; the reference reader refuses it",
)
TYPE = Rule(
    "MS-SFT-007",
    "an element type that is not known",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="the size of such tensors cannot be checked; is there a newer modelsec?",
)
NAME = Rule(
    "MS-SFT-008",
    "a name that is a path out of a folder",
    Verdict.UNKNOWN,
    capability="file write",
    remedy="do not use the names as file names: some converters write one file for each tensor",
)
TRAILING = Rule(
    "MS-SFT-011",
    "bytes behind the last tensor",
    Verdict.UNKNOWN,
    capability="room for another format",
    remedy="the reference reader refuses this file; ask how it was made",
)
EXTRA = Rule("MS-SFT-009", "fields that the format does not know", Verdict.DATA_ONLY)
BLANKS = Rule("MS-SFT-010", "blanks before the header's object", Verdict.DATA_ONLY)

_CLEARLY = re.compile(rb"[ \t\r\n]*+\{[ \t\r\n]*+[\"}]")
_SEPARATOR = re.compile(r"[/\\]")
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
_TOP = 1 << 64


@dataclass(frozen=True, slots=True, order=True)
class _Tensor:
    """A range that one tensor owns, [begin, end) within the data."""

    begin: int
    end: int
    name: str


def read(part: Part) -> Iterator[Observation]:
    """Check a file's table and claim what its tensors own."""
    (length,) = struct.unpack("<Q", part.source.read(0, 8))
    clear = _CLEARLY.match(part.source.read(8, min(256, part.source.size - 8))) is not None
    try:
        table, duplicates = _table(part, length)
    except ArtifactError:
        if not clear:
            raise NotThisFormat from None
        yield Span(0, 8)
        raise
    start = 8 + length
    yield Span(0, start)
    for key in duplicates:
        yield TWICE.at(8, f"the key '{printable(key)}' occurs twice", subject=key)
    if part.source.read(8, 1) != b"{":
        yield BLANKS.at(8, "the header does not begin with a brace")
    part.budget.members(len(table))
    tensors: list[_Tensor] = []
    for name, entry in table.items():
        if name == "__metadata__":
            yield from _check_metadata(entry)
        else:
            tensor = yield from _check_entry(name, entry)
            if tensor is not None:
                tensors.append(tensor)
    yield from _check_ranges(sorted(tensors), start, part.source.size - start)
    end = start + max((tensor.end for tensor in tensors), default=0)
    if end < part.source.size:
        message = f"{part.source.size - end} bytes behind the last tensor"
        yield TRAILING.at(end, message, length=part.source.size - end)


def _table(part: Part, length: int) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the header's object and the keys that occur twice in it."""
    if length > MAX_HEADER:
        raise MalformedArtifactError(f"a header of {length} bytes; {MAX_HEADER} are the most")
    part.budget.allow_read(length)
    document = json_text.parse(part.source.read(8, length), part.budget)
    if document.encoding != "utf-8":
        raise MalformedArtifactError(f"the header is {document.encoding}, not plain UTF-8")
    if not isinstance(document.value, dict):
        raise MalformedArtifactError("the header is no JSON object")
    return document.value, document.duplicates


def _check_metadata(metadata: object) -> Iterator[Finding]:
    """Metadata is strings by name; the strings may say anything."""
    if not isinstance(metadata, dict):
        yield ENTRY.at(8, "__metadata__ is no object", subject="__metadata__")
    elif not all(isinstance(value, str) for value in metadata.values()):
        yield ENTRY.at(8, "__metadata__ holds values that are no strings", subject="__metadata__")


def _check_entry(name: str, entry: object) -> Generator[Finding, None, _Tensor | None]:
    """Yield what is wrong with one tensor; return its range, or None if it has none to claim."""
    shown = f"'{printable(name, 60)}'"
    if ".." in _SEPARATOR.split(name) or any(character < " " for character in name):
        yield NAME.at(8, f"the tensor's name {shown} would be a path", subject=name)
    if not isinstance(entry, dict) or not _FIELDS.issubset(entry):
        yield ENTRY.at(8, f"{shown} lacks dtype, shape or data_offsets", subject=name)
        return None
    if len(entry) > len(_FIELDS):
        yield EXTRA.at(8, f"{shown} has fields of its own", subject=name)
    begin_end, shape, dtype = entry["data_offsets"], entry["shape"], entry["dtype"]
    if not _is_pair(begin_end) or not isinstance(shape, list) or not isinstance(dtype, str):
        yield ENTRY.at(8, f"dtype, shape or data_offsets of {shown} are malformed", subject=name)
        return None
    begin, end = begin_end
    if dtype not in BITS:
        message = f"{shown} has the unknown element type '{printable(dtype, 30)}'"
        yield TYPE.at(8, message, subject=name)
        return None
    wrong = _wrong_size(begin, end, shape, BITS[dtype])
    if wrong:
        yield OUTSIDE.at(8, f"{shown}: {wrong}", subject=name)
        return None
    return _Tensor(begin, end, name)


def _wrong_size(begin: object, end: object, shape: list[object], bits: int) -> str:
    """Return why a range cannot be, or "" if it is what shape and element type need."""
    if not _is_size(begin) or not _is_size(end) or not all(map(_is_size, shape)):
        return "an offset or a dimension is negative, fractional or beyond 64 bits"
    if begin > end:
        return "the range ends before it begins"
    elements = _product(shape)
    if elements is None:
        return "the dimensions overflow 64 bits"
    if elements * bits != (end - begin) * 8:
        return f"{end - begin} bytes for {elements} elements of {bits} bits"
    return ""


def _check_ranges(tensors: list[_Tensor], start: int, size: int) -> Iterator[Observation]:
    """Claim the ranges, which have to follow one another without a gap.

    Args:
        tensors: in order of their ranges.
        start: of the data, in the file.
        size: of the data.
    """
    position = 0
    for tensor in tensors:
        shown = f"'{printable(tensor.name, 60)}'"
        if tensor.end > size:
            yield CUT.at(
                start + min(tensor.begin, size),
                f"{shown} ends at {tensor.end} of {size} bytes of data",
                subject=tensor.name,
            )
            continue
        if tensor.begin < position:
            message = f"{shown} begins {position - tensor.begin} bytes before the last one ends"
            yield OVERLAP.at(start + tensor.begin, message, subject=tensor.name)
        elif tensor.begin > position:
            gap = tensor.begin - position
            yield HOLE.at(start + position, f"{gap} bytes before {shown}", length=gap)
        yield Span(start + tensor.begin, start + tensor.end)
        position = max(position, tensor.end)


def _is_pair(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - begin and end


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _TOP


def _product(shape: list[Any]) -> int | None:
    """Multiply as the reference reader does: an overflow on the way counts, even before a zero."""
    product = 1
    for dimension in shape:
        product *= dimension
        if product >= _TOP:
            return None
    return product
