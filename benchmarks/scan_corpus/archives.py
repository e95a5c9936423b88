"""Archives assembled byte by byte, so that every field can lie."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A zip member; every field that is not None overrides the honest value."""

    name: str | bytes
    data: bytes = b""
    method: int = 0
    local_name: bytes | None = None
    local_method: int | None = None
    crc: int | None = None
    flags: int = 0
    local_flags: int | None = None
    size: int | None = None
    local_size: int | None = None
    attributes: int = 0
    descriptor: bool = False
    hidden: bool = False
    extra: bytes = b""


def zipped(  # noqa: PLR0913 - each a field of the format
    members: Sequence[Member],
    *,
    prefix: bytes = b"",
    tail: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    shift: int | None = None,
    gap: bytes = b"",
) -> bytes:
    """Write a zip.

    Args:
        members: in order.
        prefix: bytes before the first member; offsets count from the start of the file.
        tail: bytes after the end record.
        comment: of the archive.
        count: of members in the end record; default: the true one.
        shift: added to all offsets (default 0: honest).
        gap: bytes between members.
    """
    out, directory, shown = bytearray(prefix), bytearray(), 0
    for member in members:
        name = member.name.encode() if isinstance(member.name, str) else member.name
        stored = _deflated(member.data) if member.method == 8 else member.data  # noqa: PLR2004
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        sizes = (len(stored), len(member.data) if member.size is None else member.size)
        local_flags = member.flags if member.local_flags is None else member.local_flags
        flags = member.flags
        local_sizes = (sizes[0] if member.local_size is None else member.local_size, sizes[1])
        local_crc, after = crc, b""
        if member.descriptor:
            flags, local_flags = flags | 8, local_flags | 8
            after = b"PK\7\x08" + struct.pack("<III", crc, *sizes)
            local_crc, local_sizes = 0, (0, 0)
        local_name = name if member.local_name is None else member.local_name
        method = member.method if member.local_method is None else member.local_method
        offset = len(out) + (shift or 0)
        out += (
            struct.pack(
                "<4s5H3I2H",
                b"PK\3\4",
                20,
                local_flags,
                method,
                0,
                33,
                local_crc,
                *local_sizes,
                len(local_name),
                len(member.extra),
            )
            + local_name
            + member.extra
            + stored
            + after
            + gap
        )
        if not member.hidden:
            shown += 1
            directory += (
                struct.pack(
                    "<4s6H3I5H2I",
                    b"PK\1\2",
                    20,
                    20,
                    flags,
                    member.method,
                    0,
                    33,
                    crc,
                    *sizes,
                    len(name),
                    0,
                    0,
                    0,
                    0,
                    member.attributes,
                    offset,
                )
                + name
            )
    start = len(out) + (shift or 0)
    total = shown if count is None else count
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, total, total, len(directory), start, len(comment)
    )
    return bytes(out + directory + end) + comment + tail


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def tarred(
    members: Sequence[tuple[bytes, bytes] | tuple[bytes, bytes, bytes, bytes]],
    *,
    ustar: bool = True,
    signed: bool = False,
    end: bool = True,
) -> bytes:
    """Write a tar of (name, data[, type, link target]).

    Args:
        members: in order.
        ustar: with the magic of 1988; without, as the seventh edition wrote it.
        signed: sum the header's bytes as signed characters.
        end: two zero blocks at the end.
    """
    out = bytearray()
    for member in members:
        name, data, kind, link = member if len(member) == 4 else (*member, b"0", b"")  # noqa: PLR2004
        header = bytearray(512)
        header[: len(name[:100])] = name[:100]
        header[100:136] = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % len(data)
        header[136:148] = b"%011o\0" % 0
        header[148:156] = b" " * 8
        header[156:157] = kind
        header[157 : 157 + len(link)] = link
        if ustar:
            header[257:265] = b"ustar\00000"
        total = sum(byte - 256 * (signed and byte > 127) for byte in header)  # noqa: PLR2004
        header[148:156] = b"%06o\0 " % total
        out += header + data + bytes(-len(data) % 512)
    return bytes(out) + bytes(1024) * end
