"""Archives and compressed files on which readers disagree, or which hide a pickle."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from .archives import Member, tarred, zipped
from .case import Case, grouped, honest
from .opcodes import HARMLESS, PAYLOAD, SYSTEM, pickled
from .torch_files import torch_members, torch_zip

_BAD = [Member("archive/data.pkl", pickled(SYSTEM)), Member("archive/version", b"3\n")]
_TEXT = Member("readme.txt", b"nothing here\n")


def containers() -> Iterator[Case]:
    """All of them."""
    yield from grouped("containers", "6.1", _zips())
    yield from grouped("containers", "6.2", _tars())
    yield from grouped("containers", "6.3", _seven())
    yield from grouped("containers", "5.6, 6.4", _compressed())
    yield from grouped("containers", "4.5, 6", _nested())
    yield from grouped("resource exhaustion", "6, 8", _bombs())
    yield from grouped("containers", "6", _alike())


def _changed(**changes: object) -> bytes:
    """A malicious checkpoint whose pickle's header lies."""
    settings = {"name": "archive/data.pkl", "data": pickled(SYSTEM), **changes}
    return zipped([Member(**settings), _BAD[1]])  # type: ignore[arg-type]


def _zips() -> Iterator[Case]:
    yield Case("local-name.pt", _changed(local_name=b"archive/data.txt"))
    yield Case("wrong-crc.pt", _changed(crc=1))
    yield Case("encrypted-local.pt", _changed(local_flags=1))
    yield Case("encrypted-both.pt", _changed(flags=1))
    yield Case("local-method.pt", _changed(local_method=8))
    yield Case("unknown-method.pt", _changed(method=99), dangerous=False)
    yield Case("size.pt", _changed(size=3))
    yield Case("local-size.pt", _changed(local_size=3))
    yield Case("nul-name.pt", zipped([Member(b"archive/data.pkl\0.txt", pickled(SYSTEM)), _BAD[1]]))
    yield Case("unreadable-decoy.pt", zipped([Member("archive/decoy", b"x", method=99), *_BAD]))
    yield Case("duplicate.pt", zipped([*torch_members(), _BAD[0]]))
    yield Case("duplicate-first.pt", zipped([_BAD[0], *torch_members()]))
    yield Case(
        "count-small.pt", zipped([*torch_members(), Member("archive/x.pkl", PAYLOAD)], count=7)
    )
    yield Case(
        "hidden-member.pt",
        zipped([*torch_members(), Member("archive/x.pkl", PAYLOAD, hidden=True)]),
    )
    yield Case("gap.zip", zipped([_TEXT], gap=PAYLOAD))
    yield Case("prefix.zip", zipped([_TEXT], prefix=PAYLOAD))
    yield Case("tail.zip", zipped([_TEXT], tail=PAYLOAD))
    yield Case("comment.zip", zipped([_TEXT], comment=PAYLOAD))
    yield Case("two-archives.pt", zipped(_BAD) + torch_zip())
    yield Case("two-archives-other.pt", torch_zip() + zipped(_BAD))
    yield Case("pickle-and-zip.pkl", PAYLOAD + zipped([_TEXT]))
    yield Case("no-directory.pt", zipped(_BAD)[: 30 + 16 + len(pickled(SYSTEM))])
    yield Case("descriptor.pt", _changed(descriptor=True))
    for name, path in {
        "traversal": "../../evil.txt",
        "absolute": "/etc/inert",
        "backslash": "..\\..\\evil.txt",
        "drive": "C:\\inert",
    }.items():
        yield Case(
            f"{name}.zip", zipped([Member(path, b"x\n")]), effect="writes outside the folder"
        )
    yield Case(
        "symlink.zip",
        zipped([Member("link", b"/etc/hostname", attributes=0o120777 << 16)]),
        effect="reads outside the folder",
    )
    yield Case(
        "extra.zip",
        zipped([Member("a.txt", b"x\n", extra=b"ZZ" + struct.pack("<H", len(PAYLOAD)) + PAYLOAD)]),
        dangerous=False,
        effect="a pickle in a field that no reader shows",
    )
    yield Case("wrong-ending.safetensors", PAYLOAD)
    yield Case("wrong-ending.json", PAYLOAD)
    yield Case("wrong-ending.onnx", torch_zip(pickled(SYSTEM)))
    yield Case("no-ending", PAYLOAD)


def _tars() -> Iterator[Case]:
    yield Case("pickle.tar", tarred([(b"model.pkl", PAYLOAD)]))
    yield Case("v7.tar", tarred([(b"model.pkl", PAYLOAD)], ustar=False))
    yield Case("signed.tar", tarred([(b"mod\xc3\xa9l.pkl", PAYLOAD)], ustar=False, signed=True))
    yield Case("name-is-pickle.tar", tarred([(PAYLOAD[:100], b"x")], ustar=False))
    yield Case("no-end.tar", tarred([(b"model.pkl", PAYLOAD)], end=False))
    yield Case("second-archive.tar", tarred([(b"a.txt", b"x\n")]) + tarred([(b"m.pkl", PAYLOAD)]))
    yield Case("duplicate.tar", tarred([(b"m.pkl", HARMLESS), (b"m.pkl", PAYLOAD)]))
    outside = {"effect": "reads or writes outside the folder"}
    yield Case("traversal.tar", tarred([(b"../../evil", b"x\n")]), **outside)
    yield Case("absolute.tar", tarred([(b"/etc/inert", b"x\n")]), **outside)
    yield Case("symlink.tar", tarred([(b"link", b"", b"2", b"/etc/hostname")]), **outside)
    yield Case("hardlink.tar", tarred([(b"link", b"", b"1", b"../../etc/hostname")]), **outside)
    yield Case("device.tar", tarred([(b"null", b"", b"3", b"")]), effect="makes a device")
    record = b"20 path=../../evil\n"
    yield Case(
        "pax-path.tar",
        tarred([(b"pax", b"%d path=../../evil\n" % len(record), b"x", b""), (b"a.txt", b"x\n")]),
        **outside,
    )
    yield Case(
        "long-name.tar",
        tarred([(b"././@LongLink", b"../../evil\0", b"L", b""), (b"a.txt", b"x\n")]),
        **outside,
    )
    yield Case("gzip.tar.gz", _gzip(tarred([(b"model.pkl", PAYLOAD)])))


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


_SEVEN_MAGIC = b"7z\xbc\xaf\x27\x1c\0\4"


def seven(name: str, data: bytes, *, coder: str = "copy") -> bytes:
    """Write a 7z with one member."""
    if coder == "lzma2":
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
        packed = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
        method = b"\x21\x21\x01\x08"
    elif coder == "aes":
        packed, method = data + bytes(-len(data) % 16), b"\x24\x06\xf1\x07\x01\x02\0\0"
    else:
        packed, method = data, b"\x01\x00"
    small = lambda n: bytes((0x80 | n >> 8, n & 255)) if n > 127 else bytes((n,))  # noqa: E731, PLR2004
    encoded = name.encode("utf-16-le") + b"\0\0"
    header = (
        b"\x01\x04\x06\x00\x01\x09" + small(len(packed)) + b"\x00"
        b"\x07\x0b\x01\x00\x01" + method + b"\x0c" + small(len(data)) + b"\x00"
        b"\x08\x0a\x01" + struct.pack("<I", zlib.crc32(data)) + b"\x00\x00"
        b"\x05\x01\x11" + small(len(encoded) + 1) + b"\x00" + encoded + b"\x00\x00"
    )
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return _SEVEN_MAGIC + struct.pack("<I", zlib.crc32(start)) + start + packed + header


def _seven() -> Iterator[Case]:
    # A scanner that does not read 7z has to say so; what is inside is then unknown to it.
    yield Case("copy.7z", seven("model.pkl", PAYLOAD), dangerous=False)
    yield Case("lzma2.7z", seven("model.pkl", PAYLOAD, coder="lzma2"), dangerous=False)
    yield Case("named-text.7z", seven("readme.txt", PAYLOAD, coder="lzma2"), dangerous=False)
    yield Case(
        "checkpoint.7z",
        seven("model.pt", torch_zip(pickled(SYSTEM)), coder="lzma2"),
        dangerous=False,
    )
    yield Case("broken-pickle.7z", seven("model.pkl", PAYLOAD[:-1]), dangerous=False)
    yield Case(
        "encrypted.7z",
        seven("model.pkl", PAYLOAD, coder="aes"),
        dangerous=False,
        effect="cannot be read",
    )


def _zfile(data: bytes) -> bytes:
    return b"ZF" + f"0x{len(data):x}".encode().ljust(19) + zlib.compress(data)


def _lz4(data: bytes) -> bytes:
    """A frame with one stored block."""
    return (
        b"\x04\x22\x4d\x18\x60\x40\x82"
        + struct.pack("<I", 0x80000000 | len(data))
        + data
        + bytes(4)
    )


def _zstd(data: bytes) -> bytes:
    """A frame with one raw block."""
    return (
        b"\x28\xb5\x2f\xfd\x20"
        + bytes((len(data),))
        + struct.pack("<I", len(data) << 3 | 1)[:3]
        + data
    )


def _compressed() -> Iterator[Case]:
    for ending, packed in {
        "pkl.gz": _gzip(PAYLOAD),
        "pkl.bz2": bz2.compress(PAYLOAD),
        "pkl.xz": lzma.compress(PAYLOAD),
        "pkl.lzma": lzma.compress(PAYLOAD, lzma.FORMAT_ALONE),
        "pkl.z": zlib.compress(PAYLOAD),
        "zfile.pkl": _zfile(PAYLOAD),
        "joblib": zlib.compress(PAYLOAD, 3),
    }.items():
        yield Case(f"compressed.{ending}", packed)
    yield Case("compressed.pkl.lz4", _lz4(PAYLOAD), dangerous=False)
    yield Case("compressed.pkl.zst", _zstd(PAYLOAD), dangerous=False)
    yield Case("second-member.pkl.gz", _gzip(HARMLESS) + _gzip(PAYLOAD))
    yield Case("second-stream.pkl.bz2", bz2.compress(HARMLESS) + bz2.compress(PAYLOAD))
    yield Case("second-stream.pkl.xz", lzma.compress(HARMLESS) + lzma.compress(PAYLOAD))
    yield Case("tail.pkl.z", zlib.compress(HARMLESS) + PAYLOAD)
    yield Case("tail.pkl.gz", _gzip(HARMLESS) + PAYLOAD)
    yield Case("twice.pkl.gz", _gzip(zlib.compress(PAYLOAD)))
    yield Case("cut.pkl.gz", _gzip(PAYLOAD + bytes(range(256)) * 8)[:-40])
    yield Case("wrong-checksum.pkl.gz", _gzip(PAYLOAD)[:-8] + bytes(8), dangerous=False)


def _nested() -> Iterator[Case]:
    inner = PAYLOAD
    for _ in range(4):
        inner = zipped([Member("inner.zip", inner)])
    yield Case("four-zips.zip", inner)
    yield Case("zip-in-tar.tar.gz", _gzip(tarred([(b"m.pt", torch_zip(pickled(SYSTEM)))])))
    yield Case("tar-in-zip.zip", zipped([Member("a.tar", tarred([(b"m.pkl", PAYLOAD)]))]))
    yield Case("gzip-in-zip.zip", zipped([Member("a.json", _gzip(PAYLOAD), 8)]))
    yield Case("7z-in-zip.zip", zipped([Member("weights", seven("a", PAYLOAD))]), dangerous=False)
    deep = PAYLOAD
    for _ in range(20):
        deep = _gzip(deep)
    yield Case("twenty-gzips.gz", deep, dangerous=False)
    yield Case(
        "handler.mar",
        zipped(
            [
                Member(
                    "MAR-INF/MANIFEST.json",
                    b'{"model": {"handler": "handler.py", "serializedFile": "m.pt"}}',
                ),
                Member("handler.py", b"import os\nos.system('echo inert')\n"),
                Member("m.pt", torch_zip()),
            ]
        ),
        effect="embedded code",
    )
    yield Case(
        "serialised.mar",
        zipped(
            [
                Member(
                    "MAR-INF/MANIFEST.json",
                    b'{"model": {"handler": "image_classifier", "serializedFile": "m.pt"}}',
                ),
                Member("m.pt", torch_zip(pickled(SYSTEM))),
            ]
        ),
    )


def _bombs() -> Iterator[Case]:
    zeros = bytes(64 << 20)
    yield Case("ratio.pkl.gz", _gzip(zeros), effect="64 MiB from 64 kB", dangerous=False)
    yield Case(
        "ratio.zip",
        zipped([Member("a.bin", zeros, 8)]),
        effect="64 MiB from 64 kB",
        dangerous=False,
    )
    shared = zipped([Member("a", b"x" * 100)])
    start, end = shared.index(b"PK\1\2"), shared.index(b"PK\5\6")
    entry = shared[start:end]
    directory = entry * 50
    yield Case(
        "overlapping.zip",
        shared[:start]
        + directory
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 50, 50, len(directory), start, 0),
        effect="fifty members over the same bytes",
    )


def _alike() -> Iterator[Case]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "plain words\n" * 20)
        archive.writestr(zipfile.ZipInfo("folder/b.json"), '{"a": [1, 2.5, null]}')
    yield honest("plain.zip", out.getvalue())
    yield honest("pickle.zip", zipped([Member("m.pkl", HARMLESS, 8)]))
    yield honest("descriptor.zip", zipped([Member("a.txt", b"x\n", 8, descriptor=True)]))
    yield honest("comment.zip", zipped([_TEXT], comment=b"made by hand"))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("dir/" + "long" * 40 + ".pkl")
        member.size = len(HARMLESS)
        tar.addfile(member, io.BytesIO(HARMLESS))
    yield honest("pax.tar", out.getvalue())
    yield honest("v7.tar", tarred([(b"model.pkl", HARMLESS)], ustar=False))
    yield honest("pickle.tar.gz", _gzip(tarred([(b"model.pkl", HARMLESS)])))
    for ending, packed in {
        "gz": _gzip(HARMLESS),
        "bz2": bz2.compress(HARMLESS),
        "xz": lzma.compress(HARMLESS),
        "lzma": lzma.compress(HARMLESS, lzma.FORMAT_ALONE),
        "z": zlib.compress(HARMLESS),
    }.items():
        yield honest(f"pickle.pkl.{ending}", packed)
    yield honest("zfile.pkl", _zfile(HARMLESS))
    yield honest("two-members.pkl.gz", _gzip(HARMLESS[:20]) + _gzip(HARMLESS[20:]))
