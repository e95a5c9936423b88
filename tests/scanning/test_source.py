"""Random access to bytes: exactly what was asked for, or an error."""

import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from modelsec.errors import MalformedArtifactError
from modelsec.scanning import scan
from modelsec.scanning.file import open_source
from modelsec.scanning.source import BytesSource, DescriptorSource, SeekableSource, Slice, Source

CONTENT = bytes(range(200))


@pytest.fixture(params=["bytes", "descriptor", "seekable", "slice", "slice of slice"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    around = BytesSource(b"ab" + CONTENT + b"yz")
    descriptor = os.open(path, os.O_RDONLY)
    sources: dict[str, Source] = {
        "bytes": BytesSource(CONTENT),
        "descriptor": DescriptorSource(descriptor),
        "seekable": SeekableSource(io.BytesIO(CONTENT)),
        "slice": Slice(around, 2, 200),
        "slice of slice": Slice(Slice(around, 1, 202), 1, 200),
    }
    yield sources[request.param]
    os.close(descriptor)


def test_a_source_gives_exactly_what_was_asked_for(source: Source) -> None:
    """Anywhere, and nothing at the end."""
    assert source.size == 200
    assert source.read(0, 200) == CONTENT
    assert source.read(7, 3) == CONTENT[7:10]
    assert source.read(200, 0) == b""


@pytest.mark.parametrize(("offset", "length"), [(0, 201), (200, 1), (-1, 1), (5, -1), (1 << 63, 1)])
def test_a_source_pads_nothing(source: Source, offset: int, length: int) -> None:
    """Beyond its end is an error."""
    with pytest.raises(MalformedArtifactError):
        source.read(offset, length)


def test_a_slice_lies_within_its_base() -> None:
    """From the beginning."""
    with pytest.raises(MalformedArtifactError):
        Slice(BytesSource(b"abc"), 2, 2)


def test_a_file_that_was_cut_is_an_error(tmp_path: Path) -> None:
    """No zeros, no short answers."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        cut = DescriptorSource(descriptor)
        os.truncate(path, 10)
        with pytest.raises(MalformedArtifactError, match="shrank"):
            cut.read(5, 50)
    finally:
        os.close(descriptor)


def test_a_descriptor_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """The reason of the system is told."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        with pytest.raises(MalformedArtifactError, match="cannot be read"):
            DescriptorSource(descriptor).read(0, 1)
    finally:
        os.close(descriptor)


def test_read_only_memory_is_not_copied() -> None:
    """A read-only view is scanned where it is, and let go of; writable memory is copied."""
    content = pickle.dumps({"a": list(range(100))}, protocol=4)
    view = memoryview(bytearray(content)).toreadonly()
    with open_source(view) as opened:
        source = opened.source
        assert isinstance(source, BytesSource)
        assert isinstance(source._data, memoryview)
        assert source.read(2, 5) == content[2:7]
        assert isinstance(source.read(0, 1), bytes)
    with pytest.raises(ValueError, match="released"):
        source.read(0, 1)
    for writable in (bytearray(content), memoryview(bytearray(content))):
        with open_source(writable) as opened:
            assert isinstance(opened.source, BytesSource)
            assert isinstance(opened.source._data, bytes)
    words = memoryview(np.frombuffer(content[:8], "<u4"))
    assert words.readonly
    odd = memoryview(bytes(range(16))).cast("B", (4, 4))
    for what in (view, words, odd, memoryview(b"abcdefgh")[::2], memoryview(b"")):
        assert scan(what).to_dict() == scan(bytes(what)).to_dict()
