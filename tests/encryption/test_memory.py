import errno
import mmap

import pytest

from modelsec.encryption.memory import discard, new_buffer, wipe
from modelsec.errors import ResourceLimitError

LARGE = 5_000_000


@pytest.mark.parametrize("size", [0, 1, 100_000, LARGE])
def test_new_memory(size: int) -> None:
    """It is writable, zero, as large as was asked for, and forgets."""
    buffer = new_buffer(size)
    assert len(buffer) == size
    assert not any(buffer)
    buffer[:] = b"x" * size
    discard(buffer)
    assert not any(buffer)


def test_no_memory() -> None:
    """More than the address space is refused with our error."""
    for size in (2**62, 2**80):
        with pytest.raises(ResourceLimitError, match="there is no memory for"):
            new_buffer(size)


def test_without_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that refuses huge pages, and a system that does not know them."""

    class Stubborn(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(errno.EINVAL, "no huge pages")

    monkeypatch.setattr(mmap, "mmap", Stubborn)
    assert len(new_buffer(LARGE)) == LARGE
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE")
    assert len(new_buffer(LARGE)) == LARGE
    monkeypatch.undo()
    monkeypatch.delattr(mmap, "MADV_DONTNEED")
    buffer = new_buffer(LARGE)
    buffer[:] = b"x" * LARGE
    discard(buffer)
    assert not any(buffer)


def test_without_anonymous_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no anonymous maps, a bytearray does."""
    monkeypatch.delattr(mmap, "MAP_ANONYMOUS")
    assert isinstance(new_buffer(LARGE).obj, bytearray)


def test_wipe() -> None:
    """All of a buffer is overwritten, whatever its size."""
    for size in (0, 1, 1_048_576, 1_048_577):
        buffer = bytearray(b"x" * size)
        wipe(buffer)
        assert buffer == bytes(size)
