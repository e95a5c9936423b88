"""Memory for plaintext: one buffer for a whole model, and wiping."""

import mmap

from modelsec.errors import ConfigurationError, ResourceLimitError

_WIPE_STEP = 1024 * 1024
_HUGE_PAGE = 2 * 1024 * 1024


def new_buffer(size: int) -> memoryview:
    """Return zeroed memory of ``size`` bytes that belongs to this process alone.

    It is anonymous memory, in huge pages where the system has them: a ``bytearray`` is filled
    with zeros before it is filled with plaintext, which costs more than decryption does.

    Raises:
        ResourceLimitError: there is not that much memory.
    """
    if size < _HUGE_PAGE:
        return memoryview(bytearray(size))
    try:
        return memoryview(_anonymous(size))
    except (OSError, OverflowError, ValueError, MemoryError) as error:
        raise ResourceLimitError(
            f"there is no memory for {size} bytes: decrypt to a file instead"
        ) from error


def _anonymous(size: int) -> mmap.mmap | bytearray:
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return bytearray(size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            # A kernel without huge pages: ordinary ones hold the same bytes.
            return memory
    return memory


def writable(buffer: object) -> memoryview:
    """Return a view of a caller's memory, byte by byte.

    Raises:
        ConfigurationError: it is no memory, not contiguous, or read-only.
    """
    try:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # anything else raises
    except (TypeError, BufferError) as error:
        raise ConfigurationError(
            f"the buffer must be contiguous memory, not {type(buffer).__name__}"
        ) from error
    if view.readonly:
        raise ConfigurationError("the buffer cannot be written to: pass a bytearray, for example")
    return view


def wipe(view: memoryview | bytearray) -> None:
    """Overwrite a buffer with zeros."""
    zeros = bytes(min(_WIPE_STEP, len(view)))
    for start in range(0, len(view), _WIPE_STEP):
        stop = min(start + _WIPE_STEP, len(view))
        view[start:stop] = zeros[: stop - start]


def discard(view: memoryview) -> None:
    """Forget what is in a buffer of ``new_buffer``, without touching what was never written."""
    memory = view.obj
    if isinstance(memory, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        memory.madvise(mmap.MADV_DONTNEED)
    else:
        wipe(view)
