"""PyTorch's file layouts, written without PyTorch."""

import io
import struct
import tarfile
from collections.abc import Sequence

from .archives import Member, zipped
from .opcodes import (
    call,
    dict_of,
    named,
    number,
    persistent,
    pickled,
    text,
    tuple_of,
)

WEIGHTS = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)


def storage(
    kind: str = "FloatStorage", key: str = "0", numel: int = 4, *, view: bool = False
) -> bytes:
    """A storage's persistent id; ``view`` adds the field of the legacy layout."""
    legacy = (b"N",) if view else ()
    return persistent(
        text("storage"), named("torch", kind), text(key), text("cpu"), number(numel), *legacy
    )


def tensor(
    shape: Sequence[int] = (2, 2),
    stride: Sequence[int] = (2, 1),
    offset: int = 0,
    held: bytes | None = None,
    hooks: bytes | None = None,
) -> bytes:
    """A call of ``_rebuild_tensor_v2``."""
    numbers = [tuple_of(*map(number, values)) for values in (shape, stride)]
    empty = call(named("collections", "OrderedDict"))
    return call(
        named("torch._utils", "_rebuild_tensor_v2"),
        held or storage(),
        number(offset),
        *numbers,
        b"\x89",
        hooks or empty,
    )


def state_dict(value: bytes | None = None, *more: tuple[bytes, bytes]) -> bytes:
    """A pickle of ``{"weight": tensor, ...}``."""
    return pickled(dict_of((text("weight"), value or tensor()), *more))


def torch_members(data: bytes | None = None, folder: str = "archive") -> list[Member]:
    """The members that ``torch.save`` writes, in its order, storages aligned to 64 bytes."""
    plain = [
        (f"{folder}/data.pkl", data or state_dict()),
        (f"{folder}/.format_version", b"1"),
        (f"{folder}/.storage_alignment", b"64"),
        (f"{folder}/byteorder", b"little"),
        (f"{folder}/data/0", WEIGHTS),
        (f"{folder}/version", b"3\n"),
        (f"{folder}/.data/serialization_id", b"0" * 40),
    ]
    members, offset = [], 0
    for name, content in plain:
        start = offset + 30 + len(name)
        padding = -(start + 4) % 64
        extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
        members.append(Member(name, content, extra=extra))
        offset = start + len(extra) + len(content)
    return members


def torch_zip(data: bytes | None = None, *more: Member) -> bytes:
    """A checkpoint."""
    return zipped([*torch_members(data), *more])


MAGIC = pickled(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
VERSION = pickled(b"M\xe9\x03")
SYSTEM_INFO = pickled(
    dict_of(
        (text("protocol_version"), b"M\xe9\x03"),
        (text("little_endian"), b"\x88"),
        (
            text("type_sizes"),
            dict_of((text("short"), b"K\2"), (text("int"), b"K\4"), (text("long"), b"K\4")),
        ),
    )
)


def legacy(  # noqa: PLR0913, PLR0917 - the parts of the format, in order
    magic: bytes = MAGIC,
    version: bytes = VERSION,
    info: bytes = SYSTEM_INFO,
    data: bytes | None = None,
    keys: bytes | None = None,
    numel: int = 4,
    tail: bytes = b"",
) -> bytes:
    """The five pickles of 2017 and the storages after them."""
    body = data or state_dict(tensor(held=storage(view=True)))
    names = keys or pickled(b"]" + text("0") + b"a")
    return magic + version + info + body + names + struct.pack("<q", numel) + WEIGHTS + tail


def old_tar(data: bytes | None = None, tensors: bytes | None = None) -> bytes:
    """The tar of 2016: ``sys_info``, ``pickle``, ``storages``, ``tensors``."""
    count = pickled(b"K\0")
    parts = {
        "sys_info": SYSTEM_INFO,
        "pickle": data or pickled(dict_of((text("epoch"), number(3)))),
        "storages": count + pickled(b"]"),  # none, and no views of any
        "tensors": tensors or count,
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def script_members(source: str, *, data: bytes | None = None) -> list[Member]:
    """A TorchScript archive with one module whose code is ``source``."""
    object_ = named("__torch__", "Net") + b")\x81" + dict_of((text("training"), b"\x89")) + b"b"
    return [
        Member("net/version", b"3\n"),
        Member("net/data.pkl", data or pickled(object_)),
        Member("net/code/__torch__.py", source.encode()),
        Member("net/code/__torch__.py.debug_pkl", pickled(tuple_of())),
        Member("net/constants.pkl", pickled(tuple_of())),
        Member("net/byteorder", b"little"),
    ]
