"""Writers of archives, byte by byte, with a knob for everything that can be wrong."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

TEXT = b"a line of text\n" * 20


@dataclass
class File:
    """A zip member; what is None follows from the rest."""

    name: bytes = b"a.txt"
    data: bytes = TEXT
    method: int = 0
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    extra: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_size: int | None = None
    local_extra: bytes | None = None
    local_crc: int | None = None
    stored: bytes | None = None
    descriptor: bytes = b""
    comment: bytes = b""
    mode: int = 0
    disk: int = 0
    after: bytes = b""
    listed: bool = True
    header: int | None = None
    body: bytes = field(default=b"", init=False)


def raw_deflate(data: bytes) -> bytes:
    """Return a deflate stream without header."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def zip_bytes(  # noqa: PLR0913 - a knob each
    files: Iterable[File],
    *,
    prefix: bytes = b"",
    shift: bool = False,
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    tail: bytes = b"",
    end: dict[str, int] | None = None,
) -> bytes:
    """Return a zip archive; ``shift`` leaves offsets as if there were no prefix."""
    out, directory, listed = bytearray(prefix), bytearray(), 0
    for file in files:
        stored = file.stored
        if stored is None:
            stored = raw_deflate(file.data) if file.method == 8 else file.data
        crc = zlib.crc32(file.data) if file.crc is None else file.crc
        size = len(file.data) if file.size is None else file.size
        offset = (len(out) if file.header is None else file.header) - len(prefix) * shift
        local_name = file.name if file.local_name is None else file.local_name
        local_extra = file.extra if file.local_extra is None else file.local_extra
        local_flags = file.flags if file.local_flags is None else file.local_flags
        sizes = (
            crc if file.local_crc is None else file.local_crc,
            len(stored),
            size if file.local_size is None else file.local_size,
        )
        if file.descriptor:
            sizes = (0, 0, 0)
        method = file.method if file.local_method is None else file.local_method
        if file.header is None:
            out += struct.pack(
                "<4s5H3I2H", b"PK\3\4", 20, local_flags, method, 0, 33, *sizes,
                len(local_name), len(local_extra),
            )  # fmt: skip
            out += local_name + local_extra + stored + file.descriptor + file.after
        if file.listed:
            listed += 1
            directory += struct.pack(
                "<4s6H3I5H2I", b"PK\1\2", 0x314, 20, file.flags, file.method, 0, 33, crc,
                len(stored), size, len(file.name), len(file.extra), len(file.comment), file.disk,
                0, file.mode << 16, offset,
            )  # fmt: skip
            directory += file.name + file.extra + file.comment
    out += before_directory
    start = len(out) - len(prefix) * shift
    count = listed if count is None else count
    fields = {"disk": 0, "size": len(directory), "offset": start, "comment": len(comment)}
    fields |= end or {}
    out += directory + after_directory
    out += struct.pack(
        "<4s4H2IH", b"PK\5\6", fields["disk"], fields["disk"], count, count,
        fields["size"], fields["offset"], fields["comment"],
    )  # fmt: skip
    return bytes(out + comment + tail)


def honest_zip(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return what Python's own writer makes of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Pipe(io.RawIOBase):
    """A file that cannot seek."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def tar_block(  # noqa: PLR0913 - a knob each
    name: bytes = b"a.txt",
    size: int = 0,
    kind: bytes = b"0",
    *,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    size_field: bytes | None = None,
    rest: bytes = b"",
) -> bytes:
    """Return one tar header with a right checksum; ``rest`` replaces bytes 345 to 512."""
    number = b"%011o\0" % size if size_field is None else size_field
    block = b"".join((
        name.ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", number, b"00000000000\0",
        b" " * 8, kind, link.ljust(100, b"\0"), magic.ljust(88, b"\0"), rest.ljust(167, b"\0"),
    ))  # fmt: skip
    assert len(block) == 512
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar_member(name: bytes = b"a.txt", data: bytes = TEXT, kind: bytes = b"0") -> bytes:
    """Return a header and its content, filled up to whole blocks."""
    return tar_block(name, len(data), kind) + padded(data)


def padded(data: bytes) -> bytes:
    """Fill up to whole blocks."""
    return data + bytes(-len(data) % 512)


TAR_END = bytes(1024)


def pax(**records: str) -> bytes:
    """Return a pax extension header."""
    return tar_member(b"pax", pax_data(records), b"x")


def pax_data(records: dict[str, str]) -> bytes:
    """Return the records of a pax header."""
    data = b""
    for key, value in records.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + 1
        while length != len(str(length)) + len(line):
            length += 1
        data += str(length).encode() + line
    return data


def honest_tar(files: dict[str, bytes], dialect: int = tarfile.PAX_FORMAT) -> bytes:
    """Return what Python's own writer makes of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=dialect) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
