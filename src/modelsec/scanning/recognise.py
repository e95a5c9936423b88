"""Which formats a run of bytes could be: every recogniser, in one table.

The type of a file is a property of the loader, not of the file: one file may be a tar to one
loader and a pickle to another. So every strong recogniser is asked, and every reading that its
reader accepts is scanned. Weak ones (formats without magic) are asked in order, only if no strong
reading was accepted.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from modelsec.scanning.containers.tar_header import BLOCK, checksum_holds
from modelsec.scanning.part import Reader
from modelsec.scanning.source import Source

HEAD = 4096
TAIL = (1 << 16) + 22 + 20  # a zip comment, its end record and a zip64 locator


class Head:
    """The first bytes of a source, and its tail if anybody asks."""

    __slots__ = ("_source", "_tail", "far", "size", "start")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tail: bytes | None = None
        self.far = source.far
        self.size = source.size
        self.start = source.read(0, min(HEAD, source.size))

    @property
    def tail(self) -> bytes:
        """The last 64 KiB and a bit."""
        if self._tail is None:
            length = min(TAIL, self.size)
            self._tail = (
                self.start
                if length == len(self.start)
                else self._source.read(self.size - length, length)
            )
        return self._tail

    def peek(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from anywhere; b"" beyond the end."""
        if offset + length <= len(self.start):
            return self.start[offset : offset + length]
        if offset >= self.size:
            return b""
        return self._source.read(offset, min(length, self.size - offset))


@dataclass(frozen=True, slots=True)
class Format:
    """A format, how it is recognised, and where its reader is.

    Attributes:
        name: as reports call it.
        matches: may be wrong in favour of the format: the reader decides.
        home: ``module:function`` of the reader, imported when needed.
    """

    name: str
    matches: Callable[[Head], bool]
    home: str

    def reader(self) -> Reader:
        """Import the reader."""
        module, _, function = self.home.partition(":")
        return cast("Reader", getattr(import_module(f"modelsec.scanning.{module}"), function))


def strong(head: Head) -> Iterator[Format]:
    """Yield the formats whose signature is present."""
    return (format_ for format_ in STRONG if format_.matches(head))


def weak(head: Head) -> Iterator[Format]:
    """Yield the formats without a signature that the bytes might be, likeliest first."""
    return (format_ for format_ in WEAK if format_.matches(head))


def _starts(*prefixes: bytes) -> Callable[[Head], bool]:
    return lambda head: head.start.startswith(prefixes)


def _zip(head: Head) -> bool:
    return head.start.startswith((b"PK\3\4", b"PK\5\6")) or b"PK\5\6" in head.tail


def _tar(head: Head) -> bool:
    """A header's checksum: old tar files have no magic."""
    return len(head.start) >= BLOCK and checksum_holds(head.start[:BLOCK])


def _hdf5(head: Head) -> bool:
    """The signature at 0, or after a user block of 512 * 2**n bytes."""
    offset = 0
    # Far away, each step is a request; nothing but HDF5 itself looks further.
    end = min(head.size, 1 << 20) if head.far else head.size
    while offset < end:
        if head.peek(offset, 8) == b"\x89HDF\r\n\x1a\n":
            return True
        offset = offset * 2 or 512
    return False


def _zlib(head: Head) -> bool:
    if len(head.start) < 2:
        return False
    method, flags = head.start[:2]
    return (
        method & 15 == 8
        and method >> 4 <= 7
        and (method * 256 + flags) % 31 == 0
        and not flags & 32
    )


def _safetensors(head: Head) -> bool:
    if len(head.start) < 9:
        return False
    (length,) = struct.unpack_from("<Q", head.start)
    return 2 <= length <= head.size and head.start[8:9] in b"{ \t\r\n"


def _text(head: Head) -> bool:
    """UTF-8 or UTF-16 without control characters, as far as the head shows."""
    start = head.start
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start):
        return False
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(start) - 3  # a character cut by the end of the head
    return True


def _protobuf(head: Head) -> bool:
    """A plausible first tag: a small field number and a wire type that exists."""
    return bool(head.start) and head.start[0] >> 3 > 0 and head.start[0] & 7 in {0, 1, 2, 3, 5}


def _json_like(head: Head) -> bool:
    return _unmarked(head)[:1] in {b"{", b"["} or _blank(head)


def _xml_like(head: Head) -> bool:
    return _unmarked(head)[:1] == b"<" or _blank(head)


def _unmarked(head: Head) -> bytes:
    """The start as bytes of text, whatever its encoding, without marks and blanks."""
    start = head.start.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"")
    return start.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").lstrip()


def _blank(head: Head) -> bool:
    """Nothing but blanks as far as the head shows: loaders skip them, the reader decides."""
    return head.size > len(head.start) and not head.start.strip()


def _anything(head: Head) -> bool:
    return head.size > 0


STRONG = (
    Format(
        "pickle",
        lambda head: head.start[:1] == b"\x80" and head.start[1:2] <= b"\x05",
        "pickle.reader:read",
    ),
    Format("zip", _zip, "containers.zip:read"),
    Format("tar", _tar, "containers.tar:read"),
    Format("7z", _starts(b"7z\xbc\xaf\x27\x1c"), "containers.sevenzip:read"),
    Format("gzip", _starts(b"\x1f\x8b"), "containers.compressed:read_gzip"),
    Format("bzip2", _starts(b"BZh"), "containers.compressed:read_bzip2"),
    Format("xz", _starts(b"\xfd7zXZ\0"), "containers.compressed:read_xz"),
    Format("lz4", _starts(b"\x04\x22\x4d\x18"), "containers.compressed:read_lz4"),
    Format("zstd", _starts(b"\x28\xb5\x2f\xfd"), "containers.compressed:read_zstd"),
    Format("zlib", _zlib, "containers.compressed:read_zlib"),
    Format("joblib zfile", _starts(b"ZF0x"), "containers.compressed:read_zfile"),
    Format("npy", _starts(b"\x93NUMPY"), "formats.npy:read"),
    Format("gguf", _starts(b"GGUF"), "formats.gguf:read"),
    Format(
        "ggml",
        _starts(b"lmgg", b"fmgg", b"tjgg", b"algg", b"ggml", b"ggmf", b"ggjt", b"ggla"),
        "formats.gguf:read_old",
    ),
    Format("hdf5", _hdf5, "formats.hdf5:read"),
    Format("safetensors", _safetensors, "formats.safetensors:read"),
    Format(
        "tensorflow checkpoint index",
        lambda head: head.tail.endswith(bytes.fromhex("57fb808b247547db")),
        "formats.tf_checkpoint:read",
    ),
    Format("tflite", lambda head: head.start[4:8] == b"TFL3", "formats.tflite:read"),
    Format(
        "r data",
        _starts(
            b"RDX2\n",
            b"RDX3\n",
            b"RDA2\n",
            b"RDA3\n",
            b"RDB2\n",
            b"RDB3\n",
            b"X\n\0\0\0",
            b"A\n",
            b"B\n",
        ),
        "formats.rdata:read",
    ),
    Format(
        "native",
        _starts(
            b"\x7fELF",
            b"MZ",
            b"#!",
            b"\xcf\xfa\xed\xfe",
            b"\xce\xfa\xed\xfe",
            b"\xfe\xed\xfa\xce",
            b"\xfe\xed\xfa\xcf",
            b"\xca\xfe\xba\xbe",
            b"\0asm",
            b"!<arch>\n",
            b"dex\n",
        ),
        "formats.native:read",
    ),
)

WEAK = (
    Format("tensorflow checkpoint data", _anything, "formats.tf_checkpoint:read_data"),
    Format("pickle", _anything, "pickle.reader:read_without_magic"),
    Format("json", _json_like, "formats.json_config:read"),
    Format("xml", _xml_like, "formats.xml:read"),
    Format("jinja", _text, "formats.jinja:read"),
    Format("yaml", _text, "formats.yaml_config:read"),
    Format("text", _text, "formats.text:read"),
    Format("onnx", _protobuf, "formats.onnx:read"),
    Format("tensorflow graph", _protobuf, "formats.tensorflow:read"),
    Format("keras metadata", _protobuf, "formats.tensorflow:read_keras_metadata"),
    Format("coreml", _protobuf, "formats.coreml:read"),
    Format("lzma", _starts(b"\x5d\0"), "containers.compressed:read_lzma"),
    Format("msgpack", _anything, "formats.msgpack:read"),
)

POLYGLOT = "pickle.reader:read_effects_only"
"""Asked of every part that is not a recognised pickle: would an unpickler *act* on these bytes?"""

ENDINGS = {
    # What an ending promises; more than one format where loaders agree on it.
    ".safetensors": ("safetensors",),
    ".onnx": ("onnx",),
    ".gguf": ("gguf",),
    ".npy": ("npy",),
    ".npz": ("npz",),
    ".keras": ("keras",),
    ".h5": ("hdf5", "keras h5"),
    ".hdf5": ("hdf5", "keras h5"),
    ".tflite": ("tflite",),
    ".json": ("json", "notebook", "keras"),
    ".zip": ("zip",),
    ".tar": ("tar",),
    ".skops": ("skops",),
    ".xml": ("xml", "pmml", "openvino", "svg", "html"),
    ".pmml": ("pmml",),
    ".jinja": ("jinja",),
    ".jinja2": ("jinja",),
    ".j2": ("jinja", "text"),
    ".jsonl": ("json",),
    ".ipynb": ("notebook",),
    ".mlmodel": ("coreml",),
    ".svg": ("svg",),
    ".html": ("html", "xml", "text"),
    ".mar": ("mar",),
    ".msgpack": ("msgpack",),
    ".rds": ("r data", "gzip", "bzip2", "xz"),
    ".rda": ("r data", "gzip", "bzip2", "xz"),
    ".yaml": ("yaml", "text"),
    ".yml": ("yaml", "text"),
    ".txt": ("text", "jinja", "yaml", "json"),
    ".md": ("text", "jinja", "yaml"),
    ".pkl": ("pickle", "joblib", "gzip", "bzip2", "xz", "zlib", "lzma", "zstd", "zip"),
    ".pickle": ("pickle", "joblib", "gzip", "bzip2", "xz", "zlib", "lzma", "zstd", "zip"),
    ".joblib": ("pickle", "joblib", "gzip", "bzip2", "xz", "zlib", "lzma", "lz4", "joblib zfile"),
    ".pt": ("torch", "torchscript", "torch legacy", "torch tar", "pt2"),
    ".pth": ("torch", "torchscript", "torch legacy", "torch tar", "pt2"),
}
