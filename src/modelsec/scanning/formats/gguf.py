"""GGUF: metadata by name, a table of tensors, their bytes; and the chat template among them.

``GGUF``, a version (1: lengths of 32 bits; 2 and 3: of 64; big-endian files exist), the number of
tensors and of metadata entries, the entries (name, type, value), the table (name, dimensions, type,
offset), padding up to ``general.alignment``, data.

Two things are done with it. The readers are C programs that trusted the counts: lengths, products
and offsets that overflow have been memory corruption more than once (CVE-2024-21802, -21836,
-23496, -23605). And the metadata carries the chat template, a Jinja program that some runtimes
render without a sandbox (CVE-2024-34359).

Checked: every count and length against the bytes that remain, before it is used; names that occur
twice; the alignment; dimensions, their product and every offset; that tensors do not overlap. Chat
templates are checked as in ``formats.jinja``. Bytes between and after the tensors are left
unclaimed unless they are zeros up to the next aligned offset. Not checked: other strings, which are
data whatever they say; the numbers.

The older formats of the family (``ggml``, ``ggmf``, ``ggjt``, ``ggla``) have no sizes to check
their tensors by: they are recognised and called unsupported.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import jinja
from modelsec.scanning.formats.gguf_cursor import Cursor
from modelsec.scanning.formats.gguf_types import ARRAY, BLOCKS, SCALARS, STRING, UINT32
from modelsec.scanning.part import Observation, Part, Span
from modelsec.scanning.source import Source

TWICE = Rule(
    "MS-GGF-001",
    "a name occurs twice in a GGUF file",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: one reader takes the first, another the last",
)
ALIGNMENT = Rule(
    "MS-GGF-002",
    "an alignment that is no power of two",
    Verdict.DANGEROUS,
    capability="memory corruption",
    remedy="refuse the file",
)
DIMENSIONS = Rule(
    "MS-GGF-003",
    "dimensions that cannot be",
    Verdict.DANGEROUS,
    capability="memory corruption",
    reference="CVE-2024-23605, CVE-2024-23496",
    remedy="refuse the file: a reader that does not check writes beyond what it allocates",
)
COUNT = Rule(
    "MS-GGF-004",
    "metadata that cannot be read to its end",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="memory corruption",
    reference="CVE-2024-21836, CVE-2024-21802",
    remedy="refuse the file, or get it again from its source if it was cut off",
)
CUT = Rule(
    "MS-GGF-005",
    "a tensor reaches beyond the end of the file",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="get the file again from its source: it was cut off, or its table lies",
)
OVERLAP = Rule(
    "MS-GGF-006",
    "tensors overlap",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: no honest writer lets two tensors share bytes",
)
TYPE = Rule(
    "MS-GGF-007",
    "an element type that is not known",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="the size of such tensors cannot be checked; is there a newer modelsec?",
)
ODD = Rule(
    "MS-GGF-008",
    "an entry that the reference reader refuses",
    Verdict.UNKNOWN,
    remedy="write the file anew with the gguf library",
)

_VERSIONS = (1, 2, 3)
_TOP = 1 << 63
_ARRAYS = 16  # levels of arrays in arrays; the reference writer makes none
_MAX_KEY = 65_535
_MAX_NAME = 127  # ggml takes 63 bytes, some of its forks 127
_MAX_DIMENSIONS = 4
_MAX_PADDING = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class _Tensor:
    """A tensor's bytes, [begin, end) within the data section, and where its entry is."""

    begin: int
    end: int
    name: str
    entry: int


@dataclass(slots=True)
class _Content:
    """What is known while the file is read."""

    alignment: int = 32
    tensors: list[_Tensor] = field(default_factory=list)


def read(part: Part) -> Iterator[Observation]:
    """Walk the metadata and the table, and claim what they describe."""
    cursor, version = _begin(part)
    content = _Content()
    try:
        tensors, entries = cursor.length(), cursor.length()
        cursor.require_items(entries, cursor.width + 4 + 1)
        cursor.require_items(tensors, cursor.width + 4 + 4 + 8)
        part.budget.members(tensors + entries)
        yield from _metadata(cursor, entries, content, part)
        yield from _table(cursor, tensors, content, "I" if version == 1 else "Q")
    except MalformedArtifactError as error:
        yield Span(0, cursor.position)
        yield COUNT.at(cursor.position, str(error))
        return
    yield Span(0, cursor.position)
    start = cursor.position + -cursor.position % content.alignment
    yield from _data(content.tensors, start, part.source.size)
    yield from _padding(part.source, cursor.position, start, content)


def read_old(part: Part) -> Iterator[Observation]:
    """Name the format of a file older than GGUF; it is not understood."""
    yield Span(0, 4)
    magic = part.source.read(0, 4)
    name = printable(magic if magic.startswith(b"gg") else magic[::-1])
    raise UnsupportedFormatError(f"'{name}' files, from before GGUF, are not read")


def _begin(part: Part) -> tuple[Cursor, int]:
    """Return a cursor behind the version, which also tells the byte order."""
    raw = part.source.read(4, 4)
    for order in "<>":
        (version,) = struct.unpack(order + "I", raw)
        if version in _VERSIONS:
            return Cursor(part.source, part.budget, 8, order=order, wide=version > 1), version
    raise UnsupportedFormatError(f"GGUF of a version that is not known: {raw.hex(' ')}")


def _metadata(cursor: Cursor, entries: int, content: _Content, part: Part) -> Iterator[Finding]:
    seen: set[bytes] = set()
    for _ in range(entries):
        start = cursor.position
        key = cursor.string(_MAX_KEY)
        if key in seen:
            yield TWICE.at(
                start, f"the key '{printable(key)}' occurs twice", subject=printable(key)
            )
        seen.add(key)
        kind = cursor.number("I")
        if key == b"general.alignment":
            yield from _alignment(cursor, kind, start, content)
        elif b"template" in key.lower() and kind in {STRING, ARRAY}:
            yield from _templates(cursor, kind, part)
        else:
            _skip_value(cursor, kind, part)


def _alignment(cursor: Cursor, kind: int, start: int, content: _Content) -> Iterator[Finding]:
    if kind != UINT32:
        raise MalformedArtifactError(f"general.alignment at {start} is no 32-bit number")
    alignment = cursor.number("I")
    if alignment == 0 or alignment & (alignment - 1):
        yield ALIGNMENT.at(start, f"general.alignment is {alignment}")
        alignment = 32
    content.alignment = alignment


def _templates(cursor: Cursor, kind: int, part: Part) -> Iterator[Finding]:
    """Check a template, or each of an array of them."""
    count = 1
    if kind == ARRAY:
        inner = cursor.number("I")
        count = cursor.length()
        if inner != STRING:
            _skip_items(cursor, inner, count, part)
            return
        cursor.require_items(count, cursor.width)
        part.budget.members(count)
    for _ in range(count):
        start = cursor.position + cursor.width
        text = cursor.string()
        yield from jinja.check_bytes(text, part.budget, start)


def _skip_value(cursor: Cursor, kind: int, part: Part) -> None:
    if kind in SCALARS:
        cursor.skip(SCALARS[kind])
    elif kind == STRING:
        cursor.skip(cursor.length())
    elif kind == ARRAY:
        _skip_items(cursor, cursor.number("I"), cursor.length(), part)
    else:
        raise MalformedArtifactError(f"a value of the unknown type {kind} before {cursor.position}")


def _skip_items(cursor: Cursor, kind: int, count: int, part: Part) -> None:
    """Step over an array; arrays in arrays are kept as the counts that are still to come."""
    pending: list[int] = []
    while True:
        if kind in SCALARS:
            cursor.require_items(count, SCALARS[kind])
            cursor.skip(count * SCALARS[kind])
        elif kind == STRING:
            part.budget.opcodes(min(count, cursor.remaining))
            cursor.skip_strings(count)
        elif kind == ARRAY:
            cursor.require_items(count, 4 + cursor.width)
            pending.append(count)
            if len(pending) > _ARRAYS:
                raise MalformedArtifactError(f"arrays in arrays, {_ARRAYS} deep")
        else:
            raise MalformedArtifactError(f"an array of the unknown type {kind}")
        while pending and not pending[-1]:
            pending.pop()
        if not pending:
            return
        pending[-1] -= 1
        part.budget.opcodes(1)
        kind, count = cursor.number("I"), cursor.length()


def _table(cursor: Cursor, tensors: int, content: _Content, dimension: str) -> Iterator[Finding]:
    seen: set[bytes] = set()
    for _ in range(tensors):
        entry = cursor.position
        raw = cursor.string(_MAX_KEY)
        name = printable(raw, 80)
        if raw in seen:
            yield TWICE.at(entry, f"the tensor '{name}' occurs twice", subject=name)
        seen.add(raw)
        if len(raw) > _MAX_NAME:
            yield ODD.at(entry, f"a tensor's name of {len(raw)} bytes", subject=name)
        count = cursor.number("I")
        if count > _MAX_DIMENSIONS:
            yield DIMENSIONS.at(entry, f"'{name}' has {count} dimensions; 4 are the most")
            raise MalformedArtifactError(f"the table cannot be read beyond '{name}'")
        shape = [cursor.number(dimension) for _ in range(count)]
        kind, offset = cursor.number("I"), cursor.number("Q")
        elements = 1
        for size in shape:
            elements *= size
        if max([elements, offset, *shape]) >= _TOP:
            message = f"the dimensions or the offset of '{name}' overflow 64 bits"
            yield DIMENSIONS.at(entry, message, subject=name)
        elif kind not in BLOCKS:
            yield TYPE.at(entry, f"'{name}' has the unknown element type {kind}", subject=name)
        else:
            yield from _entry(content, shape, kind, _Tensor(offset, offset, name, entry))


def _entry(content: _Content, shape: list[int], kind: int, tensor: _Tensor) -> Iterator[Finding]:
    """Keep a tensor's range, if its size can be told.

    Args:
        content: takes the tensor.
        shape: elements, the fastest dimension first.
        kind: the ggml type, a known one.
        tensor: with its offset, and no size yet.
    """
    name, block, size = BLOCKS[kind]
    elements = 1
    for dimension in shape:
        elements *= dimension
    if shape and shape[0] % block:
        message = (
            f"rows of '{tensor.name}' have {shape[0]} elements, no multiple of {block} ({name})"
        )
        yield DIMENSIONS.at(tensor.entry, message, subject=tensor.name)
        return
    if tensor.begin % content.alignment:
        message = f"'{tensor.name}' begins at {tensor.begin}, which is not aligned"
        yield ODD.at(tensor.entry, message, subject=tensor.name)
    end = tensor.begin + elements // block * size
    content.tensors.append(_Tensor(tensor.begin, end, tensor.name, tensor.entry))


def _data(tensors: list[_Tensor], start: int, size: int) -> Iterator[Observation]:
    """Claim the tensors' ranges.

    Args:
        tensors: in any order.
        start: of the data section, in the file.
        size: of the file.
    """
    tensors.sort()
    position = 0
    for tensor in tensors:
        if start + tensor.end > size:
            message = f"'{tensor.name}' ends at {start + tensor.end} of {size} bytes"
            yield CUT.at(tensor.entry, message, subject=tensor.name)
            continue
        if tensor.begin < position and tensor.end > tensor.begin:
            message = f"'{tensor.name}' begins {position - tensor.begin} bytes before another ends"
            yield OVERLAP.at(start + tensor.begin, message, subject=tensor.name)
        yield Span(start + tensor.begin, start + tensor.end)
        position = max(position, tensor.end)


def _padding(source: Source, metadata: int, start: int, content: _Content) -> Iterator[Span]:
    """Claim zeros up to the next aligned offset, behind the metadata and behind each tensor."""
    inside = [tensor for tensor in content.tensors if start + tensor.end <= source.size]
    ends = sorted({metadata, *(start + tensor.end for tensor in inside)})
    begins = sorted({start, *(start + tensor.begin for tensor in inside), source.size})
    for end in ends:
        aligned = end + (start - end) % content.alignment
        following = bisect_left(begins, end)
        stop = min(aligned, begins[following] if following < len(begins) else source.size)
        if 0 < stop - end <= _MAX_PADDING and not source.read(end, stop - end).strip(b"\0"):
            yield Span(end, stop)
