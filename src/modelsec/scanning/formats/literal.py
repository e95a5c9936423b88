"""Python literals as file headers use them: dicts, lists, tuples, strings, integers, booleans.

A header must not meet a Python parser: that parser has its own idea of depth, of number size and
of what else is a literal. This grammar is smaller than Python's. What it accepts has the value
that Python gives it; everything else is refused, and the file then counts as not understood.
"""

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from modelsec.errors import (
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
    printable,
)

Literal: TypeAlias = "str | int | bool | tuple[Literal, ...] | list[Literal] | LiteralDict | None"
LiteralDict: TypeAlias = "dict[str, Literal]"

_DEPTH = 32
_DIGITS = 19
_BLANK = re.compile(r"[ \t\r\n\f]*+")
_STRING = re.compile(
    r"""([A-Za-z]?)('(?>(?:[^'\\\n]++|\\.)*)'|"(?>(?:[^"\\\n]++|\\.)*)")""", re.DOTALL
)
_INTEGER = re.compile(r"([0-9]++)([lL]?)(?![\w.])")
_WORD = re.compile(r"(True|False|None)(?!\w)")
_WORDS: dict[str, bool | None] = {"True": True, "False": False, "None": None}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_SIMPLE = {
    "\n": "", "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n",
    "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip


@dataclass(slots=True)
class Reader:
    """Reads one literal from a text.

    Attributes:
        text: the whole text.
        position: of the next character.
        repeated: keys that a dict holds twice; the last value counts, as in Python.
        odd: strings that no ``repr`` writes so: escapes without need, prefixes, joined pieces.
    """

    text: str
    position: int = 0
    repeated: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def read(self) -> Literal:
        """Return the literal that fills the whole text, blanks around it aside.

        Raises:
            MalformedArtifactError: there is no literal, or something after it.
            UnsupportedFormatError: Python might read this, this grammar does not.
            ResourceLimitError: nested too deep.
        """
        value = self._value(0)
        self._blank()
        if self.position != len(self.text):
            raise MalformedArtifactError(f"text after the literal: {self._here()}")
        return value

    def _value(self, depth: int) -> Literal:
        if depth > _DEPTH:
            raise ResourceLimitError(f"a literal nested more than {_DEPTH} deep")
        self._blank()
        opening = self.text[self.position : self.position + 1]
        if opening == "{":
            return self._dict(depth)
        if opening == "[":
            return self._items("]", depth)[0]
        if opening == "(":
            items, comma = self._items(")", depth)
            return items[0] if len(items) == 1 and not comma else tuple(items)
        if (word := _WORD.match(self.text, self.position)) is not None:
            self.position = word.end()
            return _WORDS[word[1]]
        if (number := _INTEGER.match(self.text, self.position)) is not None:
            return self._integer(number)
        return self._string()

    def _dict(self, depth: int) -> LiteralDict:
        found: LiteralDict = {}
        self.position += 1
        while not self._at("}"):
            self._blank()
            key = self._string()
            if not self._at(":"):
                raise MalformedArtifactError(f"no colon after a key: {self._here()}")
            if key in found:
                self.repeated.append(key)
            found[key] = self._value(depth + 1)
            if not self._at(","):
                if not self._at("}"):
                    raise MalformedArtifactError(f"a dict that does not end: {self._here()}")
                break
        return found

    def _items(self, closing: str, depth: int) -> tuple[list[Literal], bool]:
        """Return the items, and whether a comma follows the last one."""
        found: list[Literal] = []
        comma = False
        self.position += 1
        while not self._at(closing):
            if found and not comma:
                raise MalformedArtifactError(f"a sequence that does not end: {self._here()}")
            found.append(self._value(depth + 1))
            comma = self._at(",")
        return found, comma or not found

    def _integer(self, number: re.Match[str]) -> int:
        digits, suffix = number[1], number[2]
        if len(digits) > _DIGITS:
            raise MalformedArtifactError(f"a number of {len(digits)} digits")
        if len(digits) > 1 and digits[0] == "0":
            raise UnsupportedFormatError("a number with a leading zero")
        self.position = number.end(2) if suffix else number.end(1)
        return int(digits)

    def _string(self) -> str:
        """Return a string; adjacent ones are joined, as Python joins them."""
        pieces: list[str] = []
        while (match := _STRING.match(self.text, self.position)) is not None:
            self.position = match.end()
            prefix, quoted = match[1], match[2]
            if prefix not in {"", "u", "U"} or self.text[self.position : self.position + 1] in {
                "'",
                '"',
            }:
                raise UnsupportedFormatError("a string with a prefix or with triple quotes")
            piece = _ESCAPE.sub(_unescaped, quoted[1:-1])
            if "\\" in quoted and quoted != repr(piece):
                self.odd.append(piece)
            pieces.append(piece)
            self._blank()
        if not pieces:
            raise MalformedArtifactError(f"no literal here: {self._here()}")
        if len(pieces) > 1:
            self.odd.append("".join(pieces))
        return "".join(pieces)

    def _at(self, character: str) -> bool:
        self._blank()
        if self.text.startswith(character, self.position):
            self.position += 1
            return True
        return False

    def _blank(self) -> None:
        blank = _BLANK.match(self.text, self.position)
        self.position = blank.end() if blank else self.position

    def _here(self) -> str:
        return printable(self.text[self.position : self.position + 30]) or "the end"


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] in "xuU" and len(code) > 1 and int(code[1:], 16) <= 0x10FFFF:  # noqa: PLR2004 - Unicode
        return chr(int(code[1:], 16))
    raise UnsupportedFormatError(f"an escape that is not understood: \\{printable(code)}")
