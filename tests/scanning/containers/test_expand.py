import gc
import os
import warnings
import zlib
from pathlib import Path

import pytest

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.containers import expand as module
from modelsec.scanning.containers.expand import DEFLATE, GZIP, ZLIB, Codec, Spool, expand
from modelsec.scanning.limits import Budget, Limits
from modelsec.scanning.source import BytesSource


def budget(**limits: int) -> Budget:
    return Budget(Limits(**limits))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_content_moves_to_a_file_and_the_file_goes_away() -> None:
    """The same bytes come back from both places, and nothing stays open."""
    gc.collect()
    before = descriptors()
    spool = Spool()
    spool.add(b"a" * module.IN_MEMORY)
    assert descriptors() == before
    spool.add(b"bc")
    assert descriptors() == before + 1
    assert spool.size == module.IN_MEMORY + 2
    assert spool.read(module.IN_MEMORY - 1, 3) == b"abc"
    with pytest.raises(MalformedArtifactError):
        spool.read(module.IN_MEMORY, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del spool
        gc.collect()
    assert descriptors() == before


def test_a_full_disk_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a crash of the scan."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    with pytest.raises(ResourceLimitError, match="No space left"):
        Spool().add(bytes(module.IN_MEMORY + 1))


def test_a_file_that_somebody_cuts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading gives what was written or nothing."""
    spool = Spool()
    spool.add(bytes(module.IN_MEMORY + 1))
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(MalformedArtifactError):
        spool.read(0, 9)


def test_expansion_stops_behind_a_declared_size() -> None:
    """No more than one step beyond it is expanded."""
    data = zlib.compress(bytes(8 << 20))
    result = expand(BytesSource(data), ZLIB, budget(), stop_after=10)
    assert 10 < result.source.size <= 1 << 18
    assert not result.ended
    assert result.error is None


def test_the_check_value_is_of_the_content() -> None:
    """CRC-32, as zip has it."""
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(b"content") + deflater.flush()
    result = expand(BytesSource(data), DEFLATE, budget(), checksum=True)
    assert result.crc == zlib.crc32(b"content")
    assert result.consumed == len(data)


def test_the_budget_ends_a_bomb() -> None:
    """The output so far is kept, and the error is a limit."""
    result = expand(
        BytesSource(zlib.compress(bytes(4 << 20))), ZLIB, budget(expanded_bytes=1 << 20)
    )
    assert isinstance(result.error, ResourceLimitError)
    assert result.source.size <= 2 << 20


def test_streams_beyond_the_members_allowed_are_left() -> None:
    """A megabyte of empty streams is a tail, which nobody claims."""
    data = zlib.compressobj(wbits=31)
    member = data.compress(b"a") + data.flush()
    result = expand(BytesSource(member * 9), GZIP, budget(members=3))
    assert result.consumed == 4 * len(member)
    assert result.source.size == 4


def test_a_decoder_without_memory_is_a_limit() -> None:
    """Also if the decoder itself says so."""

    def decoder(_: int) -> module.Decoder:
        raise MemoryError

    result = expand(BytesSource(b"a"), Codec("greedy", decoder, ()), budget())
    assert isinstance(result.error, ResourceLimitError)
