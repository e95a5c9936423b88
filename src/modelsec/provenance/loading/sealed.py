"""Memory that holds a file's bytes, and that nobody changes behind a reader's back.

Two kinds. *Private memory* belongs to this process: a file is read into it and hashed there. A
*sealed file* (``memfd_create``, Linux 3.17) has a descriptor, and therefore a path, for loaders
that insist on one; once sealed it cannot be written, cut or extended by anybody, its owner
included. Its digest is computed after it was sealed: until then, another process of the same user
could have opened it through ``/proc``.
"""

import contextlib
import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelsec.errors import ConfigurationError, ResourceLimitError, VerificationError
from modelsec.provenance.conversion.transfer import CHUNK, Range, copy

_HUGE_PAGE = 1 << 21
_NOT_EXECUTABLE = 8  # MFD_NOEXEC_SEAL of linux/memfd.h, since 6.3; Python has no name for it
_FORBIDDEN = {errno.ENOSYS, errno.EPERM, errno.EACCES}
_EXHAUSTED = {errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE}
_DESCRIPTORS = Path("/proc/self/fd")


def private_memory(size: int) -> mmap.mmap:
    """Return memory of this process for ``size`` > 0 bytes, zeroed.

    Huge pages where there are any: to touch half a gigabyte for the first time in pages of four
    kilobytes costs as much as to read it.

    Raises:
        ResourceLimitError: there is not that much.
    """
    try:
        if hasattr(mmap, "MAP_PRIVATE"):  # shared with child processes otherwise
            memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:
            memory = mmap.mmap(-1, size)
    except (OSError, OverflowError, MemoryError) as error:
        raise ResourceLimitError(f"there is no memory for a file of {size:,} bytes") from error
    if size >= _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them: slower, nothing else
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def can_seal() -> bool:
    """Return whether this system has sealed files, and a way to reach them by path."""
    if not hasattr(os, "memfd_create") or not _DESCRIPTORS.is_dir():
        return False
    try:
        os.close(_memory_file())
    except OSError as error:
        if error.errno in _FORBIDDEN:
            return False
        raise _failure(error) from error
    return True


class SealedFile:
    """A copy of a file in memory that nobody can change; it lives as long as its descriptor.

    Attributes:
        size: in bytes.
        descriptor: of the copy.
    """

    __slots__ = ("descriptor", "size")

    def __init__(self, source: int | memoryview, size: int) -> None:
        """Copy ``size`` bytes of an open file, or memory of that size, and seal the copy.

        Raises:
            MalformedArtifactError: the source ends before.
            ResourceLimitError: there is not enough memory, or no descriptor left.
            VerificationError: somebody else has the copy mapped for writing.
        """
        self.size = size
        try:
            self.descriptor = _memory_file()
        except OSError as error:
            raise _failure(error) from error
        try:
            if isinstance(source, memoryview):
                _write_all(self.descriptor, source)
            else:
                copy(Range(source, 0, size), self.descriptor, 0, _silent)
            _seal(self.descriptor)
        except BaseException as error:
            os.close(self.descriptor)
            if isinstance(error, OSError):
                raise _failure(error) from error
            raise

    def map(self) -> mmap.mmap | bytes:
        """Return its bytes without a copy: a read-only map, which outlives the descriptor.

        To map is safe here: nobody can cut the file, which would kill the process.
        """
        if not self.size:
            return b""
        try:
            return mmap.mmap(
                self.descriptor, self.size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ
            )
        except OSError as error:
            raise _failure(error) from error

    def equals(self, content: memoryview) -> bool:
        """Return whether these are its bytes. Ask after it was sealed, never before."""
        with memoryview(self.map()) as mine:
            return len(mine) == len(content) and all(
                # As bytes: comparing views goes byte by byte.
                bytes(mine[at : at + CHUNK]) == bytes(content[at : at + CHUNK])
                for at in range(0, len(mine), CHUNK)
            )

    @property
    def path(self) -> str:
        """A path that opens it in this process, and in no other."""
        return f"{_DESCRIPTORS}/{self.descriptor}"

    @property
    def path_everywhere(self) -> str:
        """A path that opens it in every process of this user, as long as this one lives."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def close(self) -> None:
        """Give the descriptor back; maps stay."""
        os.close(self.descriptor)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder that only its owner can look into; it is deleted afterwards.

    Raises:
        ConfigurationError: there is no place for one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="modelsec-")  # mode 0700
    except OSError as error:
        raise ConfigurationError(
            f"no private directory can be made: {error.strerror}; set TMPDIR"
        ) from error
    with folder as path:
        yield Path(path)


def write_copy(path: Path, content: memoryview) -> None:
    """Write a copy that only its owner reads, for systems and loaders without sealed files.

    Raises:
        ResourceLimitError: the disk is full.
        VerificationError: the copy cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o400), "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            _write_all(file.fileno(), content)
    except OSError as error:
        raise _failure(error) from error


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _memory_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("modelsec", flags | _NOT_EXECUTABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create("modelsec", flags)


def _seal(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415 - there is none on Windows

    fcntl.fcntl(
        descriptor,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
    )


def _failure(error: OSError) -> ResourceLimitError | VerificationError:
    if error.errno in _EXHAUSTED:
        return ResourceLimitError(
            f"no room for a private copy of a file ({error.strerror}): free some, or raise the "
            "limits of this process"
        )
    return VerificationError(f"a private copy of a file cannot be made: {error.strerror}")


def _silent(count: int) -> None:
    del count  # counted when they are hashed
