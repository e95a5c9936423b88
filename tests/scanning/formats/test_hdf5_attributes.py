import json

import pytest

from modelsec.scanning import Coverage, Verdict
from tests.scanning.support.hdf5_judged import (
    LAMBDA,
    MODEL,
    ids,
    judged,
    safe,
    single,
    with_dataset,
)
from tests.scanning.support.hdf5_writer import (
    BYTE,
    FLOAT,
    LONG_STRING,
    NOWHERE,
    UNDEFINED,
    Writer,
    array,
    attribute,
    attribute_body,
    compact,
    compound,
    contiguous,
    dataset,
    dataspace,
    filters,
    message,
    sequence,
    string,
    text_attribute,
    u,
)


def test_keras_configurations_are_checked() -> None:
    """model_config is read as text of fixed and of variable length, plain and dense."""
    good, bad = (json.dumps(config).encode() for config in (MODEL, LAMBDA))
    for text, verdict in ((good, Verdict.ALLOW_LISTED), (bad, Verdict.DANGEROUS)):
        for build in (_fixed, _long, _dense_attribute):
            report = judged(build("model_config", text))
            assert (report.verdict, report.format) == (verdict, "keras h5"), build.__name__
    assert judged(_fixed("training_config", bad)).verdict is Verdict.DANGEROUS


def _fixed(name: str, text: bytes) -> bytes:
    return single(text_attribute(name, text))


def _long(name: str, text: bytes) -> bytes:
    writer = Writer()
    value = u(len(text), 4) + u(writer.global_heap(b"first", text)) + u(2, 4)
    return writer.finish(writer.header(attribute(name, LONG_STRING, dataspace(), value)))


def _dense_attribute(name: str, text: bytes) -> bytes:
    writer = Writer(modern=True)
    body = attribute_body(name, string(len(text)), dataspace(), text, version=3)
    heap, index = writer.dense(8, [body])
    return writer.finish(writer.header(message(0x15, b"\0\0" + u(heap) + u(index))))


def test_the_offset_of_a_configuration_is_the_attribute() -> None:
    """Findings about a configuration say where it is stored."""
    data = _fixed("model_config", json.dumps(LAMBDA).encode())
    found = next(f for f in judged(data).findings if f.id == "MS-KER-001")
    assert found.offset is not None
    assert data.index(b"model_config") - 20 < found.offset < data.index(b"model_config")


def test_configurations_that_are_no_text_are_incomplete() -> None:
    """Numbers, broken JSON and repeated keys under a configuration's name are findings."""
    assert "MS-HDF-014" in ids(single(attribute("model_config", FLOAT, dataspace(), bytes(4))))
    assert "MS-HDF-014" in ids(_fixed("model_config", b'{"class_name": '))
    assert "MS-HDF-015" in ids(_fixed("model_config", b'{"a": 1, "a": 2}'))


@pytest.mark.parametrize(
    "pickled",
    [b"cno_such_module_here\nf\n(tR.", b"\x80\x02cno_such_module_here\nf\n)R."],
)
def test_pickled_attributes_are_judged(pickled: bytes) -> None:
    """PyTables unpickles texts that end with a full stop; later protocols have a mark."""
    assert judged(_fixed("TITLE", pickled)).verdict is Verdict.UNKNOWN
    opaque = bytes([0x15, 0, 0, 0]) + u(len(pickled), 4)
    if pickled.startswith(b"\x80"):
        assert not safe(single(attribute("o", opaque, dataspace(), pickled)))
        writer = Writer()
        size = len(pickled)
        layout = contiguous(writer.put(pickled), size)
        assert not safe(with_dataset(writer, *dataset(BYTE, (size,), layout)))
        assert not safe(with_dataset(Writer(), *dataset(BYTE, (size,), compact(pickled))))


def test_sentences_are_no_pickles() -> None:
    """A text that ends with a full stop stays a text."""
    assert safe(_fixed("TITLE", b"The model was trained on digits."))
    assert safe(_long("description", "Übung macht den Meister.".encode()))
    assert safe(_fixed("version", b"0."))


def _object_array(row: bytes, *others: bytes, inline: bool = False) -> bytes:
    writer = Writer()
    value = u(len(row), 4) + u(writer.global_heap(row)) + u(1, 4) + bytes(16)
    layout = compact(value) if inline else contiguous(writer.put(value), 32)
    messages = dataset(sequence(BYTE), (2,), layout, text_attribute("PSEUDOATOM", b"object"))
    return with_dataset(writer, *messages, *others)


@pytest.mark.parametrize("inline", [False, True])
def test_rows_of_object_arrays_are_judged(inline: bool) -> None:  # noqa: FBT001 - both places
    """PSEUDOATOM = object makes PyTables unpickle every row."""
    bad = b"\x80\x02cno_such_module_here\nf\n)R."
    report = judged(_object_array(bad, inline=inline))
    assert report.verdict is Verdict.UNKNOWN
    assert report.findings[0].member == "/d[0]"
    assert safe(_object_array(b"\x80\x02]q\x00.", inline=inline))


def test_rows_that_cannot_be_had_are_unknown() -> None:
    """Compressed rows, and rows of another type, are not judged but reported."""
    assert "MS-HDF-013" in ids(_object_array(b"\x80\x02].", filters(1)))
    mark = text_attribute("PSEUDOATOM", b"object")
    assert "MS-HDF-013" in ids(
        with_dataset(Writer(), *dataset(FLOAT, (1,), compact(bytes(4)), mark))
    )
    inline = dataset(FLOAT, (1,), contiguous(NOWHERE, 0), text_attribute("PSEUDOATOM", b"vlstring"))
    assert safe(with_dataset(Writer(), *inline))


def test_a_name_ends_at_its_first_nul() -> None:
    """To HDF5 these bytes are the name model_config."""
    text = json.dumps(LAMBDA).encode()
    named = attribute("model_config\0really", string(len(text)), dataspace(), text)
    assert judged(single(named)).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("version", [1, 2, 3])
def test_attributes_of_every_version_are_read(version: int) -> None:
    """The three encodings differ in padding and flags."""
    text = json.dumps(LAMBDA).encode()
    body = attribute("model_config", string(len(text)), dataspace(), text, version)
    assert judged(single(body)).verdict is Verdict.DANGEROUS


def test_attributes_may_share_a_datatype() -> None:
    """A flag says that the datatype is that of another object."""
    writer = Writer()
    text = json.dumps(LAMBDA).encode()
    shared = bytes([2, 0]) + u(writer.header(message(3, string(len(text)))))
    body = bytearray(attribute_body("model_config", shared, dataspace(), text, 2))
    body[1] = 1
    assert judged(writer.finish(writer.header(message(0x0C, bytes(body))))).verdict is (
        Verdict.DANGEROUS
    )


@pytest.mark.parametrize(
    "datatype",
    [
        FLOAT,
        compound(12, ("a", 0, FLOAT), ("b", 4, array(BYTE, 8, 2, 4))),
        bytes([0x38, 2, 0, 0]) + u(1, 4) + BYTE + b"ON\0OFF\0\1\0",
        bytes([0x15, 8, 0, 0]) + u(4, 4) + b"a tag\0\0\0",
        bytes([0x12, 0, 0, 0]) + u(4, 4) + u(32, 2),
        bytes([0x5B, 0, 0, 0]) + u(8, 4) + FLOAT,
        bytes([0x16, 1, 0, 0]) + u(8, 4) + b"old\0\0\0\0\0" + u(0, 4) + b"\1" + bytes(11) + u(2, 4)
        + bytes(12) + FLOAT,
        bytes([0x2A, 0, 0, 0]) + u(8, 4) + b"\1\0\0\0" + u(2, 4) + bytes(4) + FLOAT,
    ],
)  # fmt: skip
def test_datatypes_of_every_class_are_read(datatype: bytes) -> None:
    """Numbers, compounds, enumerations, tags, times, complex numbers, arrays are data."""
    size = int.from_bytes(datatype[4:8], "little")
    assert safe(single(attribute("a", datatype, dataspace(), bytes(size))))


@pytest.mark.parametrize(
    "datatype",
    [
        bytes([0x1F, 0, 0, 0]) + u(4, 4),
        bytes([0xF1, 0, 0, 0]) + u(4, 4),
        compound(4, ("a", 1, FLOAT)),
        array(FLOAT, 5, 2),
        bytes([0x3A, 0, 0, 0]) + u(4, 4) + b"\x40",
        compound(4, ("a", 0, FLOAT))[:-3],
    ],
)
def test_datatypes_that_contradict_themselves_are_incomplete(datatype: bytes) -> None:
    """Unknown classes and versions, members outside, wrong sizes, cut ends."""
    assert "MS-HDF-011" in ids(single(attribute("a", datatype, dataspace(), bytes(8))))


def test_deep_datatypes_are_bounded() -> None:
    """Nesting without end stops at a limit, not at the interpreter's."""
    datatype = FLOAT
    for _ in range(2000):
        datatype = sequence(datatype)
    report = judged(single(attribute("a", datatype, dataspace(), bytes(16))))
    assert report.coverage is Coverage.INCOMPLETE


def test_null_and_odd_dataspaces() -> None:
    """No value at all is data; 200 dimensions are not."""
    null = bytes([2, 0, 0, 2])
    assert safe(single(attribute("a", FLOAT, null, b"", 2)))
    grown = bytes([2, 1, 1, 1]) + u(1) + UNDEFINED
    assert safe(single(attribute("a", FLOAT, grown, bytes(4), 2)))
    assert "MS-HDF-011" in ids(single(attribute("a", FLOAT, bytes([2, 200, 0, 1]), b"", 2)))
