"""Write safetensors files byte by byte, true ones and false ones."""

import json
import struct
from collections.abc import Mapping, Sequence


def tensor(
    dtype: str, shape: Sequence[int], begin: int, end: int, **extra: object
) -> dict[str, object]:
    """Return one entry of the table, true or not."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **extra}


def with_header(header: bytes, data: bytes = b"") -> bytes:
    """Return a file of this header, whatever it says."""
    return struct.pack("<Q", len(header)) + header + data


def safetensors(table: Mapping[str, object], data: bytes = b"", *, pad: int = 8) -> bytes:
    """Return a file whose header is padded with blanks, as honest writers do."""
    header = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    return with_header(header + b" " * (-len(header) % pad), data)


HONEST = safetensors(
    {
        "__metadata__": {"format": "pt"},
        "embed.weight": tensor("F32", [4, 2], 0, 32),
        "empty": tensor("F16", [0, 7], 32, 32),
        "head.bias": tensor("BF16", [3], 32, 38),
    },
    bytes(range(38)),
)
"""A file as the reference writer would write it: three tensors, one of them of no element."""
