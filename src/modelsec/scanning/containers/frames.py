"""Decoders that the standard library does not have (before Python 3.14): lz4 and zstd.

They come with optional packages and are imported when the first such file is met. Without them a
file is refused as incomplete, which is never clean.
"""

from importlib import import_module
from typing import Any

from modelsec.errors import UnsupportedFormatError
from modelsec.scanning.containers.expand import Codec, Decoder

_MAGIC = {"lz4": b"\x04\x22\x4d\x18", "zstd": b"\x28\xb5\x2f\xfd"}
_BLOCK = 128 << 10  # the most that one zstd block expands to


class _BrokenFrameError(Exception):
    """The frame breaks the rules of its format."""


def lz4() -> Codec:
    """Return the codec of lz4 frames.

    Raises:
        UnsupportedFormatError: the package ``lz4`` is not installed.
    """
    module = _import("lz4.frame")
    if module is None:
        raise _missing("lz4")
    return Codec(
        "lz4", lambda _: _Lz4(module.LZ4FrameDecompressor()), (RuntimeError,), _next("lz4")
    )


def zstd() -> Codec:
    """Return the codec of zstd frames.

    Raises:
        UnsupportedFormatError: neither Python's module nor the package ``zstandard`` is there.
    """
    module = _import("compression.zstd")
    if module is not None:
        return Codec("zstd", lambda _: _builtin_zstd(module), (module.ZstdError,), _next("zstd"))
    module = _import("zstandard")
    if module is None:
        raise _missing("zstd")
    errors = (module.ZstdError, _BrokenFrameError)
    return Codec("zstd", lambda memory: _Zstandard(module, memory), errors, _next("zstd"))


def _builtin_zstd(module: Any) -> Decoder:  # noqa: ANN401 - a module that may not exist
    limit = {module.DecompressionParameter.window_log_max: 27}
    decoder: Decoder = module.ZstdDecompressor(options=limit)
    return decoder


def _import(name: str) -> Any:  # noqa: ANN401 - a module that may not exist
    try:
        return import_module(name)
    except ImportError:
        return None


def _missing(name: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"{name} is decoded by an optional package: pip install 'modelsec[scan]'"
    )


def _next(name: str) -> Any:  # noqa: ANN401 - a predicate; the type is in Codec
    return lambda data: data.startswith(_MAGIC[name])


class _Lz4:
    """lz4's own decompressor, but ``unused_data`` is never None."""

    __slots__ = ("_decoder",)

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401 - of a module that may not exist
        self._decoder = decoder

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._decoder.needs_input)

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data or b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return bytes(self._decoder.decompress(data, max_length))


class _Zstandard:
    """The package ``zstandard``, fed block by block.

    Its decompressor returns all that its input expands to. A block of four bytes expands to
    128 KiB, so a bomb of 64 KiB would be 2 GiB at once; one block at a time is 128 KiB at most.
    """

    __slots__ = ("_checksum", "_decoder", "_input", "_stage", "eof", "needs_input")

    def __init__(self, module: Any, memory: int) -> None:  # noqa: ANN401 - as above
        self._decoder = module.ZstdDecompressor(max_window_size=memory).decompressobj()
        self._input = b""
        self._stage = "header"
        self._checksum = False
        self.eof = False
        self.needs_input = True

    @property
    def unused_data(self) -> bytes:
        return self._input

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if max_length < _BLOCK:
            raise ValueError("a block of zstd may expand to 128 KiB")
        self._input += data
        position = 0
        output = b""
        while not output and self._stage != "end":
            length = self._piece(position)
            if length is None or position + length > len(self._input):
                break
            output = self._decoder.decompress(self._input[position : position + length])
            position += length
        self._input = self._input[position:]
        self.eof = self._stage == "end"
        self.needs_input = not output
        return output

    def _piece(self, position: int) -> int | None:
        """Return the length of the next header, block or checksum; None if it is not all here."""
        rest = self._input[position : position + 18]
        if self._stage == "header":
            return self._header(rest)
        if self._stage == "checksum":
            if len(rest) >= 4:  # noqa: PLR2004 - xxh64, its lower half
                self._stage = "end"
                return 4
            return None
        if len(rest) < 3:  # noqa: PLR2004 - the header of a block
            return None
        header = int.from_bytes(rest[:3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3 or size > _BLOCK:  # noqa: PLR2004 - reserved
            raise _BrokenFrameError("a reserved or oversized block")
        length = 3 + (1 if kind == 1 else size)
        if position + length > len(self._input):
            return None
        if last:
            self._stage = "checksum" if self._checksum else "end"
        return length

    def _header(self, rest: bytes) -> int | None:
        if len(rest) < 5:  # noqa: PLR2004 - magic and descriptor
            return None
        descriptor = rest[4]
        single = descriptor >> 5 & 1
        content = (single, 2, 4, 8)[descriptor >> 6]
        length = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
        if len(rest) < length:
            return None
        self._checksum = bool(descriptor & 4)
        self._stage = "block"
        return length
