"""A folder that appears under its name only when it is complete."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelsec.encryption.source_file import check_path
from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import sync_folder, temporary_beside


class NewFolder:
    """A folder that is being filled.

    Args:
        temporary: where it is now.
        path: where it will be.
    """

    __slots__ = ("_temporary", "path")

    def __init__(self, temporary: Path, path: Path) -> None:
        self._temporary = temporary
        self.path = path

    def place(self, name: str) -> Path:
        """Return where to write a file now, with the folders above it.

        Raises:
            ConfigurationError: they cannot be made.
        """
        place = self._temporary / name
        with _refusals(self.path):
            place.parent.mkdir(parents=True, exist_ok=True)
        return place


@contextmanager
def new_folder(target: object, *, outside: Path) -> Iterator[NewFolder]:
    """Give a folder that gets its name when the block ends, and is deleted if the block raises.

    Only its owner can look into it before.

    Args:
        target: its name; must not exist.
        outside: a folder that it must not be in: it would become a part of what is read.

    Raises:
        ConfigurationError: the name is taken, cannot be made, or is within ``outside``.
    """
    path = Path(check_path(target, "target"))
    if os.path.lexists(path):
        raise ConfigurationError(f"{shown_path(path)} exists: name a new folder")
    with _refusals(path):
        if path.resolve().is_relative_to(outside.resolve()):
            raise ConfigurationError(
                f"{shown_path(path)} is within the folder that is read: name one beside it"
            )
    temporary = temporary_beside(path)
    try:
        with _refusals(path):
            temporary.mkdir()
            mode = stat.S_IMODE(temporary.stat().st_mode)
            temporary.chmod(stat.S_IRWXU)
        yield NewFolder(temporary, path)
        with _refusals(path):
            # A rename would replace an empty folder that somebody made meanwhile.
            if os.path.lexists(path):
                raise ConfigurationError(f"{shown_path(path)} was made meanwhile: name another")
            temporary.chmod(mode)
            temporary.rename(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"cannot write {shown_path(path)}: {reason}") from error
