import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ArtifactError, MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.engine import gaps
from modelsec.scanning.file import FolderSiblings
from modelsec.scanning.formats.tf_checkpoint import MAGIC, read, read_data
from modelsec.scanning.limits import Budget, Limits
from modelsec.scanning.part import NotThisFormat, Part, Reader, Span
from modelsec.scanning.policy import default_policy
from modelsec.scanning.source import BytesSource
from tests.scanning.support.protobuf_writer import field, message, varint


def block(entries: list[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Return a block whose keys share nothing but what the first two do."""
    body = b""
    before = b""
    for key, value in entries:
        shared = len(before) if before and key.startswith(before) else 0
        rest = key[shared:]
        body += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        before = key
    return body + struct.pack("<II", 0, 1) + bytes([compression]) + bytes(4)


def index(
    tensors: list[tuple[bytes, int, int, int]], shards: int = 1, compression: int = 0
) -> bytes:
    """Return an index of tensors: name, shard, offset, size."""
    entries = [(b"", message((1, shards), (3, field(1, 1))))]
    entries += [
        (name, message((1, 1), (2, b""), (3, shard), (4, offset), (5, size)))
        for name, shard, offset, size in tensors
    ]
    data = block(entries, compression)
    meta = block([])
    root = block([(b"z", varint(0) + varint(len(data) - 5))])
    handles = varint(len(data)) + varint(len(meta) - 5)
    handles += varint(len(data) + len(meta)) + varint(len(root) - 5)
    return data + meta + root + handles.ljust(40, b"\0") + MAGIC


TENSORS = [(b"a", 0, 0, 16), (b"a/b", 0, 16, 4), (b"c", 0, 20, 12)]
INDEX = index(TENSORS)


def part(content: bytes, name: str, folder: Path | None = None) -> Part:
    siblings = FolderSiblings(folder) if folder else None
    budget = Budget(Limits())
    return Part(BytesSource(content), name, default_policy(), budget, siblings=siblings)


def spans(reader: Reader, what: Part) -> list[tuple[int, int]]:
    found = list(reader(what))
    assert all(isinstance(item, Span) for item in found)
    return [(item.start, item.stop) for item in found if isinstance(item, Span)]


def test_an_index_is_read_to_its_last_byte() -> None:
    """Blocks, their trailers and the footer are all that there is."""
    assert list(gaps(spans(read, part(INDEX, "v.index")), len(INDEX))) == []


def accepted(folder: Path, content: bytes, name: str = "v.data-00000-of-00001") -> bool:
    try:
        return spans(read_data, part(content, name, folder)) == [(0, len(content))]
    except NotThisFormat:
        return False


def test_data_that_the_index_describes_is_accepted(tmp_path: Path) -> None:
    """The index covers the file from its first byte to its last."""
    (tmp_path / "v.index").write_bytes(INDEX)
    assert accepted(tmp_path, bytes(range(32)))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_data_of_another_size_is_not(tmp_path: Path, size: int) -> None:
    """A file that is longer or shorter is something else."""
    (tmp_path / "v.index").write_bytes(INDEX)
    assert not accepted(tmp_path, bytes(size))


@pytest.mark.parametrize(
    "content",
    [
        index([(b"a", 0, 0, 16), (b"b", 0, 17, 15)]),
        index([(b"a", 0, 0, 20), (b"b", 0, 16, 16)]),
        index(TENSORS, shards=2),
        index([(b"a", 1, 0, 32)]),
        b"not an index",
    ],
    ids=["gap", "overlap", "shards", "other shard", "no index"],
)
def test_data_that_the_index_does_not_cover_is_not(tmp_path: Path, content: bytes) -> None:
    """Every byte belongs to one tensor, or the file is not accepted."""
    (tmp_path / "v.index").write_bytes(content)
    assert not accepted(tmp_path, bytes(32))


def test_a_shard_is_measured_by_its_own_tensors(tmp_path: Path) -> None:
    """Two shards, each with its tensors."""
    both = index([(b"a", 0, 0, 8), (b"b", 1, 0, 4), (b"c", 1, 4, 4)], shards=2)
    (tmp_path / "v.index").write_bytes(both)
    assert accepted(tmp_path, bytes(8), "v.data-00000-of-00002")
    assert accepted(tmp_path, bytes(8), "v.data-00001-of-00002")
    assert not accepted(tmp_path, bytes(8), "v.data-00002-of-00002")


def test_without_name_or_index_nothing_is_accepted(tmp_path: Path) -> None:
    """Raw numbers have no signature."""
    assert not accepted(tmp_path, bytes(32))
    (tmp_path / "v.index").write_bytes(INDEX)
    assert not accepted(tmp_path, bytes(32), "weights.bin")
    with pytest.raises(NotThisFormat):
        list(read_data(part(bytes(32), "v.data-00000-of-00001")))


def test_other_bytes_are_no_index() -> None:
    """The last eight bytes tell."""
    with pytest.raises(NotThisFormat):
        list(read(part(bytes(100), "v.index")))


def test_compressed_blocks_are_not_understood() -> None:
    """TensorFlow writes the index plainly."""
    with pytest.raises(UnsupportedFormatError):
        list(read(part(index(TENSORS, compression=1), "v.index")))


def test_unknown_fields_are_not_understood() -> None:
    """An entry of another schema is no tensor."""
    data = block([(b"", field(99, 1))])
    root = block([(b"z", varint(0) + varint(len(data) - 5))])
    handles = varint(len(data) + len(root)) + varint(8) + varint(len(data)) + varint(len(root) - 5)
    content = data + root + block([]) + handles.ljust(40, b"\0") + MAGIC
    with pytest.raises(UnsupportedFormatError):
        list(read(part(content, "v.index")))


@pytest.mark.parametrize("handle", [varint(0) + varint(2**62), varint(2**62) + varint(1)])
def test_blocks_beyond_the_end_are_malformed(handle: bytes) -> None:
    """Offsets and sizes are compared with the file before anything is read."""
    content = (handle + handle).ljust(40, b"\0") + MAGIC
    with pytest.raises(MalformedArtifactError):
        list(read(part(bytes(64) + content, "v.index")))


@given(st.integers(0, len(INDEX) - 9), st.integers(0, 255))
def test_a_changed_byte_is_an_error_of_ours_or_none(place: int, value: int) -> None:
    """Whatever a byte becomes, nothing else is raised."""
    changed = INDEX[:place] + bytes([value]) + INDEX[place + 1 :]
    with contextlib.suppress(ArtifactError):
        list(read(part(changed, "v.index")))
