"""What a verified model holds in memory, and how much that may be."""

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from modelsec.errors import ConfigurationError, ResourceLimitError
from modelsec.provenance.loading.free_memory import free_memory
from modelsec.provenance.loading.sealed import SealedFile

_ASKED = 1 << 26  # bytes; nobody runs out of memory for the sake of a smaller file


class Holdings:
    """The buffers that are in use, and the sealed files. Threads may share it.

    A buffer is remembered only as long as somebody uses it: a model of many files can be loaded
    file by file without holding all of them twice.

    Args:
        limit: bytes that may be held at one time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._buffers: weakref.WeakValueDictionary[str, NDArray[Any]] = (
            weakref.WeakValueDictionary()
        )
        self._sealed: dict[str, SealedFile] = {}
        self._reserved = 0
        self._closed = False

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Make sure that there is room, before it is allocated.

        Raises:
            ResourceLimitError: there is none within the limit, or the machine has no more.
        """
        if not self._take(size):
            # What nobody uses may still be part of a cycle, e.g. of an exception that was kept.
            gc.collect()
            if not self._take(size):
                raise ResourceLimitError(
                    f"a file of {size:,} bytes, besides what is held, is more than "
                    f"max_bytes={self._limit:,}: use less at one time, or raise max_bytes"
                )
        try:
            _check_free(size)
            yield
        finally:
            with self._lock:
                self._reserved -= size

    def buffer(self, name: str) -> memoryview | None:
        """Return a read-only view of a file that is held, or None."""
        with self._lock:
            self.check_open()
            sealed = self._sealed.get(name)
            if sealed is not None:
                return memoryview(sealed.map())
            memory = self._buffers.get(name)
            return None if memory is None else memory.data

    def sealed(self, name: str) -> SealedFile | None:
        """Return a file's sealed copy, or None."""
        with self._lock:
            self.check_open()
            return self._sealed.get(name)

    def keep_buffer(self, name: str, memory: NDArray[Any]) -> memoryview:
        """Remember memory that was verified, as long as it is used; return a view of it."""
        with self._lock:
            self._buffers[name] = memory
            return memory.data

    def keep_sealed(self, name: str, copy: SealedFile) -> SealedFile:
        """Remember a copy that was verified; return the one that another thread made before.

        Raises:
            ConfigurationError: the model was closed meanwhile.
        """
        with self._lock:
            try:
                self.check_open()
                kept = self._sealed.setdefault(name, copy)
            except ConfigurationError:
                copy.close()
                raise
            if kept is not copy:
                copy.close()
            return kept

    def close(self) -> None:
        """Close the sealed files; buffers live as long as they are used."""
        with self._lock:
            self._closed = True
            for copy in self._sealed.values():
                copy.close()
            self._sealed.clear()

    def _take(self, size: int) -> bool:
        """Set bytes aside if there is room."""
        with self._lock:
            held = sum(each.nbytes for each in self._buffers.values())
            held += sum(each.size for each in self._sealed.values()) + self._reserved
            if held + size > self._limit:
                return False
            self._reserved += size
            return True

    def check_open(self) -> None:
        """Raise if the model is closed.

        Raises:
            ConfigurationError: it is.
        """
        if self._closed:
            raise ConfigurationError(
                "this verified model is closed: use it within its with block, or open it again"
            )


def _check_free(size: int) -> None:
    free = free_memory() if size >= _ASKED else None
    if free is not None and size > free:
        raise ResourceLimitError(
            f"a file of {size:,} bytes does not fit into the {free:,} bytes of memory that are "
            "free: is it the file that you expect?"
        )
