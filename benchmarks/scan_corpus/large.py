"""Large files for the benchmark of cost; what would be weights are holes in sparse files."""

import datetime as dt
import pickle
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .opcodes import dict_of, pickled, proto, text
from .torch_files import storage, tensor
from .wire import safetensors

MIB = 1 << 20
GIB = 1 << 30
_PARTS = 16
_SIDE = 4096


def write(folder: Path) -> dict[str, Path]:
    """Write what is missing, and return the files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = {
        "40 MB dense pickle, containers, protocol 2": lambda path: _dense(path, 2, mixed=False),
        "40 MB dense pickle, containers, protocol 4": lambda path: _dense(path, 4, mixed=False),
        "40 MB dense pickle, mixed, protocol 2": lambda path: _dense(path, 2, mixed=True),
        "40 MB dense pickle, mixed, protocol 4": lambda path: _dense(path, 4, mixed=True),
        "1 GiB torch zip": _torch,
        "1 GiB single BINBYTES8": _blob,
        "1 GiB safetensors": _safetensors,
    }
    endings = {"1 GiB torch zip": "pt", "1 GiB safetensors": "safetensors"}
    files = {}
    for name, make in makers.items():
        path = folder / f"{name.replace(' ', '-').replace(',', '')}.{endings.get(name, 'pkl')}"
        if not path.exists():
            make(path)
        files[name] = path
    return files


def _dense(path: Path, protocol: int, *, mixed: bool) -> None:
    """Grow a list until its pickle has 40 MB: about two bytes an opcode."""
    day = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)

    def unit(n: int) -> object:
        plain = {"k": [n & 255, (n >> 8) & 255, n & 63, True, None, (1, 2), [], "ab"]}
        if not mixed:
            return plain
        return [
            plain,
            plain["k"] * 2,
            OrderedDict(a=n & 255),
            np.float32(n),
            day + dt.timedelta(n),
        ]

    sample = len(pickle.dumps([unit(n) for n in range(1000)], protocol))
    path.write_bytes(pickle.dumps([unit(n) for n in range(40_000_000 // sample * 1000)], protocol))


def _torch(path: Path) -> None:
    pairs = [
        (
            text(f"layer{n}.weight"),
            tensor((_SIDE, _SIDE), (_SIDE, 1), held=storage(key=str(n), numel=_SIDE**2)),
        )
        for n in range(_PARTS)
    ]
    members: list[tuple[str, bytes | int]] = [
        ("archive/data.pkl", pickled(dict_of(*pairs))),
        ("archive/.format_version", b"1"),
        ("archive/.storage_alignment", b"64"),
        ("archive/byteorder", b"little"),
        *((f"archive/data/{n}", GIB // _PARTS) for n in range(_PARTS)),
        ("archive/version", b"3\n"),
        ("archive/.data/serialization_id", b"0" * 40),
    ]
    _sparse_zip(path, members)


def _sparse_zip(path: Path, members: Sequence[tuple[str, bytes | int]]) -> None:
    """Stored members aligned to 64 bytes; a number is so many zeros, as a hole."""
    directory = b""
    with path.open("wb") as file:
        for name, data in members:
            raw, at = name.encode(), file.tell()
            size = data if isinstance(data, int) else len(data)
            crc = _crc_of_zeros(size) if isinstance(data, int) else zlib.crc32(data)
            padding = -(at + 30 + len(raw) + 4) % 64
            extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            fields = struct.pack("<HHHHHIII", 20, 0, 0, 0, 33, crc, size, size)
            file.write(b"PK\3\4" + fields + struct.pack("<HH", len(raw), len(extra)) + raw + extra)
            if isinstance(data, int):
                file.seek(data, 1)
            else:
                file.write(data)
            directory += (
                b"PK\1\2"
                + struct.pack("<H", 20)
                + fields
                + struct.pack("<HHHHHII", len(raw), 0, 0, 0, 0, 0, at)
                + raw
            )
        start = file.tell()
        count = len(members)
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
        file.write(directory + end)


def _crc_of_zeros(size: int) -> int:
    crc = 0
    for piece in _pieces(size):
        crc = zlib.crc32(bytes(piece), crc)
    return crc


def _pieces(size: int) -> Iterator[int]:
    while size:
        piece = min(size, MIB)
        yield piece
        size -= piece


def _blob(path: Path) -> None:
    with path.open("wb") as file:
        file.write(proto(4) + b"\x8e" + struct.pack("<Q", GIB))
        file.seek(GIB, 1)
        file.write(b".")


def _safetensors(path: Path) -> None:
    step = GIB // _PARTS
    header = {
        f"layer{n}.weight": {
            "dtype": "F32",
            "shape": [_SIDE, _SIDE],
            "data_offsets": [n * step, (n + 1) * step],
        }
        for n in range(_PARTS)
    }
    with path.open("wb") as file:
        file.write(safetensors(header, b""))
        file.truncate(file.tell() + GIB)
