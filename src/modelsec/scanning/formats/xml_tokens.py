"""The tokens of an XML text: a pull reader that expands nothing.

See ``xml`` for what is made of them. It works on UTF-8 bytes, reads each byte once, keeps no tree,
and knows no entities but the five that every reader knows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.limits import Budget

DEPTH = 256
"""Deepest nesting; libxml2 stops there too."""

_ATTRIBUTES = 10_000  # of one element
_BATCH = 512
_NAME = rb"[A-Za-z_:\x80-\xff][A-Za-z0-9_:.\x80-\xff-]*+"
_BLANK = rb"[ \t\r\n]"
_TAG = re.compile(rb"<(" + _NAME + rb")")
_ATTRIBUTE = re.compile(
    _BLANK + rb"++(" + _NAME + rb")" + _BLANK + rb"*+=" + _BLANK + rb"*+"
    rb"(?:\"([^<\"]*+)\"|'([^<']*+)')"
)  # fmt: skip
_TAG_END = re.compile(_BLANK + rb"*+(/?)>")
_CLOSE = re.compile(rb"</(" + _NAME + rb")" + _BLANK + rb"*+>")
_TARGET = re.compile(rb"<\?(" + _NAME + rb")")
_DECLARATION = re.compile(rb"<!([A-Za-z]++)")
_STRAY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


@dataclass(frozen=True, slots=True)
class Element:
    """A start tag.

    Attributes:
        offset: of its ``<``.
        name: with its prefix.
        attributes: in order; the values' references are not resolved.
        depth: 0 for the root.
    """

    offset: int
    name: bytes
    attributes: tuple[tuple[bytes, bytes], ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """A processing instruction."""

    offset: int
    target: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Declaration:
    """``<!DOCTYPE``, ``<!ENTITY`` or another declaration; nothing is read behind it."""

    offset: int
    keyword: bytes


Token = Element | Instruction | Declaration


def tokens(data: bytes, start: int, budget: Budget) -> Iterator[Token]:
    """Yield tags, instructions and declarations; check that what lies between is well-formed.

    Args:
        data: UTF-8.
        start: where to begin.
        budget: pays for the tokens.

    Raises:
        MalformedArtifactError: it is not well-formed; tokens before that point were yielded.
        ResourceLimitError: it is nested too deeply.
    """
    position = start
    stack: list[bytes] = []
    roots = count = 0
    while (bracket := _next_tag(data, position, within=bool(stack))) is not None:
        count += 1
        if count % _BATCH == 0:
            budget.opcodes(_BATCH)
        second = data[bracket + 1 : bracket + 2]
        if second == b"/":
            position = _close(data, bracket, stack)
        elif second == b"!":
            declaration = _DECLARATION.match(data, bracket)
            if declaration is not None:
                yield Declaration(bracket, declaration.group(1))
                return
            position = _markup(data, bracket, within=bool(stack))
        elif second == b"?":
            instruction, position = _instruction(data, bracket)
            yield instruction
        else:
            roots += not stack
            element, position = _element(data, bracket, stack, first=roots == 1)
            yield element
    if stack or not roots:
        raise MalformedArtifactError("the XML ends before its root element does")


def _next_tag(data: bytes, position: int, *, within: bool) -> int | None:
    """Check the text up to the next tag and return where that is, or None."""
    bracket = data.find(b"<", position)
    _check_text(data, position, len(data) if bracket < 0 else bracket, within=within)
    return None if bracket < 0 else bracket


def _check_text(data: bytes, start: int, stop: int, *, within: bool) -> None:
    if not within and data[start:stop].strip():
        raise MalformedArtifactError(f"text outside the root element at {start}")
    stray = _STRAY.search(data, start, stop)
    if stray is not None:
        raise MalformedArtifactError(f"an entity that nothing declares at {stray.start()}")


def _close(data: bytes, position: int, stack: list[bytes]) -> int:
    match = _CLOSE.match(data, position)
    if match is None or not stack or stack.pop() != match.group(1):
        raise MalformedArtifactError(f"an end tag that ends nothing at {position}")
    return match.end()


def _markup(data: bytes, position: int, *, within: bool) -> int:
    """Skip a comment or a section of plain characters."""
    if data.startswith(b"<!--", position):
        stop = data.find(b"--", position + 4)
        if stop < 0 or data[stop + 2 : stop + 3] != b">":
            raise MalformedArtifactError(f"a comment that does not end at {position}")
        return stop + 3
    if within and data.startswith(b"<![CDATA[", position):
        stop = data.find(b"]]>", position)
        if stop > 0:
            return stop + 3
    raise MalformedArtifactError(f"markup that is not understood at {position}")


def _instruction(data: bytes, position: int) -> tuple[Instruction, int]:
    match = _TARGET.match(data, position)
    stop = data.find(b"?>", position)
    if match is None or stop < 0:
        raise MalformedArtifactError(f"an instruction that does not end at {position}")
    return Instruction(position, match.group(1), data[match.end() : stop]), stop + 2


def _element(data: bytes, start: int, stack: list[bytes], *, first: bool) -> tuple[Element, int]:
    """Read a start tag; if it does not end at once, the element is open from now on."""
    match = _TAG.match(data, start)
    if match is None or not (stack or first):
        raise MalformedArtifactError(f"no tag that can be at {start}")
    position = match.end()
    attributes: dict[bytes, bytes] = {}
    while attribute := _ATTRIBUTE.match(data, position):
        name, double, single = attribute.groups()
        value = single if double is None else double
        if name in attributes or _STRAY.search(value):
            raise MalformedArtifactError(f"an attribute that cannot be at {position}")
        attributes[name] = value
        if len(attributes) > _ATTRIBUTES:
            raise ResourceLimitError(f"an element with more than {_ATTRIBUTES} attributes")
        position = attribute.end()
    end = _TAG_END.match(data, position)
    if end is None:
        raise MalformedArtifactError(f"a tag that does not end at {start}")
    element = Element(start, match.group(1), tuple(attributes.items()), len(stack))
    if not end.group(1):
        stack.append(element.name)
        if len(stack) > DEPTH:
            raise ResourceLimitError(f"XML is nested more than {DEPTH} deep")
    return element, end.end()
