"""Tokens of a Jinja template, by the rules of Jinja's own lexer.

Text is cut at ``{%``, ``{{`` and ``{#``; within a block a closing mark counts only where no bracket
is open, so ``{{ {'a': {}} }}`` is one block. String literals are decoded as Python decodes them:
whatever is written with escapes is compared in its decoded form.
"""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.limits import Budget

TEXT = "text"
BEGIN = "begin"  # of a statement, {%
END = "end"  # of a statement or an output
OUTPUT = "output"  # begin of an output, {{
NAME = "name"
STRING = "string"
INTEGER = "integer"
FLOAT = "float"
OPERATOR = "operator"

_OPEN = re.compile(r"\{[%{#]")
_RAW = re.compile(r"\{%[-+]?\s*+raw\s*+[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*+endraw\s*+[-+]?%\}")
_CLOSE = {"{%": re.compile(r"[-+]?%\}"), "{{": re.compile(r"-?\}\}")}
_TOKEN = re.compile(
    r"""
    (?P<blank>\s++)
  | (?P<float>(?<!\.)\d++(?>(?:_\d++)*)(?:\.\d++(?>(?:_\d++)*)(?:[eE][+-]?\d++)?|[eE][+-]?\d++))
  | (?P<integer>0[bB][01_]++|0[oO][0-7_]++|0[xX][\da-fA-F_]++|\d++(?>(?:_\d++)*))
  | (?P<name>\w++)
  | (?P<string>'(?>(?:[^'\\]++|\\.)*)'|"(?>(?:[^"\\]++|\\.)*)")
  | (?P<operator>//|\*\*|==|!=|>=|<=|[-+/*%~\[\](){}<>=.:|,;])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = {"(": ")", "[": "]", "{": "}"}
_DEPTH = 100
_DIGITS = 20
_CHARGE = 64  # tokens at once


class Token(NamedTuple):
    """A piece of a template.

    Attributes:
        kind: one of the constants of this module.
        value: the text; of a string literal its decoded value.
        offset: in characters.
    """

    kind: str
    value: str
    offset: int


def tokens(text: str, budget: Budget) -> Iterator[Token]:
    """Yield the tokens of a template; blanks and comments are left out.

    Raises:
        MalformedArtifactError: it is no Jinja template.
    """
    position = 0
    while True:
        found = _OPEN.search(text, position)
        if found is None:
            if position < len(text):
                yield Token(TEXT, text[position:], position)
            return
        start = found.start()
        if start > position:
            yield Token(TEXT, text[position:start], position)
        budget.opcodes(1)
        raw = _RAW.match(text, start)
        if raw is not None:
            closed = _search(_END_RAW, text, raw.end(), "raw")
            yield Token(TEXT, text[raw.end() : closed.start()], raw.end())
            position = closed.end()
        elif found.group() == "{#":
            end = text.find("#}", start + 2)
            if end < 0:
                raise MalformedArtifactError(f"a comment at {start} does not end")
            position = end + 2
        else:
            position = yield from _block(text, start, found.group(), budget)


def _search(pattern: re.Pattern[str], text: str, position: int, what: str) -> re.Match[str]:
    found = pattern.search(text, position)
    if found is None:
        raise MalformedArtifactError(f"a block '{what}' at {position} does not end")
    return found


def _block(text: str, start: int, mark: str, budget: Budget) -> Generator[Token, None, int]:
    """Yield the tokens of one block, and return where it ends."""
    yield Token(BEGIN if mark == "{%" else OUTPUT, mark, start)
    position = start + 2
    if text[position : position + 1] in {"-", "+"}:
        position += 1
    count = 0
    pending: list[str] = []
    close = _CLOSE[mark]
    while True:
        closed = None if pending else close.match(text, position)
        if closed is not None:
            yield Token(END, closed.group(), position)
            return closed.end()
        match = _TOKEN.match(text, position)
        if match is None:
            raise MalformedArtifactError(f"no token of Jinja at character {position}")
        kind, value = str(match.lastgroup), match.group()
        if kind == OPERATOR:
            _balance(pending, value, position)
        if kind != "blank":
            count += 1
            if count % _CHARGE == 0:
                budget.opcodes(_CHARGE)
            yield Token(kind, _value(kind, value, position), position)
        position = match.end()


def _balance(pending: list[str], operator: str, position: int) -> None:
    if operator in _OPENING:
        pending.append(_OPENING[operator])
        if len(pending) > _DEPTH:
            raise MalformedArtifactError(f"more than {_DEPTH} brackets are open at {position}")
    elif operator in {")", "]", "}"} and (not pending or pending.pop() != operator):
        raise MalformedArtifactError(f"a bracket at {position} closes nothing")


def _value(kind: str, value: str, position: int) -> str:
    """Return a token's value: a string's content, decoded as Jinja decodes it."""
    if kind == STRING:
        try:
            return value[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")
        except UnicodeDecodeError as error:
            raise MalformedArtifactError(f"a string at {position}: {error.reason}") from None
    if kind == INTEGER and len(value) > _DIGITS:
        return "9" * _DIGITS  # too long to convert; it stays a huge number
    return value
