import bz2
import gzip
import io
import lzma
import struct
import sys
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from modelsec.scanning import Coverage, Limits, ScanReport, Verdict, scan
from tests.scanning.support.containers import TEXT

CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "joblib zfile": lambda data: b"ZF" + hex(len(data)).ljust(19).encode() + zlib.compress(data),
}
ARRAY = (
    b"\x93NUMPY\1\0v\0"
    + b"{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }".ljust(117)
    + b"\n"
)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.parametrize("coder", CODERS)
def test_a_compressed_text_is_clean(coder: str) -> None:
    """The stream is read to its end, and its content is plain text."""
    report = scan(CODERS[coder](TEXT))
    assert report.safe
    assert not report.findings
    assert report.format == coder


@pytest.mark.parametrize("coder", CODERS)
def test_the_content_is_scanned(coder: str) -> None:
    """What is in the content is found, at a path within the file."""
    report = scan(CODERS[coder](b"\x7fELF" + bytes(60)))
    assert not report.safe
    assert any(finding.path == ("content",) for finding in report.findings)


@pytest.mark.parametrize("coder", ["gzip", "bzip2", "xz", "lzma"])
def test_streams_in_a_row_are_one_content(coder: str) -> None:
    """Loaders read through; a second stream may finish what the first one began."""
    half = len(TEXT) // 2 + 3
    report = scan(CODERS[coder](TEXT[:half]) + CODERS[coder](TEXT[half:]))
    assert report.safe
    broken_character = CODERS[coder]("ä".encode()[:1]) + CODERS[coder]("ä".encode()[1:])
    assert scan(broken_character).safe


def test_a_chain_may_mix_the_two_formats_of_lzma() -> None:
    """Python tries both for each stream."""
    assert scan(CODERS["xz"](TEXT) + CODERS["lzma"](TEXT)).safe


def test_gzip_members_after_zero_bytes_are_read_through() -> None:
    """Python skips zeros between members."""
    assert scan(gzip.compress(TEXT) + bytes(100_000) + gzip.compress(TEXT)).safe


@pytest.mark.parametrize("coder", CODERS)
def test_bytes_behind_the_streams_are_found(coder: str) -> None:
    """They belong to nobody and are scanned; behind zlib and gzip they are dangerous."""
    report = scan(CODERS[coder](TEXT) + b"a tail\n" * 3)
    assert "MS-COV-005" in ids(report)
    assert ("MS-CMP-001" in ids(report)) == (coder in {"gzip", "zlib", "joblib zfile"})


@pytest.mark.parametrize("coder", ["gzip", "bzip2", "xz"])
def test_a_second_stream_that_is_broken_is_a_tail(coder: str) -> None:
    """Not a byte comes out of it."""
    report = scan(CODERS[coder](TEXT) + CODERS[coder](TEXT)[:8] + b"\xff" * 20)
    assert "MS-COV-005" in ids(report)


def test_zero_bytes_behind_the_streams_are_padding() -> None:
    """A file may be filled up to a block."""
    assert scan(bz2.compress(TEXT) + bytes(500)).safe


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("content", [TEXT * 50, ARRAY])
def test_no_cut_stream_is_safe(coder: str, content: bytes) -> None:
    """What came out is judged, and the break is reported."""
    data = CODERS[coder](content)
    for length in range(22, len(data)):
        assert not scan(data[:length]).safe


@pytest.mark.parametrize("coder", CODERS)
def test_what_came_out_before_a_break_is_judged(coder: str) -> None:
    """A loader that reads a stream has acted on it before it meets the break."""
    content = b"\x93NUMPY" + bytes(range(256)) * 4096
    report = scan(CODERS[coder](content)[:-9])
    assert any(finding.path == ("content",) for finding in report.findings)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "text",
    ["x^2 + y^2 is a formula\n" * 9, "BZh is an abbreviation\n", "hC", "8O and more", "ZF0x"],
)
def test_text_that_begins_like_a_stream_is_text(text: str) -> None:
    """Weak magic numbers count only if the stream decodes."""
    report = scan(text.encode())
    assert report.safe
    assert not {"zlib", "bzip2", "joblib zfile"} & set(report.format.split(" + "))


def test_a_cut_zlib_stream_of_text_is_recognised() -> None:
    """Sense came out of it, so it was no chance."""
    report = scan(zlib.compress(TEXT)[:-4])
    assert report.format == "zlib"


def test_a_bomb_meets_the_ratio() -> None:
    """Above 32 MiB, the output is bounded by the input."""
    report = scan(gzip.compress(bytes(40 << 20)))
    assert "MS-COV-003" in ids(report)
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("coder", CODERS)
def test_the_allowance_bounds_the_output(coder: str) -> None:
    """Whatever the ratio is."""
    report = scan(CODERS[coder](TEXT * (1 << 12)), limits=Limits(expanded_bytes=1 << 20))
    assert "MS-COV-003" in ids(report)


def test_an_expansion_of_zeros_within_the_limits_is_no_bomb() -> None:
    """Ten megabytes of zeros compress by a factor of a thousand, in honest arrays too."""
    report = scan(gzip.compress(TEXT * 10_000))
    assert report.safe


def test_compression_within_compression_is_undone_and_reported() -> None:
    """No loader does that by itself."""
    report = scan(gzip.compress(bz2.compress(TEXT)))
    assert ids(report) == {"MS-CMP-003"}
    deep = TEXT
    for _ in range(12):
        deep = gzip.compress(deep)
    assert "MS-COV-003" in ids(scan(deep))


def test_a_dictionary_of_gigabytes_is_not_allocated() -> None:
    """The decoder is told how much memory it may use."""
    data = bytearray(lzma.compress(TEXT, lzma.FORMAT_ALONE))
    data[1:5] = struct.pack("<I", 1 << 31)
    report = scan(bytes(data))
    assert report.coverage is Coverage.INCOMPLETE
    assert "MS-COV-003" in ids(report)


def test_a_zfile_that_declares_more_than_it_holds_is_dangerous() -> None:
    """The loader allocates what is declared."""
    data = b"ZF" + hex(1 << 40).ljust(19).encode() + zlib.compress(TEXT)
    report = scan(data)
    assert "MS-CMP-002" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


def test_a_zfile_of_python_2_has_one_more_blank() -> None:
    """Joblib up to 0.8.4 wrote it."""
    data = b"ZF" + hex(len(TEXT)).ljust(19).encode() + b" " + zlib.compress(TEXT)
    assert scan(data).safe


@pytest.mark.parametrize("data", [b"ZF0x" + b"g" * 50, b"ZF0x5".ljust(21), b"ZF0x5".ljust(60)])
def test_what_is_no_zfile_is_not_read_as_one(data: bytes) -> None:
    """A length that is no number, or no stream behind it."""
    assert "zfile" not in scan(data).format or not scan(data).safe


# ---- optional decoders: tested with stand-ins that know stored blocks only ----

LZ4 = b"\x04\x22\x4d\x18"
ZSTD = b"\x28\xb5\x2f\xfd"


class StoredDecoder:
    """Behaves like the decoders of lz4 and of Python 3.14: magic, length, bytes."""

    def __init__(self, **_: object) -> None:
        self.buffer, self.left = b"", -1
        self.eof, self.needs_input = False, True
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        self.buffer += data
        if self.left < 0:
            if len(self.buffer) < 8:
                return b""
            if self.buffer[4:8] == b"oops":
                raise RuntimeError("a broken frame")
            self.left, self.buffer = struct.unpack("<I", self.buffer[4:8])[0], self.buffer[8:]
        size = min(self.left, max_length)
        output, self.buffer = self.buffer[:size], self.buffer[size:]
        self.left -= len(output)
        self.eof = not self.left
        self.needs_input = not self.eof and not self.buffer
        if self.eof and self.buffer:
            self.unused_data = self.buffer
        return output


class Lz4Decoder(StoredDecoder):
    """Has no unused data rather than empty one."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return None if name == "unused_data" and not value else value


def stored(magic: bytes, data: bytes) -> bytes:
    return magic + struct.pack("<I", len(data)) + data


@pytest.fixture
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lz4", "lz4.frame", "zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)


def plant(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    if "." in name:
        package = name.partition(".")[0]
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    module = types.ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("_without")
@pytest.mark.parametrize("magic", [LZ4, ZSTD])
def test_without_a_decoder_the_file_is_incomplete(magic: bytes) -> None:
    """The report says what to install, and says it once."""
    report = scan(stored(magic, TEXT))
    assert report.coverage is Coverage.INCOMPLETE
    (finding,) = report.findings
    assert "modelsec[scan]" in finding.message


@pytest.mark.usefixtures("_without")
@pytest.mark.parametrize(
    ("magic", "name", "decoder"),
    [(LZ4, "lz4.frame", Lz4Decoder), (ZSTD, "compression.zstd", StoredDecoder)],
)
def test_with_a_decoder_frames_are_read_through(
    monkeypatch: pytest.MonkeyPatch, magic: bytes, name: str, decoder: type
) -> None:
    """Several frames are one content; what is broken or behind them is found."""
    parameter = types.SimpleNamespace(window_log_max=100)
    plant(
        monkeypatch,
        name,
        LZ4FrameDecompressor=decoder,
        ZstdDecompressor=decoder,
        ZstdError=RuntimeError,
        DecompressionParameter=parameter,
    )
    assert scan(stored(magic, TEXT) + stored(magic, TEXT)).safe
    assert "MS-COV-005" in ids(scan(stored(magic, TEXT) + b"a tail\n"))
    assert scan(stored(magic, TEXT)[:-5]).coverage is Coverage.INCOMPLETE
    assert not scan(magic + b"oops" + TEXT).safe


class BlockDecoder:
    """Behaves like ``zstandard.decompressobj``: gives all that its input holds."""

    def __init__(self, **_: object) -> None:
        pass

    def decompressobj(self) -> "BlockDecoder":
        return self

    def decompress(self, data: bytes) -> bytes:
        if data.startswith(ZSTD):
            return b""
        kind, size = data[0] >> 1 & 3, int.from_bytes(data[:3], "little") >> 3
        assert len(data) <= 3 + (128 << 10)  # never more than a block at a time
        return data[3:4] * size if kind == 1 else data[3:]


def zstd(*blocks: tuple[int, int, bytes], descriptor: int = 0, tail: bytes = b"") -> bytes:
    """Return a zstd frame of (kind, size, content) blocks."""
    header = ZSTD + bytes([descriptor, 0])
    for index, (kind, size, content) in enumerate(blocks):
        last = index == len(blocks) - 1
        header += (size << 3 | kind << 1 | last).to_bytes(3, "little") + content
    return header + tail


@pytest.mark.usefixtures("_without")
def test_zstd_is_fed_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of four bytes expands to 128 KiB: more than one at a time would be a bomb."""
    plant(monkeypatch, "zstandard", ZstdDecompressor=BlockDecoder, ZstdError=RuntimeError)
    text = (0, len(TEXT), TEXT)
    repeated = (1, 128 << 10, b"a")
    assert scan(zstd(text, repeated, text)).safe
    assert scan(zstd(text, descriptor=4, tail=b"sums") + zstd(text)).safe
    assert "MS-COV-005" in ids(scan(zstd(text, tail=b"a tail\n")))
    assert "MS-COV-001" in ids(scan(zstd(text, (3, 1, b"")) + b"x" * 99))
    for cut in (zstd(text)[:-4], zstd(text, text)[: len(TEXT) + 10], zstd(text, descriptor=4)):
        assert scan(cut).coverage is Coverage.INCOMPLETE
    for cut in (ZSTD, ZSTD + b"\0", ZSTD + b"\xc0\0\0"):
        assert not scan(cut).safe


def test_a_streamed_file_object_is_read_as_well() -> None:
    """The source may be anything that seeks."""
    assert scan(io.BytesIO(gzip.compress(TEXT))).safe


def test_7z_is_recognised_and_refused_as_incomplete() -> None:
    """Nothing in it is read, so it is never clean; what follows it is scanned."""
    start = struct.pack("<QQI", 5, 3, 0)
    data = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + bytes(8)
    report = scan(data)
    assert ids(report) == {"MS-SVZ-001"}
    assert report.coverage is Coverage.INCOMPLETE
    assert report.verdict is Verdict.UNKNOWN
    assert "MS-COV-005" in ids(scan(data + b"a tail\n"))
    for broken in (data[:10], data[:-1], data[:8] + b"xxxx" + data[12:]):
        assert {"MS-SVZ-001", "MS-COV-001"} <= ids(scan(broken))
