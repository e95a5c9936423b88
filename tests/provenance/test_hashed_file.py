import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import MalformedArtifactError
from modelsec.provenance.hashed_file import HashedFile

MIB = 1 << 20
NUMBERS = np.arange(MIB // 2 + 7, dtype="<u4").tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2 * MIB + 100))
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_it_reads_what_it_hashed(path: Path, descriptor: int) -> None:
    """All of it, from anywhere, and nothing behind the end."""
    content = path.read_bytes()
    file = HashedFile(descriptor)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.length == len(content)
    assert file.read() == content
    for offset in (0, 1, MIB - 1, MIB, 2 * MIB, 2 * MIB + 99):
        assert file.seek(offset) == file.tell() == offset
        assert file.read(1) == content[offset : offset + 1]
    assert file.seek(-1, os.SEEK_END) == len(content) - 1
    assert file.read(5) == content[-1:]
    assert file.read(5) == b""
    assert file.seek(10**12) == 10**12
    assert file.read(1) == b""
    assert not file.changed


@given(reads=st.lists(st.tuples(st.integers(0, 3 * MIB), st.integers(0, MIB + 5)), max_size=8))
def test_any_order(reads: list[tuple[int, int]]) -> None:
    """Reads in any order give the bytes of their place."""
    content = NUMBERS
    descriptor = os.memfd_create("content")
    os.write(descriptor, content)
    try:
        file = HashedFile(descriptor)
        for offset, length in reads:
            file.seek(offset)
            data = file.read(length)
            assert data == content[offset : offset + len(data)]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("place", [0, MIB - 1, MIB, 2 * MIB + 99])
def test_a_changed_byte(path: Path, descriptor: int, place: int) -> None:
    """A byte that was changed after the hash is never handed out; other blocks still are."""
    file = HashedFile(descriptor)
    with path.open("r+b") as other:
        other.seek(place)
        byte = other.read(1)[0]
        other.seek(place)
        other.write(bytes([byte ^ 1]))
    file.seek(place)
    with pytest.raises(MalformedArtifactError, match="changed"):
        file.read(1)
    assert file.changed
    file.seek((place + MIB) % (2 * MIB))
    assert len(file.read(1)) == 1


def test_two_blocks_that_change_places(tmp_path: Path) -> None:
    """A block counts in its place only."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * MIB + b"b" * MIB)
    with path.open("rb") as opened:
        file = HashedFile(opened.fileno())
        path.write_bytes(b"b" * MIB + b"a" * MIB)
        with pytest.raises(MalformedArtifactError):
            file.read(1)


def test_a_file_that_is_cut(path: Path, descriptor: int) -> None:
    """A file that became shorter is a changed one."""
    file = HashedFile(descriptor)
    os.truncate(path, 2 * MIB)
    file.seek(2 * MIB)
    with pytest.raises(MalformedArtifactError):
        file.read(1)


def test_nothing(tmp_path: Path) -> None:
    """An empty file has the digest of nothing."""
    path = tmp_path / "empty"
    path.touch()
    with path.open("rb") as opened:
        file = HashedFile(opened.fileno())
        assert file.sha256 == hashlib.sha256().hexdigest()
        assert file.read() == b""
        assert file.readable()
        assert file.seekable()


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    """What cannot be read is an error of ours."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(MalformedArtifactError, match=r"cannot be read|shrank"):
            HashedFile(descriptor)
    finally:
        os.close(descriptor)


def test_progress_and_shrinking(path: Path, descriptor: int) -> None:
    """Blocks are told as they are hashed; a file that is cut meanwhile is an error."""
    told: list[int] = []
    HashedFile(descriptor, advance=told.append)
    assert told == [MIB, MIB, 100]
    with pytest.raises(MalformedArtifactError, match="shrank"):
        HashedFile(descriptor, advance=lambda _: os.truncate(path, MIB))


def test_more_blocks_than_are_kept(tmp_path: Path) -> None:
    """Old blocks make room for new ones, and are compared again when they come back."""
    path = tmp_path / "file"
    content = os.urandom(6 * MIB)
    path.write_bytes(content)
    with path.open("rb") as opened:
        file = HashedFile(opened.fileno())
        assert file.read() == content
        path.write_bytes(bytes(6 * MIB))
        file.seek(0)
        with pytest.raises(MalformedArtifactError):
            file.read(1)
