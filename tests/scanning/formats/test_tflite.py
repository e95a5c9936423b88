import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.policy import Policy
from modelsec.scanning.report import ScanReport
from tests.scanning.support.flatbuffer_writer import Number, builtin, custom, tflite

POLICY = Policy.load("tflite")
HONEST = tflite([builtin(22), builtin(150)])


def look(content: bytes) -> ScanReport:
    return scan(content, policy=POLICY)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_built_in_operators_are_data_only() -> None:
    """Built-in operators compute and do nothing else; every byte is accounted for."""
    report = look(HONEST)
    assert report.safe
    assert report.format == "tflite"
    assert report.verdict is Verdict.DATA_ONLY
    assert report.findings == ()


def test_a_permitted_custom_operator_is_allow_listed() -> None:
    """Custom operators are permitted by name, and the report tells which."""
    report = look(tflite([builtin(22), custom("TFLite_Detection_PostProcess")]))
    assert report.safe
    assert report.verdict is Verdict.ALLOW_LISTED
    assert [item.subject for item in report.permitted] == ["TFLite_Detection_PostProcess"]


@pytest.mark.parametrize(
    ("code", "rule", "verdict"),
    [
        (custom("AcmeOperator"), "MS-TFL-003", Verdict.UNKNOWN),
        (custom(""), "MS-TFL-003", Verdict.UNKNOWN),
        (custom("FlexErf"), "MS-TFL-002", Verdict.UNKNOWN),
        (custom("FlexWriteFile"), "MS-TFL-001", Verdict.DANGEROUS),
        (custom("FlexPyFunc"), "MS-TFL-001", Verdict.DANGEROUS),
        (custom("FlexSaveV2"), "MS-TFL-001", Verdict.DANGEROUS),
        (builtin(9999), "MS-TFL-004", Verdict.UNKNOWN),
        (builtin(173), "MS-TFL-004", Verdict.UNKNOWN),
    ],
    ids=["custom", "nameless", "flex", "write", "python", "save", "newer", "stablehlo call"],
)
def test_operators_outside_the_policy(code: dict[int, str], rule: str, verdict: Verdict) -> None:
    """Custom operators are native code, Flex ones are TensorFlow's."""
    report = look(tflite([builtin(22), code]))
    assert ids(report) == {rule}
    assert report.verdict is verdict


@pytest.mark.parametrize("name", ["../x", "/x", "a\\..\\..\\x", "C:x"])
def test_files_of_buffers_stay_in_the_folder(name: str) -> None:
    """Buffers may lie in a file that the model names."""
    report = look(tflite([builtin(22)], field_8=[{0: name}], field_9=[{1: Number(0)}]))
    assert ids(report) == {"MS-TFL-005"}
    assert report.verdict is Verdict.DANGEROUS


def test_files_of_buffers_must_be_there(tmp_path: Path) -> None:
    """A file that is absent cannot be checked; one that is there is numbers."""
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite([builtin(22)], field_8=[{0: "weights.bin"}]))
    assert ids(scan(path, policy=POLICY)) == {"MS-TFL-006"}
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    assert scan(path, policy=POLICY).safe
    (tmp_path / "weights.bin").unlink()
    (tmp_path / "weights.bin").symlink_to(tmp_path)
    assert ids(scan(path, policy=POLICY)) == {"MS-TFL-005"}


def outlying(offset: int, size: int, tail: bytes = b"") -> bytes:
    buffers = [{}, {1: Number(offset, "Q"), 2: Number(size, "Q")}]
    return tflite([builtin(22)], field_4=buffers) + tail


def test_buffers_behind_the_tables_are_met() -> None:
    """Models above 2 GiB say where their buffers are, by offset and size."""
    length = len(outlying(0, 0))
    assert look(outlying(length, 64, bytes(range(64)))).safe
    assert not look(outlying(length, 60, bytes(range(1, 65)))).safe


@pytest.mark.parametrize("size", [65, 2**40, 2**64 - 1])
def test_buffers_beyond_the_end_are_malformed(size: int) -> None:
    """A runtime would read the memory behind the file."""
    report = look(outlying(len(outlying(0, 0)), size, bytes(64)))
    assert "MS-COV-001" in ids(report)


def test_bytes_between_tables_are_told() -> None:
    """What no table leads to is not claimed."""
    hidden = HONEST + b"something that no table leads to"
    assert "MS-COV-005" in ids(look(hidden))


def test_an_archive_behind_the_model_is_read_as_one() -> None:
    """Associated files lie in a zip behind the model; it is not taken for a part of the model."""
    held = BytesIO(HONEST)
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    report = look(held.getvalue())
    assert "tflite" in report.format
    assert "MS-COV-001" not in ids(report)


@pytest.mark.parametrize("offset", [8, 2**31, 2**32 - 1])
def test_a_root_beyond_the_end_is_malformed(offset: int) -> None:
    """The first offset leads to the model."""
    report = look(struct.pack("<I", offset) + b"TFL3" + bytes(16))
    assert report.coverage is Coverage.INCOMPLETE


def test_a_vector_that_is_too_long_is_malformed() -> None:
    """A count is compared with the file before anything is read."""
    place = HONEST.index(struct.pack("<I", 16) + bytes(range(16)))
    changed = HONEST[:place] + struct.pack("<I", 2**32 - 1) + HONEST[place + 4 :]
    assert "MS-COV-001" in ids(look(changed))


def test_a_cut_is_never_safe() -> None:
    """Wherever a model is cut, something leads beyond the end."""
    for length in range(len(HONEST) - 1):
        assert not look(HONEST[:length]).safe, length


@given(st.integers(0, len(HONEST) - 1), st.integers(0, 255))
def test_a_changed_byte_raises_nothing(place: int, value: int) -> None:
    """Whatever a byte becomes, the result is a report without a failure of ours."""
    changed = HONEST[:place] + bytes([value]) + HONEST[place + 1 :]
    assert "MS-COV-004" not in ids(look(changed))
