"""Every index of chunks leads to every chunk: one that lies outside the file is noticed."""

from collections.abc import Callable

import pytest

from modelsec.scanning import Policy, scan
from tests.scanning.support.hdf5_writer import (
    FLOAT,
    NOWHERE,
    Writer,
    dataset,
    filters,
    link,
    new_chunks,
    old_chunks,
    old_tree,
    padded,
    u,
)

POLICY = Policy.load("core")
OUTSIDE = 1 << 40
SIZE = 16  # bytes of a chunk of four floats


def ids(data: bytes) -> set[str]:
    return {finding.id for finding in scan(data, policy=POLICY).findings}


def file(writer: Writer, layout: bytes, *others: bytes, count: int = 4) -> bytes:
    values = writer.header(*dataset(FLOAT, (4 * count,), layout, *others))
    return writer.finish(writer.header(link("d", values)))


def check(build: Callable[[Writer, int], bytes]) -> None:
    """Assert that a chunk inside the file is fine, and that one outside is noticed."""
    writer = Writer(modern=True)
    assert ids(build(writer, writer.put(bytes(SIZE)))) == set()
    assert ids(build(Writer(modern=True), OUTSIDE)) == {"MS-HDF-011"}


def test_old_trees() -> None:
    """A version 1 B-tree, of one level and of two."""
    key = u(SIZE, 4) + bytes(20)

    def flat(writer: Writer, chunk: int) -> bytes:
        tree = writer.put(old_tree(1, [(key, chunk), (key, NOWHERE)]) + key)
        return file(writer, old_chunks(tree, 4, 4))

    def deep(writer: Writer, chunk: int) -> bytes:
        leaf = writer.put(old_tree(1, [(key, chunk)]) + key)
        tree = writer.put(old_tree(1, [(key, leaf)], level=1) + key)
        return file(writer, old_chunks(tree, 4, 4))

    check(flat)
    check(deep)


def test_a_tree_of_another_kind_is_refused() -> None:
    """A group's node is no node of chunks."""
    writer = Writer(modern=True)
    tree = writer.put(old_tree(0, []) + bytes(24))
    assert "MS-HDF-011" in ids(file(writer, old_chunks(tree, 4, 4)))


def test_single_chunks() -> None:
    """The layout names the only chunk, filtered or not."""
    check(lambda w, chunk: file(w, new_chunks(1, chunk, (4, 4)), count=1))
    sized = u(SIZE) + bytes(4)
    check(lambda w, chunk: file(w, new_chunks(1, chunk, (4, 4), sized), filters(1), count=1))


def test_implicit_chunks() -> None:
    """All chunks follow one another."""
    check(lambda w, chunk: file(w, new_chunks(2, chunk, (4, 4)), count=1))


def test_trees_of_the_second_generation() -> None:
    """Records hold the address, and the size where filters make it vary."""
    check(lambda w, c: file(w, new_chunks(5, w.modern_tree(10, [u(c) + u(0)]), (4, 4), bytes(6))))
    check(
        lambda w, chunk: file(
            w,
            new_chunks(5, w.modern_tree(11, [u(chunk) + u(SIZE, 2) + bytes(12)]), (4, 4), bytes(6)),
            filters(1),
        )
    )


def fixed(writer: Writer, elements: bytes, *, size: int = 8, bits: int = 10, count: int = 4) -> int:
    data = writer.put(b"FADB\0" + bytes(9) + elements)
    kind = int(size > 8)
    return writer.put(b"FAHD\0" + bytes([kind, size, bits]) + u(count) + u(data) + bytes(4))


def test_fixed_arrays() -> None:
    """Elements of a fixed array, plain, filtered and in pages."""

    def plain(writer: Writer, chunk: int) -> bytes:
        array = fixed(writer, u(NOWHERE) + u(chunk) + u(NOWHERE) * 2 + bytes(4))
        return file(writer, new_chunks(3, array, (4, 4), b"\x0a"))

    def filtered(writer: Writer, chunk: int) -> bytes:
        element = u(chunk) + u(SIZE, 2) + bytes(4)
        array = fixed(writer, element + padded(u(NOWHERE), 14), size=14, count=2)
        return file(writer, new_chunks(3, array, (4, 4), b"\x0a"), filters(1))

    def paged(writer: Writer, chunk: int) -> bytes:
        # Three pages of two; the second does not exist, and the last has one element.
        pages = u(NOWHERE) * 2 + bytes(4) + u(OUTSIDE) * 2 + bytes(4) + u(chunk) + bytes(4)
        array = fixed(writer, b"\xa0" + bytes(4) + pages, bits=1, count=5)
        return file(writer, new_chunks(3, array, (4, 4), b"\1"))

    for build in (plain, filtered, paged):
        check(build)


def test_arrays_without_blocks_have_no_chunks() -> None:
    """A header that leads nowhere is an array that nobody wrote to."""
    writer = Writer(modern=True)
    head = b"FAHD\0" + bytes([0, 8, 10]) + u(4) + u(NOWHERE) + bytes(4)
    assert ids(file(writer, new_chunks(3, writer.put(head), (4, 4), b"\x0a"))) == set()
    writer = Writer(modern=True)
    head = b"EAHD\0" + bytes([0, 8, 32, 4, 16, 4, 10]) + bytes(48) + u(NOWHERE) + bytes(4)
    assert ids(file(writer, new_chunks(4, writer.put(head), (4, 4), bytes(5)))) == set()


@pytest.mark.parametrize("count", [1 << 20, 1 << 62])
def test_counts_beyond_the_file_are_refused(count: int) -> None:
    """More elements than the file has bytes for."""
    writer = Writer(modern=True)
    array = fixed(writer, bytes(64), count=count)
    assert "MS-HDF-011" in ids(file(writer, new_chunks(3, array, (4, 4), b"\x0a")))


def test_pages_of_impossible_length_are_refused() -> None:
    """Pages of 2**200 elements."""
    writer = Writer(modern=True)
    array = fixed(writer, bytes(64), bits=200)
    assert "MS-HDF-011" in ids(file(writer, new_chunks(3, array, (4, 4), b"\xc8")))


PREFIX = bytes(10)  # version, client and the address of the header, behind the signature


def extensible(  # noqa: PLR0913 - the measures of the format
    writer: Writer,
    inline: bytes,
    blocks: list[int],
    supers: list[int],
    *,
    page: int = 10,
    measures: tuple[int, int, int] = (4, 1, 2),
) -> int:
    """Write an array: 4 bits of elements, one in the index block, blocks of one or more.

    With one element per block at least and two pointers per super block at least, the index block
    names the two data blocks of the first two super blocks, and the three further super blocks.
    """
    bits, least, pointers = measures
    addresses = b"".join(u(place) for place in (*blocks, *supers))
    start = writer.put(b"EAIB" + PREFIX + inline + addresses + bytes(4))
    head = b"EAHD\0" + bytes([0, 8, bits, len(inline) // 8, least, pointers, page])
    return writer.put(head + bytes(48) + u(start) + bytes(4))


def data_block(writer: Writer, elements: bytes) -> int:
    return writer.put(b"EADB" + PREFIX + b"\0" + elements)


def super_block(writer: Writer, blocks: list[int], bitmaps: bytes = b"") -> int:
    return writer.put(b"EASB" + PREFIX + b"\0" + bitmaps + b"".join(u(one) for one in blocks))


def test_extensible_arrays() -> None:
    """Elements in the index block, in data blocks, in those of super blocks, and in pages."""
    no = u(NOWHERE)

    def layout(writer: Writer, array: int) -> bytes:
        return file(writer, new_chunks(4, array, (4, 4), bytes(5)))

    def inline(writer: Writer, chunk: int) -> bytes:
        return layout(writer, extensible(writer, u(chunk), [NOWHERE] * 2, [NOWHERE] * 3))

    def block(writer: Writer, chunk: int) -> bytes:
        one = data_block(writer, no + u(chunk) + bytes(4))
        return layout(writer, extensible(writer, no, [NOWHERE, one], [NOWHERE] * 3))

    def super_(writer: Writer, chunk: int) -> bytes:
        # Super block 2 has two blocks of two elements.
        one = data_block(writer, no + u(chunk) + bytes(4))
        outer = super_block(writer, [NOWHERE, one])
        return layout(writer, extensible(writer, no, [NOWHERE] * 2, [outer, NOWHERE, NOWHERE]))

    def paged(writer: Writer, chunk: int) -> bytes:
        # Pages of one element: blocks of two elements have two of them, and a bitmap each.
        one = data_block(writer, bytes(4) + u(OUTSIDE) + bytes(4) + u(chunk) + bytes(4))
        outer = super_block(writer, [NOWHERE, one], bitmaps=b"\0\x40")
        array = extensible(writer, no, [NOWHERE] * 2, [outer, NOWHERE, NOWHERE], page=0)
        return layout(writer, array)

    for build in (inline, block, super_, paged):
        check(build)


def test_extensible_arrays_that_make_no_sense() -> None:
    """Measures that are no powers of two, and pages whose bitmap nobody has."""
    for measures in ((4, 3, 2), (4, 1, 0), (99, 1, 2)):
        writer = Writer(modern=True)
        array = extensible(writer, u(NOWHERE), [NOWHERE] * 2, [NOWHERE] * 3, measures=measures)
        assert "MS-HDF-011" in ids(file(writer, new_chunks(4, array, (4, 4), bytes(5))))
    writer = Writer(modern=True)
    one = data_block(writer, bytes(64))
    array = extensible(writer, u(NOWHERE), [NOWHERE, one], [NOWHERE] * 3, page=0)
    assert "MS-HDF-011" in ids(file(writer, new_chunks(4, array, (4, 4), bytes(5))))


def test_unknown_indexes_and_layouts_are_incomplete() -> None:
    """A sixth index, a fifth class of layout, and a rank that no dataset has."""
    for layout in (
        new_chunks(6, NOWHERE, (4, 4)),
        bytes([3, 7]) + bytes(16),
        bytes([1, 1, 9]) + bytes(64),
        bytes([3, 2, 99]) + bytes(8),
        bytes([9, 0]) + bytes(8),
    ):
        assert "MS-HDF-011" in ids(file(Writer(modern=True), layout))
