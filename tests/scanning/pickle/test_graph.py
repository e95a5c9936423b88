"""How large a result becomes, and how deep it is."""

import pytest

from modelsec.scanning import Limits, ScanReport, Verdict, scan
from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle import graph
from modelsec.scanning.pickle.values import Container
from tests.scanning.support import assembler as asm


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def laughs(levels: int, width: int = 2) -> bytes:
    """Lists that hold the one before so many times."""
    level = asm.put(0) + asm.POP + asm.EMPTY_LIST + asm.MARK + asm.get(0) * width + asm.APPENDS
    return asm.PROTO2 + asm.EMPTY_LIST + level * levels


@pytest.mark.parametrize("levels", [45, 2000])
def test_doubled_lists_are_a_bomb(levels: int) -> None:
    """A hundred bytes that expand to 2**40 values, and numbers that stay small however many."""
    report = scan(laughs(levels) + asm.STOP)
    assert "MS-PKL-016" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_doubled_tuples_are_a_bomb() -> None:
    """DUP and TUPLE2 need two bytes for each level."""
    report = scan(asm.PROTO2 + asm.NONE + (asm.DUP + asm.TUPLE2) * 60 + asm.STOP)
    # A scalar is no container: the first level is what doubles.
    assert "MS-PKL-016" in ids(report)


def test_a_bomb_that_is_thrown_away_is_a_bomb() -> None:
    """It was hashed as a key before."""
    bomb = asm.NONE + asm.TUPLE1 + (asm.DUP + asm.TUPLE2) * 60
    stream = asm.EMPTY_DICT + bomb + asm.NONE + asm.SETITEM + asm.POP + asm.NONE
    assert "MS-PKL-016" in ids(scan(asm.PROTO2 + stream + asm.STOP))


def test_sharing_within_reason_is_data() -> None:
    """Ten levels of two are a thousand values."""
    assert scan(laughs(10) + asm.STOP).safe


def test_nesting_beyond_what_walkers_survive_is_unknown() -> None:
    """Whatever prints or copies the result recursively falls over."""
    report = scan(asm.PROTO2 + asm.NONE + asm.TUPLE1 * 1000 + asm.STOP)
    assert (report.verdict, ids(report)) == (Verdict.UNKNOWN, {"MS-PKL-017"})


def test_a_million_levels_are_measured_without_recursion() -> None:
    """Depth costs the scan nothing but time."""
    assert "MS-PKL-017" in ids(scan(asm.PROTO2 + asm.NONE + asm.TUPLE1 * 1_000_000 + asm.STOP))


def test_a_cycle_ends() -> None:
    """A list that holds itself counts once where it closes."""
    assert scan(asm.PROTO2 + asm.EMPTY_LIST + asm.put(0) + asm.get(0) + asm.APPEND + asm.STOP).safe


def test_sizes_count_each_way_to_a_value() -> None:
    """Two references to a list of three are nine nodes with the outer list."""
    inner = Container("list", [1, 2, 3])
    assert graph.measure(Container("list", [inner, inner]), Budget(Limits())) == (9, 2)
    assert graph.measure(7, Budget(Limits())) == (1, 0)
