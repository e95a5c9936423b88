import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Limits, scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.report import ScanReport
from tests.scanning.support.gguf_writer import HONEST, METADATA, TENSORS, Gguf, Tensor

FILE = Gguf(METADATA, TENSORS)
HUGE = 1 << 63


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_honest_file_is_data_only() -> None:
    """Metadata, an honest template and two tensors, one quantised, are safe without a finding."""
    report = scan(HONEST)
    assert report.safe
    assert report.verdict is Verdict.DATA_ONLY
    assert report.format == "gguf"
    assert report.findings == ()


@pytest.mark.parametrize(("version", "order"), [(1, "<"), (2, "<"), (3, "<"), (3, ">")])
def test_every_version_and_byte_order_is_read(version: int, order: str) -> None:
    """Version 1 has lengths of 32 bits, version 3 may be big-endian."""
    assert scan(replace(FILE, version=version, order=order).write()).safe


def test_a_vocabulary_without_tensors_is_data_only() -> None:
    """Files of nothing but metadata are published for tests of tokenizers."""
    assert scan(Gguf(METADATA).write()).safe


def test_a_version_that_is_not_known_is_unsupported() -> None:
    """Nothing is guessed about a future version."""
    report = scan(replace(FILE, version=4).write())
    assert "MS-COV-002" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("magic", [b"lmgg", b"fmgg", b"tjgg", b"algg", b"ggjt", b"ggla"])
def test_files_older_than_gguf_are_unsupported(magic: bytes) -> None:
    """They carry no sizes to check; they are named, and never safe."""
    report = scan(magic + struct.pack("<III", 1, 32000, 4096) + bytes(range(200)))
    assert "ggml" in report.format
    assert "MS-COV-002" in ids(report)
    assert not report.safe


@pytest.mark.parametrize(
    "key",
    [
        "tokenizer.chat_template",
        "tokenizer.chat_template.tool_use",
        "tokenizer.chat_templates",
        "general.prompt_template",
    ],
)
def test_a_template_in_the_metadata_is_checked(key: str) -> None:
    """Every key that holds templates, as a string or as an array."""
    hostile = "{{ messages.__class__ }}"
    for value in (hostile, ["plain", hostile]):
        report = scan(Gguf([("general.name", "x"), (key, value)]).write())
        (finding,) = report.findings
        assert finding.id == "MS-JIN-001"
        assert report.verdict is Verdict.DANGEROUS
        assert finding.offset is not None


def test_a_template_of_another_type_is_stepped_over() -> None:
    """What is no string is not rendered."""
    value = struct.pack("<IIQ", 9, 4, 2) + bytes(8)
    entries = [("tokenizer.chat_template", value), ("tokenizer.chat_template.x", 7)]
    assert scan(Gguf(entries).write()).safe


def test_a_very_long_template_is_read() -> None:
    """Longer than the window of metadata."""
    text = "x" * (1 << 20) + "{{ messages.__class__ }}"
    assert "MS-JIN-001" in ids(scan(Gguf([("tokenizer.chat_template", text)]).write()))


def test_other_strings_are_data() -> None:
    """Words are not deeds: no template elsewhere is rendered, no vocabulary is judged."""
    entries = [("general.description", "{{ x.__class__ }}"), ("a", ["{{ x.__class__ }}", "MZ"])]
    assert scan(Gguf(entries).write()).safe


def test_a_key_that_occurs_twice_is_dangerous() -> None:
    """One reader takes the first, another the last."""
    report = scan(Gguf([("a", "1"), ("a", "2")]).write())
    assert "MS-GGF-001" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_a_tensor_that_occurs_twice_is_dangerous() -> None:
    """The same for names in the table."""
    tensors = [
        Tensor("t", (8,), 0, 0, bytes(range(32))),
        Tensor("t", (8,), 0, 32, bytes(range(32))),
    ]
    assert "MS-GGF-001" in ids(scan(Gguf(tensors=tensors).write()))


@pytest.mark.parametrize("alignment", [0, 3, 48, 0xFFFFFFFF])
def test_an_alignment_that_is_no_power_of_two_is_dangerous(alignment: int) -> None:
    """Readers divide by it."""
    report = scan(Gguf([("general.alignment", alignment)], TENSORS).write())
    assert "MS-GGF-002" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_an_alignment_of_another_type_is_not_read() -> None:
    """It has to be a 32-bit number."""
    report = scan(Gguf([("general.alignment", "32")], TENSORS).write())
    assert report.coverage is Coverage.INCOMPLETE


def test_a_larger_alignment_moves_the_data() -> None:
    """The data begins at the next multiple, and zeros before it belong to no hole."""
    tensors = [Tensor("t", (4,), 0, 0, b"\1" * 16), Tensor("u", (4,), 0, 128, b"\1" * 16)]
    report = scan(Gguf([("general.alignment", 128)], tensors, alignment=128).write())
    assert report.safe
    assert report.findings == ()


@pytest.mark.parametrize(
    "counts", [(2, HUGE), (HUGE, 8), (2, 10_000), (10_000, 8), ((1 << 64) - 1, (1 << 64) - 1)]
)
def test_counts_beyond_the_file_are_never_looped_over(counts: tuple[int, int]) -> None:
    """A count is compared with the bytes that remain."""
    report = scan(replace(FILE, counts=counts).write())
    assert "MS-GGF-004" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<IQ", 8, HUGE),
        struct.pack("<IQ", 8, (1 << 64) - 1),
        struct.pack("<IIQ", 9, 8, HUGE),
        struct.pack("<IIQ", 9, 4, HUGE),
        struct.pack("<IIQ", 9, 9, HUGE),
        struct.pack("<IIQQ", 9, 8, 1, HUGE),
        struct.pack("<IIQIQ", 9, 9, 1, 4, HUGE),
        struct.pack("<IIQ", 9, 13, 1),
        struct.pack("<I", 13),
        struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 40,
    ],
)
def test_lengths_beyond_the_file_are_never_allocated(value: bytes) -> None:
    """Strings, arrays and arrays in arrays that announce more than there is."""
    report = scan(Gguf([("a", value), ("b", 1)], TENSORS).write())
    assert "MS-GGF-004" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_arrays_in_arrays_are_walked() -> None:
    """The format permits them, though no writer makes them."""
    inner = (
        struct.pack("<IQ", 4, 2) + bytes(8) + struct.pack("<IQ", 8, 1) + struct.pack("<Q", 1) + b"x"
    )
    value = struct.pack("<IIQ", 9, 9, 2) + inner
    assert scan(Gguf([("a", value), ("b", "end")]).write()).safe


@pytest.mark.parametrize(
    ("shape", "offset"),
    [
        ((1 << 32, 1 << 31), 0),
        ((HUGE,), 0),
        (((1 << 64) - 1, (1 << 64) - 1), 0),
        ((4,), HUGE),
        ((1, 1, 1, 1, 4), 0),
    ],
)
def test_dimensions_that_overflow_are_dangerous(shape: tuple[int, ...], offset: int) -> None:
    """Products and offsets beyond 63 bits, and more than four dimensions."""
    report = scan(Gguf(tensors=[Tensor("t", shape, 0, offset)]).write())
    assert "MS-GGF-003" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_rows_that_fill_no_block_are_dangerous() -> None:
    """33 elements of a type of 32 in a block: a reader rounds, another does not."""
    assert "MS-GGF-003" in ids(scan(Gguf(tensors=[Tensor("t", (33,), 8, 0, bytes(68))]).write()))


def test_a_tensor_beyond_the_end_is_incomplete() -> None:
    """A broken download, or a table that lies."""
    report = scan(HONEST[:-40])
    assert "MS-GGF-005" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_overlapping_tensors_are_dangerous() -> None:
    """Two tensors that share bytes are two views of one model."""
    tensors = [Tensor("t", (16,), 0, 0, bytes(range(64))), Tensor("u", (8,), 0, 32)]
    assert "MS-GGF-006" in ids(scan(Gguf(tensors=tensors).write()))


def test_an_unknown_element_type_is_incomplete() -> None:
    """Its size cannot be told, so its bytes are not claimed."""
    report = scan(Gguf(tensors=[Tensor("t", (32,), 999, 0, b"\x81" * 32)]).write())
    assert "MS-GGF-007" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_an_offset_that_is_not_aligned_is_unknown() -> None:
    """The reference reader refuses it."""
    tensors = [Tensor("t", (2,), 0, 0, b"\1" * 8), Tensor("u", (2,), 0, 8, b"\1" * 8)]
    report = scan(Gguf(tensors=tensors).write())
    assert ids(report) == {"MS-GGF-008"}


def test_a_very_long_name_is_unknown() -> None:
    """The readers hold names in buffers of a fixed size."""
    assert "MS-GGF-008" in ids(
        scan(Gguf(tensors=[Tensor("t" * 200, (2,), 0, 0, b"\1" * 8)]).write())
    )


def test_bytes_in_the_padding_are_scanned() -> None:
    """Only zeros are padding."""
    data = bytearray(HONEST)
    data[data.index(bytes(range(68))) + 70] = 65
    assert "MS-COV-005" in ids(scan(bytes(data)))


def test_bytes_after_the_tensors_are_scanned() -> None:
    """What is appended belongs to no tensor."""
    assert "MS-COV-005" in ids(scan(HONEST + b"import this\n"))


def test_a_large_vocabulary_spans_windows() -> None:
    """Strings are walked across the windows in which they are read, one longer than a window."""
    tokens = ["x" * (number % 50) for number in range(100_000)] + ["y" * 3_000_000, "end"]
    assert scan(Gguf([("tokens", tokens), ("after", "z")]).write()).safe


def test_many_entries_meet_the_limit() -> None:
    """The number of entries is bounded like that of an archive."""
    report = scan(Gguf([("a", ["x"] * 5), ("b", 1)]).write(), limits=Limits(members=2))
    assert "MS-COV-003" in ids(report)


@given(st.integers(4, len(HONEST) - 1))
def test_no_cut_file_is_safe_but_for_its_padding(size: int) -> None:
    """Truncation at every offset is noticed; the zeros after the last tensor are not missed."""
    assert scan(HONEST[:size]).safe == (size >= len(HONEST) - 12)


@given(st.integers(0, len(HONEST) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_scan(offset: int, byte: int) -> None:
    """Whatever is changed, the result is a report."""
    data = bytearray(HONEST)
    data[offset] = byte
    assert "MS-COV-004" not in ids(scan(bytes(data)))


@given(st.integers(4, len(HONEST) - 8), st.sampled_from([HUGE, (1 << 64) - 1, 1 << 32, 1 << 40]))
def test_a_huge_number_anywhere_is_bounded(offset: int, number: int) -> None:
    """Whichever field it hits, nothing is allocated for it."""
    data = bytearray(HONEST)
    data[offset : offset + 8] = struct.pack("<Q", number)
    assert "MS-COV-004" not in ids(scan(bytes(data)))
