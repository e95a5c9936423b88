"""Writes HDF5 files structure by structure, honest or not.

Checksums of the modern structures are written as zero: the reader under test does not verify them.
The old structures (superblock 0, headers of version 1) have none, so those files open in HDF5.
"""

from dataclasses import dataclass, field

UNDEFINED = b"\xff" * 8
NOWHERE = (1 << 64) - 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHECKSUM = bytes(4)


def u(value: int, width: int = 8) -> bytes:
    return value.to_bytes(width, "little")


def padded(data: bytes, align: int = 8) -> bytes:
    return data + bytes(-len(data) % align)


@dataclass
class Writer:
    """A file that grows; addresses count from the superblock."""

    user_block: bytes = b""
    modern: bool = False
    data: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.data += bytes(48 if self.modern else 96)

    def put(self, block: bytes) -> int:
        """Append a block and return its address."""
        self.data += bytes(-len(self.data) % 8)
        address = len(self.data)
        self.data += block
        return address

    def header(self, *messages: bytes) -> int:
        """Write an object header of the file's generation."""
        return self.put(new_header(*messages) if self.modern else old_header(*messages))

    def finish(self, root: int, *, end: int | None = None, **extra: int) -> bytes:
        """Write the superblock.

        Args:
            root: address of the root group's header.
            end: end-of-file address, if not the true one.
            extra: ``extension``, ``driver``, ``tree`` and ``heap`` addresses; ``declared`` base.
        """
        base = len(self.user_block)
        declared = extra.get("declared", base)
        stop = u((len(self.data) if end is None else end) + declared)
        if self.modern:
            block = SIGNATURE + bytes([2, 8, 8, 0]) + u(declared)
            block += u(extra.get("extension", NOWHERE)) + stop + u(root) + _CHECKSUM
        else:
            block = SIGNATURE + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + u(4, 2) + u(16, 2) + bytes(4)
            block += u(declared) + UNDEFINED + stop + u(extra.get("driver", NOWHERE))
            cached = "tree" in extra
            block += bytes(8) + u(root) + u(int(cached), 4) + bytes(4)
            block += u(extra["tree"]) + u(extra["heap"]) if cached else bytes(16)
        self.data[: len(block)] = block
        return self.user_block + bytes(self.data)

    # Groups

    def old_group(self, links: dict[str, int], softs: dict[str, str] | None = None) -> bytes:
        """Write a symbol table and return the message that leads to it."""
        return message(0x11, b"".join(u(place) for place in self.symbol_table(links, softs)))

    def symbol_table(
        self, links: dict[str, int], softs: dict[str, str] | None = None
    ) -> tuple[int, int]:
        """Write a symbol table; return the addresses of its tree and heap."""
        softs = softs or {}
        texts = bytearray(8)
        places = {}
        for text in [*links, *softs, *softs.values()]:
            places[text] = len(texts)
            texts += padded(text.encode() + b"\0")
        heap = self.local_heap(bytes(texts))
        entries = b"".join(
            u(places[name]) + u(address) + bytes(24) for name, address in links.items()
        )
        for name, target in softs.items():
            entries += u(places[name]) + UNDEFINED + u(2, 4) + bytes(4) + u(places[target], 4)
            entries += bytes(12)
        # HDF5 reads these nodes at their full size, however few entries they have.
        leaf = self.put((b"SNOD\1\0" + u(len(links) + len(softs), 2) + entries).ljust(328, b"\0"))
        node = old_tree(0, [(bytes(8), leaf)]) + u(places[max(places)] if places else 0)
        tree = self.put(node.ljust(544, b"\0"))
        return tree, heap

    def local_heap(self, texts: bytes) -> int:
        """Write a local heap with these texts in it."""
        data = self.put(texts)
        return self.put(b"HEAP" + bytes(4) + u(len(texts)) + u(1) + u(data))

    def global_heap(self, *objects: bytes) -> int:
        """Write a collection; the objects are numbered from 1."""
        body = b"".join(
            u(number, 2) + u(1, 2) + bytes(4) + u(len(data)) + padded(data)
            for number, data in enumerate(objects, 1)
        )
        size = max(4096, 16 + len(body) + 16)  # HDF5 refuses smaller ones
        free = size - 16 - len(body)
        body += bytes(8) + u(free) + bytes(free - 16)
        return self.put(b"GCOL\1" + bytes(3) + u(size) + body)

    def dense(self, kind: int, objects: list[bytes], *, id_length: int = 8) -> tuple[int, int]:
        """Write objects to a fractal heap of one block, and an index; return both addresses.

        Args:
            kind: of the index: 5 for links by name, 8 for attributes by name.
            objects: messages without their heads.
            id_length: bytes of a heap ID; 7 for links.
        """
        block = b"FHDB\0" + bytes(8) + bytes(4)
        ids = []
        for stored in objects:
            ids.append(b"\0" + u(len(block), 4) + u(len(stored), 2) + bytes(id_length - 7))
            block += stored
        size = 1 << max(len(block) - 1, 511).bit_length()
        root = self.put(block + bytes(size - len(block)))
        heap = self.put(fractal_heap(root, 0, id_length=id_length, start=size))
        before, after = {5: (bytes(4), b""), 8: (b"", bytes(9))}[kind]
        return heap, self.modern_tree(kind, [before + one + after for one in ids])

    def modern_tree(self, kind: int, records: list[bytes]) -> int:
        """Write a version 2 B-tree of one leaf."""
        width = len(records[0]) if records else 8
        node = max(512, 10 + width * len(records))
        leaf = self.put(
            padded(b"BTLF\0" + u(kind, 1) + b"".join(records), node) if records else b""
        )
        return self.put(tree_head(kind, leaf, (node, width, 0, len(records))))


def tree_head(kind: int, root: int, measures: tuple[int, int, int, int]) -> bytes:
    node, width, depth, count = measures
    head = b"BTHD\0" + u(kind, 1) + u(node, 4) + u(width, 2) + u(depth, 2) + bytes([100, 40])
    return head + u(root) + u(count, 2) + u(count) + _CHECKSUM


def fractal_heap(  # noqa: PLR0913 - the measures of the format
    root: int,
    rows: int,
    *,
    id_length: int = 8,
    start: int = 512,
    width: int = 4,
    largest: int = 65536,
    huge: int = NOWHERE,
    filters: int = 0,
) -> bytes:
    head = b"FRHP\0" + u(id_length, 2) + u(filters, 2) + b"\0" + u(4096, 4) + u(0) + u(huge)
    head += bytes(8) + UNDEFINED + bytes(64)
    head += u(width, 2) + u(start) + u(largest) + u(32, 2) + u(1, 2) + u(root) + u(rows, 2)
    return head + _CHECKSUM


def old_tree(kind: int, entries: list[tuple[bytes, int]], level: int = 0) -> bytes:
    head = b"TREE" + bytes([kind, level]) + u(len(entries), 2) + UNDEFINED * 2
    return head + b"".join(key + u(child) for key, child in entries)


# Messages: version 1 heads are 8 bytes; new_header() rewrites them.


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    body = padded(body)
    return u(kind, 2) + u(len(body), 2) + bytes([flags, 0, 0, 0]) + body


def old_header(*messages: bytes) -> bytes:
    body = b"".join(messages)
    return b"\1\0" + u(len(messages), 2) + u(1, 4) + u(len(body), 4) + bytes(4) + body


def new_header(*messages: bytes) -> bytes:
    body = new_messages(*messages)
    return b"OHDR\2\2" + u(len(body), 4) + body + _CHECKSUM


def new_messages(*messages: bytes) -> bytes:
    return b"".join(one[:1] + one[2:4] + one[4:5] + one[8:] for one in messages)


def dataspace(*shape: int) -> bytes:
    return bytes([1, len(shape), 0, 0, 0, 0, 0, 0]) + b"".join(u(size) for size in shape)


FLOAT = bytes([0x11, 0x20, 0x1F, 0]) + u(4, 4) + u(0, 2) + u(32, 2) + bytes([23, 8, 0, 23])
FLOAT += u(127, 4)
BYTE = bytes([0x10, 0, 0, 0]) + u(1, 4) + u(0, 2) + u(8, 2)
REFERENCE = bytes([0x17, 0, 0, 0]) + u(8, 4)
REGION = bytes([0x17, 1, 0, 0]) + u(12, 4)


def string(size: int, padding: int = 0) -> bytes:
    return bytes([0x13, padding, 0, 0]) + u(size, 4)


def sequence(base: bytes, kind: int = 0) -> bytes:
    return bytes([0x19, kind, 0, 0]) + u(16, 4) + base


LONG_STRING = sequence(BYTE, 1)


def compound(size: int, *members: tuple[str, int, bytes]) -> bytes:
    width = -(-size.bit_length() // 8)
    body = b"".join(
        name.encode() + b"\0" + u(offset, width) + datatype for name, offset, datatype in members
    )
    return bytes([0x36]) + u(len(members), 2) + b"\0" + u(size, 4) + body


def array(base: bytes, size: int, *shape: int) -> bytes:
    body = bytes([len(shape)]) + b"".join(u(one, 4) for one in shape) + base
    return bytes([0x3A, 0, 0, 0]) + u(size, 4) + body


def attribute_body(
    name: str, datatype: bytes, space: bytes, data: bytes, version: int = 1
) -> bytes:
    text = name.encode() + b"\0"
    head = bytes([version, 0]) + u(len(text), 2) + u(len(datatype), 2) + u(len(space), 2)
    if version == 1:
        return head + padded(text) + padded(datatype) + padded(space) + data
    return head + (b"\0" if version > 2 else b"") + text + datatype + space + data


def attribute(name: str, datatype: bytes, space: bytes, data: bytes, version: int = 1) -> bytes:
    return message(0x0C, attribute_body(name, datatype, space, data, version))


def text_attribute(name: str, text: bytes) -> bytes:
    return attribute(name, string(len(text)), dataspace(), text)


def link_body(name: str, target: int | bytes, kind: int = 0) -> bytes:
    text = name.encode()
    head = bytes([1, 8 if kind else 0]) + (bytes([kind]) if kind else b"")
    head += u(len(text), 1) + text
    return head + (u(target) if isinstance(target, int) else u(len(target), 2) + target)


def link(name: str, target: int | bytes, kind: int = 0) -> bytes:
    return message(0x06, link_body(name, target, kind))


def external_target(file: str, path: str) -> bytes:
    return b"\0" + file.encode() + b"\0" + path.encode() + b"\0"


def dataset(datatype: bytes, shape: tuple[int, ...], layout: bytes, *others: bytes) -> list[bytes]:
    return [
        message(0x01, dataspace(*shape)),
        message(0x03, datatype),
        message(0x08, layout),
        *others,
    ]


def contiguous(address: int, size: int) -> bytes:
    return bytes([3, 1]) + u(address) + u(size)


def compact(data: bytes) -> bytes:
    return bytes([3, 0]) + u(len(data), 2) + data


def old_chunks(tree: int, *shape: int) -> bytes:
    return bytes([3, 2, len(shape)]) + u(tree) + b"".join(u(size, 4) for size in shape)


def new_chunks(index: int, address: int, shape: tuple[int, ...], parameters: bytes = b"") -> bytes:
    flags = 2 if index == 1 and parameters else 0
    head = bytes([4, 2, flags, len(shape), 4]) + b"".join(u(size, 4) for size in shape)
    return head + bytes([index]) + parameters + u(address)


def filters(*numbers: int) -> bytes:
    body = b"".join(
        u(one, 2)
        + (u(8, 2) if one > 255 else b"")
        + u(0, 2)
        + u(0, 2)
        + (b"a filter" if one > 255 else b"")
        for one in numbers
    )
    return message(0x0B, bytes([2, len(numbers)]) + body)


def everything(kind: int = 3) -> bytes:
    """Return a selection of everything (3) or nothing (0)."""
    return u(kind, 4) + u(1, 4) + bytes(8)
