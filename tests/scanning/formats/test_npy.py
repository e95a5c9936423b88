import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from modelsec.scanning.formats.npy import read_header
from modelsec.scanning.part import NotThisFormat
from modelsec.scanning.source import BytesSource
from tests.scanning.support.npy import HARMLESS_PICKLE, described, npy

DTYPES = [
    "?", "i1", "<i2", ">i4", "i8", "u1", "<u2", ">u4", "u8", "f2", "<f4", ">f8", "c8", ">c16",
    "S5", "U3", ">U3", "V7", "M8[ns]", "m8[25us]", "M8", "S0", "U0",
    [("a", "<f4"), ("b", ">i2", (2, 3))],
    [("x", [("y", "u1"), ("z", "S3")]), (("title", "é"), "f8")],
    [("it's", "f4"), ("back\\slash", "f8")],
    np.dtype([("a", "u1"), ("b", "f8")], align=True),
]  # fmt: skip
ARRAYS = [(2, 3), (0, 4), (), (1,)]


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", ARRAYS, ids=str)
def test_what_numpy_saves_is_data(dtype: object, shape: tuple[int, ...]) -> None:
    """Every type without objects, in every shape, is safe and leaves nothing unread."""
    report = scan(saved(np.zeros(shape, dtype)))  # type: ignore[call-overload]
    assert report.safe, report.findings
    assert (report.format, report.verdict, report.findings) == ("npy", Verdict.DATA_ONLY, ())


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_header_agrees_with_numpy(dtype: object) -> None:
    """Shape, order, item size and extent are what numpy wrote."""
    array = np.asfortranarray(np.zeros((3, 2), dtype))  # type: ignore[call-overload]
    content = saved(array)
    header = read_header(BytesSource(content))
    assert (header.shape, header.fortran_order) == (array.shape, True)
    assert (header.type.itemsize, header.extent) == (array.itemsize, array.nbytes)
    assert header.start + header.extent == len(content)


def test_order_of_dimensions_is_kept() -> None:
    """A C-contiguous array is not taken for a Fortran one."""
    assert not read_header(BytesSource(saved(np.zeros((3, 2))))).fortran_order


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions(version: int) -> None:
    """All three header versions are read."""
    assert scan(npy(described("'<f4'"), bytes(8), version)).safe


def test_python_2_integers() -> None:
    """Headers of Python 2 write sizes with an L and field names with a u."""
    assert scan(npy(described("[(u'a', '<f4')]", "(2L, 1L)"), bytes(8))).safe


def test_other_writers() -> None:
    """Double quotes, other blanks and another order of keys are no finding."""
    header = '{"shape": (2,), "fortran_order": False,\n "descr": "<f4"}'
    assert scan(npy(header, bytes(8))).findings == ()


def test_several_arrays_in_one_file() -> None:
    """Repeated saves into one file are all read."""
    content = saved(np.zeros(3)) + saved(np.ones((2, 2), "i2"))
    report = scan(content)
    assert report.safe
    assert not scan(content + b"?").safe


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'", "'O'", "'O8'", "'object'", "'object_'", "'f4,O'", "'(2,)O'", "'T'", "'\\x7cO'",
        "'\\u007cO'", "'|' 'O'", "[('a', '<f4'), ('b', '|O')]", "('|O', (2,))", "'float64'",
        "[('a', [('b', 'O', (2,))])]", "'<O'", "'O4'", "'=O'", "'bfloat16'", "'l'", "'f'", "'<f3'",
        "'2i4'", "''", "'<f8[ns]'", "'?1'",
    ],
)  # fmt: skip
def test_everything_else_counts_as_objects(descr: str) -> None:
    """However the object type is spelled, the payload is scanned as what it is."""
    report = scan(npy(described(descr), HARMLESS_PICKLE))
    assert "MS-NPY-001" in ids(report)
    content = npy(described(descr), b"\x00plain numbers\xff")
    inner = [f for f in scan(content).findings if f.member == "object array"]
    assert inner
    assert not scan(content).safe


def test_repeated_key_is_dangerous() -> None:
    """The last of two descr counts for numpy; others may take the first."""
    header = "{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (2,)}"
    report = scan(npy(header, HARMLESS_PICKLE))
    assert report.verdict is Verdict.DANGEROUS
    assert {"MS-NPY-001", "MS-NPY-002"} <= ids(report)


@pytest.mark.parametrize("descr", ["'f8'", "'=f8'", "'<\\x668'", "'<' 'f8'", "'|f8'", "'<u1'"])
def test_odd_spelling_is_a_finding(descr: str) -> None:
    """The type is understood, but numpy does not write it so."""
    size = 2 if "u1" in descr else 16
    report = scan(npy(described(descr), bytes(size)))
    assert ids(report) == {"MS-NPY-003"}
    assert report.verdict is Verdict.UNKNOWN


def test_long_header_is_noted() -> None:
    """Beyond the limit numpy refuses it without allow_pickle; it is data all the same."""
    fields = ", ".join(f"('field number {n}', '<f4')" for n in range(1000))
    report = scan(npy(described(f"[{fields}]", "(1,)"), bytes(4000)))
    assert report.safe
    assert ids(report) == {"MS-NPY-004"}


@pytest.mark.parametrize(
    "shape",
    [
        "(4611686018427387904, 4)",
        "(4294967296, 4294967296, 0)",
        "(9999999999999999999,)",
        "(1125899906842624,)",
    ],
)
def test_shape_bombs_are_dangerous(shape: str) -> None:
    """A shape that no memory holds is hostile by form, a zero beside it or not."""
    report = scan(npy(described("'<f8'", shape), bytes(64)))
    assert report.verdict is Verdict.DANGEROUS
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "header",
    [
        "", "[]", "{}", "{'descr': '<f4'}", described("'<f4'", "[2]"), described("'<f4'", "(2)"),
        described("'<f4'", "(-2,)"), described("'<f4'", "(2.0,)"), described("'<f4'", "('2',)"),
        described("'<f4'", "(True,)"), described("'<f4'", order="0"), described("b'<f4'"),
        described("r'<f4'"), described("'''<f4'''"), described("'\\N{BULLET}'"), described("1"),
        described("None"), described("['<f4']"), described("('<f4',)"), described("[(1, '<f4')]"),
        described("[('a', '<f4'), ('a', '<f4')]"), described("('<f4', 'x')"),
        described("'<f4'") + "x", described("'<f4'")[:-5] + ")", "{'a' 1}", "{'a': 1 'b': 2}",
        "(1 2)", "{1: 2}", described("'<f4'", "(02,)"), described("'<f4'", "(0x2,)"),
        described("'<f4'", "(" + "9" * 30 + ",)"), described("'<f4'", "(1,) * 2"),
        described("'<f4'", "(" + "1," * 65 + ")"), "[" * 40 + "]" * 40, "(" * 40,
        described("'<f4'", "(1_0,)"), described("[('a', " * 33 + "'<f4'" + ")]" * 33),
        described("('|V9223372036', (9223372036,))"),
    ],
)  # fmt: skip
def test_headers_that_are_not_understood(header: str) -> None:
    """A header outside the grammar is never safe, and never an exception."""
    report = scan(npy(header, bytes(8)))
    assert not report.safe
    assert report.coverage is Coverage.INCOMPLETE
    assert not any(f.id == "MS-COV-004" for f in report.findings)


def test_header_that_is_not_utf8() -> None:
    """Version 3 promises UTF-8."""
    content = npy(described("'<f4'"), bytes(8), 2).replace(b"\x02\x00", b"\x03\x00", 1)
    assert not scan(content.replace(b"\n", b"\xff")).safe


@pytest.mark.parametrize("version", [0, 4])
def test_unknown_versions(version: int) -> None:
    """A version of the future is not guessed at."""
    with pytest.raises(UnsupportedFormatError):
        read_header(BytesSource(b"\x93NUMPY" + bytes([version, 0]) + bytes(100)))
    assert not scan(b"\x93NUMPY" + bytes([version, 0]) + bytes(100)).safe


def test_header_length_beyond_the_file() -> None:
    """A declared length is compared with what there is before anything is read."""
    assert not scan(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}").safe
    with pytest.raises(MalformedArtifactError):
        read_header(BytesSource(b"\x93NUMPY\x01\x00\xff\xff{}"))


def test_no_magic_is_no_reading() -> None:
    """The reader does not claim other files."""
    with pytest.raises(NotThisFormat):
        read_header(BytesSource(b"\x93NUMP"))


def test_payload_has_the_size_of_the_shape() -> None:
    """Neither less nor more is clean."""
    content = saved(np.zeros((3, 5)))
    assert scan(content).safe
    assert not scan(content[:-1]).safe
    assert not scan(content + HARMLESS_PICKLE).safe


@given(st.integers(0, 200))
def test_truncation_is_never_safe(length: int) -> None:
    """A file that is cut off anywhere is not called safe."""
    content = saved(np.arange(9.0))
    assert scan(content[: min(length, len(content) - 1)]).safe is False


@given(st.data())
def test_mutation_never_raises(data: st.DataObject) -> None:
    """Whatever the header says, the result is a report."""
    content = bytearray(saved(np.zeros(2, [("a", "<f4"), ("b", "S2")])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(6, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert not any(f.id == "MS-COV-004" for f in scan(bytes(content)).findings)


@given(st.text("{}[](),:'\"\\ xuObL0129<f|", max_size=60))
def test_any_text_is_a_result(text: str) -> None:
    """The grammar ends on every text, with a value or with an error of ours."""
    report = scan(npy(described(text), bytes(8)))
    assert not any(f.id == "MS-COV-004" for f in report.findings)
