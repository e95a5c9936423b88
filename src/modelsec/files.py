"""Files that are written whole or not at all."""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO, TypeVar, cast

from modelsec.errors import ConfigurationError, shown, shown_path

_File = TypeVar("_File", bound=IO[Any])


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
    is deleted when the block raises.

    Raises:
        ConfigurationError: the folder does not exist or is not writable.
    """
    return _atomic(
        Path(path), lambda name: cast("TextIO", name.open("x", encoding="utf-8", newline=""))
    )


def atomic_binary(path: str | Path) -> AbstractContextManager[BinaryIO]:
    """Open a binary file, to write and to read again, that appears only when it is complete.

    As ``atomic_text`` in everything else.

    Raises:
        ConfigurationError: the folder does not exist or is not writable.
    """
    return _atomic(Path(path), lambda name: cast("BinaryIO", name.open("x+b")))


@contextmanager
def _atomic(path: Path, opened: Callable[[Path], _File]) -> Iterator[_File]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        file = opened(temporary)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


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
