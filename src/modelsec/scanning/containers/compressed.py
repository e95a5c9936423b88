"""Bare compression: gzip, zlib, bzip2, xz, lzma, lz4, zstd, and joblib's old ``ZF`` files.

**Format.** One or more compressed streams and nothing else. Loaders (``joblib.load``,
``pandas.read_pickle``, R) recognise them by their first bytes and read several streams in a row
as one content.

**What an attacker does.** Hides a pickle from a scanner that does not decompress; puts it into a
second stream; wraps it twice; breaks the stream behind the payload, so that a scanner gives up
where a loader has already acted; lets a few bytes expand to gigabytes; puts bytes behind the last
stream, which drive some loaders into taking all memory.

**What is checked.** Streams are expanded piece by piece under the budget (output, ratio, time,
the decoder's own memory) and the content is scanned as whatever it is. Of a broken or truncated
stream, what came out is judged and the break is reported. Weak magic numbers (zlib, lzma) count
only if the stream decodes. Bytes behind the last stream are claimed by nobody.

**What is not.** lz4 and zstd need an optional package; without it the file is incomplete. Names
and comments in gzip headers are not looked at: nothing reads them.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from modelsec.errors import ResourceLimitError, UnsupportedFormatError
from modelsec.scanning.containers import frames
from modelsec.scanning.containers.expand import (
    BZIP2,
    GZIP,
    LZMA,
    ZLIB,
    Codec,
    Expansion,
    expand,
)
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.recognise import Head, strong
from modelsec.scanning.source import Slice, Source

TAIL = Rule(
    "MS-CMP-001",
    "bytes after a compressed stream",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    remedy="refuse the file: loaders that go on reading may take all memory",
)
DECLARED = Rule(
    "MS-CMP-002",
    "the content is not as long as declared",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    remedy="refuse the file: a loader allocates what is declared",
)
TWICE = Rule(
    "MS-CMP-003",
    "compressed more than once",
    Verdict.DATA_ONLY,
    remedy="no loader undoes this by itself; ask who is meant to",
)

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")
_ZFILE_LENGTH = 19  # len(hex(2**64)), as joblib computed it
_ZFILE_HEADER = 2 + _ZFILE_LENGTH
_PROOF = 16


def read_gzip(part: Part) -> Iterator[Observation]:
    """Read gzip members, and what is behind them."""
    yield from _read(part, GZIP, tail=True)


def read_bzip2(part: Part) -> Iterator[Observation]:
    """Read bzip2 streams."""
    yield from _read(part, BZIP2)


def read_xz(part: Part) -> Iterator[Observation]:
    """Read xz streams."""
    yield from _read(part, LZMA)


def read_lzma(part: Part) -> Iterator[Observation]:
    """Read the old lzma format, if it decodes: its magic number is next to nothing."""
    yield from _read(part, LZMA)


def read_zlib(part: Part) -> Iterator[Observation]:
    """Read a zlib stream, if it decodes: one in a thousand files begins like one."""
    result = expand(part.source, ZLIB, part.budget)
    if not result.ended and not _is_something(result):
        raise NotThisFormat
    yield from _report(part, ZLIB, result, tail=True)


def read_lz4(part: Part) -> Iterator[Observation]:
    """Read lz4 frames."""
    yield from _read_optional(part, frames.lz4)


def read_zstd(part: Part) -> Iterator[Observation]:
    """Read zstd frames."""
    yield from _read_optional(part, frames.zstd)


def read_zfile(part: Part) -> Iterator[Observation]:
    """Read joblib's format before 0.10: ``ZF``, a length in 19 characters, a zlib stream."""
    source = part.source
    start = source.read(0, min(_ZFILE_HEADER + 1, source.size))
    try:
        declared = int(start[2:_ZFILE_HEADER], 16)
    except ValueError:
        raise NotThisFormat from None
    blank = start[_ZFILE_HEADER:] == b" "  # written by Python 2
    header = _ZFILE_HEADER + blank
    if source.size <= header:
        raise NotThisFormat
    stream = Slice(source, header, source.size - header)
    result = expand(stream, ZLIB, part.budget)
    result = replace(result, consumed=header + result.consumed)
    yield Span(0, header)
    if result.source.size == 0 and not result.ended:
        raise result.error or NotThisFormat
    if result.ended and declared != result.source.size:
        message = f"{declared} bytes are declared, the stream holds {result.source.size}"
        yield DECLARED.at(2, message, length=_ZFILE_LENGTH)
    yield from _report(part, ZLIB, result, tail=True)


def _read(part: Part, codec: Codec, *, tail: bool = False) -> Iterator[Observation]:
    result = expand(part.source, codec, part.budget)
    nothing = result.source.size == 0 and not result.ended
    if nothing and not _is_limit(result):
        raise NotThisFormat  # a chance match of the magic number, or of no use to anybody
    yield from _report(part, codec, result, tail=tail)


def _read_optional(part: Part, codec: Callable[[], Codec]) -> Iterator[Observation]:
    try:
        found = codec()
    except UnsupportedFormatError:
        yield Span(0, part.source.size)  # all of it is what the error is about
        raise
    yield from _read(part, found)


def _report(part: Part, codec: Codec, result: Expansion, *, tail: bool) -> Iterator[Observation]:
    """Yield the content, what lies behind the streams, and what is wrong with them."""
    source = part.source
    yield Span(0, source.size if result.error else result.consumed)
    content = result.source
    if content.size or result.ended:
        if content.size and content.read(0, min(6, content.size)).startswith(_MAGIC):
            yield TWICE.at(0, f"the content of the {codec.name} stream is compressed itself")
        yield part.child(content, "content")
    if result.error is None:
        zeros = _zeros(source, result.consumed)
        yield Span(result.consumed, zeros)  # padding; what follows is scanned as it is
        rest = source.size - zeros
        if tail and rest:
            message = f"{rest} bytes follow the {codec.name} stream"
            yield TAIL.at(zeros, message, length=rest)
    else:
        raise result.error


def _zeros(source: Source, start: int) -> int:
    """Return where the zero bytes that begin at ``start`` end; padding is 1 MiB at most."""
    data = source.read(start, min(MIB, source.size - start))
    return start + len(data) - len(data.lstrip(b"\0"))


def _is_limit(result: Expansion) -> bool:
    return isinstance(result.error, ResourceLimitError)


def _is_something(result: Expansion) -> bool:
    """Tell a broken stream from bytes that only begin like one: does sense come out?

    A file that is refused here is still scanned as something else, or is incomplete.
    """
    if _is_limit(result):
        return True
    start = result.source.read(0, min(4096, result.source.size))
    if len(start) >= _PROOF and start.isascii() and start.decode().replace("\n", " ").isprintable():
        return True  # a pickle of protocol 0, JSON
    return bool(start) and next(strong(Head(result.source)), None) is not None
