"""The content of a zip's members: stored as a range, the rest expanded under the budget."""

import lzma
import zlib
from dataclasses import replace

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.containers.archive import Ledger, Member, unread
from modelsec.scanning.containers.expand import BZIP2, DEFLATE, Codec, Expansion, expand
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Part
from modelsec.scanning.source import BytesSource, Slice, Source

CRC = Rule(
    "MS-ZIP-020",
    "a member's check value is wrong",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    reference="CVE-2025-10156",
    remedy="get the file again: some loaders refuse it, others load what is there",
)
SIZE = Rule(
    "MS-ZIP-021",
    "a member is not as long as declared",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: readers disagree on where the content ends",
)

STORED = 0
_DEFLATE, _BZIP2, _LZMA = 8, 12, 14
_LZMA_HEADER = 9
_LZMA_PROPERTIES = 9 * 5 * 5
_ONE_STREAM = replace(BZIP2, follows=lambda _: False)
_SMALL = 1 << 17
"""Stored members up to this size are read and checked at once: a single read even if remote."""

_NAMES = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstd", 95: "xz", 98: "ppmd", 99: "AES"}


def open_member(container: Source, ledger: Ledger, member: Member, part: Part) -> Source:
    """Return a member's content, and note in the ledger what is wrong with it."""
    data = Slice(container, member.data_offset, member.compressed)
    if member.method == STORED:
        return _stored(data, ledger, member)
    result = _expanded(data, member, part.budget)
    if member.index in ledger.used:  # opened before: said already
        return result.source
    ledger.used[member.index] = result.consumed
    size = result.source.size
    longer = result.error is None and size > member.size
    if longer or (result.error is None and size != member.size):
        message = f"{member.size} bytes are declared, {'more' if longer else size} come out"
        ledger.findings.append(SIZE.at(member.header_offset, message, subject=member.name))
    elif result.error is not None:
        ledger.findings.append(unread(member, result.error))
    elif result.crc != member.crc:
        message = "the content does not match its CRC-32"
        ledger.findings.append(CRC.at(member.header_offset, message, subject=member.name))
    return result.source


def _stored(data: Slice, ledger: Ledger, member: Member) -> Source:
    first = member.index not in ledger.used
    ledger.used[member.index] = member.compressed
    if first and member.size != member.compressed:
        message = f"{member.size} bytes are declared, {member.compressed} are stored"
        ledger.findings.append(SIZE.at(member.header_offset, message, subject=member.name))
    if data.size > _SMALL:
        return data
    content = data.read(0, data.size)
    if first and zlib.crc32(content) != member.crc:
        message = "the content does not match its CRC-32"
        ledger.findings.append(CRC.at(member.header_offset, message, subject=member.name))
    return BytesSource(content)


def _expanded(data: Slice, member: Member, budget: Budget) -> Expansion:
    start = 0
    if member.method == _DEFLATE:
        codec = DEFLATE
    elif member.method == _BZIP2:
        codec = _ONE_STREAM
    elif member.method == _LZMA:
        codec = _lzma(data, budget)
        start = _LZMA_HEADER
        data = Slice(data, start, data.size - start)
    else:
        name = _NAMES.get(member.method, "unknown")
        raise UnsupportedFormatError(f"compression method {member.method} ({name}) is not read")
    result = expand(data, codec, budget, stop_after=member.size, checksum=True)
    result = replace(result, consumed=start + result.consumed)
    cut = result.error is not None and isinstance(result.error, MalformedArtifactError)
    if cut and member.method == _LZMA and result.source.size == member.size:
        # Without an end mark the declared size ends the stream.
        return replace(result, error=None, ended=True)
    return result


def _lzma(data: Slice, budget: Budget) -> Codec:
    """Return the codec of a zip's LZMA: two bytes of version, the length of properties, those."""
    head = data.read(0, min(_LZMA_HEADER, data.size))
    if len(head) < _LZMA_HEADER or head[2:4] != b"\5\0" or head[4] >= _LZMA_PROPERTIES:
        raise MalformedArtifactError("the LZMA properties are broken")
    size = int.from_bytes(head[5:9], "little")
    budget.allow_read(size)
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4:  # noqa: PLR2004 - the decoder's own limit
        raise UnsupportedFormatError("LZMA properties that the decoder does not know")
    filters = [
        {"id": lzma.FILTER_LZMA1, "dict_size": max(size, 4096), "lc": lc, "lp": lp, "pb": pb}
    ]
    errors = (lzma.LZMAError, EOFError, ValueError)
    return Codec("lzma", lambda _: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters), errors)
