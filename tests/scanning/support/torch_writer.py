"""torch files, byte by byte: the zip since 1.6, and the five pickles before."""

import io
import struct
import zipfile
from collections.abc import Mapping

from tests.scanning.support import assembler as asm

MAGIC = 0x1950A86A20F9469CFC6C


def long(value: int) -> bytes:
    """LONG1."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def integer(value: int) -> bytes:
    """BININT if it fits, else LONG1."""
    return asm.number(value) if -(1 << 31) <= value < 1 << 31 else long(value)


def sizes(*values: int) -> bytes:
    """MARK, integers, TUPLE."""
    return asm.MARK + b"".join(map(integer, values)) + asm.TUPLE


def unicode(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def storage(
    key: str = "0", elements: int = 4, kind: str = "FloatStorage", rest: bytes = b""
) -> bytes:
    """A persistent id as torch writes it."""
    return (
        asm.MARK
        + unicode("storage")
        + asm.name("torch", kind)
        + unicode(key)
        + unicode("cpu")
        + integer(elements)
        + rest
        + asm.TUPLE
        + asm.BINPERSID
    )


HOOKS = asm.call("collections", "OrderedDict")


def tensor(
    where: bytes | None = None,
    *,
    offset: int = 0,
    size: tuple[int, ...] = (2, 2),
    stride: tuple[int, ...] = (2, 1),
    hooks: bytes = HOOKS,
) -> bytes:
    """``_rebuild_tensor_v2`` over a storage."""
    return asm.call(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage() if where is None else where,
        integer(offset),
        sizes(*size),
        sizes(*stride),
        b"\x89",
        hooks,
    )


def pickled(*values: bytes) -> bytes:
    """A protocol 2 pickle of a dict of values by number."""
    items = b"".join(unicode(f"w{number}") + value for number, value in enumerate(values))
    return asm.PROTO2 + asm.EMPTY_DICT + asm.MARK + items + asm.SETITEMS + asm.STOP


def torch_zip(
    pickle: bytes | None = None,
    members: Mapping[str, bytes] | None = None,
    *,
    folder: str = "archive",
    marks: bool = True,
) -> bytes:
    """A checkpoint: ``data.pkl``, marks, and the members given (default: one storage)."""
    content: dict[str, bytes] = {"data.pkl": pickled(tensor()) if pickle is None else pickle}
    if marks:
        content["byteorder"] = b"little"
    content |= {"data/0": bytes(16)} if members is None else members
    if marks:
        content["version"] = b"3\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}"), data)
    return buffer.getvalue()


def small(value: bytes) -> bytes:
    """A protocol 2 pickle of one value."""
    return asm.PROTO2 + value + asm.STOP


SYSTEM = (
    asm.EMPTY_DICT
    + asm.MARK
    + unicode("protocol_version")
    + asm.number(1001)
    + unicode("little_endian")
    + b"\x88"
    + unicode("type_sizes")
    + asm.EMPTY_DICT
    + asm.SETITEMS
)


def legacy_pickles() -> list[bytes]:
    """The five pickles of a legacy file with one storage of four floats."""
    view = storage(rest=asm.NONE)
    keys = asm.LIST + asm.MARK + unicode("0") + asm.APPENDS
    return [
        small(long(MAGIC)),
        small(asm.number(1001)),
        small(SYSTEM),
        pickled(tensor(view)),
        small(keys),
    ]


def legacy(pickles: list[bytes] | None = None, raw: bytes | None = None) -> bytes:
    """A legacy file: the pickles, then count and bytes of the storage."""
    stored = struct.pack("<q", 4) + bytes(16) if raw is None else raw
    return b"".join(legacy_pickles() if pickles is None else pickles) + stored
