"""Keys, values and tags of a YAML text, without building anything.

See ``yaml_config`` for what is made of them. The scanner follows the loaders that Python programs
use (YAML 1.1): the same indentation, the same ends of plain and block scalars, the same line
breaks. Where it is in doubt it accepts more than they do, because a key that is seen without need
costs a warning, and one that is missed costs everything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import ResourceLimitError
from modelsec.scanning.formats.yaml_events import ESCAPED, BrokenYamlError, Ended, Pair, Tag
from modelsec.scanning.formats.yaml_text import BLANKS, BREAKS, block_scalar, quoted, tag_name
from modelsec.scanning.limits import Budget

DEPTH = 200

_BREAK = re.compile(rf"\r\n|[{BREAKS}]")
_LINE_END = re.compile(rf"[{BREAKS}]|\Z")
_SPACES = re.compile(r" *+")
_MARKER = re.compile(rf"(?:---|\.\.\.)(?=[{BLANKS}]|\Z)")
_DIRECTIVE = re.compile(rf"%([A-Za-z]++)[ \t]++([^{BREAKS}]*+)")
_PLAIN = re.compile(rf"(?>(?:[^{BLANKS}:]++|:(?=[^{BLANKS}]))+)")
_PLAIN_FLOW = re.compile(rf"(?>(?:[^{BLANKS}:,?\[\]{{}}]++|:(?=[^{BLANKS},\[\]{{}}]))+)")
_NAME = re.compile(rf"[^{BLANKS},\[\]{{}}]++")
_VERBATIM = re.compile(rf"!<([^>{BREAKS}]*+)>")
_TAG = re.compile(r"!([A-Za-z0-9_-]*+!)?([A-Za-z0-9;/?:@&=+$_.!~*'()%,\[\]-]*+)")


@dataclass(slots=True)
class _Key:
    offset: int
    text: str
    odd: str


class Scanner:
    """One pass over a text, one document after another."""

    def __init__(self, text: str, start: int, budget: Budget) -> None:
        self._text = text
        self._at = start
        self._line = start
        self._budget = budget
        self._reset()

    def _reset(self) -> None:
        self._indent = -1
        self._indents: list[int] = []
        self._flow = 0
        self._may_be_key = True
        self._container = False
        self._key: _Key | None = None
        self._complex = False
        self._anchor = ""
        self._anchors: dict[str, str] = {}
        self._handles = {"!!": "tag:yaml.org,2002:"}

    def events(self) -> Iterator[Pair | Tag | Ended]:
        """Yield what is found, up to the end or to the first break.

        Raises:
            BrokenYamlError: from here on it is not YAML.
        """
        count = 0
        while self._to_next_token():
            count += 1
            if count % 256 == 0:
                self._budget.opcodes(256)
            column = self._at - self._line
            if not self._flow:
                while self._indent > column:
                    self._indent = self._indents.pop()
            if column == 0 and _MARKER.match(self._text, self._at):
                yield from self._end()
                continue
            yield from self._token(column)
        if self._flow:
            self._break()
        yield from self._end()

    def _end(self) -> Iterator[Pair | Ended]:
        if self._flow:
            self._break()
        yield from self._void()
        yield Ended(self._at, self._container)
        handles = self._handles if not self._container else None
        self._reset()
        if handles:  # directives stand before the marker
            self._handles = handles
        self._at += 3

    def _void(self) -> Iterator[Pair]:
        """Yield the key that still waits: its value is no scalar."""
        if self._key is not None:
            key, self._key = self._key, None
            yield Pair(key.offset, key.text, None, key.odd)

    def _break(self) -> None:
        raise BrokenYamlError(self._at, container=self._container)

    def _to_next_token(self) -> bool:
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character == " " or (character == "\t" and (self._flow or not self._may_be_key)):
                self._at += 1
            elif character == "#":
                self._at = self._line_end(self._at)
            elif character == "\ufeff" and self._at == self._line:
                self._at += 1
                self._line += 1
            elif character in BREAKS:
                self._newline()
            else:
                return True
        return False

    def _line_end(self, position: int) -> int:
        match = _LINE_END.search(self._text, position)
        return match.start() if match else len(self._text)

    def _newline(self) -> None:
        match = _BREAK.match(self._text, self._at)
        self._at = self._line = match.end() if match else self._at + 1
        if not self._flow:
            self._may_be_key = True

    def _token(self, column: int) -> Iterator[Pair | Tag]:
        character = self._text[self._at]
        blank_follows = self._text[self._at + 1 : self._at + 2] in {"", *BLANKS}
        if character in "[{":
            yield from self._open()
        elif character in "]}":
            self._flow -= 1
            self._at += 1
            self._may_be_key = False
            if self._flow < 0:
                self._break()
        elif character == "," and self._flow:
            yield from self._void()
            self._at += 1
            self._may_be_key = True
        elif character == "%" and column == 0 and not self._container:
            self._directive()
        elif character in "-?" and blank_follows and not (character == "-" and self._flow):
            yield from self._block_entry(character, column)
        elif character == ":" and (self._flow or blank_follows):
            yield from self._value_of_complex_key()
        elif character == "!":
            yield from self._tag()
        elif character == "&":
            self._anchor = self._named()
        else:
            yield from self._node(character, column, blank_follows=blank_follows)

    def _open(self) -> Iterator[Pair]:
        yield from self._void()
        self._container = True
        self._flow += 1
        if self._flow > DEPTH:
            raise ResourceLimitError(f"YAML is nested more than {DEPTH} deep")
        self._at += 1
        self._may_be_key = True
        self._anchor = ""

    def _block_entry(self, character: str, column: int) -> Iterator[Pair]:
        if not self._flow:
            if not self._may_be_key:
                self._break()
            self._deepen(column)
        self._container = True
        self._complex = character == "?"
        self._at += 1
        self._may_be_key = True
        self._anchor = ""
        if self._complex:
            yield from self._void()

    def _value_of_complex_key(self) -> Iterator[Pair]:
        self._at += 1
        self._may_be_key = not self._flow
        self._container = True
        if self._key is None:
            yield Pair(self._at, "", None, "the key is no plain text")
        self._complex = False

    def _deepen(self, column: int) -> None:
        if self._indent < column:
            self._indents.append(self._indent)
            self._indent = column
            if len(self._indents) > DEPTH:
                raise ResourceLimitError(f"YAML is nested more than {DEPTH} deep")

    def _directive(self) -> None:
        match = _DIRECTIVE.match(self._text, self._at)
        if match is None:
            raise BrokenYamlError(self._at, container=self._container)
        if match.group(1) == "TAG":
            handle, _, prefix = match.group(2).partition(" ")
            self._handles[handle] = prefix.split("#")[0].strip()
        self._at = match.end()

    def _tag(self) -> Iterator[Tag]:
        offset = self._at
        verbatim = _VERBATIM.match(self._text, offset)
        if verbatim:
            self._at = verbatim.end()
            yield Tag(offset, tag_name(verbatim.group(1)))
            return
        match = _TAG.match(self._text, offset)
        if match is None:
            raise BrokenYamlError(offset, container=self._container)
        handle, suffix = match.groups()
        if handle is None:
            # A second mark may stand anywhere in the word: it ends the handle.
            prefix, mark, rest = suffix.partition("!")
            handle, suffix = (f"!{prefix}!", rest) if mark else ("!", suffix)
        else:
            handle = f"!{handle}"
        self._at = match.end()
        prefix = self._handles.get(handle, handle)
        if prefix != "!" or suffix:
            yield Tag(offset, tag_name(prefix + suffix))

    def _named(self) -> str:
        match = _NAME.match(self._text, self._at + 1)
        if match is None:
            raise BrokenYamlError(self._at, container=self._container)
        self._at = match.end()
        return match.group()

    def _node(self, character: str, column: int, *, blank_follows: bool) -> Iterator[Pair]:
        offset = self._at
        line = self._line
        may_be_key = self._may_be_key
        odd = ""
        value: str | None
        if character == "*":
            value = self._anchors.get(self._named().rstrip(":"))
            odd = "the key is an alias"
            if self._text[self._at - 1] == ":":
                self._at -= 1
        elif character in "|>" and not self._flow:
            value = self._block_scalar()
        elif character in "\"'":
            value, escaped = self._quoted(character)
            odd = ESCAPED if escaped else ""
        elif character in "#&!|>%@`]},\t" or (character in "-?:" and blank_follows):
            raise BrokenYamlError(offset, container=self._container)
        else:
            value = self._plain()
        is_key = self._line == line and character not in "|>" and self._key_follows(character)
        if is_key and may_be_key:
            yield from self._simple_key(_Key(offset, value or "", odd), column)
        elif is_key and not self._flow:
            self._break()
        else:
            yield from self._scalar(offset, value)

    def _key_follows(self, character: str) -> bool:
        text = self._text
        position = self._at
        while text[position : position + 1] in {" ", "\t"}:
            position += 1
        if text[position : position + 1] != ":":
            return False
        after = text[position + 1 : position + 2]
        found = after in {"", *BLANKS} or (
            self._flow > 0 and (character in "\"'" or after in ",[]{}")
        )
        if found:
            self._at = position
        return found

    def _simple_key(self, key: _Key, column: int) -> Iterator[Pair]:
        yield from self._void()
        self._at += 1
        self._container = True
        self._complex = False
        if not self._flow:
            self._deepen(column)
        self._may_be_key = False
        self._key = key
        self._remember(key.text)

    def _scalar(self, offset: int, value: str | None) -> Iterator[Pair]:
        self._remember(value)
        if self._complex:
            self._complex = False
            self._key = _Key(offset, value or "", "the key is written as a complex one")
            return
        if self._key is not None:
            key, self._key = self._key, None
            yield Pair(key.offset, key.text, value, key.odd)
        elif not self._container:
            self._break()  # the document is a single scalar: prose
        if self._line <= offset:
            self._may_be_key = False

    def _remember(self, value: str | None) -> None:
        if self._anchor:
            self._anchors[self._anchor] = value or ""
            self._anchor = ""

    def _plain(self) -> str:
        pattern = _PLAIN_FLOW if self._flow else _PLAIN
        text = self._text
        pieces = []
        while match := pattern.match(text, self._at):
            pieces.append(match.group())
            self._at = match.end()
            position = self._at
            while text[position : position + 1] in {" ", "\t"}:
                position += 1
            if text[position : position + 1] in {"", "#"} and position > self._at:
                break
            if text[position : position + 1] not in {*BREAKS}:
                if position == self._at or not pattern.match(text, position):
                    break
                self._at = position
                continue
            if not self._continues(position):
                break
        if not pieces:
            raise BrokenYamlError(self._at, container=self._container)
        return " ".join(pieces)

    def _continues(self, position: int) -> bool:
        """Move to the next line if the plain scalar goes on there."""
        text = self._text
        line = position
        while match := _BREAK.match(text, position):
            line = match.end()
            spaces = _SPACES.match(text, line)
            position = spaces.end() if spaces else line
        character = text[position : position + 1]
        if not character or character == "#" or _MARKER.match(text, line):
            return False
        if not self._flow and position - line <= self._indent:
            return False
        pattern = _PLAIN_FLOW if self._flow else _PLAIN
        if not pattern.match(text, position):
            return False
        self._at, self._line = position, line
        return True

    def _quoted(self, character: str) -> tuple[str, bool]:
        found = quoted(self._text, self._at, character)
        if found is None:
            raise BrokenYamlError(self._at, container=self._container)
        value, stop, escaped = found
        self._moved(stop)
        return value, escaped

    def _moved(self, stop: int) -> None:
        last = max(self._text.rfind(mark, self._at, stop) for mark in BREAKS)
        self._at = stop
        if last >= 0:
            self._line = last + 1

    def _block_scalar(self) -> str:
        found = block_scalar(self._text, self._at, max(self._indent + 1, 1))
        if found is None:
            raise BrokenYamlError(self._at, container=self._container)
        value, self._line, self._at = found
        self._may_be_key = True
        return value


def next_document(text: str, position: int) -> int | None:
    """Return where the next line that begins a document, or its directives, starts, or None."""
    match = _START.search(text, position)
    return match.start(1) if match else None


_START = re.compile(rf"[{BREAKS}]((?:---|%TAG)(?=[{BLANKS}]|\Z))")
