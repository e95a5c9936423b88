import sys
import types
from collections.abc import Callable, Iterator

import pytest

from modelsec.errors import MalformedArtifactError
from modelsec.scanning import Coverage, Verdict, scan
from modelsec.scanning.containers import tar
from modelsec.scanning.containers import zip as zip_reader
from modelsec.scanning.containers.archive import Application, Archive, Taken
from modelsec.scanning.finding import Rule
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part
from tests.scanning.support.containers import (
    TAR_END,
    TEXT,
    File,
    honest_zip,
    tar_member,
    zip_bytes,
)

SEEN = Rule("MS-TST-001", "the application saw a member", Verdict.UNKNOWN)
CODE = b"print('a harmless line')\n"

Reader = Callable[[Part, Archive], Iterator[Observation | Taken]]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(*readers: Reader) -> None:
        module = types.ModuleType("modelsec.scanning.formats.fake")
        applications = []
        for index, reader in enumerate(readers):
            setattr(module, f"read{index}", reader)
            applications.append(
                Application(
                    f"fake{index}",
                    lambda names: "model.bin" in names,
                    f"formats.fake:read{index}",
                    folds_case=True,
                )
            )
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(zip_reader, "APPLICATIONS", tuple(applications))
        monkeypatch.setattr(tar, "APPLICATIONS", tuple(applications))

    return install


FILES = {"MODEL.bin": TEXT, "seen.py": CODE}


def test_members_that_an_application_takes_are_not_scanned_again(
    install: Callable[..., None],
) -> None:
    """It says what it dealt with; everything else goes by content."""

    def read(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
        yield Identified("fake model")
        for member in archive.members:
            if member.name == "seen.py":
                assert member.source(part).read(0, 5) == b"print"
                yield SEEN.at(member.header_offset, "seen", subject=member.name)
                yield Taken(member.index)

    install(read)
    for data in (
        honest_zip(FILES),
        honest_zip(FILES, 8),
        tar_member(b"model.bin") + tar_member(b"seen.py", CODE) + TAR_END,
    ):
        report = scan(data)
        assert report.format == "fake model"
        assert [finding.id for finding in report.findings] == ["MS-TST-001"]


def test_all_applications_that_match_are_read(install: Callable[..., None]) -> None:
    """A file may be two models to two loaders; a member that one of them took is dealt with."""

    def first(_part: Part, _archive: Archive) -> Iterator[Observation | Taken]:
        yield Taken(1)

    def second(_part: Part, _archive: Archive) -> Iterator[Observation | Taken]:
        yield SEEN.at(0, "seen")

    install(first, second)
    assert [finding.id for finding in scan(honest_zip(FILES)).findings] == ["MS-TST-001"]


def test_an_application_may_decline(install: Callable[..., None]) -> None:
    """What it said it had taken does not count then."""

    def read(_part: Part, _archive: Archive) -> Iterator[Observation | Taken]:
        yield Taken(1)
        raise NotThisFormat

    install(read)
    assert [finding.id for finding in scan(honest_zip(FILES)).findings] == ["MS-TXT-001"]


def test_an_application_that_breaks_does_not_end_the_archive(install: Callable[..., None]) -> None:
    """The rest is scanned by content, and the result is incomplete."""

    def read(_part: Part, _archive: Archive) -> Iterator[Observation | Taken]:
        yield Taken(0)
        raise MalformedArtifactError("broken")

    install(read)
    report = scan(honest_zip(FILES))
    assert {finding.id for finding in report.findings} == {"MS-ARC-001", "MS-TXT-001"}
    assert report.coverage is Coverage.INCOMPLETE


def test_compressed_members_that_nobody_expanded_are_expanded(
    install: Callable[..., None],
) -> None:
    """Its loader would: a bomb or a wrong check value must not hide behind an application."""

    def read(_part: Part, archive: Archive) -> Iterator[Observation | Taken]:
        yield from (Taken(member.index) for member in archive.members)

    install(read)
    assert scan(honest_zip(FILES, 8)).safe
    wrong = [File(b"model.bin", method=8, crc=3)]
    assert [finding.id for finding in scan(zip_bytes(wrong)).findings] == ["MS-ZIP-020"]


def test_a_problem_is_reported_once_however_often_a_member_is_opened(
    install: Callable[..., None],
) -> None:
    """Applications and the archive may all look at it."""

    def read(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
        for member in archive.members:
            assert member.source(part).read(0, 1) == member.source(part).read(0, 1)
        yield Taken(0)

    install(read)
    for method in (0, 8):
        wrong = [File(b"model.bin", method=method, crc=3)]
        assert [finding.id for finding in scan(zip_bytes(wrong)).findings] == ["MS-ZIP-020"]


def test_names_that_differ_in_case_are_dangerous_to_a_loader_that_ignores_case(
    install: Callable[..., None],
) -> None:
    """Torch's reader takes whichever a bisection of the names lands on."""

    def read(_part: Part, _archive: Archive) -> Iterator[Observation | Taken]:
        yield from ()

    install(read)
    report = scan(honest_zip({"model.bin": TEXT, "Model.bin": TEXT}))
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-ZIP-031" in {finding.id for finding in report.findings}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"archive/data.pkl", "archive/version"}, ["torch"]),
        ({"data.pkl"}, ["torch"]),
        ({"m/archive_format"}, ["torch"]),
        ({"m/.data/extern_modules"}, ["torch"]),
        ({"config.json", "metadata.json", "model.weights.h5"}, ["keras"]),
        ({"config.json", "metadata.json"}, []),
        ({"schema.json", "1.npy"}, ["skops"]),
        ({"mar-inf/manifest.json", "model.pt"}, ["mar"]),
        ({"schema.json", "data.pkl"}, ["torch", "skops"]),
        ({"a.txt"}, []),
    ],
)
def test_applications_are_recognised_by_names(names: set[str], expected: list[str]) -> None:
    """Several may claim one archive."""
    found = [app.name for app in zip_reader.APPLICATIONS if app.matches(frozenset(names))]
    assert found == expected
