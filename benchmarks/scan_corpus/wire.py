"""Protobuf, GGUF, safetensors, npy, msgpack, R and flatbuffer pieces, written by hand."""

import json
import struct
from collections.abc import Mapping, Sequence


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value > 127:  # noqa: PLR2004
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | str | bytes) -> bytes:
    """A protobuf field: varint for int, length-delimited otherwise."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def gguf_string(value: str | bytes) -> bytes:
    """A length and text."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def gguf(  # noqa: PLR0913 - each a field of the format
    pairs: Mapping[str, str | int] | Sequence[tuple[str, bytes]],
    *,
    tensors: bytes | None = None,
    count: int = 1,
    keys: int | None = None,
    data: bytes = struct.pack("<4f", 1, 2, 3, 4),
    version: int = 3,
) -> bytes:
    """A model with one small tensor; a value that is bytes is written as it is (type included)."""
    items = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    body = b""
    for key, value in items:
        typed = (
            value
            if isinstance(value, bytes)
            else struct.pack("<I", 8) + gguf_string(value)
            if isinstance(value, str)
            else struct.pack("<II", 4, value)
        )
        body += gguf_string(key) + typed
    table = gguf_tensor() if tensors is None else tensors
    head = b"GGUF" + struct.pack("<IQQ", version, count, len(items) if keys is None else keys)
    start = head + body + table
    return start + bytes(-len(start) % 32) + data


def gguf_tensor(
    name: str = "w",
    dims: Sequence[int] = (4,),
    kind: int = 0,
    offset: int = 0,
    rank: int | None = None,
) -> bytes:
    """An entry of the tensor table."""
    number = len(dims) if rank is None else rank
    return (
        gguf_string(name)
        + struct.pack("<I", number)
        + struct.pack(f"<{len(dims)}Q", *dims)
        + struct.pack("<IQ", kind, offset)
    )


def safetensors(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    """A header (JSON value, or text as it is) and data."""
    raw = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def npy(descr: str, shape: str = "(2,)", data: bytes = bytes(16), extra: str = "") -> bytes:
    """An array file; ``descr`` is the Python literal."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}"
    raw = text.encode("latin-1")
    raw += b" " * (-(len(raw) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(raw)) + raw + data


def msgpack_ext(kind: int, data: bytes) -> bytes:
    """An ext 32."""
    return b"\xc9" + struct.pack(">Ib", len(data), kind) + data


def rds(*words: int, tail: bytes = b"") -> bytes:
    """An R serialisation (XDR, version 2) from 32-bit words."""
    return (
        b"X\n"
        + struct.pack(">iii", 2, 0x30600, 0x20300)
        + struct.pack(f">{len(words)}i", *words)
        + tail
    )


def tflite(codes: Sequence[tuple[int, str | None]], *, broken: bool = False) -> bytes:
    """A flatbuffer with version and operator codes (builtin number, custom name)."""
    vectors = b""
    # Model: vtable(version, operator_codes), then table; children follow.
    model_vtable = struct.pack("<HHHH", 8, 12, 4, 8)
    at = 16 + len(model_vtable)  # root table's position
    table = struct.pack("<iII", len(model_vtable), 3, 0)
    vector_at = at + len(table)
    count = len(codes)
    cursor = vector_at + 4 + 4 * count
    slots, bodies = [], b""
    for builtin, custom in codes:
        vtable = struct.pack("<HHHHHH", 12, 16, 12, 4 if custom is not None else 0, 0, 8)
        where = cursor + len(bodies)
        position = where + len(vtable)
        slots.append(position)
        text = b"" if custom is None else custom.encode()
        reach = 12 if custom is not None else 0
        body = struct.pack("<iIib3x", len(vtable), reach, builtin, min(builtin, 127))
        chunk = vtable + body
        if custom is not None:
            chunk += struct.pack("<I", 1 << 30 if broken else len(text)) + text + b"\0"
        bodies += chunk + bytes(-len(chunk) % 4)
    vectors = struct.pack("<I", count) + b"".join(
        struct.pack("<I", slot - (vector_at + 4 + 4 * index)) for index, slot in enumerate(slots)
    )
    table = struct.pack("<iII", len(model_vtable), 3, vector_at - (at + 8))
    return struct.pack("<I", at) + b"TFL3" + bytes(8) + model_vtable + table + vectors + bodies
