import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.report import ScanReport
from tests.scanning.support.safetensors_writer import HONEST, safetensors, tensor, with_header


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_honest_file_is_data_only() -> None:
    """Three tensors that cover the data, one of them empty, are safe without a finding."""
    report = scan(HONEST)
    assert report.safe
    assert report.verdict is Verdict.DATA_ONLY
    assert report.format == "safetensors"
    assert report.findings == ()


def test_a_file_without_tensors_is_data_only() -> None:
    """The reference writer accepts an empty table."""
    assert scan(safetensors({})).safe


@pytest.mark.parametrize(
    ("dtype", "elements", "size"),
    [
        ("F4", 6, 3), ("F6_E2M3", 4, 3), ("F6_E3M2", 8, 6), ("F8_E4M3", 5, 5), ("F8_E5M2", 5, 5),
        ("F8_E8M0", 5, 5), ("F8_E4M3FNUZ", 2, 2), ("F8_E5M2FNUZ", 2, 2), ("BOOL", 3, 3),
        ("U8", 3, 3), ("I8", 3, 3), ("I16", 2, 4), ("U16", 2, 4), ("F16", 2, 4), ("BF16", 2, 4),
        ("I32", 2, 8), ("U32", 2, 8), ("F32", 2, 8), ("I64", 2, 16), ("U64", 2, 16),
        ("F64", 2, 16), ("C64", 2, 16),
    ],
)  # fmt: skip
def test_every_element_type_has_its_size(dtype: str, elements: int, size: int) -> None:
    """The size of a range is elements times bits; one byte more or less is refused."""
    assert scan(safetensors({"t": tensor(dtype, [elements], 0, size)}, bytes(size))).safe
    for wrong in (size - 1, size + 1):
        report = scan(safetensors({"t": tensor(dtype, [elements], 0, wrong)}, bytes(wrong)))
        assert "MS-SFT-003" in ids(report)
        assert report.verdict is Verdict.DANGEROUS


def test_half_a_byte_is_no_size() -> None:
    """Three elements of four bits fill no whole number of bytes."""
    assert "MS-SFT-003" in ids(scan(safetensors({"t": tensor("F4", [3], 0, 2)}, b"ab")))


def test_an_unknown_element_type_is_incomplete_not_dangerous() -> None:
    """A newer type cannot be checked: that is said, and the file is not safe."""
    report = scan(safetensors({"t": tensor("F3", [8], 0, 3)}, b"\x81\x92\xa3"))
    assert "MS-SFT-007" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE
    assert report.verdict is not Verdict.DANGEROUS


@pytest.mark.parametrize(
    "header",
    [
        (
            b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        ),
        b'{"__metadata__":{"a":"1","a":"2"},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b'{"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
        (
            b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"\\u0074":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        ),
    ],
    ids=["tensor", "metadata", "field", "escaped"],
)
def test_a_key_that_occurs_twice_is_dangerous(header: bytes) -> None:
    """Readers disagree on which of two equal keys counts, however the second is spelt."""
    report = scan(with_header(header, b"x"))
    assert "MS-SFT-001" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_overlapping_tensors_are_dangerous() -> None:
    """Two tensors that share a byte are two views of one model."""
    table = {"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 3, 7)}
    assert "MS-SFT-002" in ids(scan(safetensors(table, bytes(7))))


def test_a_hole_is_found_and_scanned() -> None:
    """Bytes between two tensors belong to none; they are a finding, and a part of their own."""
    table = {"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 10, 14)}
    report = scan(safetensors(table, b"\x01\x02\x03\x04HIDDEN\x05\x06\x07\x08"))
    assert {"MS-SFT-005", "MS-COV-005"} <= ids(report)
    assert not report.safe


def test_bytes_after_the_last_tensor_are_scanned_as_a_file() -> None:
    """What is appended belongs to no tensor; a program there is not overlooked."""
    report = scan(HONEST + b"import this\n")
    assert "MS-COV-005" in ids(report)
    assert not report.safe


@pytest.mark.parametrize(
    ("begin", "end"),
    [(-1, 3), (0, 1 << 63), (0, 10**40), (0.0, 4.0), (4, 0), (True, 4), (None, 4), ("0", "4")],
)
def test_offsets_that_cannot_be_are_dangerous(begin: object, end: object) -> None:
    """Negative, fractional, huge or reversed offsets aim at readers that do not check."""
    entry = {"dtype": "U8", "shape": [4], "data_offsets": [begin, end]}
    report = scan(safetensors({"t": entry}, bytes(range(4))))
    assert "MS-SFT-003" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "shape", [[1 << 32, 1 << 32], [1 << 63, 2, 0], [-1, -4], [10**30], [1.5], ["4"], [[4]]]
)
def test_dimensions_that_overflow_are_dangerous(shape: list[object]) -> None:
    """A product beyond 64 bits counts even if a later dimension is zero."""
    entry = {"dtype": "U8", "shape": shape, "data_offsets": [0, 4]}
    assert "MS-SFT-003" in ids(scan(safetensors({"t": entry}, b"abcd")))


def test_a_cut_file_is_incomplete() -> None:
    """Tensors beyond the end of the file: a broken download, or a lie."""
    report = scan(HONEST[:-3])
    assert "MS-SFT-004" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "entry",
    [
        [], 3, {}, {"dtype": "U8"}, {"dtype": "U8", "shape": 4, "data_offsets": [0, 4]},
        {"dtype": 8, "shape": [4], "data_offsets": [0, 4]},
        {"dtype": "U8", "shape": [4], "data_offsets": [0, 4, 8]},
    ],
)  # fmt: skip
def test_a_malformed_entry_is_incomplete(entry: object) -> None:
    """An entry that the reference reader refuses never passes."""
    report = scan(safetensors({"t": entry}, b"abcd"))
    assert "MS-SFT-006" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("metadata", [[], "pt", {"epoch": 3}, {"nested": {"a": "b"}}])
def test_metadata_that_is_not_strings_is_incomplete(metadata: object) -> None:
    """The reference reader refuses anything but strings by name."""
    assert "MS-SFT-006" in ids(scan(safetensors({"__metadata__": metadata})))


def test_strings_of_metadata_and_names_are_data() -> None:
    """Words are not deeds: no string rule is applied to names or metadata."""
    table = {
        "__metadata__": {"note": "eval(open('/etc/passwd')); os.system", "a": "{{ x.__class__ }}"},
        "__import__('os').system": tensor("U8", [1], 0, 1),
        "params/Dense_0/kernel:0": tensor("U8", [1], 1, 2),
    }
    assert scan(safetensors(table, b"MZ")).safe


@pytest.mark.parametrize("name", ["../../x", "a/../../b", "..\\x", "a\nb", "\0"])
def test_a_name_that_is_a_path_is_unknown(name: str) -> None:
    """The reference reader takes it; a converter that writes a file for each tensor may not."""
    report = scan(safetensors({name: tensor("U8", [1], 0, 1)}, b"x"))
    assert "MS-SFT-008" in ids(report)
    assert report.verdict is Verdict.UNKNOWN


def test_oddities_that_the_reference_reader_takes_are_notes() -> None:
    """Fields of their own and leading blanks do not make a file unsafe."""
    header = b'  {"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"note":"x"}}'
    report = scan(with_header(header, b"x"))
    assert report.safe
    assert ids(report) == {"MS-SFT-009", "MS-SFT-010"}


@pytest.mark.parametrize(
    "header",
    [
        b'{"t":',
        b'{"t":1]',
        b'{"\xff":{}}',
        b'{"t":{}}{}',
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_a_clear_header_that_is_broken_is_incomplete(header: bytes) -> None:
    """It stays a safetensors file, a broken one, and does not pass as anything else."""
    report = scan(with_header(header, b"data"))
    assert "safetensors" in report.format
    assert report.coverage is Coverage.INCOMPLETE


def test_a_header_beyond_the_limit_is_not_read() -> None:
    """A length over 100 MB is refused before the bytes are asked for."""
    data = struct.pack("<Q", 100_000_001) + b'{"' + bytes(100_000_001)
    report = scan(data)
    assert report.coverage is Coverage.INCOMPLETE
    assert any("100000000" in finding.message for finding in report.findings)


def test_bytes_that_only_begin_alike_are_not_safetensors() -> None:
    """A brace after a small number is no header."""
    assert "safetensors" not in scan(struct.pack("<Q", 4) + b"{\x01\x02\x03" * 3).format


@given(st.integers(0, len(HONEST) - 1))
def test_no_cut_file_is_safe(size: int) -> None:
    """Truncation at every offset is noticed."""
    assert not scan(HONEST[:size]).safe


@given(st.integers(0, len(HONEST) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_scan(offset: int, byte: int) -> None:
    """Whatever is changed, the result is a report."""
    data = bytearray(HONEST)
    data[offset] = byte
    assert "MS-COV-004" not in ids(scan(bytes(data)))


@given(st.binary(min_size=1, max_size=64))
def test_appending_never_makes_a_file_cleaner(tail: bytes) -> None:
    """Nothing may follow the data, not even zero bytes: the reference reader refuses it."""
    assert not scan(HONEST + tail).safe
