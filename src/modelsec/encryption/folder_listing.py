"""The files of a folder, listed once: what is opened later is what was listed, or an error."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from modelsec.encryption.blocks import Progress
from modelsec.encryption.source_file import Identity, SourceFile, check_path, identity_of
from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    MalformedArtifactError,
    UnsafeTreeError,
    shown,
    shown_path,
)

Blame = type[DecryptionError] | type[MalformedArtifactError]


def names_digest(names: Iterable[str]) -> str:
    """Return the hex SHA-256 over each name, in code-point order, after its length in 4 bytes."""
    digest = sha256()
    for name in sorted(names):
        raw = os.fsencode(name)
        digest.update(len(raw).to_bytes(4) + raw)
    return digest.hexdigest()


class Listing:
    """Names and identities of all files below a folder.

    Args:
        folder: the folder; it may be reached through a link, but holds none.
        blame: the error that says that the folder is not what it was.

    Raises:
        UnsafeTreeError: it holds links, pipes, devices, or no files.
        ConfigurationError: it is no folder, or cannot be read.
    """

    def __init__(self, folder: object, blame: Blame) -> None:
        self.root = Path(check_path(folder, "source"))
        self._blame = blame
        if not is_folder(self.root):
            raise ConfigurationError(f"{shown_path(self.root)} is no folder")
        self._files = _found(self.root)
        if not self._files:
            raise UnsafeTreeError(f"{shown_path(self.root)} holds no files")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files, with ``/``, in code-point order."""
        return tuple(self._files)

    def digest(self) -> str:
        """Return the digest of the names of all files."""
        return names_digest(self._files)

    def identity(self, name: str) -> Identity:
        """Return what a file was when it was listed.

        Raises:
            ConfigurationError: it was not listed.
        """
        listed = self._files.get(name) if isinstance(name, str) else None
        if listed is None:
            raise ConfigurationError(
                f"there is no file {shown(name)} in {shown_path(self.root)}; one is "
                f"{shown(self.names[0])}"
            )
        return listed

    @contextmanager
    def opened(self, name: str) -> Iterator[SourceFile]:
        """Open a file that was listed, and only the very one.

        Raises:
            ConfigurationError: it cannot be opened, or was not listed.
            ModelSecError: of the kind ``blame``: another one has its name now, or it was changed.
        """
        listed = self.identity(name)
        path = self.root / name
        try:
            # Neither through a link that took its name, nor waiting for the writer of a pipe.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
            descriptor = os.open(path, flags)
        except OSError as error:
            raise self._blame(
                f"{shown_path(path)} was listed and cannot be opened now: {error.strerror}"
            ) from error
        try:
            if identity_of(os.fstat(descriptor)) != listed:
                raise self._blame(
                    f"{shown_path(path)} was changed or replaced since the folder was listed: "
                    "nobody may write to it meanwhile"
                )
            yield SourceFile(descriptor, str(path), self._blame)
        finally:
            os.close(descriptor)

    def check_unchanged(self) -> None:
        """List again, and raise an error of the kind ``blame`` if something is not as it was."""
        now = _found(self.root)
        changed = [
            name
            for name in sorted(now.keys() | self._files.keys())
            if now.get(name) != self._files.get(name)
        ]
        if changed:
            raise self._blame(
                f"{shown_path(self.root)} was changed meanwhile: "
                f"{', '.join(map(shown, changed[:4]))}; nobody may write to it"
            )

    def overall(self, on_progress: Progress | None) -> Callable[[str], Progress | None]:
        """Return what makes the progress of one file that of all of them."""
        if on_progress is None or not callable(on_progress):
            return lambda _name: on_progress
        sizes = {name: identity[2] for name, identity in self._files.items()}
        before = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
        overall = sum(sizes.values())

        def of(name: str) -> Progress:
            # A ciphertext is larger than what is told of it: its end is the whole of it.
            return lambda done, total: on_progress(
                before[name] + (sizes[name] if done == total else done), overall
            )

        return of


def is_folder(path: str | Path) -> bool:
    """Say whether a path leads to a folder; whatever cannot be looked at is none."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def _found(root: Path) -> Mapping[str, Identity]:
    found = {}
    for place, folders, files in os.walk(root, onerror=_unreadable):
        for name in (*folders, *files):
            path = Path(place, name)
            status = _status(path)
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(root).as_posix()] = identity_of(status)
    return dict(sorted(found.items()))


def _status(path: Path) -> os.stat_result:
    try:
        status = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"cannot read {shown_path(path)}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise UnsafeTreeError(
            f"{shown_path(path)} is a link, a pipe or a device: only files and folders are "
            "encrypted"
        )
    return status


def _unreadable(error: OSError) -> None:
    raise ConfigurationError(
        f"cannot read {shown_path(error.filename)}: {error.strerror}"
    ) from error
