"""Where each tensor goes in a safetensors file, and the file's header."""

import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelsec.errors import ResourceLimitError, UnsupportedFormatError
from modelsec.provenance.conversion.tensors import StoredTensor
from modelsec.scanning.formats.safetensors import MAX_HEADER

_SEPARATOR = re.compile(r"[/\\]")
_ALIGNMENT = 8
_PICKLE_MARK = 0x80


@dataclass(frozen=True, slots=True)
class Layout:
    """A safetensors file that is to be written.

    Attributes:
        header: its first bytes, up to the data.
        places: each tensor and where its data begins in the file, in that order.
        size: of the whole file, in bytes.
    """

    header: bytes
    places: tuple[tuple[StoredTensor, int], ...]
    size: int


def layout(tensors: Iterable[StoredTensor], metadata: Mapping[str, str]) -> Layout:
    """Lay out a file, the same for the same tensors and metadata.

    Wide elements come first, as in the reference writer, so that each tensor is aligned to its
    elements; among equals the order is by name.

    Raises:
        UnsupportedFormatError: a name occurs twice, or cannot be a name in JSON.
        ResourceLimitError: the header would be larger than the format allows.
    """
    ordered = sorted(tensors, key=lambda tensor: (-tensor.itemsize, tensor.name))
    table: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    begins, position = [], 0
    for tensor in ordered:
        if tensor.name in table:
            raise UnsupportedFormatError(f"{tensor.shown}: two tensors would have this name")
        if ".." in _SEPARATOR.split(tensor.name) or min(tensor.name, default=" ") < " ":
            raise UnsupportedFormatError(
                f"{tensor.shown}: a name that would be a path, or is no line"
            )
        begins.append(position)
        table[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + tensor.nbytes],
        }
        position += tensor.nbytes
    try:
        text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnsupportedFormatError("a name or text holds half of a surrogate pair") from error
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) % 256 == _PICKLE_MARK:
        # The file begins with this length: it must not begin as a pickle does.
        text += b" " * _ALIGNMENT
    if len(text) > MAX_HEADER:
        raise ResourceLimitError(f"a safetensors header of {len(text)} bytes; {MAX_HEADER} at most")
    header = struct.pack("<Q", len(text)) + text
    places = zip(ordered, (len(header) + begin for begin in begins), strict=True)
    return Layout(header, tuple(places), len(header) + position)
