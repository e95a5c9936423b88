"""The three ways in which R writes integers, numbers and strings: XDR, native binary, text.

See ``rdata`` for what is made of them.
"""

import re
import struct
from typing import Protocol

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.cursor import Cursor
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import NotThisFormat

NA = -(1 << 31)
"""R's missing integer."""

_NAME = 200  # bytes of a string that are kept
_LONGEST_WORD = 255
_COMPLEX = 16  # bytes; two words
_HEAD = 6
_WORD = re.compile(rb"[ \t\n\v\f\r]*+([^ \t\n\v\f\r]++)")
_INTEGER = re.compile(rb"[-+]?[0-9]{1,11}")
_ESCAPE = re.compile(rb"\\(?:[0-7]{1,3}|[^0-7])", re.DOTALL)
_BLANKS = b" \t\n\v\f\r"
_NUMERIC = b"0123456789abcdefABCDEFxXpP+-.nNIity" + _BLANKS  # of every number, NA, NaN and Inf


class Stream(Protocol):
    """What the walker asks of an encoding."""

    least: int
    """Bytes that an item occupies at least."""

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        ...

    @property
    def remaining(self) -> int:
        """Bytes up to the end."""
        ...

    def least_of(self, width: int) -> int:
        """Return how many bytes a number of this width occupies at least."""
        ...

    def integer(self) -> int:
        """Read an integer."""
        ...

    def numbers(self, count: int, width: int) -> None:
        """Skip numbers of this many bytes each."""
        ...

    def text(self, length: int) -> bytes:
        """Read a string of this many bytes; return its beginning."""
        ...

    def finish(self) -> None:
        """Move behind what an honest writer puts at the end."""
        ...


class BinaryStream:
    """XDR (big-endian) or the writer's own byte order."""

    least = 4

    def __init__(self, cursor: Cursor, order: str) -> None:
        self._cursor = cursor
        self._unpack = struct.Struct(f"{order}i").unpack

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._cursor.position

    @property
    def remaining(self) -> int:
        """Bytes up to the end."""
        return self._cursor.remaining

    def least_of(self, width: int) -> int:
        """Return the width itself."""
        return width

    def integer(self) -> int:
        """Read four bytes."""
        (value,) = self._unpack(self._cursor.take(4))
        return int(value)

    def numbers(self, count: int, width: int) -> None:
        """Skip numbers without reading them."""
        self._cursor.skip(count * width)

    def text(self, length: int) -> bytes:
        """Read a string; return at most its first 200 bytes."""
        start = self._cursor.take(min(length, _NAME))
        self._cursor.skip(length - len(start))
        return start

    def finish(self) -> None:
        """Nothing follows."""


class TextStream:
    """One word a value, strings with escapes."""

    least = 2

    def __init__(self, cursor: Cursor, budget: Budget) -> None:
        self._cursor = cursor
        self._budget = budget

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._cursor.position

    @property
    def remaining(self) -> int:
        """Bytes up to the end."""
        return self._cursor.remaining

    def least_of(self, width: int) -> int:  # noqa: ARG002 - a word has no width
        """Return 2: a digit and a blank."""
        return 2

    def integer(self) -> int:
        """Read a word that is an integer or ``NA``."""
        match = _WORD.match(self._cursor.peek(_LONGEST_WORD + 1))
        if match is None or match.end() > _LONGEST_WORD:
            raise MalformedArtifactError(f"there is no word at {self.position}")
        word = match.group(1)
        if word != b"NA" and not _INTEGER.fullmatch(word):
            raise MalformedArtifactError(f"not an integer at {self.position}")
        self._cursor.skip(match.end())
        return NA if word == b"NA" else int(word)

    def numbers(self, count: int, width: int) -> None:
        """Skip words that consist of nothing but what numbers are written with."""
        left = count * (2 if width == _COMPLEX else 1)
        while left:
            self._budget.check_time()
            window = self._cursor.peek(min(1 << 15, 32 * left + _LONGEST_WORD))
            last = max(window.rfind(blank) for blank in (b"\n", b" ", b"\t", b"\r")) + 1
            whole = window[:last] if len(window) < self.remaining else window
            words = whole.split(None, left)
            if not words:
                raise MalformedArtifactError(f"numbers are missing at {self.position}")
            rest = words.pop() if len(words) > left else b""
            used = whole[: len(whole) - len(rest)]
            if used.translate(None, _NUMERIC):
                raise MalformedArtifactError(f"not a number near {self.position}")
            self._cursor.skip(len(used))
            left -= len(words)

    def text(self, length: int) -> bytes:
        """Read a string, its escapes decoded no further than needed to count them."""
        self._skip_blanks()
        kept = b""
        while length:
            window = self._cursor.peek(min(length, 4096) + 3)
            if not window:
                raise MalformedArtifactError(f"a string is cut off at {self.position}")
            if window[:1] == b"\\":
                match = _ESCAPE.match(window)
                if match is None:
                    raise MalformedArtifactError(f"an escape is cut off at {self.position}")
                used, step = match.end(), 1
            else:
                run = window.find(b"\\")
                used = step = min(length, len(window) if run < 0 else run)
            if len(kept) < _NAME:
                kept += window[:used]
            self._budget.check_time()
            self._cursor.skip(used)
            length -= step
        return kept[:_NAME]

    def finish(self) -> None:
        """Skip the end of the last line."""
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        while window := self._cursor.peek(256):
            blanks = len(window) - len(window.lstrip(_BLANKS))
            self._cursor.skip(blanks)
            if blanks < len(window):
                return


def opened(cursor: Cursor, budget: Budget) -> Stream:
    """Return the stream whose two-byte header stands at the cursor.

    Raises:
        NotThisFormat: there is no such header.
    """
    if cursor.peek(3) == b"\nA\n":  # R skips a line end that a text stream has left behind
        cursor.skip(1)
    header = cursor.peek(_HEAD)
    cursor.skip(min(2, cursor.remaining))
    if header[:2] == b"A\n":
        return TextStream(cursor, budget)
    if header[:2] == b"X\n":
        return BinaryStream(cursor, ">")
    if header[:2] == b"B\n" and len(header) == _HEAD:
        # The byte order is whichever makes the version a small number.
        return BinaryStream(cursor, "<" if header[2] else ">")
    raise NotThisFormat
