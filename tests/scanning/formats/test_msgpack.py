"""MessagePack: Flax checkpoints pass, what programs hang on it is seen."""

import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from tests.scanning.support.msgpack_writer import Extension, flax_array, pack

CHECKPOINT = {
    "params": {
        "kernel": flax_array([3, 2], "float32", bytes(24)),
        "bias": flax_array([2], "bfloat16", bytes(4)),
        "names": flax_array([2], "str96", bytes(24)),
        "empty": flax_array([0, 5], "int8", b""),
    },
    "step": Extension(3, pack([[], "int32", bytes(4)])),
    "phase": Extension(2, pack([0.5, -1.0])),
    "history": [0.25] * 40,
    "seen": list(range(100)),
    "done": False,
}


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_a_flax_checkpoint_is_data() -> None:
    """Arrays, scalars and complex numbers are what Flax writes, and complete."""
    report = scan(pack(CHECKPOINT))
    assert report.safe, report.findings
    assert (report.format, report.verdict) == ("msgpack", Verdict.DATA_ONLY)


@pytest.mark.parametrize(
    "extension",
    [
        flax_array([3, 2], "float32", bytes(23)),
        flax_array([1], "object", bytes(8)),
        flax_array([2**60, 2**60], "float32", bytes(8)),
        Extension(2, b"\x92\x01\x02"),
        Extension(1, b""),
        Extension(42, b"hello"),
    ],
)
def test_other_extensions_are_scanned_as_files(extension: Extension) -> None:
    """Wrong sizes, objects and unknown codes are not what Flax writes."""
    report = scan(pack({"something": extension}))
    assert not report.safe
    assert "MS-MSG-002" in ids(report)


def test_a_pickle_in_an_extension_is_read_as_a_pickle() -> None:
    """The bytes of an extension are a file of their own."""
    report = scan(pack({"x": Extension(9, pickle.dumps([1, 2]))}))
    assert report.verdict is Verdict.UNKNOWN
    assert any(finding.path for finding in report.findings) or report.coverage is Coverage.COMPLETE


def test_an_object_array_is_unpickled_by_its_reader() -> None:
    """``kind`` O makes msgpack-numpy unpickle ``data``."""
    array = {"nd": True, "type": "|O", "kind": "O", "shape": [1], "data": pickle.dumps([None])}
    report = scan(pack({"weights": array}))
    assert "MS-MSG-001" in ids(report)
    assert not report.safe


def test_an_object_array_in_a_large_map_is_found() -> None:
    """Values of a single byte are skipped in runs; a key that matters is not among them."""
    array: dict[object, object] = {number: number for number in range(60)}
    array |= {b"nd": True, b"kind": b"O", b"data": b"N."}
    assert "MS-MSG-001" in ids(scan(pack(array)))


def test_numeric_arrays_of_msgpack_numpy_are_data() -> None:
    """Plain dtypes are not unpickled."""
    array = {"nd": True, "type": "<f8", "kind": "", "shape": [2], "data": bytes(16)}
    assert scan(pack({"weights": array})).safe


@pytest.mark.parametrize(
    "content",
    [
        pack(CHECKPOINT) + b"\0\0\1",
        b"\x93\x01\x02",
        b"\xdf\xff\xff\xff\xff" + bytes(20),
        b"\x81\xa1a\xc6\xff\xff\xff\xff" + bytes(20),
        b"\x82\xa1a\xc1\xa1b\x01" + bytes(4),
    ],
)
def test_anything_but_one_whole_value_is_not_accepted(content: bytes) -> None:
    """Without magic, only bytes that are exactly one map or array are taken for it."""
    report = scan(content)
    assert report.format != "msgpack"
    assert not report.safe


def test_deep_nesting_is_bounded() -> None:
    """An array in an array in an array: the reader does not recurse, and stops."""
    assert scan(b"\x91" * 5000 + b"\x01").coverage is Coverage.INCOMPLETE


def test_numbers_are_never_read() -> None:
    """A payload larger than the limit of what is read at once costs nothing."""
    content = pack({"kernel": flax_array([1 << 20], "uint8", bytes(1 << 20))})
    assert scan(content, limits=Limits(read_bytes=1 << 16)).safe


def test_a_cut_checkpoint_is_never_safe() -> None:
    """Truncation at every offset leaves something that is not one whole value."""
    whole = pack(CHECKPOINT)
    for length in range(len(whole)):
        assert not scan(whole[:length]).safe, length


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_raises(offset: int, value: int) -> None:
    """Whatever is broken, the result is a report."""
    content = bytearray(pack(CHECKPOINT))
    content[offset % len(content)] = value
    assert "MS-COV-004" not in ids(scan(bytes(content)))


def test_many_findings_of_one_kind_are_counted() -> None:
    """A thousand unknown extensions make one report, not a thousand lines."""
    report = scan(pack([Extension(7, struct.pack(">I", number) + b"x") for number in range(60)]))
    assert "MS-MSG-003" in ids(report)


def test_a_pickle_in_a_string_is_scanned() -> None:
    """Older writers have no byte strings."""
    content = b"\x80\x02cinert_recorder\nrun\n)R."
    report = scan(b"\x81\xa8abcdefgh\xd9" + bytes([len(content)]) + content)
    assert report.format == "msgpack"
    assert not report.safe
