"""Packs Python values as MessagePack."""

import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extension:
    code: int
    data: bytes


def pack(value: object) -> bytes:  # noqa: PLR0911 - one for each type
    """Pack dict, list, str, bytes, int, float, bool, None and ``Extension``."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        wide = (
            b"\xd3" + struct.pack(">q", value) if value < 0 else b"\xcf" + struct.pack(">Q", value)
        )
        return bytes([value]) if 0 <= value < 128 else wide
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xA0 | len(data)]) if len(data) < 32 else _sized(0xDB, data)) + data
    if isinstance(value, bytes):
        return _sized(0xC6, value) + value
    if isinstance(value, Extension):
        return _sized(0xC9, value.data) + struct.pack("b", value.code) + value.data
    if isinstance(value, dict):
        packed = [pack(key) + pack(item) for key, item in value.items()]
        return _counted(0x80, 0xDF, packed)
    assert isinstance(value, list)
    return _counted(0x90, 0xDD, [pack(item) for item in value])


def _sized(code: int, data: bytes) -> bytes:
    return bytes([code]) + struct.pack(">I", len(data))


def _counted(small: int, large: int, packed: list[bytes]) -> bytes:
    few = len(packed) < 16
    head = bytes([small | len(packed)]) if few else struct.pack(">BI", large, len(packed))
    return head + b"".join(packed)


def flax_array(shape: list[int], dtype: str, data: bytes) -> Extension:
    """As Flax writes an array."""
    return Extension(1, pack([shape, dtype, data]))
