"""Stack, marks and memo, exactly as unpicklers have them; effects count when they happen."""

import struct

import pytest

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm

SINK = asm.name("inert", "sink")
CALL = SINK + asm.EMPTY_TUPLE + asm.REDUCE


def subjects(report: ScanReport, operation: str = "import") -> set[str]:
    return {found.subject for found in report.findings if found.operation == operation}


def ids(report: ScanReport) -> set[str]:
    return {found.id for found in report.findings}


@pytest.mark.parametrize(
    "stream",
    [
        CALL + asm.POP + asm.NONE,
        asm.MARK + CALL + asm.POP_MARK + asm.NONE,
        asm.MARK + SINK + asm.OBJ + asm.POP + asm.NONE,
        asm.MARK + b"iinert\nsink\n" + asm.POP + asm.NONE,
        SINK + asm.EMPTY_TUPLE + asm.NEWOBJ + asm.POP + asm.NONE,
        SINK + asm.EMPTY_TUPLE + asm.EMPTY_DICT + asm.NEWOBJ_EX + asm.POP + asm.NONE,
        asm.EMPTY_DICT + asm.text("ignored") + CALL + asm.SETITEM,
        asm.NONE + CALL,
    ],
)
def test_a_call_whose_result_is_thrown_away_is_found(stream: bytes) -> None:
    """Effects are judged at the opcode, not at STOP."""
    report = scan(asm.PROTO4 + stream + asm.STOP)
    assert "inert:sink" in subjects(report, "call")


@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0", asm.get(9), asm.POP * 9, b"X\xff", b"cx"])
def test_what_stands_before_a_break_is_judged(tail: bytes) -> None:
    """No STOP, no opcode, no memo entry, no value, no text: the call has happened."""
    report = scan(asm.PROTO2 + CALL + tail)
    assert "inert:sink" in subjects(report, "call")
    assert report.coverage is Coverage.INCOMPLETE
    assert report.verdict is Verdict.DANGEROUS


def test_pop_takes_a_mark_if_there_is_no_value() -> None:
    """Of two stacks, POP takes from the upper one, then the mark itself."""
    named = asm.text("inert") + asm.MARK + asm.POP + asm.text("sink") + asm.STACK_GLOBAL
    assert subjects(scan(asm.PROTO4 + named + asm.STOP)) == {"inert:sink"}


@pytest.mark.parametrize(
    "stream",
    [asm.APPEND, asm.TUPLE1, asm.MARK + asm.NONE + asm.REDUCE, asm.TUPLE, asm.OBJ, asm.DUP],
)
def test_a_stack_that_is_too_short_breaks_the_pickle(stream: bytes) -> None:
    """Every unpickler raises; so the scan is incomplete, and nothing is raised here."""
    assert scan(asm.PROTO2 + stream + asm.STOP).coverage is Coverage.INCOMPLETE


def test_memoize_counts_entries_not_itself() -> None:
    """After a sparse PUT the index is the number of entries."""
    head = asm.text("collections") + asm.put(7) + asm.POP
    stream = head + asm.text("inert") + asm.MEMOIZE + asm.POP
    named = asm.get(1) + asm.text("sink") + asm.STACK_GLOBAL
    assert subjects(scan(asm.PROTO4 + stream + named + asm.STOP)) == {"inert:sink"}


def test_memoize_of_what_is_popped_at_once_keeps_it() -> None:
    """The operands of an import may lie in the memo only."""
    kept = b"".join(asm.text(name) + asm.MEMOIZE + asm.POP for name in ("inert", "sink"))
    named = asm.get(0) + asm.get(1) + asm.STACK_GLOBAL
    assert subjects(scan(asm.PROTO4 + kept + named + asm.STOP)) == {"inert:sink"}


def test_a_put_replaces() -> None:
    """The last value under an index is the value."""
    stream = asm.text("collections") + asm.put(0) + asm.POP + asm.text("inert") + asm.put(0)
    named = asm.get(0) + asm.text("sink") + asm.STACK_GLOBAL
    assert subjects(scan(asm.PROTO4 + stream + named + asm.STOP)) == {"inert:sink"}


@pytest.mark.parametrize("index", [(1 << 21) + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_memo_index_far_beyond_the_entries_is_a_bomb(index: int) -> None:
    """The C unpickler would allocate an array up to it."""
    report = scan(asm.PROTO2 + asm.NONE + b"r" + struct.pack("<I", index) + asm.STOP)
    assert "MS-PKL-015" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_a_text_memo_index_is_a_bomb_as_well() -> None:
    """PUT in decimal reaches as far."""
    assert "MS-PKL-015" in ids(scan(asm.PROTO2 + asm.NONE + b"p4000000000\n" + asm.STOP))


def test_a_memo_entry_of_the_pickle_before_is_dangerous() -> None:
    """Some loaders keep the memo, others do not: they see different pickles."""
    first = asm.PROTO2 + SINK[:0] + asm.text("inert") + asm.put(0) + asm.STOP
    second = asm.PROTO2 + asm.get(0) + asm.text("sink") + asm.STACK_GLOBAL + asm.STOP
    report = scan(first + second)
    assert "MS-PKL-019" in ids(report)
    assert subjects(report) == {"inert:sink"}


@pytest.mark.parametrize("position", [0, 1, 4])
def test_every_pickle_in_a_row_is_judged(position: int) -> None:
    """A payload in the first, second or fifth one."""
    streams = [asm.PROTO2 + asm.NONE + asm.STOP] * 5
    streams[position] = asm.PROTO2 + CALL + asm.STOP
    assert "inert:sink" in subjects(scan(b"".join(streams)), "call")


def test_honest_pickles_in_a_row_are_safe() -> None:
    """And told as a note."""
    report = scan((asm.PROTO2 + asm.NONE + asm.STOP) * 3)
    assert report.safe
    assert "MS-PKL-020" in ids(report)


def test_what_follows_a_pickle_is_scanned_by_content() -> None:
    """A tail that is no pickle belongs to nothing: never safe, and looked into."""
    report = scan(asm.PROTO2 + asm.NONE + asm.STOP + b"\x7fELF" + bytes(60))
    assert not report.safe
    assert "MS-COV-005" in ids(report)


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (asm.EMPTY_LIST + b"K\0" + asm.NONE + asm.SETITEM, "list by index"),
        (asm.EMPTY_DICT + asm.MARK + asm.text("a") + asm.NONE + asm.SETITEMS, "dict"),
        (asm.EMPTY_SET + asm.MARK + b"K\1" + asm.ADDITEMS, "set"),
        (asm.EMPTY_LIST + asm.NONE + asm.APPEND, "list"),
    ],
)
def test_builtin_containers_may_be_filled(stream: bytes, kind: str) -> None:
    """As every unpickler does."""
    assert scan(asm.PROTO4 + stream + asm.STOP).safe, kind


@pytest.mark.parametrize(
    "stream",
    [
        asm.EMPTY_DICT + asm.MARK + asm.NONE + asm.ADDITEMS,
        asm.EMPTY_DICT + asm.NONE + asm.APPEND,
        asm.EMPTY_LIST + asm.text("a") + asm.NONE + asm.SETITEM,
        asm.EMPTY_TUPLE + asm.NONE + asm.APPEND,
        b"K\1" + asm.NONE + asm.APPEND,
    ],
)
def test_filling_containers_in_other_ways_is_told(stream: bytes) -> None:
    """Unpicklers disagree about it, or raise."""
    assert not scan(asm.PROTO4 + stream + asm.STOP).safe


@pytest.mark.parametrize(
    "arguments", [asm.EMPTY_LIST, asm.EMPTY_DICT, asm.text("ab"), asm.NONE, SINK]
)
def test_arguments_that_are_no_tuple_are_told(arguments: bytes) -> None:
    """``pickle.py`` unpacks anything, the C unpickler only tuples."""
    report = scan(asm.PROTO2 + asm.name("builtins", "set") + arguments + asm.REDUCE + asm.STOP)
    assert report.verdict is Verdict.DANGEROUS


def test_a_persistent_id_without_a_container_that_defines_it_is_unknown() -> None:
    """What it stands for, only the program knows that wrote it."""
    for stream in (asm.text("x") + asm.BINPERSID, b"Px\n"):
        assert scan(asm.PROTO2 + stream + asm.STOP).verdict is Verdict.UNKNOWN


def test_more_values_than_the_limit_make_the_scan_incomplete() -> None:
    """Marks, lists and nested tuples count like everything that is alive."""
    limits = Limits(kept_values=10_000)
    for opcode in (asm.MARK, asm.EMPTY_LIST, asm.NONE):
        report = scan(asm.PROTO2 + opcode * 100_000 + asm.STOP, limits=limits)
        assert report.coverage is Coverage.INCOMPLETE
        assert "MS-COV-003" in ids(report)
    nested = asm.PROTO2 + asm.NONE + asm.TUPLE1 * 100_000 + asm.STOP
    assert "MS-COV-003" in ids(scan(nested, limits=limits))


def test_more_opcodes_than_the_limit_make_the_scan_incomplete() -> None:
    """The budget is for the whole file."""
    stream = asm.PROTO2 + (asm.NONE + asm.POP) * 50_000 + asm.NONE + asm.STOP
    assert "MS-COV-003" in ids(scan(stream, limits=Limits(opcodes=10_000)))


def test_a_limit_does_not_turn_a_protocol_0_pickle_into_text() -> None:
    """Nobody knows what comes behind a limit that stopped the trial run."""
    stream = b"(" + b"I1\n" * 50_000 + b"l0cinert\nsink\n)R."
    assert not scan(stream, limits=Limits(kept_values=1000)).safe
