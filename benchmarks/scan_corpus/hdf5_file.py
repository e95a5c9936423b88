"""A minimal HDF5 writer: superblock 2, version-2 object headers, attributes and links in them."""

import struct
from collections.abc import Sequence

_SUPERBLOCK = 48
_MASK = 0xFFFFFFFF
_UNDEFINED = b"\xff" * 8


def lookup3(data: bytes) -> int:
    """Jenkins' hash, with which superblocks and version-2 headers end."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    words = list(struct.unpack(f"<{-(-len(data) // 4)}I", data + bytes(-len(data) % 4)))
    while len(words) > 3:  # noqa: PLR2004 - three words a round, the last one to three apart
        x, y, z, *words = words
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        a = (a - c) & _MASK ^ _turned(c, 4)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _turned(a, 6)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _turned(b, 8)
        b = (b + a) & _MASK
        a = (a - c) & _MASK ^ _turned(c, 16)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _turned(a, 19)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _turned(b, 4)
        b = (b + a) & _MASK
    if not words:
        return c
    x, y, z = (*words, 0, 0)[:3]
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    for turn in ((14, 11, 25), (16, 4, 14)):
        c = ((c ^ b) - _turned(b, turn[0])) & _MASK
        a = ((a ^ c) - _turned(c, turn[1])) & _MASK
        b = ((b ^ a) - _turned(a, turn[2])) & _MASK
    return ((c ^ b) - _turned(b, 24)) & _MASK


def _turned(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK


def _summed(data: bytes) -> bytes:
    return data + struct.pack("<I", lookup3(data))


def message(kind: int, data: bytes) -> bytes:
    """An object header message."""
    return struct.pack("<BHB", kind, len(data), 0) + data


def attribute(name: str, value: str) -> bytes:
    """A scalar string attribute."""
    raw, key = value.encode(), name.encode() + b"\0"
    datatype = struct.pack("<B3BI", 0x13, 0x11, 0, 0, len(raw))  # null-padded UTF-8
    dataspace = b"\2\0\0\0"
    head = struct.pack("<BBHHHB", 3, 0, len(key), len(datatype), len(dataspace), 1)
    return message(0x0C, head + key + datatype + dataspace + raw)


def hard_link(name: str, address: int) -> bytes:
    """A link to an object in the file."""
    return _link(name, b"", struct.pack("<Q", address))


def soft_link(name: str, target: str) -> bytes:
    """A link by path."""
    raw = target.encode()
    return _link(name, b"\1", struct.pack("<H", len(raw)) + raw)


def external_link(name: str, file: str, target: str) -> bytes:
    """A link into another file."""
    raw = b"\0" + file.encode() + b"\0" + target.encode() + b"\0"
    return _link(name, b"\x40", struct.pack("<H", len(raw)) + raw)


def _link(name: str, kind: bytes, value: bytes) -> bytes:
    raw = name.encode()
    flags = 8 if kind else 0
    return message(0x06, bytes((1, flags)) + kind + bytes((len(raw),)) + raw + value)


def group_messages() -> bytes:
    """What makes an object header a group: link info without heaps, group info."""
    return message(0x02, b"\0\0" + _UNDEFINED * 2) + message(0x0A, b"\0\0")


def dataset_messages(
    shape: Sequence[int],
    address: int,
    size: int,
    *,
    external: tuple[int, int] | None = None,
    virtual: int | None = None,
) -> bytes:
    """Float32 data, contiguous.

    Args:
        shape: of the data.
        address: of the data, of ``size`` bytes.
        size: see ``address``.
        external: instead, the heap and name offset of another file.
        virtual: instead, the heap that maps the data to other files.
    """
    space = struct.pack("<BBBB", 2, len(shape), 0, 1) + struct.pack(f"<{len(shape)}Q", *shape)
    kind = struct.pack("<B3BI", 0x11, 0x20, 0x1F, 0, 4) + struct.pack(
        "<HHBBBBI", 0, 32, 23, 8, 0, 23, 127
    )
    layout = struct.pack("<BBQQ", 3, 1, address, size)
    if virtual is not None:
        layout = struct.pack("<BBQI", 4, 3, virtual, 1)
    fill = message(0x05, b"\3\x0a")
    files = b""
    if external:
        layout = struct.pack("<BB", 3, 1) + _UNDEFINED + struct.pack("<Q", size)
        files = message(0x07, struct.pack("<B3xHHQQQQ", 1, 1, 1, external[0], external[1], 0, size))
    return message(1, space) + message(3, kind) + fill + message(8, layout) + files


def mapping_heap(file: str, target: str) -> bytes:
    """A global heap whose object 1 maps a virtual dataset to all of another file's dataset."""
    whole = struct.pack("<IIQ", 3, 1, 0)
    names = file.encode() + b"\0" + target.encode() + b"\0"
    mapping = _summed(b"\0" + struct.pack("<Q", 1) + names + whole * 2)
    item = struct.pack("<HHIQ", 1, 1, 0, len(mapping)) + mapping + bytes(-len(mapping) % 8)
    free = 4096 - 16 - len(item)
    start = b"GCOL\1\0\0\0" + struct.pack("<Q", 4096) + item
    return (start + struct.pack("<HHIQ", 0, 0, 0, free)).ljust(4096, b"\0")


def header(messages: bytes) -> bytes:
    """An object header of version 2."""
    return _summed(b"OHDR\2\2" + struct.pack("<I", len(messages)) + messages)


def hdf5(root: bytes, further: bytes = b"", *, block: bytes = b"", end: int | None = None) -> bytes:
    """A file: superblock, the root's header, and further objects.

    ``further`` starts at :func:`after_root` of ``root``; ``block`` is a user block.
    """
    body = header(group_messages() + root) + further
    size = _SUPERBLOCK + len(body)
    start = b"\x89HDF\r\n\x1a\n\2\x08\x08\0" + struct.pack("<Q", len(block)) + _UNDEFINED
    start += struct.pack("<QQ", size + len(block) if end is None else end, _SUPERBLOCK)
    return block + _summed(start) + body


def after_root(root: bytes) -> int:
    """The address behind the root's header; a link's size does not depend on its address."""
    return _SUPERBLOCK + len(header(group_messages() + root))
