"""A torch checkpoint of many gigabytes that nobody stores: only its structure is made."""

import struct
import zlib

from tests.support.range_server import Sparse


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def state_dict(tensors: int, elements: int) -> bytes:
    """The pickle of a dictionary of tensors, each the whole of a float32 storage of its own."""
    pieces = [b"\x80\x02ccollections\nOrderedDict\n)R("]
    for number in range(tensors):
        pieces += [
            _text(f"layer.{number}.weight"),
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            *(b"(", _text("storage"), b"ctorch\nFloatStorage\n", _text(str(number))),
            *(_text("cpu"), _integer(elements), b"tQ"),
            *(_integer(0), b"(", _integer(elements), b"t(", _integer(1), b"t"),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join(pieces) + b"u."


def huge_torch(tensors: int = 20, elements: int = 125_000_000) -> Sparse:
    """A checkpoint whose storages are zeros: by default 10 GB."""
    size = 4 * elements
    members: list[tuple[str, bytes | None]] = [
        ("archive/data.pkl", state_dict(tensors, elements)),
        ("archive/byteorder", b"little"),
        *((f"archive/data/{number}", None) for number in range(tensors)),
        ("archive/version", b"3\n"),
    ]
    pieces: list[tuple[int, bytes]] = []
    directory = b""
    offset = 0
    for name, content in members:
        length = size if content is None else len(content)
        check = 0 if content is None else zlib.crc32(content)
        common = struct.pack("<HHHHIII", 0x0800, 0, 0, 0, check, length, length)
        padding = -(offset + 30 + len(name) + 4) % 64
        extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
        local = b"PK\3\4\0\0" + common + struct.pack("<HH", len(name), len(extra))
        local += name.encode() + extra
        far = struct.pack("<HHQ", 1, 8, offset) if offset > 0xFFFFFFFF else b""
        directory += b"PK\1\2\0\0\0\0" + common
        directory += struct.pack("<HHHHHI", len(name), len(far), 0, 0, 0, 0)
        directory += struct.pack("<I", min(offset, 0xFFFFFFFF)) + name.encode() + far
        pieces.append((offset, local + (content or b"")))
        offset += len(local) + length
    end = directory + struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, *(len(members),) * 2, len(directory), offset
    )
    end += struct.pack("<4sIQI", b"PK\6\7", 0, offset + len(directory), 1)
    count = (len(members),) * 2
    end += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *count, len(directory), 0xFFFFFFFF, 0)
    return Sparse(offset + len(end), [*pieces, (offset, end)])
