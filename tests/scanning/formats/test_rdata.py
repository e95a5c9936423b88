"""R's serialisation: data passes, code does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from tests.scanning.support.rdata_writer import (
    ASCII,
    GLOBAL_ENVIRONMENT,
    NATIVE,
    XDR,
    Encoding,
    RWriter,
    data_frame,
)

ENCODINGS = pytest.mark.parametrize("encoding", [XDR, NATIVE, ASCII], ids=["xdr", "native", "text"])


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@ENCODINGS
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("magic", [b"", b"RDX2\n"])
def test_a_data_frame_is_data(encoding: Encoding, version: int, magic: bytes) -> None:
    """Vectors, strings, missing values and attributes can do nothing."""
    report = scan(data_frame(RWriter(encoding, version)).whole(magic))
    assert report.safe, report.findings
    assert report.verdict is Verdict.DATA_ONLY
    assert report.format == ("rda" if magic else "rds")


@ENCODINGS
@pytest.mark.parametrize("kind", [3, 5])
def test_functions_and_promises_are_dangerous(encoding: Encoding, kind: int) -> None:
    """What R evaluates or calls later is code, whatever is in it."""
    writer = RWriter(encoding).item(kind).item(GLOBAL_ENVIRONMENT).null()
    assert scan(writer.whole()).verdict is Verdict.DANGEROUS


@ENCODINGS
def test_bytecode_is_dangerous_and_read_to_its_end(encoding: Encoding) -> None:
    """Constants in bytecode have types, repetitions and expressions of their own."""
    writer = RWriter(encoding).item(21).integers(1).int_vector(8, 1)
    writer.integers(4)  # constants
    writer.integers(13).int_vector(7)
    writer.integers(244, 0, 6).null()  # a repeated call: its tag ...
    writer.integers(0).symbol(b"f").integers(0).null()  # ... first and rest
    writer.integers(243, 0)
    writer.integers(21).int_vector(8).integers(0)  # bytecode in bytecode
    report = scan(writer.whole())
    assert report.verdict is Verdict.DANGEROUS
    assert report.coverage is Coverage.COMPLETE, report.findings


def test_a_formula_is_unknown() -> None:
    """Honest fits hold calls: they are named, not condemned."""
    report = scan(RWriter().item(6).symbol(b"~").item(2).symbol(b"x").null().whole())
    assert report.verdict is Verdict.UNKNOWN
    assert ids(report) == {"MS-RDS-004"}


@pytest.mark.parametrize("kind", [22, 23])
def test_pointers_are_unknown(kind: int) -> None:
    """Only the package that wrote a pointer can say what it is."""
    writer = RWriter().item(kind)
    if kind == 22:
        writer.null().null()
    assert scan(writer.whole()).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("kind", [7, 8])
def test_primitives_are_unknown(kind: int) -> None:
    """A function of R's own, by name."""
    writer = RWriter().item(kind).integers(4)
    assert ids(scan(writer.whole() + b"quit")) == {"MS-RDS-005"}


def test_objects_that_a_hook_restores_are_unknown() -> None:
    """Only the loader knows what the name means."""
    report = scan(RWriter().item(247).integers(0, 1).string(b"x").whole())
    assert ids(report) == {"MS-RDS-009"}


def test_a_class_may_be_a_reference_and_a_string_missing() -> None:
    """Symbols are written once; missing strings have the length -1."""
    writer = RWriter(version=3).item(19).integers(3)
    writer.symbol(b"compact_intseq").symbol(b"base")
    writer.item(238).item(2).integers(1 << 8 | 255).item(2).integers(2 << 8 | 255)
    writer.item(2).int_vector(13).null().item(16).integers(1).item(9).integers(-1).null()
    assert scan(writer.whole()).safe


def test_long_vectors_have_two_words_of_length() -> None:
    """Beyond 31 bits the length is written in two integers."""
    assert scan(RWriter().item(24).integers(-1, 0, 4).whole() + b"abcd").safe


def test_many_expressions_are_counted() -> None:
    """A hundred calls make a report of twenty lines and a sum."""
    writer = RWriter().item(19).integers(100)
    for _ in range(100):
        writer.item(6).null().null()
    assert "MS-RDS-010" in ids(scan(writer.whole()))


def test_numbers_in_text_are_words() -> None:
    """Complex numbers are two words, bytes are hexadecimal, and nothing else is a number."""
    honest = RWriter(ASCII).item(19).integers(2).item(15).integers(1).whole()
    assert scan(honest + b"1.5\nNaN\n24\n2\nff\n0a\n").safe
    assert not scan(honest + b"1.5\n!!\n24\n2\nff\n0a\n").safe
    assert not scan(RWriter(ASCII).item(13).whole() + b"x1\n").safe


def test_environments_and_references_are_data() -> None:
    """An environment is a table of names; a symbol is written once and referred to later."""
    writer = RWriter().item(19).integers(2)
    writer.item(4).integers(0).item(GLOBAL_ENVIRONMENT).null().null().null()
    writer.integers(1 << 8 | 255)
    assert scan(writer.whole()).safe


@pytest.mark.parametrize(("package", "verdict"), [(b"stats", "data_only"), (b"mine", "unknown")])
def test_a_namespace_outside_r_is_an_import(package: bytes, verdict: str) -> None:
    """Reading the reference loads the package."""
    report = scan(RWriter().item(249).integers(0, 1).string(package).whole())
    assert report.verdict == verdict


@pytest.mark.parametrize(
    ("name", "package", "verdict"),
    [
        (b"compact_intseq", b"base", "data_only"),
        (b"mmap_real", b"base", "dangerous"),
        (b"compact_intseq", b"other", "unknown"),
    ],
)
def test_vectors_of_other_kinds(name: bytes, package: bytes, verdict: str) -> None:
    """A sequence is data, a mapped file is opened by name, a package's class is its own."""
    writer = RWriter(version=3).item(238).item(2).symbol(name).item(2).symbol(package)
    writer.item(2).int_vector(13).null().real_vector(3.0, 1.0, 1.0).null()
    assert scan(writer.whole()).verdict == verdict


def test_escapes_in_text_count_as_one_character() -> None:
    """The text encoding writes a byte as three octal digits; what follows is still found."""
    writer = RWriter(ASCII).item(16).integers(2).integers(9, 3)
    content = writer.whole() + b"a\\303\\n\n" + b"9\n1\nb\n"
    assert scan(content).safe


@pytest.mark.parametrize(
    "body",
    [
        RWriter().item(13).integers(2**31 - 1),
        RWriter().item(19).integers(-1, 2**31 - 1, -1),
        RWriter().item(16).integers(-5),
        RWriter().item(255).integers(9),
        RWriter().item(99),
        RWriter().item(247).integers(7, 1),
        RWriter().item(238).item(14).integers(0),
        RWriter().item(1).item(14),
        RWriter().item(1).item(9, attributes=True),
        RWriter(version=3).item(238).item(2).symbol(b"a").item(2).symbol(b"b").item(13),
    ],
)
def test_hostile_lengths_and_types_are_incomplete(body: RWriter) -> None:
    """A length beyond the end allocates nothing and is never safe."""
    report = scan(body.whole())
    assert report.coverage is Coverage.INCOMPLETE
    assert not report.safe


def test_deep_nesting_is_bounded() -> None:
    """A list in a list in a list: the reader does not recurse, and stops."""
    writer = RWriter()
    for _ in range(8000):
        writer.item(19).integers(2)
    report = scan(writer.whole() + bytes(200_000))
    assert report.coverage is Coverage.INCOMPLETE
    assert not report.safe


def test_a_version_that_does_not_exist_is_not_accepted() -> None:
    """Without magic, only a header that makes sense is taken for R's."""
    assert scan(RWriter(version=7).null().whole()).format == "unrecognised"


@ENCODINGS
def test_a_cut_file_is_never_safe(encoding: Encoding) -> None:
    """Truncation at every offset is incomplete or not recognised."""
    whole = data_frame(RWriter(encoding, 3)).whole(b"RDX3\n").rstrip(b"\n")
    for length in range(8, len(whole) - 1):  # less than the header is a word of text
        assert not scan(whole[:length]).safe, length


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_never_raises(offset: int, value: int) -> None:
    """Whatever is broken, the result is a report."""
    content = bytearray(data_frame(RWriter(XDR, 3)).whole())
    content[offset % len(content)] = value
    report = scan(bytes(content), limits=Limits(seconds=5))
    assert "MS-COV-004" not in ids(report)
