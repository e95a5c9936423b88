"""Files that are two things at once: sound in their own format, and a pickle from their first byte.

The first bytes of a format are read by the pickle machine as pushes of constants that swallow the
rest of the header; what follows is a free field of the format.
"""

import struct
from collections.abc import Iterator

from .case import Case, grouped
from .hostile_graphs import plain_graph
from .opcodes import PAYLOAD

_TEXT = b"cos\nsystem\n(S'echo inert'\ntR."


def polyglots() -> Iterator[Case]:
    """All of them."""
    yield from grouped("polyglots", "3, 4.5", _polyglots())


def _polyglots() -> Iterator[Case]:
    # R: X is BINUNICODE of ten bytes; U (string of five) swallows the type and length.
    raw = b"\x55\x05\x18" + struct.pack(">i", len(_TEXT)) + _TEXT
    yield Case("pickle.rds", b"X\n" + struct.pack(">iii", 2, 0x30600, 0x20300) + b"\0" + raw)
    # ONNX: the tag of model_version is MARK, the tag of doc_string is DUP, its length is U.
    inner = (b"\0" + _TEXT).ljust(0x55, b" ")
    yield Case("pickle.onnx", b"\x28\x4e\x32\x55" + inner + plain_graph())
    # GGUF: G is BINFLOAT of eight bytes.
    yield Case("pickle.gguf", b"GGUF" + struct.pack("<I", 3) + b"\0" + PAYLOAD + bytes(64))
    # TFLite: the root's offset is U with six bytes; the tables lie behind the payload.
    vtable = struct.pack("<HHHH", 8, 12, 4, 8)
    root = 0x0655
    body = (b"U\x06\0\0TFL3" + _TEXT).ljust(root - len(vtable), b"\0") + vtable
    table = struct.pack("<iII", len(vtable), 3, 4) + struct.pack("<I", 0)
    yield Case("pickle.tflite", body + table)
    # Text formats: a protocol-0 pickle is text.
    yield Case("pickle.yaml", b"I1\n0" + _TEXT + b"\nname: x\n")
    yield Case("pickle.txt", _TEXT + b"\nplain words\n")
    yield Case("pickle.jinja", b"S'{{ x }}'\n0" + _TEXT)
