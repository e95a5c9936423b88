"""Files that are written whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO, TypeVar, cast

from modelsec.errors import ConfigurationError, shown, shown_path

_File = TypeVar("_File", bound=IO[Any])

_KEPT = 48
"""Characters of a name in that of its temporary file: 48 take 192 bytes at most, of 255."""
_OF_THE_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE)
)


def as_path(path: object, what: str = "path") -> Path:
    """Return a path that the system can take.

    Args:
        path: text or a ``PathLike`` of text.
        what: for the message.

    Raises:
        ConfigurationError: it is something else, empty, or not encodable, or holds a NUL.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"the {what} must be a path, not {shown(path)}")
    try:
        text = os.fspath(path)
        if not isinstance(text, str) or not text or b"\0" in os.fsencode(text):
            raise ConfigurationError(f"the {what} must be a path, not {shown(text)}")
    except (TypeError, UnicodeEncodeError) as error:
        raise ConfigurationError(f"the {what} must be a path, not {shown(path)}") from error
    return Path(text)


def atomic_text(path: str | Path) -> AbstractContextManager[TextIO]:
    """Open a UTF-8 text file that appears under its name only when it is complete.

    The text goes to a temporary file beside it, which replaces ``path`` when the block ends and
    is deleted when the block raises. What the block raises passes through, unless it says that
    the disk is full or broken.

    Raises:
        ConfigurationError: the folder does not exist or is not writable, or the disk refuses.
    """
    return _atomic(
        Path(path), lambda name: cast("TextIO", name.open("x", encoding="utf-8", newline=""))
    )


def atomic_binary(path: str | Path, *, private: bool = False) -> AbstractContextManager[BinaryIO]:
    """Open a binary file, to write and to read again, that appears only when it is complete.

    As ``atomic_text`` in everything else.

    Args:
        path: the file.
        private: nobody but the owner can open it before it is complete. Then it gets the mode of
            the file that it replaces, or that of any new file.

    Raises:
        ConfigurationError: the folder does not exist or is not writable, or the disk refuses.
    """
    if private:
        return _private(Path(path))
    return _atomic(Path(path), lambda name: cast("BinaryIO", name.open("x+b")))


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    mode: int | None = None

    def opened(name: Path) -> BinaryIO:
        nonlocal mode
        mode = _mode_of(path) if path.exists() else _mode_of_new(name)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return cast("BinaryIO", os.fdopen(descriptor, "w+b"))

    with _atomic(path, opened) as file:
        yield file
        if mode is not None:
            os.fchmod(file.fileno(), mode)


def _mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _mode_of_new(name: Path) -> int:
    """Return the mode of a new file in a folder: the umask cannot be read without changing it."""
    name.touch(exist_ok=False)
    try:
        return _mode_of(name)
    finally:
        name.unlink()


def temporary_beside(path: Path) -> Path:
    """Return an unused name beside a path, not longer than the system takes names."""
    return path.with_name(f".{path.name[:_KEPT]}.{secrets.token_hex(4)}.tmp")


def sync_folder(path: Path) -> None:
    """Write the names in a folder to the disk, where folders can be written that way."""
    with suppress(OSError):
        # A refusal says that this file system has its own way; the files themselves are there.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _atomic(path: Path, opened: Callable[[Path], _File]) -> Iterator[_File]:
    temporary = temporary_beside(path)
    with _refusals(path):
        file = opened(temporary)
    try:
        try:
            with file:
                yield file
                with _refusals(path):
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            # Else it is the caller's own, from another file or a connection.
            if error.errno in _OF_THE_DISK:
                raise _refusal(path, error) from error
            raise
        with _refusals(path):
            temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"cannot write {shown_path(path)}: {error.strerror or error}")


@contextmanager
def regular_file(path: str | Path) -> Iterator[int]:
    """Open a regular file for reading, once, and give its descriptor.

    Raises:
        ConfigurationError: it cannot be opened, or is a folder, a pipe or a device.
    """
    path = Path(path)
    try:
        # Not blocking: a pipe under a model's name must not hang the caller.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot open {shown_path(path)}: {reason}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise ConfigurationError(f"cannot read {shown_path(path)}: it is {kind}")
        yield descriptor
    finally:
        os.close(descriptor)
