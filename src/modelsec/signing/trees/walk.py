"""List a tree, and refuse whatever no signature can cover.

The walk goes down by opening one name in an open folder and up by ``..``, compared with the folder
that was left: one descriptor whatever the depth, no recursion, and no path that somebody could
exchange on the way. What cannot be read is an error, for an unreadable folder may hold code.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError, shown
from modelsec.signing.profile import Profile
from modelsec.signing.trees.folders import Folder, Identity, identity_of
from modelsec.signing.trees.links import MAX_LINKS, Landing, follow
from modelsec.signing.trees.names import MAX_NAME_BYTES, component_fault

MAX_NAMES_BYTES = 268_435_456
"""All names of a tree together; a million long ones would fill the memory."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ENVIRONMENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file of a tree.

    Attributes:
        name: path relative to the root, with ``/``; of a single file, its own name.
        size: bytes.
        identity: device, inode, size, and times of modification and change in nanoseconds.
    """

    name: str
    size: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class Rules:
    """What a walk does with what it finds.

    Attributes:
        profile: which names are refused.
        excluded: paths that are left out, each with everything below it.
        bundles: device and inode of a folder and a name in it: signatures, not part of the model.
        links: whether links are followed, within the tree.
        real_root: the root's path without links.
        max_entries: files and folders, of all kinds.
    """

    profile: Profile
    excluded: frozenset[str]
    bundles: frozenset[tuple[int, int, str]]
    links: bool
    real_root: str
    max_entries: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk found.

    Attributes:
        entries: regular files in code-point order of their names.
        excluded: paths that exist and were left out.
    """

    entries: tuple[FileEntry, ...]
    excluded: tuple[str, ...]


@dataclass(slots=True)
class _Level:
    """A folder that the walk is in.

    Attributes:
        prefix: its name with ``/``; empty for the root.
        place: the same without links.
        identity: its device and inode.
        above: the folder to go back to, where ``..`` leads elsewhere or need not be opened.
        folders: names in it that are still to be entered.
        links: names in it that lead to folders.
        followed: links to folders that were followed to be here.
    """

    prefix: str
    place: tuple[str, ...]
    identity: tuple[int, int]
    above: Folder | None = None
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    followed: int = 0


class Walk:
    """One walk over a tree."""

    def __init__(self, root: Folder, rules: Rules) -> None:
        self._root = root
        self._rules = rules
        self._entries: list[FileEntry] = []
        self._excluded: list[str] = []
        self._count = 0
        self._bytes = 0
        self._levels: list[_Level] = []
        self._folder = root

    def run(self) -> Listing:
        """Return the files of the tree.

        Raises:
            UnsafeTreeError: it holds links, pipes, devices, names that are refused, what cannot be
                read, or too much.
            DigestMismatchError: it changed while it was listed.
        """
        try:
            self._arrive(_Level("", (), self._root.identity))
            while self._levels:
                level = self._levels[-1]
                if level.folders:
                    self._descend(level, level.folders.pop())
                elif level.links:
                    self._descend_link(level, level.links.pop())
                else:
                    self._ascend()
        finally:
            self._close()
        self._entries.sort(key=lambda entry: entry.name)
        return Listing(tuple(self._entries), tuple(sorted(self._excluded)))

    def _arrive(self, level: _Level) -> None:
        self._levels.append(level)
        # Closed at once, whatever is refused: an open listing is a descriptor.
        with told(level.prefix or "."), closing(self._folder.listing()) as listing:
            for name, status in listing:
                self._take(level, name, status)

    def _take(self, level: _Level, name: str, status: os.stat_result) -> None:
        path = level.prefix + name
        self._count_in(path)
        kind = stat.S_IFMT(status.st_mode)
        if (*level.identity, name) in self._rules.bundles and kind == stat.S_IFREG:
            return
        if path in self._rules.excluded:
            self._excluded.append(path)
        else:
            fault = component_fault(name, profile=self._rules.profile)
            if fault is not None:
                raise UnsafeTreeError(f"the file name {shown(path)} {fault}: rename it")
            if kind == stat.S_IFLNK:
                self._take_link(level, name)
            elif kind == stat.S_IFDIR:
                level.folders.append(name)
            else:
                self._take_file(path, status)

    def _count_in(self, path: str) -> None:
        length = len(path) if path.isascii() else len(path.encode("utf-8", "surrogateescape"))
        self._count += 1
        self._bytes += length
        if length > MAX_NAME_BYTES:
            raise UnsafeTreeError(
                f"the name {shown(path)} has over {MAX_NAME_BYTES} bytes: no loader can open it"
            )
        if self._count > self._rules.max_entries or self._bytes > MAX_NAMES_BYTES:
            raise UnsafeTreeError(
                f"the tree has more than {self._rules.max_entries:,} entries (or their names more "
                f"than {MAX_NAMES_BYTES:,} bytes): this is no model, or raise max_entries"
            )

    def _take_file(self, path: str, status: os.stat_result) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            raise UnsafeTreeError(
                f"{shown(path)} is {_KINDS.get(kind, 'no regular file')}: remove it from the model"
            )
        self._entries.append(FileEntry(path, status.st_size, identity_of(status)))

    def _take_link(self, level: _Level, name: str) -> None:
        path = level.prefix + name
        if not self._rules.links:
            raise UnsafeTreeError(
                f"{shown(path)} is a symbolic link: what it leads to can change without the model. "
                "Replace it by a copy of what it points to (cp -rL copies a whole model so)"
            )
        landing = self._follow(level, name)
        landing.folder.close()
        if landing.status is None:
            level.links.append(name)
        else:
            self._take_file(path, landing.status)

    def _follow(self, level: _Level, name: str) -> Landing:
        path = level.prefix + name
        with told(path, link=True):
            try:
                return follow(
                    self._root, [name], start=level.place, real_root=self._rules.real_root
                )
            except UnsafeTreeError as error:
                raise UnsafeTreeError(f"the link {shown(path)} is refused: {error}") from error

    def _descend(self, level: _Level, name: str) -> None:
        above = self._folder
        with told(level.prefix + name):
            self._folder = above.enter(name)
        below = _Level(
            f"{level.prefix}{name}/",
            (*level.place, name),
            self._folder.identity,
            followed=level.followed,
        )
        if above is self._root:
            below.above = above
        else:
            above.close()
        self._refuse_cycle(below)
        self._arrive(below)

    def _descend_link(self, level: _Level, name: str) -> None:
        landing = self._follow(level, name)
        below = _Level(
            f"{level.prefix}{name}/",
            landing.place,
            landing.folder.identity,
            above=self._folder,
            followed=level.followed + 1,
        )
        self._folder = landing.folder
        self._refuse_cycle(below)
        self._arrive(below)

    def _refuse_cycle(self, below: _Level) -> None:
        """Refuse a folder that is one of those above it; only links lead there."""
        if not self._rules.links:
            return
        again = any(up.identity == below.identity for up in self._levels)
        if again or below.followed > MAX_LINKS:
            self._levels.append(below)
            why = "leads back above itself" if again else f"is behind {MAX_LINKS} other links"
            raise UnsafeTreeError(f"the link {shown(below.prefix[:-1])} {why}: remove it")

    def _ascend(self) -> None:
        level = self._levels.pop()
        if not self._levels:
            return
        below = self._folder
        if level.above is not None:
            self._folder = level.above
        else:
            with told(level.prefix):
                self._folder = below.leave()
        below.close()
        if self._folder.identity != self._levels[-1].identity:
            raise DigestMismatchError(
                f"{shown(level.prefix)} was moved while the tree was read: nobody may write to it"
            )

    def _close(self) -> None:
        held = [self._folder, *(level.above for level in self._levels)]
        for folder in held:
            if folder is not None and folder is not self._root:
                folder.close()


@contextmanager
def told(name: str, *, link: bool = False) -> Iterator[None]:
    """Tell an error of the system as one about a name of the tree.

    Raises:
        UnsafeTreeError: it cannot be read, or is not what it was.
        ConfigurationError: this process may not open more files, or has no memory.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _ENVIRONMENT:
            raise ConfigurationError(f"cannot open {shown(name)}: {reason}") from error
        if link:
            raise UnsafeTreeError(
                f"the link {shown(name)} leads nowhere: {reason}. Remove it"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise DigestMismatchError(
                f"{shown(name)} went away while the tree was read", missing=(name,)
            ) from error
        raise UnsafeTreeError(
            f"cannot read {shown(name)}: {reason}. What cannot be read cannot be signed or checked"
        ) from error
