"""Pickles, opcode by opcode; the names in them are inert."""

import struct

PROTO2, PROTO4 = b"\x80\x02", b"\x80\x04"
MARK, STOP, POP, POP_MARK, DUP, NONE = b"(", b".", b"0", b"1", b"2", b"N"
REDUCE, BUILD, APPEND, APPENDS, SETITEM, SETITEMS = b"R", b"b", b"a", b"e", b"s", b"u"
LIST, DICT, TUPLE, EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT = b"]", b"d", b"t", b")", b"]", b"}"
TUPLE1, TUPLE2, TUPLE3 = b"\x85", b"\x86", b"\x87"
NEWOBJ, NEWOBJ_EX, OBJ, STACK_GLOBAL, MEMOIZE = b"\x81", b"\x92", b"o", b"\x93", b"\x94"
EMPTY_SET, ADDITEMS, FROZENSET = b"\x8f", b"\x90", b"\x91"
BINPERSID = b"Q"


def text(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def data(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def put(index: int) -> bytes:
    """BINPUT or LONG_BINPUT."""
    return b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    """BINGET or LONG_BINGET."""
    return b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)


def frame(content: bytes, length: int | None = None) -> bytes:
    """FRAME around opcodes; a wrong length on request."""
    return b"\x95" + struct.pack("<Q", len(content) if length is None else length) + content


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """GLOBAL, a tuple of arguments, REDUCE."""
    return name(module, attribute) + MARK + b"".join(arguments) + TUPLE + REDUCE
