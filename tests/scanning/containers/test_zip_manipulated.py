"""Every way in which two readers of a zip can be made to disagree."""

import struct
import zlib
from collections.abc import Callable

import pytest

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from modelsec.scanning.finding import Finding
from tests.scanning.support.containers import (
    TEXT,
    File,
    honest_zip,
    padded,
    raw_deflate,
    tar_block,
    zip_bytes,
)

CODE = File(name=b"seen.py", data=b"print('a harmless line')\n" * 3)
"""Its content gives a finding of its own, MS-TXT-001: whoever reports it has read it."""


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def of(report: ScanReport, rule: str) -> Finding:
    return next(finding for finding in report.findings if finding.id == rule)


def code(**fields: object) -> File:
    return File(**{"name": CODE.name, "data": CODE.data, **fields})  # type: ignore[arg-type]


DANGEROUS = {
    "duplicate names": ([code(data=TEXT), CODE], "MS-ZIP-030"),
    "names equal after folding separators": ([File(b"d/a"), File(b"d//a")], "MS-ZIP-030"),
    "NUL in a name": ([code(name=b"a.txt\0.py")], "MS-ARC-010"),
    "two names": ([code(local_name=b"other.py")], "MS-ZIP-010"),
    "two names of other length": ([code(local_name=b"seen.py.py")], "MS-ZIP-010"),
    "two methods": ([code(method=8, local_method=0)], "MS-ZIP-011"),
    "two sizes": ([code(local_size=5)], "MS-ZIP-011"),
    "encrypted in the header": ([code(local_flags=1)], "MS-ZIP-013"),
    "encrypted in the directory": ([code(flags=1, local_flags=0)], "MS-ZIP-013"),
    "an absolute name": ([code(name=b"/tmp/seen.py")], "MS-ARC-011"),
    "a drive": ([code(name=b"C:\\seen.py")], "MS-ARC-011"),
    "a name that climbs": ([code(name=b"a/../../seen.py")], "MS-ARC-012"),
    "a name that climbs backwards": ([code(name=b"a\\..\\..\\seen.py")], "MS-ARC-012"),
    "a link that leaves": ([CODE, File(data=b"../../etc", mode=0o120777)], "MS-ARC-015"),
    "a link to the root": ([CODE, File(data=b"/etc", mode=0o120777)], "MS-ARC-015"),
    "a link through a link": ([CODE, File(data=b"d/..", mode=0o120777)], "MS-ARC-015"),
    "a link to nowhere": ([CODE, File(data=b"", mode=0o120777)], "MS-ARC-015"),
    "a long link": ([CODE, File(data=b"a" * 5000, mode=0o120777)], "MS-ARC-015"),
    "a member below a link": (
        [File(b"d", b"e", mode=0o120777), code(name=b"d/seen.py")],
        "MS-ARC-016",
    ),
    "a device": ([code(mode=0o060644)], "MS-ARC-017"),
    "more than declared": ([code(method=8, size=4)], "MS-ZIP-021"),
    "less than declared": ([code(method=8, size=4000)], "MS-ZIP-021"),
    "stored with another size": ([code(size=4000)], "MS-ZIP-021"),
    "a hidden member": ([File(), code(listed=False), File(b"b.txt")], "MS-ZIP-040"),
}


@pytest.mark.parametrize("case", DANGEROUS)
def test_what_readers_disagree_on_is_dangerous(case: str) -> None:
    """The trick is named, the verdict is the worst, and the content is still scanned."""
    files, rule = DANGEROUS[case]
    report = scan(zip_bytes(files))
    assert rule in ids(report), report.findings
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TXT-001" in ids(report) or not any(file.data == CODE.data for file in files)


SUSPICIOUS = {
    "wrong check value": ([code(crc=1)], "MS-ZIP-020"),
    "wrong check value of a deflated member": ([code(crc=1, method=8)], "MS-ZIP-020"),
    "another check value in the header": ([code(local_crc=5)], "MS-ZIP-012"),
    "no size in the header": ([code(local_size=0, local_crc=0)], "MS-ZIP-011"),
    "a name in the wrong encoding": ([code(name=b"\xff.py", flags=0x800)], "MS-ZIP-035"),
    "an encoding in one place": ([code(name=b"\xc3\xa4.py", local_flags=0x800)], "MS-ZIP-012"),
    "a backslash": ([code(name=b"d\\seen.py")], "MS-ARC-013"),
    "no name": ([File(b"")], "MS-ARC-014"),
    "a descriptor that is not there": ([code(flags=8)], "MS-ZIP-016"),
    "a folder with content": ([File(b"folder/", CODE.data)], "MS-ZIP-034"),
    "a second name in an extra field": (
        [code(extra=struct.pack("<HHBI", 0x7075, 14, 1, 0) + b"other.txt")],
        "MS-ZIP-035",
    ),
    "two fields of sizes": ([code(extra=struct.pack("<HHQ", 1, 8, 75) * 2)], "MS-ZIP-012"),
    "bytes behind deflated content": (
        [code(method=8, stored=raw_deflate(CODE.data) + b"hidden")],
        "MS-ZIP-051",
    ),
    "a hidden range": ([code(after=b"x" * 100), File()], "MS-COV-005"),
    "a payload in an extra field": (
        [code(local_extra=struct.pack("<HH", 0xABCD, 100) + b"x" * 100)],
        "MS-COV-005",
    ),
    "a payload in filler": (
        [code(local_extra=struct.pack("<2sH", b"FB", 100) + b"Z" * 50 + b"x" * 50)],
        "MS-COV-005",
    ),
    "a payload behind extra fields": ([code(local_extra=b"x" * 100)], "MS-COV-005"),
    "a payload in a member's comment": ([code(comment=b"\x80\4\0\0")], "MS-COV-005"),
}


@pytest.mark.parametrize("case", SUSPICIOUS)
def test_what_no_honest_writer_does_is_never_clean(case: str) -> None:
    """Less than proof of malice, but it is named and it is outside the policy."""
    files, rule = SUSPICIOUS[case]
    report = scan(zip_bytes(files))
    assert rule in ids(report), report.findings
    assert report.verdict is not Verdict.DATA_ONLY
    assert {"MS-TXT-001", "MS-COV-005", "MS-ZIP-034", "MS-ARC-014"} & ids(report)


INCOMPLETE = {
    "encrypted in both places": ([CODE, File(flags=1)], "MS-ZIP-014"),
    "strong encryption": ([CODE, File(flags=0x40)], "MS-ZIP-014"),
    "a method nobody knows": ([File(method=77), CODE], "MS-ARC-001"),
    "zstd": ([File(method=93), CODE], "MS-ARC-001"),
    "broken deflate": ([File(method=8, stored=b"\xff" * 50), CODE], "MS-ARC-001"),
    "broken LZMA": ([File(method=14, stored=b"\xff" * 50), CODE], "MS-ARC-001"),
    "short LZMA": ([File(method=14, stored=b"\x09"), CODE], "MS-ARC-001"),
    "LZMA of odd parameters": (
        [File(method=14, stored=b"\x09\x04\x05\0" + bytes([44]) + bytes(99)), CODE],
        "MS-ARC-001",
    ),
    "LZMA that wants gigabytes": (
        [File(method=14, stored=b"\x09\x04\x05\0\x5d" + b"\xff" * 4 + bytes(99)), CODE],
        "MS-ARC-001",
    ),
    "a header that is not there": ([CODE, File(header=3)], "MS-ZIP-015"),
    "a header beyond the file": ([CODE, File(header=1 << 30)], "MS-ZIP-015"),
    "another disk": ([CODE, File(disk=3)], "MS-ZIP-004"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_what_is_not_read_is_incomplete(case: str) -> None:
    """One member that cannot be read does not keep the others from being scanned."""
    files, rule = INCOMPLETE[case]
    report = scan(zip_bytes(files))
    assert of(report, rule).incomplete
    assert report.coverage is Coverage.INCOMPLETE
    assert "MS-TXT-001" in ids(report)


def test_sizes_of_two_to_the_63_are_refused_before_anything_is_allocated() -> None:
    """A member that is larger than the file is not there."""
    wide = struct.pack("<HHQQ", 1, 16, 1 << 63, 1 << 63)
    data = zip_bytes([CODE, File(extra=wide, size=0xFFFFFFFF)])
    position = data.rfind(b"PK\1\2")
    data = data[: position + 20] + b"\xff" * 4 + data[position + 24 :]
    report = scan(data)
    assert {"MS-ZIP-015", "MS-TXT-001"} <= ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_large_size_without_its_field_is_found() -> None:
    """The mark of a 64-bit size that is nowhere."""
    report = scan(zip_bytes([CODE, File(size=0xFFFFFFFF)]))
    assert "MS-ZIP-021" in ids(report)
    cut = struct.pack("<HHI", 1, 4, 3)
    assert "MS-ZIP-012" in ids(scan(zip_bytes([File(size=0xFFFFFFFF, extra=cut)])))


ENDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a count that is too small": (lambda: zip_bytes([File(), CODE], count=1), "MS-ZIP-002"),
    "a count that is too large": (lambda: zip_bytes([File(), CODE], count=65_535), "MS-ZIP-002"),
    "a split archive": (lambda: zip_bytes([CODE], end={"disk": 2}), "MS-ZIP-004"),
    "a comment that is too long": (lambda: zip_bytes([CODE], end={"comment": 9}), "MS-ZIP-005"),
    "a comment that is no text": (
        lambda: zip_bytes([CODE], comment=b"\x80\4\xff\0\1\2"),
        "MS-COV-005",
    ),
    "junk in the directory": (
        lambda: zip_bytes([CODE], after_directory=b"junk", end={"size": 57}),
        "MS-ZIP-003",
    ),
    "junk behind the directory": (
        lambda: zip_bytes([CODE], after_directory=b"junk"),
        "MS-ZIP-001",
    ),
    "a prefix": (lambda: zip_bytes([CODE], prefix=b"prefix\n"), "MS-COV-005"),
    "a prefix that shifts": (
        lambda: zip_bytes([CODE], prefix=b"prefix\n", shift=True),
        "MS-COV-005",
    ),
    "a tail": (lambda: zip_bytes([CODE], tail=b"tail\n" * 9000), "MS-COV-005"),
    "two archives": (lambda: zip_bytes([File()]) + zip_bytes([CODE]), "MS-ZIP-041"),
    "two archives, the first one seen": (
        lambda: zip_bytes([CODE]) + zip_bytes([File()]),
        "MS-ZIP-041",
    ),
    "two directories": (
        lambda: zip_bytes([File()], prefix=zip_bytes([CODE]), shift=True),
        "MS-ZIP-041",
    ),
    "a second end record": (lambda: zip_bytes([CODE], tail=b"PK\5\6" + b"x" * 30), "MS-ZIP-001"),
    "a hidden member at the end": (
        lambda: zip_bytes([File(), code(listed=False)]),
        "MS-ZIP-040",
    ),
    "an empty end record behind": (lambda: zip_bytes([CODE]) + honest_zip({}), "MS-ZIP-001"),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends_that_mislead_are_found(case: str) -> None:
    """Wherever the directory is said to be, the content is read and the lie is named."""
    make, rule = ENDS[case]
    report = scan(make())
    assert rule in ids(report), report.findings
    assert "MS-TXT-001" in ids(report)
    assert not report.safe


def large_end(data: bytes, *, offset: int = 0, count: int = 0, disturb: int = 0) -> bytes:
    """Put a zip64 end record and its locator in front of the end record."""
    end = data.rfind(b"PK\5\6")
    _, _, _, here, all_, size, start, _ = struct.unpack("<4s4H2IH", data[end:])
    record = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, here + count, all_ + count, size, start
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end + offset, 1)
    return data[:end] + record + b"x" * disturb + locator + data[end:]


def test_a_large_end_record_is_read() -> None:
    """It says the same as the small one: nothing to report but the content."""
    assert ids(scan(large_end(zip_bytes([CODE])))) == {"MS-TXT-001"}


@pytest.mark.parametrize("lie", [{"offset": 7}, {"count": 1}, {"disturb": 5}])
def test_a_large_end_record_that_contradicts_is_dangerous(lie: dict[str, int]) -> None:
    """Readers take either record; they have to say the same."""
    report = scan(large_end(zip_bytes([CODE]), **lie))
    assert "MS-ZIP-001" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_a_locator_that_leads_nowhere_is_found() -> None:
    """Neither reader finds the record, so the directory ends where nobody expects it."""
    data = zip_bytes([CODE])
    end = data.rfind(b"PK\5\6")
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 1 << 60, 1)
    report = scan(data[:end] + bytes(60) + locator + data[end:])
    assert "MS-ZIP-001" in ids(report)


def test_overlapping_members_are_dangerous() -> None:
    """The same bytes under two names cost nothing to send and everything to read."""
    report = scan(zip_bytes([code(), File(b"again.py", CODE.data, header=0)]))
    assert "MS-ZIP-033" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_an_overlap_bomb_is_not_read_to_its_end() -> None:
    """Four hundred names for one megabyte: the work stays linear in the file."""
    kernel = File(b"0", b"x" * (1 << 20))
    files = [
        kernel,
        *(File(b"%d" % i, kernel.data, stored=kernel.data, header=0) for i in range(400)),
    ]
    report = scan(zip_bytes(files))
    assert {"MS-ZIP-033", "MS-ZIP-050"} <= ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_deflate_bomb_meets_the_ratio() -> None:
    """A hundred kilobytes that become a hundred megabytes are a limit, not a pass."""
    report = scan(zip_bytes([File(method=8, data=bytes(64 << 20)), CODE]))
    assert report.coverage is Coverage.INCOMPLETE
    assert {"MS-ARC-001", "MS-TXT-001"} <= ids(report)


def test_archives_within_archives_end_at_the_depth_limit() -> None:
    """Nine levels are more than eight."""
    data = TEXT
    for _ in range(9):
        data = honest_zip({"a": data}, 8)
    report = scan(data)
    assert "MS-COV-003" in ids(report)
    assert not report.safe


def test_a_cut_archive_is_read_from_the_front() -> None:
    """What streaming readers would have acted on is judged; the missing directory is said."""
    data = zip_bytes([code(method=8), File(b"b.txt"), File(b"c.txt", size=9)])
    report = scan(data[: data.index(b"PK\1\2") - 40])
    assert {"MS-TXT-001", "MS-COV-001"} <= ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_cut_stream_of_unknown_sizes_is_read_from_the_front() -> None:
    """Deflate says itself where it ends, with its sizes behind it or without."""
    crc = zlib.crc32(CODE.data)
    stored = raw_deflate(CODE.data)
    sizes = struct.pack("<4sIII", b"PK\7\x08", crc, len(stored), len(CODE.data))
    first = code(method=8, flags=8, descriptor=sizes)
    for second in (File(), File(flags=9, descriptor=sizes), File(method=99), File(b"/a", method=8)):
        data = zip_bytes([first, second])
        report = scan(data[: data.index(b"PK\1\2")])
        assert {"MS-TXT-001", "MS-COV-001"} <= ids(report)


def test_a_directory_without_entries_does_not_hide_members() -> None:
    """An end record that points at nothing is as good as none."""
    report = scan(zip_bytes([CODE], end={"size": 0, "offset": 0}))
    assert {"MS-TXT-001", "MS-COV-001"} <= ids(report)


def test_a_zip_in_a_tar_that_only_python_opens_is_read_as_a_zip() -> None:
    """The tar is no excuse if nobody reads it as one: its checksum is written oddly."""
    inner = zip_bytes([CODE])
    block = tar_block(b"./weights", len(inner))
    total = block[148:154]
    for odd in (b"0o" + total.lstrip(b"0") + b"\0", total + b"\0x"):
        data = block[:148] + odd.ljust(8, b"\0")[:8] + block[156:] + padded(inner) + bytes(1024)
        report = scan(data)
        assert "MS-TXT-001" in ids(report)
        assert not report.safe


def test_more_members_than_allowed_are_a_limit() -> None:
    """The limit is reported once."""
    report = scan(zip_bytes([CODE] * 9), limits=Limits(members=8))
    assert ids(report) == {"MS-COV-003"}
    assert report.coverage is Coverage.INCOMPLETE


def test_headers_of_the_greatest_length_are_read() -> None:
    """Names and extra fields of 64 KiB are longer than what is read ahead."""
    extra = struct.pack("<2sH", b"FB", 60_000) + b"Z" * 60_000
    files = [code(name=b"%d/" % i + b"n" * 4000 + b".py", local_extra=extra) for i in range(3)]
    report = scan(zip_bytes(files))
    assert ids(report) == {"MS-TXT-001"}
    assert len(report.findings) == 3


def test_a_name_in_utf_8_beside_one_that_needed_none() -> None:
    """An extra field that repeats the name is honest."""
    same = struct.pack("<HHBI", 0x7075, 5 + len(CODE.name), 1, 0) + CODE.name
    assert ids(scan(zip_bytes([code(extra=same)]))) == {"MS-TXT-001"}


def test_a_link_that_cannot_be_read_counts_as_leaving() -> None:
    """Nobody knows where it leads."""
    report = scan(zip_bytes([CODE, File(method=77, mode=0o120777)]))
    assert {"MS-ARC-015", "MS-ARC-001"} <= ids(report)
