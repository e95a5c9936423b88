import io
import struct
import zipfile
from pathlib import Path

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support.containers import TEXT, File, Pipe, honest_zip, tar_member, zip_bytes


def is_clean(report: ScanReport) -> bool:
    complete = report.coverage is Coverage.COMPLETE
    return complete and report.verdict is Verdict.DATA_ONLY and not report.findings


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_python_archives_of_every_method_are_clean(method: int) -> None:
    """Folders, empty members, comments and text content leave nothing to say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.txt", TEXT)
        archive.writestr("folder/", b"")
        archive.writestr("folder/b.txt", TEXT * 9)
        archive.writestr("empty.txt", b"")
        archive.writestr("größe.txt", TEXT)
        archive.comment = "ein Gruß".encode()
    report = scan(buffer.getvalue())
    assert is_clean(report), report.findings
    assert report.format == "zip"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("large", [False, True])
def test_streamed_archives_are_clean(method: int, large: bool) -> None:  # noqa: FBT001
    """Sizes behind the content, of 32 or of 64 bits, are read and compared."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[arg-type]  # a raw file
        for name in ("a.txt", "b.txt"):
            with archive.open(name, "w", force_zip64=large) as member:
                member.write(TEXT)
    assert is_clean(scan(bytes(pipe.data)))


def test_zip64_fields_in_headers_are_clean() -> None:
    """A writer that does not know the size beforehand reserves room for a large one."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as archive,
        archive.open("a.txt", "w", force_zip64=True) as member,
    ):
        member.write(TEXT)
    assert is_clean(scan(buffer.getvalue()))


def test_a_zip64_directory_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """More members than 16 bits count: the end record has a large twin."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    report = scan(honest_zip({str(index): b"" for index in range(5)}))
    assert is_clean(report)


def test_torch_alignment_is_clean_apart_from_what_is_in_the_members() -> None:
    """Torch fills an extra field with Z, so that every storage starts at a multiple of 64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in (("m/byteorder", b"little"), ("m/data/0", TEXT), ("m/version", b"3\n")):
            info = zipfile.ZipInfo(name)
            start = buffer.tell() + 30 + len(name) + 4
            fill = -start % 64
            info.extra = struct.pack("<2sH", b"FB", fill) + b"Z" * fill
            archive.writestr(info, data)
    report = scan(buffer.getvalue())
    assert is_clean(report), report.findings


def test_long_alignment_is_clean() -> None:
    """Storages may be aligned to pages: filler of thousands of bytes is still filler."""
    extra = struct.pack("<2sH", b"FB", 4000) + b"Z" * 4000
    android = struct.pack("<HHH", 0xD935, 4002, 4096) + bytes(4000)
    files = [File(local_extra=extra, extra=b""), File(name=b"b", local_extra=android)]
    assert is_clean(scan(zip_bytes(files)))


def test_zero_alignment_between_members_is_clean() -> None:
    """A few zero bytes between members are nobody's."""
    report = scan(zip_bytes([File(after=bytes(50)), File(b"b.txt")], before_directory=bytes(9)))
    assert is_clean(report)


def test_an_empty_archive_is_clean() -> None:
    """An end record alone is an archive without members."""
    assert is_clean(scan(honest_zip({})))


def test_an_npz_is_called_by_its_name() -> None:
    """Only arrays inside: that is what numpy writes."""
    data = b"\x93NUMPY\1\0v\0" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }".ljust(
        117
    )
    report = scan(
        honest_zip({"x.npy": data + b"\n" + bytes(16), "X.npy": data + b"\n" + bytes(16)})
    )
    assert report.format == "npz"
    assert [finding.id for finding in report.findings] == ["MS-ZIP-032"]
    assert report.safe


def test_names_that_differ_in_case_are_a_note() -> None:
    """Variables x and X make an honest npz; only a loader that ignores case would care."""
    report = scan(honest_zip({"x.txt": TEXT, "X.txt": TEXT}))
    assert report.safe
    assert [finding.id for finding in report.findings] == ["MS-ZIP-032"]


def test_a_zip_stored_at_the_end_of_a_tar_is_no_second_reading() -> None:
    """NeMo files are tars that may end in a checkpoint; Python would open them as a zip."""
    inner = honest_zip({"a.txt": TEXT})
    report = scan(tar_member(b"./config.txt") + tar_member(b"./weights.ckpt", inner) + bytes(1024))
    assert is_clean(report), report.findings
    assert report.format == "tar"


def test_links_within_the_archive_are_a_note() -> None:
    """A link to a neighbour leads nowhere else."""
    report = scan(zip_bytes([File(), File(name=b"d/link", data=b"../a.txt", mode=0o120777)]))
    assert report.safe
    assert [finding.id for finding in report.findings] == ["MS-ZIP-036"]


def test_a_chance_end_record_is_no_archive() -> None:
    """Four bytes near the end of text are not a zip."""
    report = scan(TEXT + b"PK\5\6" + b"0" * 18)
    assert "zip" not in report.format


def test_members_larger_than_memory_allows_go_through_a_file(tmp_path: Path) -> None:
    """Expanded content above 16 MiB is scanned all the same, and nothing is left open."""
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.txt", b"0123456789abcde\n" * (5 << 16 << 2))
    report = scan(path)
    assert is_clean(report), report.findings
