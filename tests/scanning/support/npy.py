"""Writes npy files byte by byte, so that a header may say anything."""

import struct

HARMLESS_PICKLE = b"\x80\x04N."


def npy(header: str, payload: bytes = b"", version: int = 1) -> bytes:
    """Return an array file with this header text and payload."""
    encoded = header.encode("utf-8" if version == 3 else "latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(encoded))
    return b"\x93NUMPY" + bytes([version, 0]) + length + encoded + payload


def described(descr: str, shape: str = "(2,)", order: str = "False") -> str:
    """Return a header as numpy writes it, with these texts inside."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    return text + " " * (-(len(text) + 11) % 64) + "\n"
