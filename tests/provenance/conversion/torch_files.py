"""Writes torch checkpoints opcode by opcode, so that they may say anything, without torch."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True}


def named(name: str) -> bytes:
    """Return the opcodes of a global, ``module:name``."""
    return b"c" + name.replace(":", "\n").encode() + b"\n"


def value(item: object) -> bytes:  # noqa: PLR0911 - a return for each type
    """Return the opcodes of a value; bytes are opcodes already."""
    match item:
        case bytes():
            return item
        case None:
            return b"N"
        case bool():
            return b"\x88" if item else b"\x89"
        case int():
            data = item.to_bytes(item.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(data)]) + data
        case float():
            return b"G" + struct.pack(">d", item)
        case str():
            return b"X" + struct.pack("<I", len(item.encode())) + item.encode()
        case tuple():
            return b"(" + b"".join(map(value, item)) + b"t"
        case list():
            return b"](" + b"".join(map(value, item)) + b"e"
        case dict():
            return b"}(" + b"".join(value(key) + value(entry) for key, entry in item.items()) + b"u"
    raise TypeError(item)


def call(name: str, *arguments: object) -> bytes:
    """Return the opcodes of a call."""
    return named(name) + value(arguments) + b"R"


def ordered(items: Mapping[str, object], state: object = None) -> bytes:
    """Return the opcodes of an OrderedDict, with attributes if asked for."""
    pairs = b"".join(value(key) + value(item) for key, item in items.items())
    built = value(state) + b"b" if state is not None else b""
    return named("collections:OrderedDict") + b")R(" + pairs + b"u" + built


HOOKS = ordered({})
NO_GRADIENT = value(False)  # noqa: FBT003 - the value of requires_grad


def storage(key: str, kind: str, count: int, location: str = "cpu", *more: object) -> bytes:
    """Return the opcodes of a persistent id."""
    return value(("storage", named(f"torch:{kind}"), key, location, count, *more)) + b"Q"


def tensor(  # noqa: PLR0913, PLR0917 - what torch writes
    key: str,
    kind: str,
    count: int,
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
    *,
    legacy: bool = False,
) -> bytes:
    """Return the opcodes of a tensor as torch writes them."""
    return call(
        "torch._utils:_rebuild_tensor_v2",
        storage(key, kind, count, "cpu", *([None] if legacy else [])),
        offset,
        tuple(shape),
        tuple(strides),
        NO_GRADIENT,
        HOOKS,
    )


def new_tensor(key: str, count: int, shape: Sequence[int], dtype: str, *more: object) -> bytes:
    """Return the opcodes of a tensor whose type is not that of its storage."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return call(
        "torch._utils:_rebuild_tensor_v3",
        value(("storage", named("torch.storage:UntypedStorage"), key, "cpu", count)) + b"Q",
        0, tuple(shape), tuple(strides), NO_GRADIENT, HOOKS, named(f"torch:{dtype}"), *more,
    )  # fmt: skip


def pickled(item: object) -> bytes:
    """Return one pickle."""
    return b"\x80\x02" + value(item) + b"."


def torch_zip(  # noqa: PLR0913 - a knob each
    path: Path,
    root: object,
    storages: Mapping[str, bytes],
    *,
    order: bytes = b"little",
    compress: bool = False,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a checkpoint as torch does since 1.6."""
    members = {"data.pkl": pickled(root), "byteorder": order}
    members |= {f"data/{key}": content for key, content in storages.items()}
    members |= {"version": b"3\n", **(more or {})}
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"model/{name}", content)
    return path


def torch_legacy(path: Path, root: object, storages: Mapping[str, tuple[int, bytes]]) -> Path:
    """Write a checkpoint as torch did before 1.6; storages are counts and bytes by key."""
    output = io.BytesIO()
    for item in (MAGIC, 1001, SYSTEM, root, list(storages)):
        output.write(pickled(item))
    for count, content in storages.values():
        output.write(struct.pack("<q", count) + content)
    path.write_bytes(output.getvalue())
    return path
