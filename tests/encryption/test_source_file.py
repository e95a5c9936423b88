import errno
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelsec.encryption import (
    PartlyVerifiedFile,
    decrypt_file,
    decrypt_into,
    decrypt_to_buffer,
    encrypt_tink_stream,
    rewrap,
    tink_stream_to_buffer,
    unverified_header,
)
from modelsec.encryption.source_file import SourceMemory
from modelsec.errors import ConfigurationError, DecryptionError
from tests.encryption.samples import KEY, encrypted, wrapper


class Unseekable(io.BytesIO):
    """Something that reads and cannot go back, and has no buffer to give."""

    getbuffer = property()  # type: ignore[assignment]  # hasattr says no

    def seek(self, _offset: int, _whence: int = 0, /) -> int:
        raise io.UnsupportedOperation("seek")


def in_memory(path: Path) -> dict[str, Callable[[], object]]:
    raw = path.read_bytes()

    def zipped() -> object:
        return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(raw)))

    return {
        "bytes": lambda: raw,
        "bytearray": lambda: bytearray(raw),
        "view": lambda: memoryview(raw),
        "BytesIO": lambda: io.BytesIO(raw),
        "gzip": zipped,
    }


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "view", "BytesIO", "gzip"])
def test_from_memory(tmp_path: Path, kind: str) -> None:
    """Bytes and files of bytes are decrypted as a path is."""
    path, content = encrypted(tmp_path, 50_000)
    make = in_memory(path)[kind]
    assert bytes(decrypt_to_buffer(make(), wrapper(), workers=2)) == content  # type: ignore[arg-type]  # of many kinds
    room = bytearray(60_000)
    assert decrypt_into(make(), room, wrapper()) == 50_000  # type: ignore[arg-type]  # idem
    assert room[:50_000] == content
    assert unverified_header(make()).key_id == wrapper().key_id  # type: ignore[arg-type]  # idem
    with PartlyVerifiedFile(make(), wrapper()) as file:  # type: ignore[arg-type]  # idem
        assert file.read_at(40_000, 9) == content[40_000:40_009]


def test_from_an_open_file(tmp_path: Path) -> None:
    """A file is read from its beginning, and stays open where it was."""
    path, content = encrypted(tmp_path, 50_000)
    with path.open("rb") as file, tempfile.NamedTemporaryFile() as copy:
        file.seek(77)
        assert bytes(decrypt_to_buffer(file, wrapper())) == content
        assert file.tell() == 77
        copy.write(path.read_bytes())
        copy.flush()
        assert bytes(decrypt_to_buffer(copy, wrapper())) == content  # type: ignore[arg-type]  # it wraps one
    with pytest.raises(ConfigurationError, match="is closed"):
        decrypt_to_buffer(file, wrapper())


def test_refusals_in_memory(tmp_path: Path) -> None:
    """Bytes that were changed, cut off or are none of ours are refused as files are."""
    path, _ = encrypted(tmp_path, 50_000)
    raw = path.read_bytes()
    changed = bytearray(raw)
    changed[-5000] ^= 1
    for bad in (b"", raw[:10], raw[:-1], raw + b"x", bytes(changed), b"x" * 99):
        with pytest.raises(DecryptionError):
            decrypt_to_buffer(bad, wrapper())


def test_what_is_no_source(tmp_path: Path) -> None:
    """Other types are told, as are text files, scattered memory and pipes."""
    path, _ = encrypted(tmp_path, 10)
    for wrong in (3, None, ["x"], object(), io.StringIO("x"), memoryview(b"abcd")[::2]):
        with pytest.raises(ConfigurationError):
            decrypt_to_buffer(wrong, wrapper())  # type: ignore[arg-type]  # the test
    with path.open(encoding="latin-1") as text, pytest.raises(ConfigurationError):
        decrypt_to_buffer(text, wrapper())  # type: ignore[arg-type]  # idem
    with pytest.raises(ConfigurationError, match="cannot read what to decrypt"):
        decrypt_to_buffer(Unseekable(path.read_bytes()), wrapper())


def test_streams_in_memory(tmp_path: Path) -> None:
    """Plain streams, too."""
    (tmp_path / "plain").write_bytes(b"weights")
    encrypt_tink_stream(tmp_path / "plain", tmp_path / "stream", KEY)
    assert tink_stream_to_buffer((tmp_path / "stream").read_bytes(), KEY) == b"weights"


def test_memory_that_ends_early() -> None:
    """What is not in memory is told as what is not in a file."""
    source = SourceMemory(memoryview(b"abc"), DecryptionError)
    assert source.read(1, 2) == b"bc"
    with pytest.raises(DecryptionError, match="end too early"):
        source.read(2, 2)


def test_links_in_a_circle(tmp_path: Path) -> None:
    """A path that leads nowhere is told."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(ConfigurationError):
        rewrap(tmp_path / "link", wrapper(), wrapper())


def test_a_target_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be a key file is not replaced."""
    path, _ = encrypted(tmp_path, 10)
    (tmp_path / "target").write_bytes(b"old")

    def broken(_descriptor: int, _length: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(ConfigurationError, match=r"cannot read .* before it is replaced"):
        decrypt_file(path, tmp_path / "target", wrapper())
    assert (tmp_path / "target").read_bytes() == b"old"
