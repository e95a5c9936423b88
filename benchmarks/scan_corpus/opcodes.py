"""A pickle assembler: each function returns the opcodes for one thing. Nothing is ever loaded."""

import struct

MARK, STOP, REDUCE, POP, DUP = b"(", b".", b"R", b"0", b"2"
TUPLE, EMPTY_TUPLE, BUILD, OBJ, NEWOBJ, NEWOBJ_EX = b"t", b")", b"b", b"o", b"\x81", b"\x92"
EMPTY_DICT, EMPTY_LIST, APPEND, SETITEM, SETITEMS = b"}", b"]", b"a", b"s", b"u"
STACK_GLOBAL, MEMOIZE, POP_MARK, NONE = b"\x93", b"\x94", b"1", b"N"
TUPLE1, TUPLE2, TUPLE3 = b"\x85", b"\x86", b"\x87"


def proto(number: int) -> bytes:
    """PROTO."""
    return bytes((0x80, number))


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value: str) -> bytes:
    """SHORT_BINUNICODE (protocol 4)."""
    raw = value.encode()
    return b"\x8c" + bytes((len(raw),)) + raw


def blob(value: bytes) -> bytes:
    """BINBYTES (protocol 3)."""
    return b"B" + struct.pack("<I", len(value)) + value


def old_blob(value: bytes) -> bytes:
    """Bytes as protocol 2 writes them: ``_codecs.encode(text, 'latin1')``."""
    encoded = value.decode("latin-1").encode()
    return (
        named("_codecs", "encode")
        + tuple_of(b"X" + struct.pack("<I", len(encoded)) + encoded, text("latin1"))
        + REDUCE
    )


def number(value: int) -> bytes:
    """BININT, or LONG1 where it is too large."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes((len(raw),)) + raw


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def stacked(module: str, name: str) -> bytes:
    """STACK_GLOBAL (protocol 4)."""
    return short(module) + short(name) + STACK_GLOBAL


def tuple_of(*items: bytes) -> bytes:
    """MARK ... TUPLE."""
    return MARK + b"".join(items) + TUPLE


def dict_of(*pairs: tuple[bytes, bytes]) -> bytes:
    """EMPTY_DICT MARK ... SETITEMS."""
    return EMPTY_DICT + MARK + b"".join(key + value for key, value in pairs) + SETITEMS


def list_of(*items: bytes) -> bytes:
    """EMPTY_LIST MARK ... APPENDS."""
    return EMPTY_LIST + MARK + b"".join(items) + b"e"


def call(callee: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return callee + tuple_of(*arguments) + REDUCE


def framed(body: bytes, length: int | None = None) -> bytes:
    """FRAME, with the honest length unless another is given."""
    return b"\x95" + struct.pack("<Q", len(body) if length is None else length) + body


def put(index: int) -> bytes:
    """BINPUT."""
    return b"q" + bytes((index,))


def get(index: int) -> bytes:
    """BINGET."""
    return b"h" + bytes((index,))


def persistent(*items: bytes) -> bytes:
    """A tuple as BINPERSID."""
    return tuple_of(*items) + b"Q"


ECHO = text("echo inert")
SYSTEM = call(named("os", "system"), ECHO)
"""The inert stand-in of a payload: it would print a word."""


def pickled(body: bytes, protocol: int = 2) -> bytes:
    """Put PROTO before and STOP after."""
    return proto(protocol) + body + STOP


PAYLOAD = pickled(SYSTEM)
HARMLESS = pickled(dict_of((text("epoch"), number(3)), (text("note"), text("os.system is a word"))))
