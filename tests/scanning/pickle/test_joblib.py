"""joblib streams: raw arrays are gone past exactly as joblib does."""

from pathlib import Path

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm
from tests.scanning.support import joblib_writer as jl

CALL = asm.call("inert", "sink")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


HONEST = {
    "one array": jl.stream(jl.ARRAY),
    "two arrays": jl.stream(jl.ARRAY, jl.ARRAY),
    "no padding": jl.stream(jl.wrapper() + jl.padded(jl.floats(1.0, 2.0), 0)),
    "no alignment (1.1 and before)": jl.stream(jl.wrapper(alignment=None) + jl.floats(1.0, 2.0)),
    "an empty array": jl.stream(jl.wrapper(shape=(0, 3)) + jl.padded(b"")),
    "a scalar array": jl.stream(jl.wrapper(shape=()) + jl.padded(jl.floats(1.0))),
    "objects": jl.stream(
        jl.wrapper(jl.OBJECTS, allow_mmap=b"\x89") + asm.PROTO4 + asm.EMPTY_LIST + asm.STOP
    ),
    "framed, closed at BUILD": asm.PROTO4
    + asm.frame(jl.wrapper())
    + jl.padded(jl.floats(1.0, 2.0))
    + asm.frame(asm.STOP),
    "numbers that look like opcodes": jl.stream(jl.wrapper() + jl.padded(b"cos\ninert\n)R.   ")),
}


@pytest.mark.parametrize("data", HONEST.values(), ids=HONEST)
def test_honest_arrays_are_gone_past(data: bytes) -> None:
    """Padding, numbers and nested pickles are accounted for; opcodes go on behind them."""
    report = scan(data)
    assert report.safe, report.findings
    assert report.verdict is Verdict.ALLOW_LISTED


@pytest.mark.parametrize("data", [jl.ARRAY, jl.ARRAY + jl.ARRAY])
def test_a_payload_behind_an_array_is_found(data: bytes) -> None:
    """A reader that stops at the first array never sees it."""
    assert "MS-PKL-003" in ids(scan(jl.stream(data, CALL)))


def test_a_payload_in_an_array_of_objects_is_found() -> None:
    """It is a pickle of its own."""
    inner = asm.PROTO4 + CALL + asm.STOP
    report = scan(jl.stream(jl.wrapper(jl.OBJECTS, allow_mmap=b"\x89") + inner))
    assert "MS-PKL-003" in ids(report)


def test_a_frame_that_goes_on_behind_the_array_is_dangerous() -> None:
    """Unpicklers read two different streams."""
    data = asm.PROTO4 + asm.frame(jl.wrapper() + asm.POP) + jl.padded(jl.floats(1.0, 2.0)) + b"N."
    report = scan(data)
    assert "MS-JBL-001" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("alignment", [b"K\x10", b"G" + bytes(8), asm.text("16"), b"\x89", b"K\0"])
def test_any_alignment_means_padding(alignment: bytes) -> None:
    """Joblib asks only whether there is one."""
    hidden = jl.padded(asm.POP + CALL, 4)
    data = jl.stream(jl.wrapper(jl.dtype("u1"), (len(hidden) - 5,), alignment=alignment) + hidden)
    assert scan(data).safe
    behind = jl.stream(jl.wrapper(jl.dtype("u1"), (1,), alignment=alignment) + hidden)
    assert not scan(behind).safe


@pytest.mark.parametrize(
    "kind",
    [
        asm.call("types", "SimpleNamespace") + asm.EMPTY_DICT + asm.BUILD,
        asm.call("builtins", "str", asm.text("f8")),
        asm.text("f8"),
        asm.NONE,
    ],
)
def test_a_type_that_is_no_dtype_is_not_trusted(kind: bytes) -> None:
    """An object with the same attributes would be read by another size."""
    assert scan(jl.stream(jl.wrapper(kind) + jl.padded(bytes(16)))).coverage is Coverage.INCOMPLETE


def test_objects_that_may_be_mapped_are_dangerous() -> None:
    """A map of the file would hold the file's bytes as pointers."""
    inner = asm.PROTO4 + asm.EMPTY_LIST + asm.STOP
    assert "MS-JBL-004" in ids(scan(jl.stream(jl.wrapper(jl.OBJECTS) + inner)))


@pytest.mark.parametrize("alignment", [None, b"K\x10"])
def test_numbers_that_pickle_load_would_run_are_dangerous(alignment: bytes | None) -> None:
    """Whoever loads the file without joblib takes the numbers for opcodes."""
    raw = asm.POP + CALL + asm.STOP
    padding = b"" if alignment is None else b"0"  # a length of 48, which is POP as an opcode
    body = padding + (b"\xff" * 48 if alignment else b"") + raw
    report = scan(jl.stream(jl.wrapper(jl.dtype("u1"), (len(raw),), alignment=alignment) + body))
    assert ("MS-JBL-005" in ids(report)) is (alignment is None)


def test_bytes_for_torch_load_among_the_numbers_are_dangerous() -> None:
    """The import may stand before the array, and nothing but its call within."""
    load = asm.name("torch.storage", "_load_from_bytes") + asm.put(200) + asm.POP
    inner = asm.get(200) + asm.data(b"x") + asm.TUPLE1 + asm.REDUCE + asm.STOP
    array = jl.wrapper(jl.dtype("u1"), (len(inner),), alignment=None) + inner
    assert "MS-JBL-005" in ids(scan(jl.stream(load + array)))


@pytest.mark.parametrize(
    "data",
    [
        jl.stream(jl.wrapper(shape=(1 << 30, 1 << 30)) + jl.padded(b"")),
        jl.stream(jl.wrapper(shape=(-1,)) + jl.padded(b"")),
        jl.stream(jl.wrapper() + jl.padded(b"")),
        jl.stream(jl.wrapper() + b"\x03abc" + bytes(16)),
        jl.stream(jl.wrapper()),
    ],
)
def test_arrays_that_do_not_fit_break_the_stream(data: bytes) -> None:
    """Size, padding and shape have to agree with what is there."""
    assert scan(data).coverage is Coverage.INCOMPLETE


def test_a_second_state_of_an_array_is_dangerous() -> None:
    """Joblib would read a second array; an attribute in slots could change its size."""
    again = asm.NONE + asm.EMPTY_DICT + asm.text("shape") + asm.EMPTY_TUPLE + asm.SETITEM
    data = asm.PROTO4 + jl.ARRAY + again + asm.TUPLE2 + asm.BUILD + jl.padded(bytes(16)) + b"."
    assert scan(data).verdict is Verdict.DANGEROUS


def test_truncation_at_every_offset_is_not_safe() -> None:
    """Within the opcodes, the padding and the numbers."""
    whole = jl.stream(jl.ARRAY, jl.ARRAY)
    for length in range(len(whole)):
        assert not scan(whole[:length]).safe, length


def old_wrapper(name: str) -> bytes:
    made = asm.name("joblib.numpy_pickle", "NDArrayWrapper") + asm.EMPTY_TUPLE + asm.NEWOBJ
    state = asm.text("filename") + asm.text(name) + asm.text("subclass") + asm.NONE
    return asm.PROTO2 + made + asm.EMPTY_DICT + asm.MARK + state + asm.SETITEMS + asm.BUILD + b"."


def test_sibling_files_of_old_versions_are_scanned(tmp_path: Path) -> None:
    """They are loaded with pickles allowed; so they belong to the file."""
    model = tmp_path / "model.pkl"
    model.write_bytes(old_wrapper("model.pkl_01.npy"))
    sibling = tmp_path / "model.pkl_01.npy"
    assert "MS-JBL-002" in ids(scan(model))
    sibling.write_bytes(asm.PROTO2 + CALL + asm.STOP)
    report = scan(model)
    assert not report.safe
    assert any(finding.path == ("model.pkl_01.npy",) for finding in report.findings)
    assert "MS-JBL-002" in ids(scan(model.read_bytes()))


@pytest.mark.parametrize("name", ["../x.npy", "/etc/inert", "a/../../x", "C:x", ""])
def test_siblings_outside_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    """The name is joined to the folder, whatever it is."""
    model = tmp_path / "model.pkl"
    model.write_bytes(old_wrapper(name))
    assert scan(model).verdict is Verdict.DANGEROUS


def test_a_sibling_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """It could lead anywhere."""
    (tmp_path / "link.npy").symlink_to("/dev/null")
    model = tmp_path / "model.pkl"
    model.write_bytes(old_wrapper("link.npy"))
    assert scan(model).verdict is Verdict.DANGEROUS
