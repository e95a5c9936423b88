"""Text of strangers inside Markdown: shown as it is, never obeyed.

Every character that Markdown, HTML or a table could take for a command is escaped (CommonMark 0.31,
sections 2.4 and 2.5). What starts a block only at the start of a line is escaped there.
"""

import re

_INLINE = re.compile(r"([\\`*_{}\[\]()#|~!$^=@])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_START = re.compile(r"^(?:[-+:](?!\d)|(\d{1,9})\.(?=\s|$))")
_SCHEME = re.compile(r"(?i)(https?|ftp|mailto|xmpp)(:)|(www)(\.)")


def inline(text: object) -> str:
    """Return text for a cell, a list item or a heading: one line."""
    return _escaped(" ".join(str(text).split()))


def paragraphs(text: str) -> str:
    """Return text of several lines; what it seems to structure is not structured."""
    lines = [_escaped(line.strip()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def bullets(items: "tuple[object, ...] | list[object]") -> str:
    """Return a list."""
    return "\n".join(f"- {inline(item)}" for item in items)


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a table whose every row has as many cells as its head."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(inline, row))} |" for row in rows]
    return "\n".join(lines)


def _escaped(line: str) -> str:
    plain = "".join(_ENTITIES.get(character, character) for character in line)
    quiet = _INLINE.sub(r"\\\1", plain)
    # No bare address becomes a link: hosts that a reader trusts are part of many tricks.
    quiet = _SCHEME.sub(lambda found: (found[1] or found[3]) + _numbered(found), quiet)
    return _START.sub(_started, quiet)


def _numbered(found: "re.Match[str]") -> str:
    return "&#58;" if found[2] else "&#46;"


def _started(found: "re.Match[str]") -> str:
    # A number with a fraction starts no list: it stays as it is written.
    return f"{found[1]}\\." if found[1] else f"\\{found[0]}"
