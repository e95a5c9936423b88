"""What YAML text stands for: quoted and block scalars, names of tags."""

import re
import sys

BREAKS = "\n\r\x85\u2028\u2029"
BLANKS = " \t" + BREAKS

_LINE = re.compile(rf"( *+)([^{BREAKS}]*+)(\r\n|[{BREAKS}])?")
_SINGLE = re.compile(r"'((?>(?:[^']++|'')*))'")
_DOUBLE = re.compile(r'"((?>(?:[^"\\]++|\\.)*))"', re.DOTALL)
_HEADER = re.compile(
    rf"[|>](?:[+-]?([1-9])?|([1-9])[+-])[ \t]*+(?:#[^{BREAKS}]*+)?(?:\r\n|[{BREAKS}]|\Z)"
)
_BREAK = re.compile(rf"\r\n|[{BREAKS}]")
_CONTINUED = re.compile(rf"\\(?:\r\n|[{BREAKS}])[ \t]*+")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_NEEDLESS = re.compile(r"\\(?:x[2-7]|u00[2-7]|U000000[2-7])[0-9A-Fa-f]")  # printable ASCII
_SIMPLE = dict(
    zip(
        '0abtnvfre "/\\N_LP',
        '\0\a\b\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029',
        strict=True,
    )
)


def quoted(text: str, start: int, quote: str) -> tuple[str, int, bool] | None:
    """Return a quoted scalar, where it ends, and whether it has needless escapes; None if open."""
    match = (_SINGLE if quote == "'" else _DOUBLE).match(text, start)
    if match is None:
        return None
    raw = match.group(1)
    if quote == "'":
        return _folded(raw).replace("''", "'"), match.end(), False
    folded = _folded(_CONTINUED.sub("", raw))
    return _ESCAPE.sub(_unescaped, folded), match.end(), bool(_NEEDLESS.search(raw))


def _folded(raw: str) -> str:
    """Join lines with single blanks: near enough to compare a name with."""
    lines = _BREAK.split(raw)
    return (
        raw
        if len(lines) == 1
        else " ".join(stripped for line in lines if (stripped := line.strip(" \t")))
    )


def block_scalar(text: str, start: int, least: int) -> tuple[str, int, int] | None:
    """Return a block scalar, the start of the line it ends on, and where it ends.

    Args:
        text: all of it.
        start: of the ``|`` or ``>``.
        least: the smallest indentation that is part of it.
    """
    header = _HEADER.match(text, start)
    if header is None:
        return None
    given = header.group(1) or header.group(2)
    line = header.end()
    indent = least + int(given) - 1 if given else max(least, _indentation(text, line))
    lines = []
    while line < len(text) and (match := _LINE.match(text, line)):
        spaces, content, ending = match.groups()
        if content and len(spaces) < indent:
            break
        if content:
            lines.append(content)
        if ending is None:
            return " ".join(lines), line, len(text)
        line = match.end()
    return " ".join(lines), line, line


def _indentation(text: str, line: int) -> int:
    """Return the deepest indentation up to the first line that is not blank."""
    deepest = 0
    while line < len(text) and (match := _LINE.match(text, line)):
        spaces, content, ending = match.groups()
        deepest = max(deepest, len(spaces))
        if content or ending is None:
            break
        line = match.end()
    return deepest


def tag_name(tag: str) -> str:
    """Undo percent escapes, as loaders do before they look a tag up."""
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match.group(1), 16)), tag)


def _unescaped(match: re.Match[str]) -> str:
    digits = match.group(1) or match.group(2) or match.group(3)
    if digits:
        number = int(digits, 16)
        return chr(number) if number <= sys.maxunicode else "\ufffd"
    return _SIMPLE.get(match.group(4), match.group(4))
