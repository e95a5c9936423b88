"""TorchServe archives: the manifest, and the code it names."""

import json

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support.skops_writer import zipped

CHECKPOINT = (
    b"\x93NUMPY\x01\x00\x46\x00"
    + (b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(69) + b"\n")
    + bytes(4)
)


def mar(members: dict[str, bytes] | None = None, **model: object) -> bytes:
    manifest = {"runtime": "python", "model": {"modelName": "m", **model}}
    return zipped(
        {"MAR-INF/MANIFEST.json": json.dumps(manifest).encode(), "w.npy": CHECKPOINT}
        | (members or {})
    )


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_archive_with_a_handler_of_the_server_is_data() -> None:
    """No code comes with it."""
    report = scan(mar(serializedFile="w.npy", handler="image_classifier"))
    assert report.safe, report.findings
    assert "torchserve" in report.format


@pytest.mark.parametrize("handler", ["mine.py", "mine.py:handle", "mine"])
def test_a_handler_in_the_archive_is_code(handler: str) -> None:
    """The server imports it."""
    report = scan(mar({"mine.py": b"x = 1\n"}, serializedFile="w.npy", handler=handler))
    assert report.verdict is Verdict.UNKNOWN
    assert "MS-MAR-001" in ids(report)


def test_a_file_with_the_name_of_a_known_handler_is_code() -> None:
    """The archive's own file may come first on the path."""
    report = scan(mar({"image_classifier": b"x = 1\n"}, handler="image_classifier"))
    assert "MS-MAR-001" in ids(report)


def test_requirements_are_installed() -> None:
    """Installing a package runs its code."""
    report = scan(mar({"r.txt": b"numpy\n"}, requirementsFile="r.txt"))
    assert "MS-MAR-002" in ids(report)


@pytest.mark.parametrize("name", ["../x.pt", "/etc/x", "a\\..\\x", "C:x"])
def test_names_that_leave_the_archive_are_dangerous(name: str) -> None:
    """A path out of the archive reads another file."""
    assert scan(mar(serializedFile=name)).verdict is Verdict.DANGEROUS


def test_a_missing_file_is_incomplete() -> None:
    """What is not there was not scanned."""
    report = scan(mar(serializedFile="gone.pt"))
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "manifest", [b"[]", b'{"model": 1}', b'{"model": {}, "model": {"handler": "x.py"}}']
)
def test_a_manifest_that_is_not_understood_is_unknown(manifest: bytes) -> None:
    """Readers may differ on it."""
    report = scan(zipped({"MAR-INF/MANIFEST.json": manifest}))
    assert "MS-MAR-005" in ids(report)
    assert not report.safe


def test_a_value_that_is_no_name_is_unknown() -> None:
    """A list where a name should be."""
    assert "MS-MAR-005" in ids(scan(mar(handler=["a.py"])))
