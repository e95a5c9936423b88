"""What is read by offset, from several threads: a file, without mapping it, or memory.

A map would be a little faster, but a file that is cut while it is mapped kills the process.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from modelsec.errors import ConfigurationError, ModelSecError, shown, shown_path
from modelsec.files import regular_file

Identity = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of the file, in ns."""

Ciphertext = str | Path | bytes | bytearray | memoryview | BinaryIO
"""What can be decrypted in memory: a path, the bytes, or an open file of them."""


class Source(Protocol):
    """What segments are read from."""

    @property
    def name(self) -> str:
        """For messages and receipts."""
        ...

    @property
    def size(self) -> int:
        """Bytes; read once."""
        ...

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill the whole view with the bytes from ``offset``."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        ...


class SourceFile:
    """An open regular file whose size was read once.

    Args:
        descriptor: of the file; it stays the caller's.
        name: for messages.
        blame: the error that says that the file is not what it was.

    Raises:
        ConfigurationError: it holds more than its size says, as files of ``/proc`` do.
    """

    __slots__ = ("_blame", "_descriptor", "identity", "name", "size")

    def __init__(self, descriptor: int, name: str, blame: type[ModelSecError]) -> None:
        self._descriptor = descriptor
        self._blame = blame
        self.identity = identity_of(os.fstat(descriptor))
        self.name = name
        self.size = self.identity[2]
        if self._piece(memoryview(bytearray(1)), self.size):
            raise ConfigurationError(
                f"{shown_path(name)} holds more bytes than its size says: somebody writes to it, "
                "or the system makes them up; copy it first"
            )

    @property
    def permissions(self) -> int:
        """Permission bits of the file."""
        return stat.S_IMODE(os.fstat(self._descriptor).st_mode)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill the whole view with the bytes from ``offset``.

        Raises:
            ConfigurationError: the file cannot be read.
            ModelSecError: of the kind ``blame``: the file ends before.
        """
        done = 0
        while done < len(view):
            got = self._piece(view[done:], offset + done)
            if not got:
                raise self._blame(f"{shown_path(self.name)} became shorter while it was read")
            done += got

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``; raises as ``read_into``."""
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def check_unchanged(self) -> None:
        """Raise an error of the kind ``blame`` if somebody wrote to the file since."""
        if identity_of(os.fstat(self._descriptor)) != self.identity:
            raise self._blame(
                f"{shown_path(self.name)} was changed while it was read: read it when nobody writes"
            )

    def is_also(self, path: str | Path) -> bool:
        """Say whether a path leads to this very file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), Path(path).stat())
        except (OSError, ValueError):
            return False

    def _piece(self, view: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, [view], offset)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {shown_path(self.name)}: {error.strerror}"
            ) from error


class SourceMemory:
    """Bytes in memory, read as a file is.

    Args:
        view: the bytes; contiguous.
        blame: the error that says that something is not there.
    """

    __slots__ = ("_blame", "_view", "name", "size")

    def __init__(self, view: memoryview, blame: type[ModelSecError]) -> None:
        self._view = view
        self._blame = blame
        self.name = "memory"
        self.size = len(view)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill the whole view with the bytes from ``offset``."""
        view[:] = self._part(offset, len(view))

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        return bytes(self._part(offset, length))

    def _part(self, offset: int, length: int) -> memoryview:
        part = self._view[offset : offset + length]
        if len(part) != length:
            raise self._blame("the bytes in memory end too early")
        return part


def identity_of(status: os.stat_result) -> Identity:
    """Return what changes when a file is written to or another one takes its name."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def check_path(path: object, what: str) -> str | Path:
    """Return a path that the caller gave.

    Raises:
        ConfigurationError: it is neither text nor a path, or the system has no such names.
    """
    if not isinstance(path, str | Path):
        raise ConfigurationError(f"the {what} must be a path, not {type(path).__name__}")
    if "\0" in str(path) or not Path(path).name:
        raise ConfigurationError(f"the {what} {shown_path(path)} is no name of a file")
    return path


def real_path(path: object, what: str) -> Path:
    """Return where a path leads to now, through all links; later changes of them do not matter.

    Raises:
        ConfigurationError: as ``check_path``, or the links lead in circles.
    """
    given = check_path(path, what)
    try:
        return Path(given).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"the {what} {shown_path(given)} leads nowhere") from error


@contextmanager
def opened(path: object, blame: type[ModelSecError]) -> Iterator[SourceFile]:
    """Open a regular file for reading.

    Raises:
        ConfigurationError: it cannot be opened, or is a folder, a pipe or a device.
    """
    name = check_path(path, "source")
    with regular_file(name) as descriptor:
        yield SourceFile(descriptor, str(name), blame)


@contextmanager
def readable(source: object, blame: type[ModelSecError]) -> Iterator[Source]:
    """Open a path, or read what is in memory or in an open file, from its beginning.

    An open file on the disk is read by offset, its position stays. One that has ``getbuffer``
    (``io.BytesIO``, the files of a verified model) is not copied; others are read whole.

    Raises:
        ConfigurationError: it cannot be opened or read, or is none of these.
    """
    if isinstance(source, str | Path):
        with opened(source, blame) as file:
            yield file
        return
    descriptor = _descriptor(source)
    if descriptor is not None:
        yield SourceFile(descriptor, str(getattr(source, "name", "the open file")), blame)
        return
    with memoryview(_content(source)) as whole:
        if not whole.c_contiguous:
            raise ConfigurationError("the bytes to decrypt must be contiguous memory")
        with whole.cast("B") as view:
            yield SourceMemory(view, blame)


def _descriptor(source: object) -> int | None:
    """Return the descriptor of an open file on the disk; None for everything else."""
    # Not everything that has a descriptor reads the bytes of it: gzip.GzipFile does not.
    raw = getattr(source, "raw", source)
    if not isinstance(raw, io.FileIO):
        return None
    try:
        descriptor = raw.fileno()
    except ValueError as error:
        raise ConfigurationError("the file to decrypt is closed: open it again") from error
    return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _content(source: object) -> bytes | bytearray | memoryview:
    if isinstance(source, bytes | bytearray | memoryview):
        return source
    try:
        if hasattr(source, "getbuffer"):
            content: object = source.getbuffer()
        else:
            source.seek(0)  # type: ignore[attr-defined]  # tried
            content = source.read()  # type: ignore[attr-defined]  # idem
    except AttributeError:
        content = None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"cannot read what to decrypt: {shown(str(error))}") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ConfigurationError(
            "the source must be a path, bytes or a binary file with a position, "
            f"not {type(source).__name__}"
        )
    return content
