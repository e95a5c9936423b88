"""JSON text, read with bounds: depth, size, number of values, digits.

Many model formats keep their structure in JSON: safetensors headers, Keras configurations, skops
schemas, the files of a Hub folder. What this reader adds to the standard library's is what hostile
text needs: the depth and the number of values are measured before anything is built, long numbers
stay text (their conversion is quadratic), and keys that occur twice in one object are reported,
because readers disagree on which of the two counts.

UTF-8 is what JSON is written in. UTF-16 and UTF-32 are decoded as well, and a byte order mark is
skipped; ``Document.encoding`` says so, because most loaders refuse such text or read it otherwise.
``NaN`` and ``Infinity`` are accepted as ``JsonNumber``: honest files of Python programs hold them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.limits import MIB, Budget

DEPTH = 100
"""Deepest nesting that is read; honest files stay below 20, consumers recurse."""

_DIGITS = 18  # of an integer that fits 64 bits
_FLOAT = 64
_DUPLICATES = 100  # that are kept by name
_OBJECT = 3  # values that an object takes the memory of, beyond its braces

_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BLANKS = re.compile(r"[ \t\n\r]*+")
_MARKS = (  # the longer marks first: UTF-32 begins as UTF-16 does
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_ZEROS = {  # where a text without a mark has zero bytes: its first two characters are ASCII
    "000x": "utf-32-be",
    "x000": "utf-32-le",
    "0x0x": "utf-16-be",
    "x0x0": "utf-16-le",
}


@dataclass(frozen=True, slots=True)
class JsonNumber:
    """A number too long to convert, or one of ``NaN``, ``Infinity``, ``-Infinity``."""

    text: str


Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document.

    Attributes:
        value: dict, list, str, int, float, bool, None or ``JsonNumber``.
        duplicates: keys that occur more than once in one object (the first hundred); the last
            occurrence is the one in ``value``.
        encoding: as Python calls it; ``utf-8`` unless something is odd.
        watched: the objects that hold a watched key, innermost first.
    """

    value: object
    duplicates: tuple[str, ...] = ()
    encoding: str = "utf-8"
    watched: tuple[dict[str, object], ...] = ()


def parse(data: bytes, budget: Budget, *, watch: frozenset[str] = frozenset()) -> Document:
    """Return the one document that the text is.

    Args:
        data: the text; blanks around the document are permitted.
        budget: pays for the values.
        watch: keys whose objects are to be collected while parsing; finding them costs nearly
            nothing, walking over a vocabulary of a million entries does not.

    Raises:
        MalformedArtifactError: it is not JSON, or not one document.
        ResourceLimitError: it is too large, too deep or has too many values.
    """
    found: Document | None = None
    for document in documents(data, budget, watch=watch):
        if found is not None:
            raise MalformedArtifactError("more than one JSON document in a row")
        found = document
    if found is None:
        raise MalformedArtifactError("there is no JSON document, only blanks")
    return found


def documents(
    data: bytes, budget: Budget, *, watch: frozenset[str] = frozenset()
) -> Iterator[Document]:
    """Yield the documents of a text, one after another (JSON Lines, or several in a row).

    Args, Raises: as ``parse``. What stands before a break is yielded before the error.
    """
    encoding = encoding_of(data)
    budget.allow_read(len(data) if data.isascii() else 2 * len(data))  # four bytes a character
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise MalformedArtifactError(f"JSON text is not {encoding} at byte {error.start}") from None
    utf8 = data if encoding.startswith("utf-8") else text.encode("utf-8", "surrogatepass")
    _measure(utf8, budget)
    collector = _Collector(watch)
    decoder = json.JSONDecoder(
        object_pairs_hook=collector.build,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=JsonNumber,
    )
    position = _skip_blanks(text, 0)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise MalformedArtifactError(
                f"not JSON at character {error.pos}: {error.msg}"
            ) from None
        yield collector.document(value, encoding)
        position = _skip_blanks(text, position)


def encoding_of(data: bytes) -> str:
    """Return the name of the encoding that the first bytes of a JSON text show."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    return _ZEROS.get("".join("0" if byte == 0 else "x" for byte in data[:4]), "utf-8")


def walk(value: object) -> Iterator[tuple[Path, object]]:
    """Yield every value of a document with its path, the document itself first."""
    stack: list[tuple[Path, object]] = [((), value)]
    while stack:
        path, current = stack.pop()
        yield path, current
        children: Iterator[tuple[str | int, object]]
        if isinstance(current, dict):
            children = iter(current.items())
        elif isinstance(current, list):
            children = enumerate(current)
        else:
            continue
        stack.extend(reversed([((*path, key), child) for key, child in children]))


class _Collector:
    """What is noticed while objects are built."""

    __slots__ = ("_duplicates", "_watch", "_watched")

    def __init__(self, watch: frozenset[str]) -> None:
        self._watch = watch
        self._duplicates: dict[str, None] = {}
        self._watched: list[dict[str, object]] = []

    def build(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """Return the object; the last of equal keys wins, as nearly everywhere."""
        built = dict(pairs)
        if len(built) != len(pairs):
            self._note_duplicates(pairs)
        if not built.keys().isdisjoint(self._watch):
            self._watched.append(built)
        return built

    def document(self, value: object, encoding: str) -> Document:
        """Return the document that ends here, and start anew."""
        found = Document(value, tuple(self._duplicates), encoding, tuple(self._watched))
        self._duplicates, self._watched = {}, []
        return found

    def _note_duplicates(self, pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and len(self._duplicates) < _DUPLICATES:
                self._duplicates[key] = None
            seen.add(key)


def _integer(text: str) -> int | JsonNumber:
    return int(text) if len(text) <= _DIGITS else _long_integer(text)


def _long_integer(text: str) -> int | JsonNumber:
    """Nineteen and twenty digits hold the largest 64-bit numbers; beyond them nothing is real."""
    return int(text) if len(text) <= _DIGITS + 2 else JsonNumber(text)


def _float(text: str) -> float | JsonNumber:
    return float(text) if len(text) <= _FLOAT else JsonNumber(text)


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _measure(data: bytes, budget: Budget) -> None:
    """Raise if the text is too deep or has too many values; nothing is built for it.

    Strings are cut out window by window: first pairs of backslashes, then escaped quotes, then
    every second piece between quotes. Where that is wrong (a backslash outside a string), the
    text is no JSON, and the parser stops at that point.
    """
    depth = deepest = values = 0
    within = False
    carried = b""
    most = budget.limits.kept_values // 4
    for start in range(0, len(data), MIB):
        window = (carried + data[start : start + MIB]).replace(b"\\\\", b"")
        carried = b"\\" if window.endswith(b"\\") else b""
        pieces = window.removesuffix(b"\\").replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[within::2])
        within ^= len(pieces) % 2 == 0
        steps = outside.translate(_STEPS, _NOT_BRACKETS)
        if steps:
            levels = list(accumulate(memoryview(steps).cast("b"), initial=depth))
            depth = levels[-1]
            deepest = max(deepest, *levels)
        count = outside.count(b",") + len(steps) + _OBJECT * outside.count(b"{")
        values += count
        budget.opcodes(count)
        if deepest > DEPTH:
            raise ResourceLimitError(f"JSON is nested more than {DEPTH} deep")
        if values > most:
            raise ResourceLimitError(f"JSON has more than {most} values")
