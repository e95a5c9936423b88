"""Reach the folders and files of a tree without following a link: the one seam to the system.

``DescriptorFolder`` goes by descriptors (``openat`` with ``O_NOFOLLOW``), so that what was looked
at and what is opened cannot differ in a folder on the way. ``PathFolder`` is for systems without
that (Windows): it goes by paths and compares what it finds with ``lstat`` before and after each
step. Whoever may rename folders of the model while it is read can win a race against it; against
everything that is there from the start it is as strict.

Both raise plain ``OSError``: the callers know the names to tell.
"""

import os
import stat
from collections.abc import Generator
from typing import Protocol, TypeAlias

Identity: TypeAlias = tuple[int, int, int, int, int]
"""Device, inode, size, and times of modification and change in nanoseconds."""

HAS_DESCRIPTORS = (
    {os.open, os.stat, os.readlink} <= os.supports_dir_fd
    and os.scandir in os.supports_fd
    and hasattr(os, "O_NOFOLLOW")
)

# What a system does not have, it does not need: Windows knows no pipes among files.
_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_FILE: int = (
    os.O_RDONLY
    | _CLOEXEC
    | _NOFOLLOW
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_FOLDER: int = os.O_RDONLY | _CLOEXEC | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0)


class Folder(Protocol):
    """One folder that is open.

    Attributes:
        identity: its device and inode.
    """

    identity: tuple[int, int]

    def listing(self) -> Generator[tuple[str, os.stat_result], None, None]:
        """Yield each name, and what it is, links not followed; close it if you stop early."""
        ...

    def status(self, name: str) -> os.stat_result:
        """Say what a name is, links not followed."""
        ...

    def target(self, name: str) -> str:
        """Return where a link points to."""
        ...

    def enter(self, name: str) -> "Folder":
        """Open a folder below this one, which must not be a link."""
        ...

    def leave(self) -> "Folder":
        """Open the folder above this one."""
        ...

    def again(self) -> "Folder":
        """Open this folder once more."""
        ...

    def open(self, name: str) -> int:
        """Open a file for reading, which must not be a link, and return its descriptor."""
        ...

    def close(self) -> None:
        """Give the folder back."""
        ...


def open_folder(path: str) -> Folder:
    """Open a folder by its path; its last component must not be a link."""
    if HAS_DESCRIPTORS:
        return DescriptorFolder(os.open(path, _FOLDER))
    return PathFolder(os.path.abspath(path))  # noqa: PTH100 - "..", and no links resolved


def identity_of(status: os.stat_result) -> Identity:
    """Return what tells whether a file is still the one that was looked at."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


class DescriptorFolder:
    """A folder by its descriptor."""

    __slots__ = ("_descriptor", "identity")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.identity = (status.st_dev, status.st_ino)

    def listing(self) -> Generator[tuple[str, os.stat_result], None, None]:
        """Yield each name, and what it is; names that are not UTF-8 hold surrogates."""
        with os.scandir(self._descriptor) as found:
            for entry in found:
                # Bytes are what the file system has; the locale must not change their meaning.
                name = os.fsencode(entry.name).decode("utf-8", "surrogateescape")
                yield name, entry.stat(follow_symlinks=False)

    def status(self, name: str) -> os.stat_result:
        """Say what a name is, links not followed."""
        return os.stat(_raw(name), dir_fd=self._descriptor, follow_symlinks=False)

    def target(self, name: str) -> str:
        """Return where a link points to."""
        link = os.readlink(_raw(name), dir_fd=self._descriptor)
        return link.decode("utf-8", "surrogateescape")

    def enter(self, name: str) -> "DescriptorFolder":
        """Open a folder below this one, which must not be a link."""
        return DescriptorFolder(os.open(_raw(name), _FOLDER, dir_fd=self._descriptor))

    def leave(self) -> "DescriptorFolder":
        """Open the folder above this one, which no link can be."""
        return self.enter("..")

    def again(self) -> "DescriptorFolder":
        """Open this folder once more."""
        return self.enter(".")

    def open(self, name: str) -> int:
        """Open a file for reading without waiting for it, as a pipe would have us."""
        return os.open(_raw(name), _FILE, dir_fd=self._descriptor)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class PathFolder:
    """A folder by its path, looked at again before and after each step."""

    __slots__ = ("_path", "identity")

    def __init__(self, path: str) -> None:
        self._path = path
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or _is_reparse_point(status):
            raise NotADirectoryError(20, "it is a link, or no folder", path)
        self.identity = (status.st_dev, status.st_ino)

    def listing(self) -> Generator[tuple[str, os.stat_result], None, None]:
        """Yield each name, and what it is; names that are not UTF-8 hold surrogates."""
        with os.scandir(self._path) as found:
            for entry in found:
                name = os.fsencode(entry.name).decode("utf-8", "surrogateescape")
                # A DirEntry of Windows knows neither device nor inode.
                yield name, self.status(name)
        self._check()

    def status(self, name: str) -> os.stat_result:
        """Say what a name is, links not followed; a junction is told as a link."""
        status = os.lstat(self._join(name))
        if _is_reparse_point(status):
            fields = [stat.S_IFLNK | stat.S_IMODE(status.st_mode), *status[1:]]
            return os.stat_result(fields)
        return status

    def target(self, name: str) -> str:
        """Return where a link points to."""
        return os.readlink(self._join(name)).replace(os.sep, "/")  # noqa: PTH115 - hostile names

    def enter(self, name: str) -> "PathFolder":
        """Open a folder below this one, which must not be a link."""
        self._check()
        return PathFolder(self._join(name))

    def leave(self) -> "PathFolder":
        """Open the folder above this one."""
        self._check()
        return PathFolder(os.path.dirname(self._path))  # noqa: PTH120 - idem

    def again(self) -> "PathFolder":
        """Look at this folder once more."""
        return PathFolder(self._path)

    def open(self, name: str) -> int:
        """Open a file for reading, which must not be a link, and return its descriptor."""
        self._check()
        path = self._join(name)
        before = os.lstat(path)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(40, "it is a link, or no regular file", path)
        descriptor = os.open(path, _FILE)
        opened = os.fstat(descriptor)
        if (opened.st_dev, opened.st_ino) != (before.st_dev, before.st_ino):
            os.close(descriptor)
            raise OSError(40, "it was replaced while it was opened", path)
        return descriptor

    def close(self) -> None:
        """Do nothing: a path holds nothing."""

    def _check(self) -> None:
        if PathFolder(self._path).identity != self.identity:
            raise NotADirectoryError(20, "the folder was replaced", self._path)

    def _join(self, name: str) -> str:
        return os.path.join(self._path, os.fsdecode(_raw(name)))  # noqa: PTH118 - idem


def _is_reparse_point(status: os.stat_result) -> bool:
    """Say whether it is a junction or another thing of Windows that leads elsewhere."""
    attributes = getattr(status, "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
