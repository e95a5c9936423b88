r"""Runs of inert opcodes: what a compiled expression can skip at the speed of C.

Large honest pickles are lists and dicts of numbers and strings: millions of opcodes that can do
nothing. From a MARK up to its APPENDS or SETITEMS, one expression recognises a run in which

* every opcode pushes a constant or a new builtin container, fills a container, or uses the memo;
* marks are balanced, up to four deep.

Whatever such opcodes do, they do it to values pushed since the MARK, all of them inert; if they do
not fit together, every unpickler raises. Only the memo needs to be kept up with.

It never goes back, so its time is linear.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Run:
    """A skipped run.

    Attributes:
        body: the bytes from MARK to the closing APPENDS or SETITEMS inclusive.
        memoizes: whether MEMOIZE may have added entries.
        puts: whether BINPUT or LONG_BINPUT may have set entries.
        gets: whether memo entries may have been fetched, so that there are aliases.
    """

    body: bytes
    memoizes: bool
    puts: bool
    gets: bool


SHORTEST = 64
"""Shorter runs are not worth the call."""

_LONGEST = 1 << 19
"""A writer's batch of a thousand rows should fit."""
_DEPTH = 6
_CEILINGS = (255, 170, 113, 75, 50, 33, 22, 14, 9, 6, 4, 2, 1, 0)
"""Of the third byte of an index, in steps of a half: each makes an expression of its own."""
_LONGEST_TEXT = {True: 255, False: 127}
"""Bytes, by whether the protocol is 4 or later: there, one expression serves all."""


def _repeated(alternatives: bytes) -> bytes:
    """Return any number of alternatives, never to be given back.

    CPython before 3.11.5 gets possessive groups wrong (gh-106052): it believes an iteration that
    has failed. Atomic groups are right everywhere, and a third slower.
    """
    if sys.version_info >= (3, 11, 5):
        return rb"(?:" + alternatives + rb")*+"
    return rb"(?>(?:" + alternatives + rb")*)"


def _lengths(longest: int, padding: bytes) -> bytes:
    """Return alternatives for a length byte and as many bytes, as a tree of lookaheads."""
    groups = []
    for first in range(0, longest + 1, 8):
        last = min(first + 7, longest)
        leaves = b"|".join(
            b"\\x%02x%s.{%d}" % (length, padding, length) for length in range(first, last + 1)
        )
        groups.append(b"(?=[\\x%02x-\\x%02x])(?:%s)" % (first, last, leaves))
    return b"(?:" + b"|".join(groups) + b")"


@cache
def _tokens(protocol4: bool, ceiling: int) -> bytes:  # noqa: FBT001 - a cache key
    """Return the alternatives for one inert opcode other than MARK and what closes one."""
    memo = rb"\x94|\x95.{8}" if protocol4 else rb"q.|r..[\0-\x%02x]\0" % ceiling
    return (
        rb"K.|[N\x88\x89\])}\x8f\x85\x86\x87as]|h.|J.{4}|G.{8}|M..|j.{4}|"
        + memo
        + rb"|[\x8cUC]" + _lengths(_LONGEST_TEXT[protocol4], b"")
        + rb"|X" + _lengths(_LONGEST_TEXT[protocol4], rb"\0\0\0")
        + rb"|\x8a" + _lengths(16, b"")
    )  # fmt: skip


@cache
def _expression(protocol4: bool, ceiling: int) -> re.Pattern[bytes]:  # noqa: FBT001 - a cache key
    tokens = _tokens(protocol4, ceiling)
    body = _repeated(tokens)
    for _ in range(_DEPTH - 1):
        body = _repeated(tokens + rb"|\(" + body + rb"[eutld\x90\x91]")
    return re.compile(rb"\(" + body + rb"[eu]", re.DOTALL)


@cache
def _but_frames() -> re.Pattern[bytes]:
    """Match anything but FRAME, opcode by opcode."""
    tokens = _tokens(protocol4=True, ceiling=255).replace(rb"|\x95.{8}", b"")
    return re.compile(_repeated(tokens + rb"|[(eutld\x90\x91]"), re.DOTALL)


@cache
def _up_to_memoize() -> re.Pattern[bytes]:
    """Match up to and with the next MEMOIZE, opcode by opcode."""
    tokens = _tokens(protocol4=True, ceiling=255).replace(rb"\x94|", b"")
    return re.compile(_repeated(tokens + rb"|[(eutld\x90\x91]") + rb"\x94", re.DOTALL)


def match(window: bytes, position: int, offset: int, *, protocol4: bool) -> Run | None:
    """Return the run that begins with the MARK at ``position``, or None.

    Args:
        window: a piece of the pickle.
        position: of the MARK in the window.
        offset: of the MARK in the pickle: memo indices far beyond it are left to the machine.
        protocol4: whether the pickle uses MEMOIZE and FRAME, or BINPUT and LONG_BINPUT.
    """
    highest = min(offset // 3 >> 16, 255)
    ceiling = 0 if protocol4 else next(value for value in _CEILINGS if value <= highest)
    found = _expression(protocol4, ceiling).match(window, position, position + _LONGEST)
    if found is None or found.end() - position < SHORTEST:
        return None
    body = found.group()
    return Run(
        body=body,
        memoizes=protocol4 and b"\x94" in body,
        puts=not protocol4,
        gets=b"h" in body or b"j" in body,
    )


def count_memoizes(body: bytes) -> int:
    """Return how many MEMOIZE a run has."""
    count = position = 0
    match_next = _up_to_memoize().match
    while (found := match_next(body, position)) is not None:
        count += 1
        position = found.end()
    return count


@cache
def _up_to_memo_use() -> re.Pattern[bytes]:
    """Match up to and with the next opcode that gives the index of a memo entry."""
    tokens = _tokens(protocol4=True, ceiling=255).replace(rb"|h.|", b"|").replace(rb"|j.{4}", b"")
    return re.compile(
        _repeated(tokens + rb"|[(eutld\x90\x91]") + rb"(?:([hq])(.)|([jr])(.{4}))", re.DOTALL
    )


@cache
def _foreign(known: int) -> re.Pattern[bytes]:
    """Match opcodes that neither fetch nor set any of the first ``known`` memo entries."""
    tokens = _tokens(protocol4=True, ceiling=255)
    first = b"[\\0-\\x%02x]" % (known - 1)
    tokens = tokens.replace(rb"|h.|", rb"|[hq](?!" + first + rb").|")
    tokens = tokens.replace(rb"|j.{4}", rb"|[jr](?!" + first + rb"\0\0\0).{4}")
    return re.compile(_repeated(tokens + rb"|[(eutld\x90\x91]"), re.DOTALL)


def leaves_alone(body: bytes, known: int) -> bool:
    """Return whether a run surely uses none of the first ``known`` memo entries; at C's speed."""
    if not 0 < known <= 256:  # noqa: PLR2004 - what one byte can name
        return known == 0
    # Few expressions: beyond a handful of entries, more are protected than need be.
    rounded = known if known <= 16 else 1 << (known - 1).bit_length()  # noqa: PLR2004
    found = _foreign(rounded).match(body)
    return found is not None and found.end() == len(body)


def memo_uses(body: bytes) -> Iterator[tuple[int, bool]]:
    """Yield the memo indices of a run, and whether each is set (or fetched)."""
    step = _up_to_memo_use().scanner(body).match  # type: ignore[attr-defined]  # typeshed has none
    while (found := step()) is not None:
        short, byte, long, four = found.groups()
        if short:
            yield byte[0], short == b"q"
        else:
            yield int.from_bytes(four, "little"), long == b"r"


def without_frame(body: bytes, start: int, end: int) -> bool:
    """Return whether [start, end) of a run is whole opcodes, none of them a FRAME."""
    if start == end:
        return True
    found = _but_frames().match(body, start, end)
    return found is not None and found.end() == end


def may_have_frame(body: bytes, start: int) -> bool:
    """Return whether there are bytes from ``start`` on that could begin a FRAME; cheap."""
    return _FRAME.search(body, start) is not None


_FRAME = re.compile(rb"\x95.{6}\0\0", re.DOTALL)
