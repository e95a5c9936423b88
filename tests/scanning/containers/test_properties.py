"""What has to hold for every content and every container."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsec.scanning import Coverage, scan
from tests.scanning.support.containers import (
    TAR_END,
    TEXT,
    File,
    honest_tar,
    honest_zip,
    tar_member,
    zip_bytes,
)

WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda data: honest_zip({"bytes": data}),
    "deflated zip": lambda data: honest_zip({"bytes": data}, 8),
    "bzip2 zip": lambda data: honest_zip({"bytes": data}, 12),
    "LZMA zip": lambda data: honest_zip({"bytes": data}, 14),
    "tar": lambda data: honest_tar({"bytes": data}),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zfile": lambda data: b"ZF" + hex(len(data)).ljust(19).encode() + zlib.compress(data),
    "zip in tar in gzip": lambda data: gzip.compress(
        honest_tar({"a": honest_zip({"bytes": data})})
    ),
}
# Nothing here does anything: names that do not exist, a header, text, and what is inside others.
SEEDS = [
    TEXT,
    b"\x80\x04cno_such_module\nno_such_name\n.",
    b"cno_such_module\nno_such_name\n(tR.",
    b"\x80\x04N.",
    b"\x7fELF" + bytes(60),
    b'{"a": 1}',
    b"PK\3\4" + bytes(40),
    honest_zip({"a": TEXT})[:-5],
    zip_bytes([File(b"/a"), File(b"/a")]),
    tar_member(b"../a") + TAR_END,
    b"7z\xbc\xaf\x27\x1c" + bytes(30),
]


def contents() -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.sampled_from(SEEDS),
        st.binary(min_size=1, max_size=200),
        st.text(min_size=1, max_size=50).map(lambda text: text.encode("utf-8", "replace")),
    )


@pytest.mark.parametrize("wrapper", WRAPPERS)
@settings(max_examples=25, deadline=None)
@given(data=contents())
def test_wrapping_never_improves_the_verdict(wrapper: str, data: bytes) -> None:
    """Whatever is in a container counts as if it were outside."""
    inner = scan(data)
    outer = scan(WRAPPERS[wrapper](data))
    assert outer.verdict.rank >= inner.verdict.rank
    assert outer.coverage is Coverage.INCOMPLETE or inner.coverage is Coverage.COMPLETE


ZIPS = [
    honest_zip({"a.txt": TEXT, "b.txt": TEXT}),
    honest_zip({"a.txt": TEXT, "b.txt": TEXT}, 8),
    zip_bytes([File(extra=b"FB\x08\0ZZZZZZZZ"), File(b"b.txt")], comment=b"a comment"),
]


@pytest.mark.parametrize("index", range(len(ZIPS)))
def test_no_cut_zip_is_safe(index: int) -> None:
    """At whatever byte it ends."""
    data = ZIPS[index]
    for length in range(5, len(data)):
        assert not scan(data[:length]).safe, length


def test_no_cut_tar_is_safe() -> None:
    """At whatever byte it ends, as long as the end mark is not there."""
    data = tar_member() + tar_member(b"b.txt")
    for length in range(8, len(data) + 512, 7):
        assert not scan((data + TAR_END)[:length]).safe or length > len(data), length


@pytest.mark.parametrize("data", [*ZIPS, honest_tar({"a.txt": TEXT, "d/b.txt": TEXT})])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6))
def test_no_mutation_raises_out_of_the_scan(data: bytes, changes: list[tuple[int, int]]) -> None:
    """A hostile file is a result; our own bugs would show as MS-COV-004."""
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(mutated)] = value
    report = scan(bytes(mutated))
    assert "MS-COV-004" not in {finding.id for finding in report.findings}


FIELDS = st.sampled_from([0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 22, 46])


@settings(max_examples=80, deadline=None)
@given(
    data=st.sampled_from(ZIPS),
    place=st.integers(0, 400),
    width=st.sampled_from([2, 4, 8]),
    value=FIELDS,
)
def test_extreme_numbers_anywhere_are_survived(
    data: bytes, place: int, width: int, value: int
) -> None:
    """Counts, lengths and offsets are compared with what there is before they are used."""
    start = len(data) - 1 - place % len(data)
    changed = data[:start] + (value % (1 << 8 * width)).to_bytes(width, "little")
    report = scan(changed + data[start + width :])
    assert "MS-COV-004" not in {finding.id for finding in report.findings}


@settings(max_examples=60, deadline=None)
@given(data=st.sampled_from(ZIPS), tail=st.binary(min_size=1, max_size=60))
def test_appending_never_makes_a_zip_cleaner(data: bytes, tail: bytes) -> None:
    """Findings are monotone."""
    before, after = scan(data), scan(data + tail)
    assert after.verdict.rank >= before.verdict.rank
    if tail.strip(b"\0"):
        assert not after.safe
