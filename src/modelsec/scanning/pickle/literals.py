"""Text literals of protocols 0 and 1, as generously as any unpickler reads them.

Unpicklers disagree about odd literals (``I0x10``, ``I010``, ``I12<NUL>junk``). A scanner that stops
at one which some unpickler accepts is blind to everything behind it; reading on where all of them
would stop is harmless. So a literal is read, or it is *odd* and becomes an unknown value.
"""

import re
from dataclasses import dataclass
from math import isinf

from modelsec.scanning.pickle.values import UNKNOWN, Value

_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*+)\Z")
_DIGIT = re.compile(rb"[0-9]")
_NAMED_FLOAT = re.compile(rb"(?i)inf|nan")
_PLAIN_FLOAT = re.compile(rb"-?(?:[0-9]++(?:\.[0-9]*+)?(?:e[+-]?[0-9]++)?|inf|nan)\Z")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(\n)|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {
    b"\\": b"\\", b"'": b"'", b'"': b'"', b"a": b"\a", b"b": b"\b", b"f": b"\f",
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
}  # fmt: skip
_LONGEST_EXACT = 40
"""Digits that are converted; conversion is quadratic, and nothing here needs larger integers."""
_LONGEST_INDEX = 4300
"""Characters of a memo index, with zeros and blanks before it, that CPython converts."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A literal on which unpicklers disagree, or that none of them accepts.

    Attributes:
        value: the likeliest reading, or ``UNKNOWN``.
        hopeless: it does not even resemble a literal: surely every unpickler raises.
    """

    value: Value
    hopeless: bool = False


def integer(line: bytes) -> Value | Odd:
    """Read the argument of INT, where 00 and 01 are booleans."""
    if line in (b"00", b"01"):
        return line == b"01"
    if line[:1] in (b"", b"\0"):
        return Odd(0)  # the C unpickler reads nothing as zero
    return _integer(line)


def long(line: bytes) -> Value | Odd:
    """Read the argument of LONG, which may end in L."""
    return _integer(line.removesuffix(b"L"))


def _integer(line: bytes) -> Value | Odd:
    if _DECIMAL.match(line):
        return int(line) if len(line) <= _LONGEST_EXACT else UNKNOWN
    return Odd(UNKNOWN, hopeless=not _DIGIT.search(line))


def floating(line: bytes) -> Value | Odd:
    """Read the argument of FLOAT."""
    if _PLAIN_FLOAT.match(line) and len(line) < 400:  # noqa: PLR2004 - longer than any repr
        value = float(line)
        # Too large for a float: pickle.py takes infinity, the C unpickler raises.
        return Odd(value) if isinf(value) and b"inf" not in line else value
    likely = _DIGIT.search(line) or _NAMED_FLOAT.search(line)
    return Odd(UNKNOWN, hopeless=not likely)


def string(line: bytes) -> Value | Odd:
    """Read the argument of STRING: quoted, with the escapes of a bytes literal; as Latin-1."""
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):  # noqa: PLR2004
        return Odd(UNKNOWN, hopeless=_unquoted(line))
    body = line[1:-1]
    if b"\\" not in body:
        return body.decode("latin-1")
    odd = False

    def unescape(match: re.Match[bytes]) -> bytes:
        nonlocal odd
        hexadecimal, octal, newline, simple = match.groups()
        if hexadecimal:
            return bytes([int(hexadecimal, 16)])
        if octal:
            return bytes([int(octal, 8) & 255])
        if newline:
            return b""
        odd = odd or simple not in _SIMPLE_ESCAPES
        return _SIMPLE_ESCAPES.get(simple, b"\\" + simple)

    text = _ESCAPE.sub(unescape, body).decode("latin-1")
    return Odd(text) if odd or (body.endswith(b"\\") and not body.endswith(b"\\\\")) else text


def _unquoted(line: bytes) -> bool:
    return not line.startswith((b"'", b'"', b" ")) and not line.endswith((b"'", b'"'))


def unicode_line(line: bytes) -> Value | Odd:
    r"""Read the argument of UNICODE: raw-unicode-escape, in which only ``\u`` is an escape."""
    try:
        return line.decode("raw-unicode-escape")
    except UnicodeDecodeError:
        return Odd(UNKNOWN)


def memo_index(line: bytes) -> int | None:
    """Read the argument of GET and PUT as ``int(line, 10)`` does; None if that fails."""
    if len(line) > _LONGEST_INDEX:
        return None
    try:
        return int(line, 10)
    except ValueError:
        return None
