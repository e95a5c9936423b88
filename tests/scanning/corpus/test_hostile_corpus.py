"""The corpus of the benchmark, as a gate: no hostile file is ever called safe."""

from pathlib import Path

import pytest
from benchmarks.scan_corpus.case import Case
from benchmarks.scan_corpus.hostile import cases, place

from modelsec.scanning import Coverage, Verdict, scan

CASES = {place(case): case for case in cases()}
HOSTILE = [where for where, case in CASES.items() if case.hostile]
RENAMED = [where for where in HOSTILE if not where.endswith(".jinja")]
HONEST = [where for where, case in CASES.items() if not case.hostile]


def _written(case: Case, folder: Path) -> Path:
    """Write a case with its siblings under the names that its loaders would use."""
    path = folder / case.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case.content)
    for name, content in case.beside:
        (path.parent / name).write_bytes(content)
    return path


@pytest.mark.parametrize("where", HOSTILE)
def test_a_hostile_file_is_never_safe(where: str, tmp_path: Path) -> None:
    """Whatever the trick; and where the file shows what it can do, the verdict is dangerous."""
    report = scan(_written(CASES[where], tmp_path))
    assert not report.safe
    assert report.verdict is Verdict.DANGEROUS or not CASES[where].dangerous


@pytest.mark.parametrize("where", HONEST)
def test_an_honest_look_alike_is_safe(where: str, tmp_path: Path) -> None:
    """The same encodings and containers without the trick pass, with complete coverage."""
    report = scan(_written(CASES[where], tmp_path))
    assert (report.verdict, report.coverage) in {
        (Verdict.DATA_ONLY, Coverage.COMPLETE),
        (Verdict.ALLOW_LISTED, Coverage.COMPLETE),
    }, [finding.message for finding in report.findings]


@pytest.mark.parametrize("where", RENAMED)
def test_another_name_changes_nothing(where: str) -> None:
    """The verdict is of the content (only a template in a plain text is known by its name)."""
    assert not scan(CASES[where].content, name="model").safe
