"""The engine: whatever readers do, nothing passes unread."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import MalformedArtifactError, ResourceLimitError, UnsupportedFormatError
from modelsec.scanning import Limits, Rule, Verdict
from modelsec.scanning.engine import Outcome, examine, gaps
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Permitted, Span
from modelsec.scanning.policy import default_policy
from modelsec.scanning.source import BytesSource, Slice

NOTE = Rule("MS-TST-001", "a note", Verdict.DATA_ONLY)
UNKNOWN = Rule("MS-TST-002", "unknown", Verdict.UNKNOWN)
DANGER = Rule("MS-TST-003", "danger", Verdict.DANGEROUS)


def examined(*observations: Observation | Exception, size: int = 100, **limits: int) -> Outcome:
    """Return the outcome of a reader that yields these, or raises."""

    def read(part: Part) -> Iterator[Observation]:
        del part
        for observed in observations:
            if isinstance(observed, Exception):
                raise observed
            yield observed

    budget = Budget(Limits(**limits))
    return examine(Part(BytesSource(b"\1" * size), "x", default_policy(), budget, reader=read))


def ids(outcome: Outcome) -> list[str]:
    return [finding.id for finding in outcome.findings]


def test_bytes_that_are_all_claimed_are_complete() -> None:
    """In any order, overlapping or not."""
    outcome = examined(Span(50, 100), Span(0, 60), Identified("thing"))
    assert (ids(outcome), outcome.incomplete, outcome.formats) == ([], False, ["thing"])
    assert outcome.verdict is Verdict.DATA_ONLY


def test_bytes_that_nobody_claims_are_unknown_and_scanned() -> None:
    """Each gap is a finding, and a part of its own."""
    outcome = examined(Span(0, 40), Span(60, 100))
    assert "MS-COV-005" in ids(outcome)
    assert outcome.verdict.rank >= Verdict.UNKNOWN.rank
    assert ("bytes at 40",) in [finding.path for finding in outcome.findings]


def test_zeros_that_nobody_claims_are_padding() -> None:
    """Up to a megabyte."""

    def read(part: Part) -> Iterator[Observation]:
        yield Span(0, 10)
        del part

    def outcome(size: int) -> Outcome:
        data = BytesSource(b"\1" * 10 + bytes(size))
        return examine(Part(data, "x", default_policy(), Budget(Limits()), reader=read))

    assert ids(outcome(1000)) == ["MS-FMT-002"]
    assert "MS-COV-005" in ids(outcome((1 << 20) + 1))


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (MalformedArtifactError("x"), "MS-COV-001"),
        (UnsupportedFormatError("x"), "MS-COV-002"),
        (ResourceLimitError("x"), "MS-COV-003"),
        (RecursionError(), "MS-COV-003"),
        (MemoryError(), "MS-COV-003"),
        (ZeroDivisionError("x"), "MS-COV-004"),
        (KeyError("x"), "MS-COV-004"),
    ],
)
def test_a_reader_that_raises_is_incomplete_and_keeps_its_findings(
    error: Exception, rule: str
) -> None:
    """What was observed before counts; nothing is raised out of the engine."""
    outcome = examined(Span(0, 100), DANGER.at(3, "before"), error)
    assert ids(outcome) == ["MS-TST-003", rule]
    assert outcome.incomplete
    assert outcome.verdict is Verdict.DANGEROUS


def test_a_forced_reader_that_refuses_leaves_the_bytes_unread() -> None:
    """Which is not safe."""
    outcome = examined(NotThisFormat())
    assert outcome.incomplete


def test_the_worst_verdict_stands() -> None:
    """Permissions, notes and dangers together."""
    assert examined(Span(0, 100), NOTE.at(0, "n")).verdict is Verdict.DATA_ONLY
    permitted = Permitted("core", "import", "a:b")
    assert examined(Span(0, 100), permitted).verdict is Verdict.ALLOW_LISTED
    everything = (permitted, DANGER.at(0, "d"), NOTE.at(0, "n"), UNKNOWN.at(0, "u"))
    assert examined(Span(0, 100), *everything).verdict is Verdict.DANGEROUS


def test_the_cap_on_findings_keeps_the_verdict_and_the_first_worse_finding() -> None:
    """Further ones are counted."""
    notes = [NOTE.at(number, f"n{number}") for number in range(10)]
    outcome = examined(Span(0, 100), *notes, DANGER.at(0, "d"), findings=3)
    assert ids(outcome) == ["MS-TST-001"] * 3 + ["MS-TST-003"]
    assert (outcome.unlisted, outcome.verdict) == (7, Verdict.DANGEROUS)


def test_parts_within_parts_are_examined_with_their_path() -> None:
    """Down to a depth, and no further."""

    def read(part: Part) -> Iterator[Observation]:
        yield Span(0, part.source.size)
        yield UNKNOWN.at(0, "here")
        yield part.child(Slice(part.source, 0, part.source.size), "inner", read)

    part = Part(BytesSource(b"abc"), "x", default_policy(), Budget(Limits(depth=3)), reader=read)
    outcome = examine(part)
    assert [len(finding.path) for finding in outcome.findings] == [0, 1, 2, 3, 4]
    assert ids(outcome)[-1] == "MS-COV-003"
    assert outcome.incomplete


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple)))
def test_gaps_and_spans_make_up_the_whole(spans: list[tuple[int, int]]) -> None:
    """No byte is in neither."""
    covered = {at for start, stop in spans for at in range(start, stop)}
    uncovered = [at for start, stop in gaps(spans, 40) for at in range(start, stop)]
    assert uncovered == [at for at in range(40) if at not in covered]
