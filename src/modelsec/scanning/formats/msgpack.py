"""MessagePack: Flax checkpoints, and whatever else was packed.

**The format.** A compact binary JSON without magic: maps, arrays, strings, byte strings, numbers,
and extensions (a type number and bytes). Flax writes arrays as extension 1, complex numbers as 2,
numpy scalars as 3, each holding packed shape, dtype and bytes.

**What an attacker does with it.** The format itself only holds data, but programs hang code on it:
``msgpack-numpy`` unpickles the ``data`` of a map whose ``kind`` is ``O``, extension types mean
whatever the reading program decides, and lengths in four bytes ask a reader for gigabytes.

**What is checked.** The whole content must be exactly one map or array, else it is not accepted as
this format: without magic, anything less would claim random bytes. Lengths and counts are compared
with the bytes that are left. Flax's extensions must hold what Flax puts there; the bytes of every
other extension, of ``msgpack-numpy`` object arrays, and byte strings that look like a pickle are
scanned as files of their own. The numbers of arrays are never read.

**What is not.** The meaning of keys and strings to the program that reads them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.cursor import Cursor
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import Slice, Source

OBJECTS = Rule(
    "MS-MSG-001",
    "an object array that its reader unpickles",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="store numbers; msgpack-numpy unpickles everything else",
)
EXTENSION = Rule(
    "MS-MSG-002",
    "an extension of an unknown kind",
    Verdict.UNKNOWN,
    remedy="only the program that wrote it knows what it means; its bytes were scanned as a file",
)
MORE = Rule("MS-MSG-003", "more of the same was not listed", Verdict.DATA_ONLY)

DEPTH = 512
"""Deepest nesting; the usual readers give up at 512 or 1,024."""

_LISTED = 20
_BATCH = 1024
_SMALLEST = 9
_HEAD = 64  # bytes of a value that is looked at
_RUN = 1024  # values of one kind that are skipped at once

# Values of a single byte: small integers, nil, false, true.
_SINGLE = re.compile(rb"[\x00-\x7f\xe0-\xff\xc0\xc2\xc3]++")
_SHORT_STRINGS = range(0xA0, 0xC0)
_SHORT = range(0x80, 0xA0)  # maps, then arrays, of up to fifteen entries
_SHORT_ARRAYS = range(0x90, 0xA0)
_UNSIGNED = range(0xCC, 0xD0)
_NEVER_USED = 0xC1
_ARRAY16 = 0xDC
_PICKLE_HEAD = re.compile(rb"\x80[\x02-\x05]")
_COMPLEX = re.compile(rb"\x92\xcb.{8}\xcb.{8}", re.DOTALL)
_PER_PAIR = 2
_DIMENSIONS = 64  # as many as numpy has
_LONGEST_KEY = 4  # of those that are watched
_WORTHWHILE = 16  # values, for looking whether they are of one kind
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # byte strings and strings
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}  # bytes of count, per entry
_EXTENDED = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSION = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_TIMESTAMP = -1
_FLAX_COMPLEX = 2
_FLAX = frozenset({1, _FLAX_COMPLEX, 3})
_WATCHED = frozenset({b"nd", b"kind", b"type", b"data"})

_ITEM_SIZES = {
    b"bool": 1, b"int8": 1, b"uint8": 1, b"int16": 2, b"uint16": 2, b"int32": 4, b"uint32": 4,
    b"int64": 8, b"uint64": 8, b"float16": 2, b"float32": 4, b"float64": 8, b"bfloat16": 2,
    b"complex64": 8, b"complex128": 16, b"longdouble": 16, b"float128": 16, b"clongdouble": 32,
    b"complex256": 32, b"int4": 1, b"uint4": 1, b"int2": 1, b"uint2": 1,
}  # fmt: skip
_BIT_SIZED = re.compile(rb"(?:str|bytes|void)([0-9]{1,6}+)")
_SMALL_FLOAT = re.compile(rb"float[468]_e[0-9]m[0-9][a-z0-9]{0,8}")
_TIME = re.compile(rb"(?:datetime|timedelta)64(?:\[[a-zA-Z0-9]{1,6}\])?")


@dataclass(slots=True)
class _Open:
    """A map or an array that is being read.

    Attributes:
        left: values to come (a map's keys count).
        map: whether keys and values alternate.
        key: the last key, if it is one that matters.
        seen: the beginnings of the values of keys that matter, with their ranges.
    """

    left: int
    map: bool
    key: bytes = b""
    seen: dict[bytes, tuple[bytes, int, int]] = field(default_factory=dict)


def read(part: Part) -> Iterator[Observation]:
    """Accept bytes that are one packed map or array, from the first to the last."""
    size = part.source.size
    if size < _SMALLEST or not _opens(part.source.read(0, 1)[0]):
        raise NotThisFormat
    walker = _Walker(part)
    try:
        walker.walk()
    except MalformedArtifactError:
        raise NotThisFormat from None
    if walker.cursor.remaining:
        raise NotThisFormat
    yield Span(0, size)
    yield from walker.observations
    yield from walker.unlisted()


def _opens(code: int) -> bool:
    return (code in _SHORT and code & 15 > 0) or code in _COUNTED


class _Walker:
    """Reads value after value; what is open is on a stack."""

    def __init__(self, part: Part) -> None:
        self.cursor = Cursor(part.source)
        self.observations: list[Observation] = []
        self._said: Counter[Rule] = Counter()
        self._part = part
        self._stack = [_Open(1, map=False)]

    def walk(self) -> None:
        """Read one value with everything in it."""
        values = 0
        stack = self._stack
        while stack:
            top = stack[-1]
            if not top.left:
                self._close(stack.pop())
                continue
            values += 1
            if values % _BATCH == 0:
                self._part.budget.opcodes(_BATCH)
            if top.left >= _WORTHWHILE and not top.key and self._skip_run(top):
                continue
            top.left -= 1
            self._value(top)

    def _skip_run(self, top: _Open) -> bool:
        """Skip values of one kind at once, keys or not: none of them can be a key that matters."""
        window = self.cursor.peek(min(top.left, _RUN) * 9)
        if not window:
            raise MalformedArtifactError("cut off")
        width = _FIXED.get(window[0])
        if width is None:
            match = _SINGLE.match(window, 0, min(top.left, len(window)))
            length = count = match.end() if match else 0
        else:
            column = window[:: width + 1][: min(top.left, _RUN)]
            count = len(column) - len(column.lstrip(column[:1]))
            length = count * (width + 1)
        if not count:
            return False
        self._part.budget.opcodes(count)
        self.cursor.skip(length)
        top.left -= count
        return True

    def _value(self, top: _Open) -> None:
        cursor = self.cursor
        code = cursor.take(1)[0]
        if code in _SHORT_STRINGS:
            self._bytes(top, code & 31)
            return
        if code in _SIZED:
            self._bytes(top, self._number(_SIZED[code]))
            return
        if code in _FIXED:
            cursor.skip(_FIXED[code])
        elif code in _SHORT:
            self._open(code & 15, 1 if code in _SHORT_ARRAYS else _PER_PAIR)
        elif code in _COUNTED:
            width, each = _COUNTED[code]
            self._open(self._number(width), each)
        elif code in _FIXED_EXTENSION:
            self._extension(_FIXED_EXTENSION[code])
        elif code in _EXTENDED:
            self._extension(self._number(_EXTENDED[code]))
        elif code == _NEVER_USED:
            raise MalformedArtifactError("a byte that is never used")
        if top.map and top.key and top.left % 2 == 0:  # the value of a key that matters
            top.seen[top.key] = (bytes([code]), cursor.position, 0)
        top.key = b""

    def _bytes(self, top: _Open, length: int) -> None:
        cursor = self.cursor
        if length > cursor.remaining:
            raise MalformedArtifactError("cut off")
        where = cursor.position
        is_key = top.map and top.left % 2 == 1
        if is_key:
            text = cursor.take(length) if length <= _LONGEST_KEY else b""
            top.key = text if text in _WATCHED else b""
            cursor.skip(length - len(text))
            return
        if top.map and top.key:
            top.seen[top.key] = (cursor.peek(min(length, _HEAD)), where, length)
            top.key = b""
        if length:
            self._sniff(where, length)
        cursor.skip(length)

    def _sniff(self, where: int, length: int) -> None:
        """A byte string that begins and ends like a pickle is scanned: somebody may load it."""
        if not _PICKLE_HEAD.match(self.cursor.peek(2)):
            return
        if self._part.source.read(where + length - 1, 1) == b".":
            self._child(where, length, "bytes")

    def _open(self, count: int, each: int) -> None:
        if count * each > self.cursor.remaining:
            raise MalformedArtifactError("more entries than bytes")
        if len(self._stack) > DEPTH:
            raise ResourceLimitError(f"packed more than {DEPTH} deep")
        self._stack.append(_Open(count * each, map=each == _PER_PAIR))

    def _close(self, top: _Open) -> None:
        """Judge a map by the keys that ``msgpack-numpy`` looks at."""
        seen = top.seen
        if b"nd" not in seen or b"data" not in seen:
            return
        objects = seen.get(b"kind", (b"",))[0] == b"O"
        kind = seen.get(b"type", (b"", 0, 0))
        # Older versions have no kind; the type is then a dtype's description.
        if not objects and (b"kind" in seen or b"O" not in kind[0]):
            return
        _, where, length = seen[b"data"]
        message = f"the {length} bytes of an object array are unpickled by msgpack-numpy"
        self._say(OBJECTS.at(where, message, length=length, operation="call"))
        if length:
            self._child(where, length, "data")

    def _extension(self, length: int) -> None:
        cursor = self.cursor
        code = int.from_bytes(cursor.take(1), "big", signed=True)
        if length > cursor.remaining:
            raise MalformedArtifactError("cut off")
        where = cursor.position
        payload = Slice(self._part.source, where, length)
        understood = (code == _TIMESTAMP and length in {4, 8, 12}) or (
            code in _FLAX and _is_flax(code, payload)
        )
        if not understood:
            message = f"extension {code} with {length} bytes"
            self._say(EXTENSION.at(where, message, length=length, subject=str(code)))
            if length:
                self._child(where, length, f"extension {code}")
        cursor.skip(length)

    def _child(self, where: int, length: int, what: str) -> None:
        self._part.budget.members()
        source = Slice(self._part.source, where, length)
        self.observations.append(self._part.child(source, f"{what} at {where}"))

    def _say(self, finding: Finding) -> None:
        """Keep a finding, or count it if there are many of its rule."""
        self._said[finding.rule] += 1
        if self._said[finding.rule] <= _LISTED:
            self.observations.append(finding)

    def unlisted(self) -> Iterator[Finding]:
        """Yield how many findings were not kept."""
        for rule, count in self._said.items():
            if count > _LISTED:
                yield MORE.at(None, f"{rule.title}: {count - _LISTED} more")

    def _number(self, width: int) -> int:
        return int.from_bytes(self.cursor.take(width), "big")


def _is_flax(code: int, payload: Source) -> bool:
    """Whether an extension holds what Flax writes: nothing that a reader could stumble over."""
    cursor = Cursor(payload)
    try:
        if code == _FLAX_COMPLEX:
            found = cursor.peek(20)
            return payload.size == len(found) and _COMPLEX.fullmatch(found) is not None
        if cursor.take(1) != b"\x93":
            return False
        shape = [_integer(cursor) for _ in range(_count(cursor))]
        itemsize = _item_size(cursor.take(_string(cursor)))
        length = _string(cursor)
        return cursor.remaining == length and math.prod([itemsize, *shape]) == length
    except MalformedArtifactError:
        return False


def _count(cursor: Cursor) -> int:
    """Read the head of an array that can be a shape."""
    code = cursor.take(1)[0]
    if code in _SHORT_ARRAYS:
        return code & 15
    count = int.from_bytes(cursor.take(2), "big") if code == _ARRAY16 else -1
    if not 0 <= count <= _DIMENSIONS:
        raise MalformedArtifactError("no shape")
    return count


def _integer(cursor: Cursor) -> int:
    code = cursor.take(1)[0]
    if code < _SHORT.start:
        return code
    if code not in _UNSIGNED:
        raise MalformedArtifactError("no dimension")
    return int.from_bytes(cursor.take(_FIXED[code]), "big")


def _string(cursor: Cursor) -> int:
    """Read the head of a string or byte string and return its length."""
    code = cursor.take(1)[0]
    if code in _SHORT_STRINGS:
        return code & 31
    if code not in _SIZED:
        raise MalformedArtifactError("no string")
    return int.from_bytes(cursor.take(_SIZED[code]), "big")


def _item_size(name: bytes) -> int:
    """Return the bytes of one element of a dtype that holds numbers or characters.

    Raises:
        MalformedArtifactError: it is another one, such as ``object``.
    """
    known = _ITEM_SIZES.get(name)
    if known is not None:
        return known
    if bits := _BIT_SIZED.fullmatch(name):
        return int(bits.group(1)) // 8
    if _TIME.fullmatch(name):
        return 8
    if _SMALL_FLOAT.fullmatch(name):
        return 1
    raise MalformedArtifactError("no plain dtype")
