"""What the system may do to us while we work: little at a time, no room, no memory, no package."""

import errno
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from modelsec.encryption import (
    decrypt_file,
    decrypt_to_buffer,
    decrypting,
    encrypt_file,
    encrypt_tink_stream,
    rewrap,
    segments,
)
from modelsec.encryption.memory import new_buffer
from modelsec.errors import ConfigurationError, DecryptionError
from tests.encryption.samples import KEY, Odd, encrypted, wrapper

MIB = 2**20


def test_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads and writes that do less than they were asked for are continued."""
    pwrite, preadv = os.pwrite, os.preadv

    def short_write(descriptor: int, data: memoryview, offset: int) -> int:
        return pwrite(descriptor, data[:3000], offset)

    def short_read(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return preadv(descriptor, [buffers[0][:5000]], offset)

    monkeypatch.setattr(os, "pwrite", short_write)
    monkeypatch.setattr(os, "preadv", short_read)
    path, content = encrypted(tmp_path, 50_000)
    rewrap(path, wrapper(), Odd())
    decrypt_file(path, tmp_path / "back", Odd())
    assert (tmp_path / "back").read_bytes() == content
    assert bytes(decrypt_to_buffer(path, Odd())) == content


@pytest.mark.parametrize("workers", [1, 3])
def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """A full disk is told, and what was written is deleted."""
    path, _ = encrypted(tmp_path, 4 * MIB, segment_size=MIB)
    (tmp_path / "plain").write_bytes(bytes(4 * MIB))
    pwrite = os.pwrite

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > 2 * MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConfigurationError, match=r"cannot write .*No space left"):
        encrypt_file(tmp_path / "plain", tmp_path / "new", wrapper(), workers=workers)
    with pytest.raises(ConfigurationError, match=r"cannot write .*No space left"):
        decrypt_file(path, tmp_path / "new", wrapper(), workers=workers)
    with pytest.raises(ConfigurationError, match=r"cannot write .*No space left"):
        rewrap(path, wrapper(), Odd())
    assert sorted(found.name for found in tmp_path.iterdir()) == ["model.enc", "plain"]


def test_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read error is the file's, not the ciphertext's: it may be right."""
    path, _ = encrypted(tmp_path, 10)

    def broken(_descriptor: int, _buffers: list[memoryview], _offset: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(ConfigurationError, match=r"cannot read .*Input/output error"):
        decrypt_to_buffer(path, wrapper())
    with pytest.raises(ConfigurationError, match=r"cannot read .*Input/output error"):
        encrypt_file(path, tmp_path / "new", wrapper())
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


@pytest.mark.parametrize("workers", [1, 2])
def test_bounded_memory(tmp_path: Path, workers: int) -> None:
    """A file of 64 MiB is encrypted, decrypted and rewrapped in a few MiB."""
    with (tmp_path / "plain").open("wb") as file:
        file.truncate(64 * MIB)
    path = tmp_path / "sealed"
    tracemalloc.start()
    try:
        encrypt_file(tmp_path / "plain", path, wrapper(), workers=workers)
        rewrap(path, wrapper(), Odd())
        decrypt_file(path, tmp_path / "back", Odd(), workers=workers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "back").stat().st_size == 64 * MIB
    assert peak < (4 + 4 * workers) * MIB


def test_refused_plaintext_is_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal the memory holds nothing, also while the traceback holds the memory."""
    path, _ = encrypted(tmp_path, 5 * MIB, segment_size=MIB)
    raw = bytearray(path.read_bytes())
    raw[4 * MIB - 1000] ^= 1
    path.write_bytes(raw)
    given: list[memoryview] = []

    def remembered(size: int) -> memoryview:
        given.append(new_buffer(size))
        return given[-1]

    monkeypatch.setattr(decrypting, "new_buffer", remembered)
    with pytest.raises(DecryptionError, match="segment 4 of 6"):
        decrypt_to_buffer(path, wrapper(), workers=1)
    assert not any(given[0])


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named, and nothing is written."""
    (tmp_path / "plain").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[encryption\]'"):
        encrypt_file(tmp_path / "plain", tmp_path / "sealed", Odd())
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[encryption\]'"):
        encrypt_tink_stream(tmp_path / "plain", tmp_path / "sealed", KEY)
    assert [found.name for found in tmp_path.iterdir()] == ["plain"]


def test_too_many_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that needs more segments than can be numbered is refused, both ways."""
    path, _ = encrypted(tmp_path, 20_000)
    (tmp_path / "plain").write_bytes(bytes(20_000))
    monkeypatch.setattr(segments, "MAX_SEGMENTS", 4)
    with pytest.raises(ConfigurationError, match="choose larger segments"):
        encrypt_file(tmp_path / "plain", tmp_path / "new", wrapper(), segment_size=4096)
    with pytest.raises(DecryptionError, match="has more than"):
        decrypt_to_buffer(path, wrapper())
    assert not (tmp_path / "new").exists()
