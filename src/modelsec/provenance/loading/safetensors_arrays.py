"""The tensors of a safetensors file in memory, as numpy arrays over that very memory.

The format: eight bytes with the length of a JSON object (little-endian), the object, the data.
The object maps names to ``{"dtype", "shape", "data_offsets": [begin, end]}``; the ranges follow one
another without a hole, from the first to the last byte of the data.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelsec.errors import (
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
    printable,
)
from modelsec.scanning.formats import json_text
from modelsec.scanning.formats.safetensors import BITS, MAX_HEADER
from modelsec.scanning.limits import Budget, Limits

Arrays: TypeAlias = dict[str, NDArray[Any]]

_TYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4",
    "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_RAW = {8: "u1", 16: "<u2"}
_FIELDS = {"dtype", "shape", "data_offsets"}
_PREFIX = 8
_BYTE = 8
_MAX_DIMENSIONS = 64  # of a numpy array


def read_arrays(content: memoryview, *, raw: bool = False) -> Arrays:
    """Return the tensors of a safetensors file; nothing is copied.

    Args:
        content: the whole file. The arrays keep it alive, and are read-only if it is.
        raw: return tensors whose type numpy does not have as unsigned integers of the same width
            (``BF16`` as ``uint16``, the ``F8`` types as ``uint8``), and those of less than eight
            bits as their bytes in one dimension. ``array.view(ml_dtypes.bfloat16)`` reads the
            first.

    Raises:
        MalformedArtifactError: the file breaks a rule of the format, however small.
        UnsupportedFormatError: numpy has no such type, and ``raw`` was not asked for.
        ResourceLimitError: the header is larger than the format permits.
    """
    table, start = _header(content)
    arrays: Arrays = {}
    ranges = []
    data = content[start:]
    for name, entry in table.items():
        if name == "__metadata__":
            _check_metadata(entry)
            continue
        _check_text(name)
        where = f"tensor '{printable(name, 60)}'"
        dtype, shape, begin, end = _entry(entry, where)
        ranges.append((begin, end, where))
        if end > len(data):
            raise MalformedArtifactError(f"{where} ends at {end} of {len(data)} bytes of data")
        arrays[name] = _array(data[begin:end], dtype, shape, where, raw=raw)
    _check_cover(ranges, len(data))
    return arrays


def _header(content: memoryview) -> tuple[dict[str, object], int]:
    """Return the header's object, and where the data begin."""
    if len(content) < _PREFIX:
        raise MalformedArtifactError("too short for a safetensors file")
    (length,) = struct.unpack_from("<Q", content)
    if length > MAX_HEADER:
        raise ResourceLimitError(f"a safetensors header of {length} bytes; {MAX_HEADER} at most")
    if length > len(content) - _PREFIX:
        raise MalformedArtifactError("the safetensors header reaches beyond the end of the file")
    text = bytes(content[_PREFIX : _PREFIX + length])
    if not text.startswith(b"{"):
        raise MalformedArtifactError("a safetensors header begins with a brace")
    document = json_text.parse(text, Budget(Limits(read_bytes=2 * MAX_HEADER)))
    if document.encoding != "utf-8" or not isinstance(document.value, dict):
        raise MalformedArtifactError("a safetensors header is one JSON object in UTF-8")
    if document.duplicates:
        twice = printable(document.duplicates[0], 60)
        raise MalformedArtifactError(f"the key '{twice}' occurs twice in the safetensors header")
    return document.value, _PREFIX + length


def _check_metadata(entry: object) -> None:
    if not isinstance(entry, Mapping) or not all(isinstance(v, str) for v in entry.values()):
        raise MalformedArtifactError("__metadata__ of a safetensors file maps names to strings")


def _check_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise MalformedArtifactError("a tensor's name holds half of a surrogate pair") from None


def _entry(entry: object, where: str) -> tuple[str, tuple[int, ...], int, int]:
    """Return type, shape, begin and end of one tensor, which fit one another."""
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise MalformedArtifactError(f"{where} has other fields than {', '.join(sorted(_FIELDS))}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise MalformedArtifactError(f"{where}: shape or data_offsets are no lists of sizes")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise UnsupportedFormatError(f"{where} has the unknown type {printable(str(dtype), 30)}")
    if len(shape) > _MAX_DIMENSIONS:
        raise UnsupportedFormatError(f"{where} has more than {_MAX_DIMENSIONS} dimensions")
    begin, end = offsets
    if begin > end or math.prod(shape) * BITS[dtype] != (end - begin) * _BYTE:
        raise MalformedArtifactError(
            f"{where}: the range from {begin} to {end} is not what type and shape need"
        )
    return dtype, tuple(shape), begin, end


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(
        type(size) is int and 0 <= size < 1 << 63 for size in value
    )


def _array(
    content: memoryview, dtype: str, shape: tuple[int, ...], where: str, *, raw: bool
) -> NDArray[Any]:
    known = _TYPES.get(dtype)
    if known is None:
        if not raw:
            raise UnsupportedFormatError(
                f"{where} is {dtype}, which numpy does not have: ask for raw=True to get its bits "
                "as unsigned integers, or give fd_path() to a framework that has the type"
            )
        known = _RAW.get(BITS[dtype], "u1")
        if BITS[dtype] < _BYTE:
            shape = (len(content),)
    try:
        if not content:  # numpy makes nothing of no bytes
            return np.frombuffer(b"\0", np.uint8)[:0].view(known).reshape(shape)
        # Not np.ndarray(shape, known, content): that asks the owner of a read-only view whether
        # it can be written to, and an array over it could be made writable.
        return np.frombuffer(content, known).reshape(shape)
    except ValueError as error:  # dimensions that it cannot multiply, next to a zero
        raise UnsupportedFormatError(f"{where}: numpy refuses its shape: {error}") from error


def _check_cover(ranges: list[tuple[int, int, str]], size: int) -> None:
    position = 0
    for begin, end, where in sorted(ranges):
        if begin != position:
            what = "overlaps the one before" if begin < position else "leaves a hole before it"
            raise MalformedArtifactError(f"{where} {what}, at {begin}")
        position = end
    if position != size:
        raise MalformedArtifactError(f"{size - position} bytes behind the last tensor")
