import io
import struct
import tarfile

import pytest

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from modelsec.scanning.containers.tar_header import number
from tests.scanning.support.containers import (
    TAR_END,
    TEXT,
    padded,
    pax,
    pax_data,
    tar_block,
    tar_member,
)

DIALECTS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
CODE = tar_member(b"seen.py", b"print('a harmless line')\n")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_python_archives_of_every_dialect_are_clean(dialect: int) -> None:
    """Folders, links within, long names, large numbers and empty members are honest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=dialect) as archive:

        def add(name: str, data: bytes = b"", kind: bytes = b"0", link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, link
            info.mtime = 1 if dialect == tarfile.USTAR_FORMAT else 1 << 34
            archive.addfile(info, io.BytesIO(data))

        add("./text.txt", TEXT)
        add("./folder", kind=tarfile.DIRTYPE)
        add("folder/" + "long/" * 20 + "text.txt", TEXT)
        add("folder/link", kind=tarfile.SYMTYPE, link="../text.txt")
        add("hard", kind=tarfile.LNKTYPE, link="text.txt")
        add("empty")
        if dialect != tarfile.USTAR_FORMAT:
            add("folder/" * 40 + "größe.txt", TEXT)
            add("to", kind=tarfile.SYMTYPE, link="folder/" + "long/" * 40)
    report = scan(buffer.getvalue())
    assert report.safe
    assert not report.findings
    assert report.format == "tar"


def test_the_oldest_dialect_is_recognised_by_its_checksum() -> None:
    """No magic number; folders are names with a slash."""
    block = tar_block(b"./a.txt", len(TEXT), b"\0", magic=b"")
    report = scan(tar_block(b"d/", 0, b"\0", magic=b"") + block + padded(TEXT) + TAR_END)
    assert report.format == "tar"
    assert report.safe


def test_every_member_is_scanned_by_content() -> None:
    """Also one of a type that nobody knows, which Python reads as a file, and a second copy."""
    unknown = tar_member(b"b.py", b"print()\n", b"Q")
    report = scan(tar_member() + unknown + CODE + CODE + TAR_END)
    assert {"MS-TXT-001", "MS-TAR-006", "MS-TAR-010"} <= ids(report)
    assert {f.path for f in report.findings if f.id == "MS-TXT-001"} == {("b.py",), ("seen.py",)}


def link(kind: bytes, target: bytes, name: bytes = b"link") -> bytes:
    return tar_block(name, 0, kind, link=target)


BAD = {
    "an absolute name": (tar_member(b"/tmp/a.txt"), "MS-ARC-011"),
    "a name that climbs": (tar_member(b"../a.txt"), "MS-ARC-012"),
    "a name that climbs by pax": (pax(path="a/../../b.txt") + tar_member(), "MS-ARC-012"),
    "a name that climbs by GNU": (tar_member(b"L", b"../b\0", b"L") + tar_member(), "MS-ARC-012"),
    "a link that leaves": (link(b"2", b"../a"), "MS-ARC-015"),
    "a link to the root": (link(b"2", b"/etc"), "MS-ARC-015"),
    "a hard link that leaves": (link(b"1", b"../a", b"d/link"), "MS-ARC-015"),
    "a long link that leaves": (tar_member(b"K", b"../b\0", b"K") + link(b"2", b"a"), "MS-ARC-015"),
    "a link that leaves by pax": (pax(linkpath="/etc") + link(b"2", b"a"), "MS-ARC-015"),
    "a file below a link": (link(b"2", b"d") + tar_member(b"link/a.txt"), "MS-ARC-016"),
    "a character device": (tar_block(b"a", 0, b"3"), "MS-ARC-017"),
    "a block device": (tar_block(b"a", 0, b"4"), "MS-ARC-017"),
    "a pipe": (tar_block(b"a", 0, b"6"), "MS-ARC-017"),
    "two sizes": (pax(size="3") + tar_member(b"b.txt"), "MS-TAR-002"),
    "a path for all": (tar_member(b"g", pax_data({"path": "a"}), b"g"), "MS-TAR-003"),
    "a size that few accept": (
        tar_block(b"b.txt", size_field=b"0o454\0".ljust(12, b"\0")) + padded(TEXT),
        "MS-TAR-005",
    ),
    "an archive behind the end": (tar_member() + TAR_END + tar_member(b"b.txt"), "MS-TAR-001"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_readers_disagree_on_or_what_leaves_is_dangerous(case: str) -> None:
    """The trick is named, and members behind it are scanned."""
    data, rule = BAD[case]
    report = scan(data + CODE + TAR_END)
    assert {rule, "MS-TXT-001"} <= ids(report), report.findings
    assert report.verdict is Verdict.DANGEROUS


ODD = {
    "two long names": (tar_member(b"L", b"a\0", b"L") * 2 + tar_member(), "MS-TAR-004"),
    "a folder with a size": (tar_block(b"d", 512, b"5"), "MS-TAR-007"),
    "a name of 10,000 characters": (
        tar_member(b"L", b"a" * 10_000, b"L") + tar_member(),
        "MS-ARC-014",
    ),
    "a payload in the last block": (tar_block(b"a", 3) + b"abc".ljust(512, b"x"), "MS-COV-005"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_no_honest_writer_does_is_unknown(case: str) -> None:
    """It is named and it is outside the policy."""
    data, rule = ODD[case]
    report = scan(data + CODE + TAR_END)
    assert {rule, "MS-TXT-001"} <= ids(report), report.findings
    assert not report.safe


BROKEN = {
    "no end mark": b"",
    "a cut member": tar_block(b"a", 5000) + TEXT,
    "junk for a header": b"x" * 512,
    "a size that is no number": tar_block(b"a", size_field=b"hello".ljust(12, b"\0")) + TAR_END,
    "a negative size": tar_block(b"a", size_field=b"\xff" * 12) + TAR_END,
    "an extension without a member": pax(path="a") + TAR_END,
    "a pax record that lies": tar_member(b"x", b"99 path=a\n", b"x") + tar_member() + TAR_END,
    "a pax record that is no record": tar_member(b"x", b"path=a\n", b"x") + tar_member() + TAR_END,
    "a pax record twice": tar_member(b"x", pax_data({"a": "b"}) * 2, b"x") + TAR_END,
    "a pax size that is no number": pax(size="-1") + tar_member() + TAR_END,
    "a name of gigabytes": tar_block(b"L", 1 << 30, b"L") + TAR_END,
    "a size of 2^63": tar_block(b"a", size_field=b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7),
    "a pax sparse file": pax(**{"GNU.sparse.major": "1"}) + tar_member() + TAR_END,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_to_its_end_is_incomplete(case: str) -> None:
    """What was found before the break is judged."""
    report = scan(CODE + BROKEN[case])
    assert "MS-TXT-001" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


def sparse(pieces: list[tuple[int, int]], real: int, stored: bytes) -> bytes:
    """Return a member in GNU's own sparse dialect, with as many map blocks as it needs."""
    entries = [b"%011o\0%011o\0" % piece for piece in pieces]
    rest = b"\0" * 41 + b"".join(entries[:4]).ljust(96, b"\0")
    more = [entries[at : at + 21] for at in range(4, len(entries), 21)]
    rest += bytes([bool(more)]) + b"%011o\0" % real
    data = tar_block(b"s.txt", len(stored), b"S", magic=b"ustar  \0", rest=rest)
    for at, block in enumerate(more):
        data += (b"".join(block).ljust(504, b"\0") + bytes([at + 1 < len(more)])).ljust(512, b"\0")
    return data + padded(stored)


def test_a_sparse_member_is_read_with_its_holes() -> None:
    """Its pieces are put where they belong; here they are text without holes between."""
    pieces = [(15 * index, 15) for index in range(40)]
    report = scan(sparse(pieces, 600, b"a line of text\n" * 40) + TAR_END)
    assert report.safe, report.findings
    holes = scan(sparse([(0, 15), (100, 15)], 200, b"a line of text\n" * 2) + TAR_END)
    assert "MS-COV-002" in ids(holes)  # zero bytes are no text


@pytest.mark.parametrize(
    ("pieces", "real"),
    [([(0, 15), (10, 15)], 99), ([(0, 30)], 20), ([(0, 99)], 99), ([(0, 30)], 1 << 30)],
)
def test_a_sparse_map_that_lies_is_incomplete(pieces: list[tuple[int, int]], real: int) -> None:
    """Overlapping, outside, not what is stored, or a bomb of holes."""
    report = scan(sparse(pieces, real, b"a line of text\n" * 2) + TAR_END)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_sparse_map_without_numbers_is_incomplete() -> None:
    """Fields that are no numbers, and a further map block that is empty."""
    header = b"\0" * 41 + b"hello".ljust(96, b"\0") + b"\0" + b"0" * 11
    numberless = tar_block(b"s", 0, b"S", rest=header)
    sizeless = tar_block(b"s", 0, b"S", rest=bytes(137) + b"\0" + b"hello")
    endless = tar_block(b"s", 0, b"S", rest=bytes(137) + b"\1" + b"0" * 11)
    for data in (numberless, sizeless, endless):
        assert scan(CODE + data + TAR_END).coverage is Coverage.INCOMPLETE


def test_more_members_than_allowed_are_incomplete() -> None:
    """The limit ends the walk; the members before it are read."""
    report = scan(CODE * 3 + TAR_END, limits=Limits(members=2))
    assert report.coverage is Coverage.INCOMPLETE


def test_a_tail_behind_the_end_is_scanned() -> None:
    """Bytes that are no archive belong to nobody."""
    report = scan(tar_member() + TAR_END + b"a tail of text\n" * 100)
    assert "MS-COV-005" in ids(report)


def test_numbers_are_read_as_python_reads_them() -> None:
    """Octal, base 256 with a sign, and what only Python accepts."""
    assert number(b"0000017\0") == (15, False)
    assert number(b"     17 \0") == (15, False)
    assert number(b"\0" * 8) == (0, False)
    assert number(b"\x80" + struct.pack(">7s", b"\1")) == (1 << 48, False)
    assert number(b"\xff" * 8) == (-1, False)
    assert number(b"0o17\0\0\0\0") == (15, True)
    assert number(b"1_7\0\0\0\0\0") == (15, True)
    assert number(b"17\0junk\0") == (15, True)
    assert number(b"99999999") is None
    assert number(b"\x81" + bytes(7)) == (1 << 56, True)
