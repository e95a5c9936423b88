"""The trap table: what any unpickler accepts is read, and what they disagree about is told."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm

CALL = asm.call("inert", "sink")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def subjects(report: ScanReport, operation: str = "import") -> set[str]:
    return {found.subject for found in report.findings if found.operation == operation}


@pytest.mark.parametrize(
    "literal",
    [
        b"I0x10\n", b"I0o17\n", b"I0b11\n", b"L0x10L\n", b"L0b1L\n", b"I010\n", b"I12\0junk\n",
        b"L1\0L\n", b"F1\0x\n", b"I+1\n", b"I 1\n", b"F 1\n", b"F1_0.0\n", b"F1e400\n",
        b"I\n", b"I\0junk\n", b"S'\\q'\n",
    ],
)  # fmt: skip
def test_a_call_behind_an_odd_literal_is_found(literal: bytes) -> None:
    """An odd literal neither ends the reading nor is it passed over in silence."""
    report = scan(asm.PROTO2 + literal + asm.POP + CALL + asm.STOP)
    assert subjects(report) == {"inert:sink"}
    assert report.verdict is Verdict.DANGEROUS
    assert {"MS-PKL-012", "MS-PKL-013"} <= ids(report)


@pytest.mark.parametrize("literal", [b"I\n", b"I\0x\n", b"I0x1\n", b"F1e400\n", b"L0b1L\n"])
def test_an_odd_literal_at_the_start_does_not_make_a_pickle_into_text(literal: bytes) -> None:
    """Without a protocol header, too, what an unpickler runs is read as a pickle."""
    report = scan(literal + asm.POP + CALL + asm.STOP)
    assert not report.safe
    assert "inert:sink" in subjects(report)


def test_a_long_line_at_the_start_does_not_make_a_pickle_into_text() -> None:
    """The trial run is not discouraged by a line of a hundred thousand characters."""
    report = scan(b"S'" + b"a" * 100_000 + b"'\n" + asm.POP + CALL + asm.STOP)
    assert "inert:sink" in subjects(report)


@pytest.mark.parametrize("index", [b"00", b" 0 ", b"0_0", b"+0", b"0" * 200])
def test_memo_indices_are_decimal_with_blanks_signs_and_zeros(index: bytes) -> None:
    """``g`` takes what ``int(line, 10)`` takes; the name fetched by it is known."""
    fetch = b"g" + index + b"\n"
    named = asm.text("inert") + asm.put(0) + asm.POP + fetch + asm.text("sink")
    report = scan(asm.PROTO4 + named + asm.STACK_GLOBAL + asm.STOP)
    assert "inert:sink" in subjects(report)


@pytest.mark.parametrize("index", [b"0x0", b"-1", b"", b"x"])
def test_what_is_no_memo_index_breaks_the_pickle(index: bytes) -> None:
    """Base 16 and negative numbers are refused by every unpickler."""
    assert scan(asm.PROTO2 + asm.NONE + b"p" + index + b"\n.").coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "first",
    [
        b"X\x05\0\0\0inert", b"\x8c\x05inert", b"\x8d\x05\0\0\0\0\0\0\0inert", b"U\x05inert",
        b"T\x05\0\0\0inert", b"S'inert'\n", b'S"inert"\n', b"S'in\\x65rt'\n", b"S'in\\145rt'\n",
        b"Vinert\n", b"V\\u0069nert\n", b"\x8c\x05inert20", b"\x8c\x05inertq\x000h\0",
    ],
)  # fmt: skip
def test_operands_of_stack_global_come_from_the_stack(first: bytes) -> None:
    """Any text on the stack names a module, however it came there."""
    report = scan(asm.PROTO4 + first + asm.text("sink") + asm.STACK_GLOBAL + asm.STOP)
    assert subjects(report) == {"inert:sink"}


def test_bytes_are_no_operand_of_stack_global() -> None:
    """Every unpickler raises: nothing is imported, the pickle is broken."""
    report = scan(asm.PROTO4 + asm.data(b"inert") + asm.text("sink") + asm.STACK_GLOBAL + asm.STOP)
    assert report.coverage is Coverage.INCOMPLETE
    assert not subjects(report)


def test_a_computed_text_is_an_operand_of_stack_global() -> None:
    """``str(...)`` gives a text which the scan does not know: not safe, and told."""
    computed = asm.call("builtins", "str", asm.text("inert"))
    report = scan(asm.PROTO4 + computed + asm.text("sink") + asm.STACK_GLOBAL + asm.STOP)
    assert report.verdict is Verdict.DANGEROUS
    assert "?:?" in subjects(report)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_old_names_are_mapped_below_protocol_3(protocol: int) -> None:
    """``commands`` is ``subprocess`` to the loader, so it is to the scan."""
    report = scan(bytes([0x80, protocol]) + asm.name("__builtin__", "apply") + asm.STOP)
    assert "builtins:apply" in subjects(report)


def test_old_names_are_themselves_from_protocol_3_on() -> None:
    """PROTO in mid-stream changes the rule from there on."""
    stream = b"\x80\x02" + asm.name("commands", "inert") + b"0\x80\x04"
    report = scan(stream + asm.name("commands", "other") + asm.STOP)
    assert subjects(report) == {"subprocess:inert", "commands:other"}


def test_names_are_utf_8() -> None:
    """A module with an umlaut is a module."""
    report = scan("cümlaut\nsink\n.".encode())
    assert subjects(report) == {"\\xfcmlaut:sink"}


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_dotted_name_is_dangerous(protocol: int) -> None:
    """A dot is a walk from attribute to attribute, or an attempt at one."""
    report = scan(bytes([0x80, protocol]) + asm.name("pathlib", "inert.sink") + asm.STOP)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "stream",
    [
        asm.frame(asm.NONE + asm.STOP),
        asm.frame(asm.NONE) + asm.STOP,
        asm.frame(b"") + asm.NONE + asm.STOP,
        asm.frame(asm.NONE) + asm.frame(asm.POP) + asm.frame(asm.NONE + asm.STOP),
    ],
)
@pytest.mark.parametrize("head", [asm.PROTO2, asm.PROTO4])
def test_frames_on_opcode_boundaries_are_fine(head: bytes, stream: bytes) -> None:
    """Empty ones, several ones, and frames below protocol 4 are accepted by everybody."""
    assert scan(head + stream).safe


@pytest.mark.parametrize(
    "stream",
    [
        asm.frame(asm.text("abc") + asm.STOP, 2),
        asm.frame(asm.frame(asm.NONE + asm.STOP), 30),
        asm.frame(asm.NONE + asm.frame(asm.NONE + asm.STOP), 3),
        asm.frame(asm.NONE + asm.frame(asm.NONE + asm.STOP), 9),
        asm.frame(asm.NONE + asm.STOP + asm.NONE),
    ],
)
def test_frames_on_which_unpicklers_disagree_are_dangerous(stream: bytes) -> None:
    """Ending within an opcode (another FRAME included), nested, or with STOP inside."""
    report = scan(asm.PROTO4 + stream)
    assert "MS-PKL-014" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_a_frame_beyond_the_end_is_told() -> None:
    """The C unpickler raises, ``pickle.py`` goes on."""
    assert not scan(asm.PROTO4 + asm.frame(asm.NONE + asm.STOP, 1 << 40)).safe


@pytest.mark.parametrize(
    "opcode",
    [
        b"\x8e" + struct.pack("<Q", 1 << 63), b"\x8d" + struct.pack("<Q", (1 << 64) - 1),
        b"\x96" + struct.pack("<Q", 1 << 63), b"B" + struct.pack("<I", 0xFFFFFFFF),
        b"X" + struct.pack("<I", 0xFFFFFFFF), b"T" + struct.pack("<i", -1),
        b"T" + struct.pack("<i", 0x7FFFFFFF), b"\x8b" + struct.pack("<i", -5),
        b"\x8b" + struct.pack("<i", 0x7FFFFFFF), b"\x8a\xff",
    ],
)  # fmt: skip
def test_lengths_beyond_the_data_break_the_pickle(opcode: bytes) -> None:
    """A declared length is compared with what is there before anything is read."""
    report = scan(asm.PROTO4 + opcode + b"abc" + asm.STOP)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_protocol_that_does_not_exist_is_told() -> None:
    """CPython raises, torch's restricted reader only warns."""
    assert not scan(asm.PROTO4 + b"\x80\x09" + asm.NONE + asm.STOP).safe


def test_a_line_that_the_data_end_in_loses_its_last_byte() -> None:
    """Unpicklers drop the last byte as if it were the newline."""
    assert "inert:sin" in subjects(scan(asm.PROTO2 + b"cinert\nsink"))


@pytest.mark.parametrize("code", [b"\x82\x07", b"\x83\x07\0", b"\x84\x07\0\0\0"])
def test_extension_codes_are_dangerous(code: bytes) -> None:
    """Nothing in the file says what they stand for."""
    report = scan(asm.PROTO2 + code + asm.STOP)
    assert (report.verdict, ids(report)) == (Verdict.DANGEROUS, {"MS-PKL-009"})


def test_a_buffer_outside_the_file_makes_the_scan_incomplete() -> None:
    """NEXT_BUFFER takes data from elsewhere (PEP 574)."""
    report = scan(b"\x80\x05\x97\x98.")
    assert (report.coverage, ids(report)) == (Coverage.INCOMPLETE, {"MS-PKL-011"})


@given(st.binary(max_size=80))
def test_any_bytes_are_a_result(data: bytes) -> None:
    """Nothing is raised for any content, with a header or without."""
    for content in (data, asm.PROTO4 + data):
        scan(content)


@given(st.integers(min_value=0, max_value=400), st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_a_pickle_that_is_cut_is_not_safe(length: int, protocol: int) -> None:
    """Truncation at every offset is incomplete, or no pickle at all."""
    import pickle  # noqa: PLC0415 - writes, never reads

    value = {"a": [1, 2.5, None, True], "b": ("text", b"bytes", {1, 2}), "c": {"d": 10**20}}
    whole = pickle.dumps(value, protocol)
    assert scan(whole).safe
    cut = whole[: length % len(whole)]
    report = scan(cut)
    assert not report.safe or report.format == "text", cut


@pytest.mark.parametrize(
    "text", [b"cat\ndog\n", b"chair\nsofa\ntable\n", b"in a line\nand another"]
)
def test_prose_that_begins_like_an_import_is_text(text: bytes) -> None:
    """Every list of words in c or i does; nothing happens but an import, and it breaks off."""
    assert scan(text, name="labels.txt").safe


def test_a_call_is_no_prose_whatever_name_follows() -> None:
    """A later name that no module can have does not undo what has happened before."""
    report = scan(b"cinert\nsink\n)R0ca b\nx\n")
    assert not report.safe
    assert "inert:sink" in subjects(report, "call")
