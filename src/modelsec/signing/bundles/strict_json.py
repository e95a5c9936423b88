"""JSON from strangers, read so that every reader sees the same document (RFC 8259, RFC 7493).

What readers disagree about is refused: duplicate names, NaN, numbers of any length, half a
surrogate pair. The cost is bounded before the parser runs: size, separators, nesting.
"""

import json
import math
import re
from collections import Counter

from modelsec.errors import BundleFormatError, shown

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Bytes in a document; the manifest of 300,000 files has about 50 million."""

MAX_NESTING = 32
MAX_SEPARATORS = 2_000_000
"""Commas and opening brackets, those in strings included: each can cost an object of Python."""

MAX_QUOTES = 4 * MAX_SEPARATORS
"""Every value may be a string and may have a name, with two quotes each."""

MAX_NUMBER = 24
"""Characters in a number: no integer of 64 bits and no double needs more."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"]*"')
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def loads(raw: bytes, *, limit: int = DEFAULT_LIMIT) -> object:
    """Return the value of a JSON document in UTF-8.

    Args:
        raw: the whole document.
        limit: most bytes to accept.

    Raises:
        BundleFormatError: it is not JSON, or not what every reader reads alike, or costs too much.
    """
    if not isinstance(raw, bytes):
        raise BundleFormatError(f"a JSON document is read from bytes, not {type(raw).__name__}")
    if len(raw) > limit:
        raise BundleFormatError(
            f"the JSON document is too large: {len(raw):,} bytes, {limit:,} are permitted"
        )
    if not raw.strip():
        raise BundleFormatError("the JSON document is empty")
    if raw.startswith(_BYTE_ORDER_MARK):
        raise BundleFormatError(
            "the JSON document starts with a byte order mark: save it as UTF-8 without one"
        )
    _check_cost(raw)
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BundleFormatError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error


def _check_cost(raw: bytes) -> None:
    """Refuse what would cost too much, with no loop of Python over the document."""
    separators = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if separators > MAX_SEPARATORS:
        raise BundleFormatError(
            f"the JSON document has {separators:,} separators, {MAX_SEPARATORS:,} are permitted"
        )
    # Escapes are replaced, not removed: what stands on their two sides must not become one.
    plain = raw.replace(rb"\\", b"__").replace(rb"\"", b"__")
    if plain.count(b'"') > MAX_QUOTES:
        raise BundleFormatError(
            f"the JSON document has more than {MAX_QUOTES:,} quotes: too many strings"
        )
    if rb"\u" in plain and (found := _LONE_SURROGATE.search(plain)):
        raise BundleFormatError(
            f"half a surrogate pair at byte {found.start()}: it encodes no character"
        )
    _check_nesting(plain)


def _check_nesting(plain: bytes) -> None:
    """Peel the brackets outside strings, one level at a time."""
    brackets = _STRING.sub(b"", plain).translate(_ONE_KIND, _ALL_BUT_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        if b"]" not in brackets and len(brackets) <= MAX_NESTING:
            raise BundleFormatError("not complete JSON (cut short?): a bracket is never closed")
        raise BundleFormatError(f"brackets are nested deeper than {MAX_NESTING}, or do not match")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise BundleFormatError(
            f"the name {shown(twice)} occurs twice in one object: readers would disagree"
        )
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise BundleFormatError(f"a number of {len(text):,} digits is too long")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER:
        raise BundleFormatError(f"a number of {len(text):,} characters is too long")
    number = float(text)
    if not math.isfinite(number):
        raise BundleFormatError(f"the number {text} is too large")
    return number


def _constant(text: str) -> float:
    raise BundleFormatError(f"{text} is not a JSON value")
