import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, Limits, Verdict
from modelsec.scanning.formats import hdf5
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import NotThisFormat, Part
from modelsec.scanning.source import BytesSource
from tests.scanning.support.hdf5_judged import (
    MODEL,
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
    REFERENCE,
    REGION,
    Writer,
    array,
    attribute,
    compact,
    compound,
    contiguous,
    dataset,
    dataspace,
    everything,
    external_target,
    filters,
    link,
    link_body,
    message,
    old_tree,
    padded,
    sequence,
    text_attribute,
    u,
)

# Honest files


@pytest.mark.parametrize("modern", [False, True])
def test_an_empty_file_is_data(modern: bool) -> None:  # noqa: FBT001 - both generations
    """A root group without anything is data only, in both generations of the format."""
    report = judged(single(modern=modern))
    assert (report.verdict, report.coverage) == (Verdict.DATA_ONLY, Coverage.COMPLETE)
    assert report.format == "hdf5"


def test_links_of_every_encoding_are_followed() -> None:
    """Symbol tables, plain and dense links all lead to objects that are read."""
    for build in (_old, _plain, _dense):
        assert safe(build([message(0x0A, b"\0")])), build.__name__
        assert "MS-HDF-011" in ids(build([message(0x30, b"?")])), build.__name__


def _old(messages: list[bytes]) -> bytes:
    writer = Writer()
    return writer.finish(writer.header(writer.old_group({"x": writer.header(*messages)})))


def _plain(messages: list[bytes]) -> bytes:
    writer = Writer(modern=True)
    return writer.finish(writer.header(link("x", writer.header(*messages))))


def _dense(messages: list[bytes]) -> bytes:
    writer = Writer(modern=True)
    child = writer.header(*messages)
    return _dense_links(writer, [link_body("a", child), link_body("x", child)])


def _dense_links(writer: Writer, links: list[bytes]) -> bytes:
    heap, index = writer.dense(5, links, id_length=7)
    return writer.finish(writer.header(message(2, b"\0\0" + u(heap) + u(index))))


def test_a_cycle_of_hard_links_is_legal() -> None:
    """A group that contains itself is read once."""
    writer = Writer(modern=True)
    root = writer.header(link("self", len(writer.data)))
    assert safe(writer.finish(root))


def test_datasets_in_one_piece_and_in_the_header_are_data() -> None:
    """Contiguous and compact values of the promised size are numbers."""
    writer = Writer()
    values = writer.put(bytes(40))
    assert safe(with_dataset(writer, *dataset(FLOAT, (10,), contiguous(values, 40))))
    assert safe(with_dataset(Writer(), *dataset(FLOAT, (2,), compact(bytes(8)))))
    assert safe(with_dataset(Writer(), *dataset(FLOAT, (2, 3), contiguous(NOWHERE, 0))))


def test_layouts_of_the_first_versions_are_read() -> None:
    """Versions 1 and 2 of the layout say the shape, not the size."""
    writer = Writer()
    values = writer.put(bytes(40))
    old = bytes([1, 1, 1]) + bytes(5) + u(values) + u(10, 4)
    assert safe(with_dataset(writer, *dataset(FLOAT, (10,), old)))
    inline = bytes([2, 1, 0]) + bytes(5) + u(2, 4) + u(8, 4) + bytes(8)
    assert safe(with_dataset(Writer(), *dataset(FLOAT, (2,), inline)))
    chunked = bytes([2, 2, 2]) + bytes(5) + u(NOWHERE) + u(2, 4) + u(4, 4)
    assert safe(with_dataset(Writer(), *dataset(FLOAT, (2,), chunked)))


def test_the_user_block_is_scanned_as_anything() -> None:
    """Bytes before the signature belong to no structure, and zeros there are padding."""
    assert not safe(_user_block(b"\x7fELF".ljust(512, b"\1")))
    assert _user_block(bytes(512))[512:520] == b"\x89HDF\r\n\x1a\n"
    assert judged(_user_block(bytes(512))).coverage is Coverage.COMPLETE


def _user_block(block: bytes) -> bytes:
    writer = Writer(user_block=block)
    return writer.finish(writer.header())


def test_bytes_behind_the_end_are_left_to_the_engine() -> None:
    """What follows the end-of-file address is unclaimed; a few line ends are a note."""
    assert "MS-COV-005" in ids(single() + b"something")
    assert safe(single() + b"\n" * 6)
    assert "MS-HDF-016" in ids(single() + b"\n" * 6)


def test_committed_datatypes_are_followed() -> None:
    """A dataset may share the datatype of another object, which is read as well."""
    writer = Writer()
    values = writer.put(bytes(8))
    shared = bytes([2, 0]) + u(writer.header(message(3, FLOAT), text_attribute("note", b"typed")))
    messages = dataset(FLOAT, (2,), contiguous(values, 8))
    messages[1] = message(3, shared, flags=2)
    assert safe(with_dataset(writer, *messages))
    messages[1] = message(3, bytes([3, 1]) + bytes(8), flags=2)
    assert "MS-HDF-011" in ids(with_dataset(Writer(), *messages))
    messages[1] = message(3, bytes([2, 0]) + u(NOWHERE), flags=2)
    assert "MS-HDF-011" in ids(with_dataset(Writer(), *messages))
    writer = Writer()
    messages[1] = message(3, bytes([1, 0]) + bytes(6) + u(writer.header()), flags=2)
    assert "MS-HDF-011" in ids(with_dataset(writer, *messages))


# Other files


@pytest.mark.parametrize("place", ["plain", "dense"])
def test_external_links_are_dangerous(place: str) -> None:
    """A link into another file is found wherever links are kept."""
    target = external_target("../other.h5", "/x")
    if place == "plain":
        data = single(link("x", target, kind=64))
    else:
        data = _dense_links(Writer(modern=True), [link_body("x", target, kind=64)])
    report = judged(data)
    assert report.verdict is Verdict.DANGEROUS
    found = next(finding for finding in report.findings if finding.id == "MS-HDF-001")
    assert (found.subject, found.evidence) == ("../other.h5", "/x")


def test_external_storage_is_dangerous() -> None:
    """Values in another file are found with the file's name."""
    found = judged(_external_storage(Writer())).findings[0]
    assert (found.id, found.subject) == ("MS-HDF-002", "/nowhere/values.bin")


def _external_storage(writer: Writer, *, linked: bool = True, data: bytes = b"") -> bytes:
    heap = writer.local_heap(padded(b"/nowhere/values.bin\0"))
    listed = bytes([1, 0, 0, 0]) + u(1, 2) + u(1, 2) + u(heap) + bytes(16) + u(40)
    values = writer.header(*dataset(FLOAT, (10,), contiguous(NOWHERE, 0), message(7, listed)))
    if linked:
        return writer.finish(writer.header(link("d", values)))
    refer = attribute("refers", REFERENCE, dataspace(), u(values))
    return writer.finish(writer.header(refer, *([data] if data else [])))


@pytest.mark.parametrize("first", [0x01, 0x03, 0x08, 0x0B])
def test_a_second_description_is_incomplete(first: int) -> None:
    """Readers differ on which of two shapes, types, places or pipelines counts."""
    messages = [*dataset(FLOAT, (1,), compact(bytes(4))), filters(3)]
    again = next(one for one in messages if one[0] == first)
    assert safe(with_dataset(Writer(), *messages))
    assert "MS-HDF-011" in ids(with_dataset(Writer(), *messages, again))


def test_an_empty_list_of_external_files_is_nothing() -> None:
    """A list without slots names no file."""
    listed = bytes([1, 0, 0, 0]) + u(0, 2) + u(0, 2) + u(NOWHERE)
    messages = dataset(FLOAT, (1,), contiguous(NOWHERE, 0), message(7, listed))
    assert safe(with_dataset(Writer(), *messages))
    nameless = bytes([1, 0, 0, 0]) + u(1, 2) + u(1, 2) + u(NOWHERE)
    messages[-1] = message(7, nameless)
    assert "MS-HDF-011" in ids(with_dataset(Writer(), *messages))


def test_objects_that_only_a_reference_names_are_read() -> None:
    """An unlinked dataset is reached through references in attributes and in datasets."""
    assert "MS-HDF-002" in ids(_external_storage(Writer(), linked=False))
    for datatype, wrap in (
        (REFERENCE, lambda target, _: u(target)),
        (
            compound(12, ("n", 0, FLOAT), ("r", 4, REFERENCE)),
            lambda target, _: bytes(4) + u(target),
        ),
        (array(REFERENCE, 8, 1), lambda target, _: u(target)),
        (REGION, lambda target, w: u(w.global_heap(u(target) + bytes(8))) + u(1, 4)),
        (
            sequence(REFERENCE),
            lambda target, w: u(1, 4) + u(w.global_heap(u(target))) + u(1, 4),
        ),
    ):
        for inline in (False, True):
            writer = Writer()
            target = writer.header(link("x", external_target("o.h5", "/x"), kind=64))
            value = wrap(target, writer)
            layout = compact(value) if inline else contiguous(writer.put(value), len(value))
            data = with_dataset(writer, *dataset(datatype, (1,), layout))
            assert "MS-HDF-001" in ids(data)


def test_references_that_cannot_be_followed_are_said() -> None:
    """Compressed references and references of later kinds make the result incomplete."""
    writer = Writer(modern=True)
    tree = writer.modern_tree(11, [u(writer.put(bytes(8))) + u(8, 2) + bytes(4) + bytes(8)])
    layout = bytes([4, 2, 0, 2, 4]) + u(1, 4) + u(8, 4) + bytes([5]) + bytes(6) + u(tree)
    messages = dataset(REFERENCE, (1,), layout, filters(1))
    assert "MS-HDF-011" in ids(with_dataset(writer, *messages))
    later = bytes([0x17, 2, 0, 0]) + u(16, 4)
    assert "MS-HDF-011" in ids(with_dataset(Writer(), *dataset(later, (1,), compact(b"\1" * 16))))
    assert safe(with_dataset(Writer(), *dataset(later, (1,), compact(bytes(16)))))
    assert safe(with_dataset(Writer(), *dataset(REGION, (1,), compact(bytes(12)))))


def _virtual(entries: list[bytes], version: int = 0) -> bytes:
    writer = Writer(modern=True)
    block = bytes([version]) + u(len(entries)) + b"".join(entries) + bytes(4)
    layout = bytes([4, 3]) + u(writer.global_heap(block)) + u(1, 4)
    return with_dataset(writer, *dataset(FLOAT, (1,), layout))


def test_virtual_datasets_over_other_files_are_dangerous() -> None:
    """Each mapping of a virtual dataset is read, whatever it selects; the file itself is fine."""
    blocks = u(2, 4) + u(1, 4) + bytes(8) + u(1, 4) + u(1, 4) + bytes(8)
    regular = u(2, 4) + u(2, 4) + b"\1" + bytes(4) + u(1, 4) + bytes(32)
    packed = u(2, 4) + u(3, 4) + b"\1\2" + u(1, 4) + bytes(8)
    listed = u(2, 4) + u(3, 4) + b"\0\2" + u(1, 4) + u(1, 2) + bytes(4)
    points = u(1, 4) + u(1, 4) + bytes(8) + u(1, 4) + u(1, 4) + bytes(4)
    later = u(1, 4) + u(2, 4) + b"\2" + u(1, 4) + u(1, 2) + bytes(2)
    kinds = [everything(), everything(0), blocks, regular, packed, listed, points, later]
    here = [b".\0x\0" + one + one for one in kinds]
    assert safe(_virtual(here))
    assert "MS-HDF-003" in ids(_virtual([*here, b"o.h5\0x\0" + everything() * 2]))
    assert "MS-HDF-011" in ids(_virtual([b".\0x\0" + u(9, 4) + bytes(12)]))


def test_virtual_datasets_of_the_second_version_are_read() -> None:
    """Flags say which names are shared with an earlier mapping."""
    both = everything() * 2
    assert safe(_virtual([b"\4x\0" + both, b"\6" + u(0) + both], version=1))
    other = _virtual([b"\0o.h5\0x\0" + both, b"\3" + u(0) + u(0) + both], version=1)
    assert "MS-HDF-003" in ids(other)
    assert "MS-HDF-011" in ids(_virtual([b"\x08x\0" + both], version=1))


def test_a_virtual_dataset_without_mappings_is_data() -> None:
    """Nothing is described, nothing is named."""
    layout = bytes([4, 3]) + bytes(8) + u(0, 4)
    assert safe(with_dataset(Writer(), *dataset(FLOAT, (1,), layout)))


def test_soft_links_stay_in_the_file() -> None:
    """A path in the file is data; what looks like a way out is not."""
    assert safe(single(link("x", b"/a/b", kind=1)))
    assert "MS-HDF-008" in ids(single(link("x", b"../../secret", kind=1)))
    writer = Writer()
    data = writer.finish(writer.header(writer.old_group({}, {"s": "file://host/x"})))
    assert "MS-HDF-008" in ids(data)


def test_links_of_user_defined_kinds_are_unknown() -> None:
    """Only the program that registered a kind knows what it does."""
    report = judged(single(link("x", b"whatever", kind=99)))
    assert (report.verdict, report.coverage) == (Verdict.UNKNOWN, Coverage.INCOMPLETE)


# Sizes


def test_shape_bombs_are_dangerous() -> None:
    """A shape far beyond the stored bytes is found in one piece and in chunks."""
    whole = dataset(FLOAT, (1 << 40,), contiguous(NOWHERE, 0))
    assert "MS-HDF-004" in ids(with_dataset(Writer(), *whole))
    chunked = dataset(FLOAT, (1 << 40,), bytes([3, 2, 2]) + u(NOWHERE) + u(1 << 20, 4) + u(4, 4))
    assert "MS-HDF-004" in ids(with_dataset(Writer(), *chunked))
    square = dataset(FLOAT, (1 << 60, 1 << 60), contiguous(NOWHERE, 0))
    assert "MS-HDF-004" in ids(with_dataset(Writer(), *square))


def test_values_have_to_lie_in_the_file() -> None:
    """Fewer bytes than promised, or bytes beyond the end, are incomplete."""
    for layout in (contiguous(96, 4), contiguous(1 << 40, 40), compact(bytes(4))):
        assert "MS-HDF-011" in ids(with_dataset(Writer(), *dataset(FLOAT, (10,), layout)))


def test_filters_are_known_by_number() -> None:
    """Built-in filters are nothing, registered plug-ins a note, others unknown."""
    plain = dataset(FLOAT, (1,), contiguous(NOWHERE, 0))
    assert ids(with_dataset(Writer(), *plain, filters(1, 2, 3))) == set()
    assert ids(with_dataset(Writer(), *plain, filters(32001))) == {"MS-HDF-006"}
    report = judged(with_dataset(Writer(), *plain, filters(4711)))
    assert (report.verdict, report.coverage) == (Verdict.UNKNOWN, Coverage.INCOMPLETE)
    old = bytes([1, 1]) + bytes(6) + u(1, 2) + u(8, 2) + u(0, 2) + u(1, 2) + b"deflate\0" + bytes(8)
    assert safe(with_dataset(Writer(), *plain, message(0x0B, old)))


# Properties


def _rich() -> bytes:
    writer = Writer()
    text = json.dumps(MODEL).encode()
    value = u(len(text), 4) + u(writer.global_heap(text)) + u(1, 4)
    values = writer.put(bytes(40))
    key = u(16, 4) + bytes(20)
    chunk = writer.put(bytes(16))
    tree = writer.put(old_tree(1, [(key, chunk)]) + key)
    chunks = bytes([3, 2, 2]) + u(tree) + u(4, 4) + u(4, 4)
    items = {
        "a": writer.header(*dataset(FLOAT, (10,), contiguous(values, 40))),
        "b": writer.header(*dataset(FLOAT, (4,), chunks, filters(1))),
        "c": writer.header(link("soft", b"/a", kind=1)),
    }
    config = attribute("model_config", LONG_STRING, dataspace(), value)
    return writer.finish(writer.header(writer.old_group(items), config))


RICH = _rich()


def test_the_file_of_the_properties_is_safe() -> None:
    """Otherwise the properties below would prove nothing."""
    assert safe(RICH)


@given(st.integers(0, len(RICH) - 1))
def test_no_truncation_is_safe(length: int) -> None:
    """A file that was cut anywhere is never safe."""
    assert not safe(RICH[:length])


@given(st.integers(0, len(RICH) - 1), st.binary(min_size=1, max_size=16))
def test_no_mutation_raises(offset: int, replacement: bytes) -> None:
    """Whatever stands in the file, a scan returns a report, and no parser fails."""
    data = RICH[:offset] + replacement + RICH[offset + len(replacement) :]
    assert "MS-COV-004" not in ids(data)


@given(st.integers(0, len(RICH) - 8), st.sampled_from([1 << 63, (1 << 64) - 1, 1 << 31, 0]))
def test_huge_numbers_are_bounded(offset: int, number: int) -> None:
    """Lengths and addresses of any size end in a finding, not in memory."""
    data = RICH[:offset] + u(number) + RICH[offset + 8 :]
    assert "MS-COV-004" not in ids(data)


def test_the_reader_needs_a_signature() -> None:
    """Bytes without a signature are not of this format."""
    part = Part(BytesSource(bytes(600)), "x", POLICY, Budget(Limits()))
    with pytest.raises(NotThisFormat):
        list(hdf5.read(part))
