"""Object headers: the messages that make a group, a dataset or a committed datatype.

Version 1 has a plain prefix and 8-byte message heads; version 2 begins with ``OHDR`` and ends each
chunk with a checksum (which is not verified: whoever does refuses the file, whoever does not reads
what is read here). Both go on in continuation blocks, wherever those are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.hdf5.fields import BLOCK, Fields, Space

NIL, DATASPACE, LINK_INFO, DATATYPE, LINK = 0x00, 0x01, 0x02, 0x03, 0x06
EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE = 0x07, 0x08, 0x0B, 0x0C
CONTINUATION, SYMBOL_TABLE, DRIVER, ATTRIBUTE_INFO, CACHE_IMAGE = 0x10, 0x11, 0x14, 0x15, 0x18
INERT = frozenset({0x00, 0x04, 0x05, 0x09, 0x0A, 0x0D, 0x0E, 0x12, 0x13, 0x16, 0x17})
"""Fill values, group info, comments, times, counts and sizes: numbers and texts without effect."""

_SHARED = 2
_TIMES, _PHASES, _ORDER = 32, 16, 4
_CHECKSUM = 4
_OLD_HEAD = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an object header.

    Attributes:
        kind: its type.
        address: of its body.
        shared: the body only says where the real one is.
        body: the bytes.
    """

    kind: int
    address: int
    shared: bool
    body: bytes

    def fields(self, space: Space) -> Fields:
        """Return a cursor over the body."""
        return Fields(self.body, space, f"a message of type {self.kind:#04x}")


def messages(space: Space, address: int) -> Iterator[Message]:
    """Yield the messages of the object header at an address.

    Raises:
        MalformedArtifactError: there is no object header, or it breaks off.
    """
    start = space.fields(address, min(32, max(space.size - address, 0)), "an object header")
    if start.take(4) == b"OHDR":
        yield from _modern(space, address, start)
    else:
        yield from _old(space, address)


def _old(space: Space, address: int) -> Iterator[Message]:
    prefix = space.fields(address, 16, "an object header")
    prefix.version(1)
    prefix.take(7)
    yield from _chunks(space, [(address + 16, prefix.number(4))], 0, modern=False)


def _modern(space: Space, address: int, start: Fields) -> Iterator[Message]:
    start.version(2)
    flags = start.number(1)
    start.take((16 if flags & _TIMES else 0) + (4 if flags & _PHASES else 0))
    length = start.number(1 << (flags & 3))
    chunks = [(address + start.position, length)]
    yield from _chunks(space, chunks, 6 if flags & _ORDER else 4, modern=True)


def _chunks(
    space: Space, chunks: list[tuple[int, int]], head: int, *, modern: bool
) -> Iterator[Message]:
    """Yield the messages of all chunks; continuations add to them."""
    seen = set()
    while chunks:
        address, length = chunks.pop(0)
        if address in seen:
            raise MalformedArtifactError("an object header continues in itself")
        seen.add(address)
        space.budget.opcodes(BLOCK)
        found = (
            _messages(space, address, length, head) if modern else _plain(space, address, length)
        )
        for message in found:
            if message.kind == CONTINUATION:
                chunks.append(_continuation(space, message, modern=modern))
            else:
                yield message


def _continuation(space: Space, message: Message, *, modern: bool) -> tuple[int, int]:
    fields = message.fields(space)
    address, length = fields.address(), fields.length()
    if address is None:
        raise MalformedArtifactError("an object header continues nowhere")
    if not modern:
        return address, length
    if space.read(address, 4, "a continuation") != b"OCHK" or length < 4 + _CHECKSUM:
        raise MalformedArtifactError(f"no block OCHK at address {address}")
    return address + 4, length - 4 - _CHECKSUM


def _plain(space: Space, address: int, length: int) -> Iterator[Message]:
    fields = space.fields(address, length, "an object header")
    while fields.left >= _OLD_HEAD:
        kind, size, flags = fields.number(2), fields.number(2), fields.number(1)
        fields.take(3)
        yield _message(space, (kind, size, flags), fields, address)


def _messages(space: Space, address: int, length: int, head: int) -> Iterator[Message]:
    fields = space.fields(address, length, "an object header")
    while fields.left >= head:
        kind, size, flags = fields.number(1), fields.number(2), fields.number(1)
        fields.take(head - 4)
        yield _message(space, (kind, size, flags), fields, address)


def _message(space: Space, head: tuple[int, int, int], fields: Fields, address: int) -> Message:
    space.budget.opcodes(1)
    kind, size, flags = head
    place = address + fields.position
    return Message(kind, place, bool(flags & _SHARED), fields.take(size))
