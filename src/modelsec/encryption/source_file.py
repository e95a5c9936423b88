"""A file that is read by offset, from several threads, without mapping it.

A map would be a little faster, but a file that is cut while it is mapped kills the process.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelsec.errors import ConfigurationError, ModelSecError, shown
from modelsec.files import regular_file

Identity = tuple[int, int, int, int, int]


class SourceFile:
    """An open regular file whose size was read once.

    Args:
        descriptor: of the file; it stays the caller's.
        name: for messages.
        blame: the error that says that the file is not what it was.
    """

    __slots__ = ("_blame", "_descriptor", "_identity", "name", "size")

    def __init__(self, descriptor: int, name: str, blame: type[ModelSecError]) -> None:
        self._descriptor = descriptor
        self._blame = blame
        self._identity = _identity(descriptor)
        self.name = name
        self.size = self._identity[2]

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
            try:
                got = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise ConfigurationError(
                    f"cannot read {shown(self.name)}: {error.strerror}"
                ) from error
            if not got:
                raise self._blame(f"{shown(self.name)} became shorter while it was read")
            done += got

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``; raises as ``read_into``."""
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def check_unchanged(self) -> None:
        """Raise an error of the kind ``blame`` if somebody wrote to the file since."""
        if _identity(self._descriptor) != self._identity:
            raise self._blame(
                f"{shown(self.name)} was changed while it was read: read it when nobody writes"
            )

    def is_also(self, path: str | Path) -> bool:
        """Say whether a path leads to this very file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), Path(path).stat())
        except (OSError, ValueError):
            return False


def _identity(descriptor: int) -> Identity:
    now = os.fstat(descriptor)
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def check_path(path: object, what: str) -> str | Path:
    """Return a path that the caller gave.

    Raises:
        ConfigurationError: it is neither text nor a path, or the system has no such names.
    """
    if not isinstance(path, str | Path):
        raise ConfigurationError(f"the {what} must be a path, not {type(path).__name__}")
    if "\0" in str(path) or not Path(path).name:
        raise ConfigurationError(f"the {what} {shown(str(path))} is no name of a file")
    return path


@contextmanager
def opened(path: object, blame: type[ModelSecError]) -> Iterator[SourceFile]:
    """Open a regular file for reading.

    Raises:
        ConfigurationError: it cannot be opened, or is a folder, a pipe or a device.
    """
    name = check_path(path, "source")
    with regular_file(name) as descriptor:
        yield SourceFile(descriptor, str(name), blame)
