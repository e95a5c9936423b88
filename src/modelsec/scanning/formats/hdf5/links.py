"""The links of a group: in its header, in a symbol table, or densely stored."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.hdf5 import headers
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.formats.hdf5.heaps import FractalHeap, LocalHeap
from modelsec.scanning.formats.hdf5.trees import GROUP, modern_records, old_entries

HARD, SOFT, EXTERNAL = 0, 1, 64
_CACHED_SOFT = 2
_HASH = 4
_ORDER = 8


@dataclass(frozen=True, slots=True)
class Link:
    """One link.

    Attributes:
        kind: ``HARD``, ``SOFT``, ``EXTERNAL`` or another program's.
        name: in its group.
        address: of the object's header, if it is a hard link.
        target: path (soft), or file and path (external).
        place: address of the link itself, None if it is densely stored.
    """

    kind: int
    name: bytes
    address: int | None = None
    target: bytes = b""
    place: int | None = None


def of_message(space: Space, message: headers.Message) -> Iterator[Link]:
    """Yield the links that a message of a group's header holds or leads to."""
    fields = message.fields(space)
    if message.kind == headers.LINK:
        yield _link(fields, message.address)
    elif message.kind == headers.SYMBOL_TABLE:
        tree, heap = fields.address(), fields.address()
        if tree is not None and heap is not None:
            yield from of_symbol_table(space, tree, heap)
    elif message.kind == headers.LINK_INFO:
        yield from _dense(space, fields)


def of_symbol_table(space: Space, tree: int, heap: int) -> Iterator[Link]:
    """Yield the links of a group in the old style."""
    names = LocalHeap(space, heap)
    entry = 2 * space.offset_size + 24
    for _, leaf in old_entries(space, tree, GROUP, space.length_size):
        if leaf is None:
            raise MalformedArtifactError("a group's B-tree leads nowhere")
        head = space.block(leaf, 8, b"SNOD")
        head.version(1)
        head.take(1)
        count = head.number(2)
        space.budget.opcodes(count)
        entries = space.fields(leaf + 8, count * entry, "a symbol table")
        for number in range(count):
            yield _symbol(entries, names, leaf + 8 + number * entry)


def _symbol(fields: Fields, names: LocalHeap, place: int) -> Link:
    name, address = fields.address(), fields.address()
    cache = fields.number(4)
    fields.take(4)
    scratch = fields.take(16)
    if name is None:
        raise MalformedArtifactError("a link without a name")
    if cache == _CACHED_SOFT:
        target = names.text(int.from_bytes(scratch[:4], "little"))
        return Link(SOFT, names.text(name), address, target, place)
    return Link(HARD, names.text(name), address, b"", place)


def _dense(space: Space, fields: Fields) -> Iterator[Link]:
    """Yield the links of the heap, as any of the two indexes names them."""
    fields.version(0)
    flags = fields.number(1)
    fields.take(8 if flags & 1 else 0)
    heap, by_name = fields.address(), fields.address()
    by_order = fields.address() if flags & 2 else None
    if heap is None:
        return
    stored = FractalHeap(space, heap)
    seen = set()
    for index, prefix in ((by_name, _HASH), (by_order, _ORDER)):
        for _, record in modern_records(space, index) if index is not None else ():
            identity = record[prefix:]
            if identity not in seen:
                seen.add(identity)
                space.budget.members()
                found = stored.object(identity)
                yield _link(Fields(found, space, "a densely stored link"), None)


def _link(fields: Fields, place: int | None) -> Link:
    fields.version(1)
    flags = fields.number(1)
    kind = fields.number(1) if flags & 8 else HARD
    fields.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = fields.take(fields.number(1 << (flags & 3)))
    if kind == HARD:
        return Link(kind, name, fields.address(), b"", place)
    return Link(kind, name, None, fields.take(fields.number(2)), place)
