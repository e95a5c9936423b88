"""B-trees of both generations: the entries, in order, each node once."""

from collections.abc import Iterator

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.hdf5.fields import DEPTH, Fields, Space, encoded_width

GROUP, CHUNKS = 0, 1
_RECORD = 1 << 16


def old_entries(
    space: Space, address: int, kind: int, key: int
) -> Iterator[tuple[bytes, int | None]]:
    """Yield key and child of every entry in the leaves of a version 1 B-tree.

    Args:
        space: of the file.
        address: of the root node.
        kind: ``GROUP`` or ``CHUNKS``.
        key: bytes of one key.

    Raises:
        MalformedArtifactError: a node is no node of this tree, or is its own descendant.
    """
    pending = [address]
    seen = set()
    head = 8 + 2 * space.offset_size
    while pending:
        node = pending.pop()
        if node in seen:
            raise MalformedArtifactError("a B-tree meets the same node twice")
        seen.add(node)
        fields = space.block(node, head, b"TREE")
        found, level, count = fields.number(1), fields.number(1), fields.number(2)
        if found != kind:
            raise MalformedArtifactError(f"a B-tree node of kind {found} instead of {kind}")
        space.budget.opcodes(count)
        entries = space.fields(node + head, count * (key + space.offset_size), "a B-tree node")
        children = [(entries.take(key), entries.address()) for _ in range(count)]
        if not level:
            yield from children
        else:
            pending.extend(child for _, child in reversed(children) if child is not None)


def modern_records(space: Space, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and bytes of every record of a version 2 B-tree.

    Raises:
        MalformedArtifactError: a node is no node of this tree, or is its own descendant.
    """
    fields = space.block(address, 22 + space.offset_size + space.length_size, b"BTHD")
    fields.version(0)
    kind, node, size, depth = (fields.number(width) for width in (1, 4, 2, 2))
    fields.take(2)
    root, count = fields.address(), fields.number(2)
    if root is None:
        return
    if depth > DEPTH or not 0 < size < _RECORD or node <= 10 + size:  # a prefix and a record
        raise MalformedArtifactError("the measures of a B-tree make no sense")
    widths = _widths(space, node, size, depth)
    pending = [(root, count, depth)]
    seen = set()
    while pending:
        place, count, level = pending.pop()
        if place in seen:
            raise MalformedArtifactError("a B-tree meets the same node twice")
        seen.add(place)
        block = _node(space, place, node, level)
        if block.number(1) != kind:
            raise MalformedArtifactError("a B-tree node is of another tree")
        space.budget.opcodes(count)
        for _ in range(count):
            yield kind, block.take(size)
        if level:
            pending.extend(_children(block, count, level, widths))


def _node(space: Space, address: int, size: int, level: int) -> Fields:
    block = space.head(address, size, b"BTIN" if level else b"BTLF")
    block.version(0)
    return block


def _children(
    block: Fields, count: int, level: int, widths: tuple[int, list[int]]
) -> Iterator[tuple[int, int, int]]:
    for _ in range(count + 1):
        address = block.address()
        records = block.number(widths[0])
        block.take(widths[1][level - 1] if level > 1 else 0)
        if address is None:
            raise MalformedArtifactError("a B-tree node has a child that is nowhere")
        yield address, records, level - 1


def _widths(space: Space, node: int, size: int, depth: int) -> tuple[int, list[int]]:
    """Return how wide a node writes a child's count of records, and the totals of each level."""
    most = (node - 10) // size
    width = encoded_width(most)
    totals, total_widths = most, [0]
    for _ in range(depth):
        pointer = space.offset_size + width + total_widths[-1]
        records = (node - 10 - pointer) // (size + pointer)
        totals = (records + 1) * totals + records
        total_widths.append(encoded_width(totals))
    return width, total_widths
