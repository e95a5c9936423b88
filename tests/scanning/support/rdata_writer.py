"""Writes R's serialisation, item by item, in its three encodings."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

NULL, GLOBAL_ENVIRONMENT = 254, 253


@dataclass(frozen=True, slots=True)
class Encoding:
    header: bytes
    integer: Callable[[int], bytes]
    real: Callable[[float], bytes]
    text: Callable[[bytes], bytes]


XDR = Encoding(b"X\n", struct.Struct(">i").pack, struct.Struct(">d").pack, bytes)
NATIVE = Encoding(b"B\n", struct.Struct("<i").pack, struct.Struct("<d").pack, bytes)
ASCII = Encoding(
    b"A\n", lambda value: b"%d\n" % value, lambda value: b"%r\n" % value, lambda text: text + b"\n"
)


class RWriter:
    """Collects an object; ``whole`` puts the header before it."""

    def __init__(self, encoding: Encoding = XDR, version: int = 2) -> None:
        self._encoding = encoding
        self._version = version
        self._body = b""

    def integers(self, *values: int) -> "RWriter":
        self._body += b"".join(map(self._encoding.integer, values))
        return self

    def item(self, kind: int, *, attributes: bool = False, tag: bool = False) -> "RWriter":
        return self.integers(kind | attributes << 9 | tag << 10)

    def null(self) -> "RWriter":
        return self.item(NULL)

    def string(self, text: bytes) -> "RWriter":
        self.item(9).integers(len(text))
        self._body += self._encoding.text(text)
        return self

    def symbol(self, name: bytes) -> "RWriter":
        return self.item(1).string(name)

    def int_vector(self, *values: int) -> "RWriter":
        return self.item(13).integers(len(values), *values)

    def real_vector(self, *values: float) -> "RWriter":
        self.item(14).integers(len(values))
        self._body += b"".join(map(self._encoding.real, values))
        return self

    def whole(self, magic: bytes = b"") -> bytes:
        numbers = [self._version, 0x40100, 0x20300]
        header = b"".join(map(self._encoding.integer, numbers))
        if self._version == 3:
            header += self._encoding.integer(5) + self._encoding.text(b"UTF-8")
        return magic + self._encoding.header + header + self._body


def data_frame(writer: RWriter) -> RWriter:
    """A list of two columns with names, class and row names."""
    writer.item(19, attributes=True).integers(2)
    writer.int_vector(1, 2, -(1 << 31)).real_vector(0.5, 1.0, 2.0)
    writer.item(2, tag=True).symbol(b"names").item(16).integers(2).string(b"a").string(b"b")
    writer.item(2, tag=True).symbol(b"class").item(16).integers(1).string(b"data.frame")
    return writer.null()
