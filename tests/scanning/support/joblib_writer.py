"""joblib streams: pickles with raw arrays in them."""

import struct

from tests.scanning.support import assembler as asm

DTYPE = asm.call("numpy", "dtype", asm.text("<f8"), b"\x89", b"\x88")
OBJECTS = asm.call("numpy", "dtype", asm.text("O"), b"\x89", b"\x88")


def dtype(code: str) -> bytes:
    """``numpy.dtype(code)`` as pickle writes it."""
    return asm.call("numpy", "dtype", asm.text(code), b"\x89", b"\x88")


def wrapper(
    kind: bytes = DTYPE,
    shape: tuple[int, ...] = (2,),
    *,
    alignment: bytes | None = b"K\x10",
    allow_mmap: bytes = b"\x88",
    extra: bytes = b"",
) -> bytes:
    """A ``NumpyArrayWrapper`` up to and with its BUILD."""
    sizes = asm.MARK + b"".join(map(asm.number, shape)) + asm.TUPLE
    state = (
        asm.text("subclass")
        + asm.name("numpy", "ndarray")
        + asm.text("shape")
        + sizes
        + asm.text("order")
        + asm.text("C")
        + asm.text("dtype")
        + kind
        + asm.text("allow_mmap")
        + allow_mmap
        + extra
    )
    if alignment is not None:
        state += asm.text("numpy_array_alignment_bytes") + alignment
    made = asm.name("joblib.numpy_pickle", "NumpyArrayWrapper") + asm.EMPTY_TUPLE + asm.NEWOBJ
    return made + asm.EMPTY_DICT + asm.MARK + state + asm.SETITEMS + asm.BUILD


def padded(raw: bytes, padding: int = 3) -> bytes:
    """Raw bytes behind a length byte and that many ``0xff``."""
    return bytes([padding]) + b"\xff" * padding + raw


def floats(*values: float) -> bytes:
    """Raw float64."""
    return struct.pack(f"<{len(values)}d", *values)


def stream(*pieces: bytes) -> bytes:
    """A protocol 4 pickle of a tuple of the pieces."""
    return asm.PROTO4 + asm.MARK + b"".join(pieces) + asm.TUPLE + asm.STOP


ARRAY = wrapper() + padded(floats(1.0, 2.0))
"""One honest array."""
