import json

import pytest

from modelsec.errors import MalformedArtifactError
from modelsec.scanning import Coverage, Limits, scan
from modelsec.scanning.formats.hdf5.fields import Space
from modelsec.scanning.formats.hdf5.heaps import FractalHeap
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import BytesSource
from tests.scanning.support.hdf5_judged import (
    LAMBDA,
    POLICY,
    ids,
    judged,
    safe,
    single,
    with_dataset,
)
from tests.scanning.support.hdf5_writer import (
    FLOAT,
    LONG_STRING,
    NOWHERE,
    UNDEFINED,
    Writer,
    attribute,
    attribute_body,
    contiguous,
    dataset,
    dataspace,
    external_target,
    fractal_heap,
    link,
    link_body,
    message,
    new_messages,
    old_tree,
    padded,
    string,
    tree_head,
    u,
)


def test_superblock_messages_that_replace_the_file() -> None:
    """A cached image of the metadata, and a driver of several pieces, are not followed."""
    writer = Writer(modern=True)
    extension = writer.header(message(0x18, bytes(24)), message(0x14, bytes(8)))
    found = ids(writer.finish(writer.header(), extension=extension))
    assert {"MS-HDF-010", "MS-HDF-012"} <= found
    writer = Writer()
    assert "MS-HDF-010" in ids(writer.finish(writer.header(), driver=96))


def test_a_superblock_that_stands_elsewhere() -> None:
    """Readers disagree about where addresses count from."""
    writer = Writer(user_block=bytes(512))
    assert "MS-HDF-009" in ids(writer.finish(writer.header(), declared=0))


def test_the_root_table_in_the_superblock_is_read() -> None:
    """The superblock repeats the root's table; what only it names is read as well."""
    writer = Writer()
    hidden = writer.header(link("x", external_target("o.h5", "/x"), kind=64))
    tree, heap = writer.symbol_table({"hidden": hidden})
    assert "MS-HDF-001" in ids(writer.finish(writer.header(), tree=tree, heap=heap))


@pytest.mark.parametrize("modern", [False, True])
def test_object_headers_go_on_elsewhere(modern: bool) -> None:  # noqa: FBT001 - both generations
    """Messages in a continuation block are read, and a loop of them ends."""
    writer = Writer(modern=modern)
    more = link("x", external_target("o.h5", "/x"), kind=64)
    block = b"OCHK" + new_messages(more) + bytes(4) if modern else more
    place = u(writer.put(block)) + u(len(block))
    assert "MS-HDF-001" in ids(writer.finish(writer.header(message(0x10, place))))
    writer = Writer(modern=modern)
    start = len(writer.data)
    place = u(start) + u(64) if modern else u(start + 16) + u(24)
    assert not safe(writer.finish(writer.header(message(0x10, place))))
    assert not safe(single(message(0x10, u(NOWHERE) + u(8)), modern=modern))


def test_trees_that_meet_themselves_end() -> None:
    """B-trees of both generations read a node once."""
    writer = Writer()
    heap = writer.local_heap(bytes(8))
    tree = len(writer.data) + -len(writer.data) % 8
    writer.put(old_tree(0, [(bytes(8), tree)], level=1) + bytes(8))
    assert "MS-HDF-011" in ids(writer.finish(writer.header(message(0x11, u(tree) + u(heap)))))
    writer = Writer(modern=True)
    node = len(writer.data)
    writer.put(padded(b"BTIN\0\5" + bytes(11) + (u(node) + u(1, 1)) * 2, 512))
    head = writer.put(tree_head(5, node, (512, 11, 1, 1)))
    table = writer.put(fractal_heap(NOWHERE, 0, id_length=7))
    info = message(2, b"\0\0" + u(table) + u(head))
    assert "MS-HDF-011" in ids(writer.finish(writer.header(info)))


def test_trees_of_two_levels_are_read() -> None:
    """Records of inner nodes and of leaves all count."""
    writer = Writer(modern=True)
    target = external_target("o.h5", "/x")
    links = [link_body("a", writer.header()), link_body("x", target, kind=64)]
    block = b"FHDB\0" + bytes(12)
    ids_ = []
    for stored in links:
        ids_.append(bytes(4) + b"\0" + u(len(block), 4) + u(len(stored), 2))
        block += stored
    heap = writer.put(fractal_heap(writer.put(padded(block, 512)), 0, id_length=7))
    for inner, outer in (ids_, ids_[::-1]):
        grown = Writer(modern=True, data=bytearray(writer.data))
        grown.data = bytearray(writer.data)
        leaves = [grown.put(padded(b"BTLF\0\5" + one, 512)) for one in (outer, outer)]
        children = b"".join(u(leaf) + u(1, 1) for leaf in leaves)
        node = grown.put(padded(b"BTIN\0\5" + inner + children, 512))
        head = grown.put(tree_head(5, node, (512, 11, 1, 1)))
        info = message(2, b"\0\0" + u(heap) + u(head))
        assert "MS-HDF-001" in ids(grown.finish(grown.header(info)))


def test_links_by_order_of_creation_count_too() -> None:
    """A link that only the second index names is found."""
    writer = Writer(modern=True)
    heap, index = writer.dense(5, [link_body("x", external_target("o.h5", "/"), 64)], id_length=7)
    del index
    record = (
        bytes(8) + b"\0" + u(17, 4) + u(len(link_body("x", external_target("o.h5", "/"), 64)), 2)
    )
    order = writer.modern_tree(6, [record])
    info = message(2, b"\0\2" + u(heap) + u(NOWHERE) + u(order))
    assert "MS-HDF-001" in ids(writer.finish(writer.header(info)))


def _heap_with(identity: bytes, block: bytes, **measures: int) -> bytes:
    """Return a file with one densely stored attribute of this heap ID."""
    writer = Writer(modern=True)
    heap = writer.put(fractal_heap(writer.put(block), measures.pop("rows", 0), **measures))
    index = writer.modern_tree(8, [identity.ljust(8, b"\0") + bytes(9)])
    return writer.finish(writer.header(message(0x15, b"\0\0" + u(heap) + u(index))))


def test_heap_identities_of_every_kind() -> None:
    """Huge objects are looked up, tiny ones are in the identity; others are not understood."""
    text = json.dumps(LAMBDA).encode()
    body = attribute_body("model_config", string(len(text)), dataspace(), text, 3)
    writer = Writer(modern=True)
    record = u(writer.put(body)) + u(len(body)) + u(1)
    huge = writer.modern_tree(1, [record])
    heap = writer.put(fractal_heap(NOWHERE, 0, huge=huge))
    for number, found in ((1, "MS-KER-001"), (2, "MS-HDF-011")):
        grown = Writer(modern=True)
        grown.data = bytearray(writer.data)
        index = grown.modern_tree(8, [b"\x10" + u(number, 7) + bytes(9)])
        info = message(0x15, b"\0\0" + u(heap) + u(index))
        assert found in ids(grown.finish(grown.header(info)))
    empty = padded(b"FHDB\0", 512)
    assert "MS-HDF-011" in ids(_heap_with(b"\x10\1", empty))  # no huge objects
    assert "MS-HDF-011" in ids(_heap_with(b"\x20\1", empty))  # too short for an attribute
    assert "MS-HDF-011" in ids(_heap_with(b"\x30\1", empty))  # no such kind
    assert "MS-HDF-011" in ids(_heap_with(b"\x40\1", empty))  # no such version
    assert "MS-HDF-011" in ids(_heap_with(b"\0" + u(900, 4) + u(9, 2), empty))  # in no block
    assert "MS-HDF-011" in ids(_heap_with(b"\0", empty, filters=4))
    assert "MS-HDF-011" in ids(_heap_with(b"\0", empty, start=500))
    assert not safe(_heap_with(b"\0", empty, width=1 << 15))


def test_huge_objects_in_long_identities() -> None:
    """An identity of 17 bytes holds the place itself; one beyond 18 has longer tiny objects."""
    text = json.dumps(LAMBDA).encode()
    body = attribute_body("model_config", string(len(text)), dataspace(), text, 3)
    writer = Writer(modern=True)
    place = writer.put(body)
    heap = writer.put(fractal_heap(NOWHERE, 0, id_length=17))
    stored = hdf5_heap(bytes(writer.data), heap).object(b"\x10" + u(place) + u(len(body)))
    assert stored == body
    heap = writer.put(fractal_heap(NOWHERE, 0, id_length=40))
    assert hdf5_heap(bytes(writer.data), heap).object(b"\x20\3tiny") == b"tiny"


def hdf5_heap(data: bytes, address: int) -> FractalHeap:
    space = Space(BytesSource(data), Budget(Limits()), 0, len(data), 8, 8)
    return FractalHeap(space, address)


def test_heaps_of_several_blocks() -> None:
    """Tables of blocks are followed, those of tables too; loops are refused."""
    text = json.dumps(LAMBDA).encode()
    body = attribute_body("model_config", string(len(text)), dataspace(), text, 3)
    writer = Writer(modern=True)
    blocks = [writer.put((b"FHDB\0" + bytes(12)).ljust(512, b"\0")) for _ in range(3)]
    blocks.append(writer.put((b"FHDB\0" + bytes(12) + body).ljust(512, b"\0")))
    root = writer.put(b"FHIB\0" + bytes(12) + b"".join(u(block) for block in blocks) + bytes(4))
    heap = writer.put(fractal_heap(root, 1))
    index = writer.modern_tree(8, [b"\0" + u(3 * 512 + 17, 4) + u(len(body), 2) + bytes(10)])
    info = message(0x15, b"\0\0" + u(heap) + u(index))
    assert "MS-KER-001" in ids(writer.finish(writer.header(info)))
    # With direct blocks up to 2048 bytes, the fifth row is of tables.
    before = 4 * (512 + 512 + 1024 + 2048)
    inner = writer.put(b"FHIB\0" + bytes(12) + u(blocks[3]) + UNDEFINED * 7 + bytes(4))
    outer = b"FHIB\0" + bytes(12) + UNDEFINED * 16 + u(inner) + UNDEFINED * 3 + bytes(4)
    heap = writer.put(fractal_heap(writer.put(outer), 5, largest=2048))
    stored = hdf5_heap(bytes(writer.data), heap)
    assert stored.object(b"\0" + u(before + 17, 4) + u(len(body), 2) + b"\0") == body
    loop = len(writer.data) + -len(writer.data) % 8
    writer.put(b"FHIB\0" + bytes(12) + UNDEFINED * 16 + u(loop) * 4 + bytes(4))
    heap = writer.put(fractal_heap(loop, 5, largest=2048))
    with pytest.raises(MalformedArtifactError):
        hdf5_heap(bytes(writer.data), heap)


def test_global_heaps_are_bounded() -> None:
    """Objects have to lie in their collection and to exist."""
    for value in (u(4, 4) + u(96) + u(9, 4), u(4, 4) + u(1 << 40) + u(1, 4)):
        assert "MS-HDF-011" in ids(single(attribute("a", LONG_STRING, dataspace(), value)))
    writer = Writer()
    heap = writer.put(b"GCOL\1" + bytes(3) + u(64) + u(1, 2) + bytes(6) + u(1 << 62) + bytes(32))
    value = u(4, 4) + u(heap) + u(1, 4)
    found = ids(writer.finish(writer.header(attribute("a", LONG_STRING, dataspace(), value))))
    assert "MS-HDF-011" in found
    assert safe(single(attribute("a", LONG_STRING, dataspace(), bytes(16))))


def test_names_have_to_lie_in_their_heap() -> None:
    """A symbol table whose names lie elsewhere is incomplete."""
    writer = Writer()
    heap = writer.local_heap(bytes(8))
    leaf = writer.put(b"SNOD\1\0" + u(1, 2) + u(500) + u(96) + bytes(24))
    tree = writer.put(old_tree(0, [(bytes(8), leaf)]))
    assert "MS-HDF-011" in ids(writer.finish(writer.header(message(0x11, u(tree) + u(heap)))))


@pytest.mark.parametrize(
    "data",
    [
        b"\x89HDF\r\n\x1a\n",
        b"\x89HDF\r\n\x1a\n" + bytes(200),
        b"\x89HDF\r\n\x1a\n\x09" + bytes(200),
        single()[:-8],
        Writer().finish(NOWHERE),
        Writer().finish(1 << 62),
        Writer(modern=True).finish(96),
    ],
)
def test_broken_superblocks_are_incomplete(data: bytes) -> None:
    """No size, no root, an unknown version or a cut file: nothing is claimed to be understood."""
    assert judged(data).coverage is Coverage.INCOMPLETE


def test_too_many_objects_hit_the_budget() -> None:
    """The number of objects is limited."""
    writer = Writer(modern=True)
    links = [link(f"x{number}", writer.header()) for number in range(40)]
    data = writer.finish(writer.header(*links))
    assert safe(data)
    report = scan(data, policy=POLICY, limits=Limits(members=20))
    assert report.coverage is Coverage.INCOMPLETE


def test_objects_without_dense_storage_yet() -> None:
    """A message that leads to no heap, or to an empty index, is an object with few links."""
    nowhere = b"\0\0" + UNDEFINED + UNDEFINED
    assert safe(single(message(0x02, nowhere), message(0x15, nowhere), modern=True))
    writer = Writer(modern=True)
    heap = writer.put(fractal_heap(NOWHERE, 0))
    index = u(writer.put(tree_head(8, NOWHERE, (512, 17, 0, 0))))
    assert safe(writer.finish(writer.header(message(0x15, b"\0\0" + u(heap) + index))))


def _dense_attributes(records: list[bytes], *, second: bool = False) -> bytes:
    writer = Writer(modern=True)
    body = attribute_body("a", string(1), dataspace(), b"x", 3)
    heap, _ = writer.dense(8, [body])
    index = u(writer.modern_tree(8, records))
    info = bytes([0, 2 if second else 0]) + u(heap) + index + (index if second else b"")
    return writer.finish(writer.header(message(0x15, info)))


def test_attributes_in_two_indexes_are_read_once() -> None:
    """Both indexes name the same attribute; one in a shared heap is not read."""
    body = attribute_body("a", string(1), dataspace(), b"x", 3)
    identity = b"\0" + u(17, 4) + u(len(body), 2) + b"\0"
    assert safe(_dense_attributes([identity + bytes(9)], second=True))
    assert "MS-HDF-011" in ids(_dense_attributes([identity + b"\2" + bytes(8)]))


@pytest.mark.parametrize(
    ("head", "leaf"),
    [
        (tree_head(8, 48, (512, 17, 99, 1)), b"BTLF\0\x08"),  # too deep
        (tree_head(8, 48, (512, 0, 0, 1)), b"BTLF\0\x08"),  # records of nothing
        (tree_head(8, 48, (20, 17, 0, 1)), b"BTLF\0\x08"),  # nodes without room
        (tree_head(8, 48, (512, 17, 0, 1)), b"BTLF\0\x05"),  # another tree's
        (tree_head(8, 48, (512, 17, 0, 1)), b"BTLF\7\x08"),  # another version
        (tree_head(8, 48, (512, 17, 0, 99)), b"BTLF\0\x08"),  # more records than room
        (tree_head(8, 48, (512, 17, 1, 1)), b"BTIN\0\x08" + bytes(17) + UNDEFINED * 4),
    ],
)
def test_trees_that_contradict_themselves_are_incomplete(head: bytes, leaf: bytes) -> None:
    """Measures and nodes that cannot be."""
    writer = Writer(modern=True)
    writer.put(leaf.ljust(512, b"\0"))
    heap = writer.put(fractal_heap(NOWHERE, 0))
    index = writer.put(head)
    data = writer.finish(writer.header(message(0x15, b"\0\0" + u(heap) + u(index))))
    assert "MS-HDF-011" in ids(data)


def test_huge_objects_of_other_kinds_are_incomplete() -> None:
    """An index of filtered objects, and an object that is nowhere."""
    for record, kind in ((bytes(24), 2), (UNDEFINED + u(8) + u(1), 1)):
        writer = Writer(modern=True)
        heap = writer.put(fractal_heap(NOWHERE, 0, huge=writer.modern_tree(kind, [record])))
        index = writer.modern_tree(8, [b"\x10" + u(1, 7) + bytes(9)])
        info = message(0x15, b"\0\0" + u(heap) + u(index))
        assert "MS-HDF-011" in ids(writer.finish(writer.header(info)))


@pytest.mark.parametrize(
    ("leaf", "data"),
    [
        (NOWHERE, 0),  # the tree leads nowhere
        (0, NOWHERE),  # the heap has no data
        (1, 0),  # a link without a name
    ],
)
def test_symbol_tables_that_lead_nowhere_are_incomplete(leaf: int, data: int) -> None:
    """Undefined addresses where an address has to be."""
    writer = Writer()
    heap = writer.local_heap(bytes(8))
    if data:
        heap = writer.put(b"HEAP" + bytes(4) + u(8) + u(1) + u(data))
    if leaf != NOWHERE:
        leaf = writer.put(b"SNOD\1\0" + u(leaf, 2) + UNDEFINED * 2 + bytes(24))
    tree = writer.put(old_tree(0, [(bytes(8), leaf)]))
    table = message(0x11, u(tree) + u(heap))
    assert "MS-HDF-011" in ids(writer.finish(writer.header(table)))


def test_texts_without_end_are_incomplete() -> None:
    """A virtual dataset whose names never end."""
    writer = Writer(modern=True)
    block = writer.global_heap(b"\0" + u(1) + b"endless")
    layout = bytes([4, 3]) + u(block) + u(1, 4)
    assert "MS-HDF-011" in ids(with_dataset(writer, *dataset(FLOAT, (1,), layout)))


def test_layouts_without_a_type_are_not_measured() -> None:
    """Values of no type in ranges that exist are nothing; in ranges that do not, they are."""
    writer = Writer()
    layout = message(0x08, contiguous(writer.put(bytes(8)), 8))
    assert safe(with_dataset(writer, layout))
