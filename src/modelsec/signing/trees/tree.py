"""The files of a model: listed strictly, opened without following links, compared afterwards.

A ``Tree`` holds the root open, so that listing, reading and listing again are about one folder,
whatever happens to its path in the meantime (OMS v1.0, section 6.1).
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Never, Self

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    UnsafeTreeError,
    shown,
    shown_path,
)
from modelsec.files import as_path
from modelsec.signing.profile import Profile
from modelsec.signing.trees.folders import Folder, identity_of, open_folder
from modelsec.signing.trees.links import follow
from modelsec.signing.trees.names import check_ignore_path, check_name, collisions
from modelsec.signing.trees.walk import FileEntry, Listing, Rules, Walk, told

__all__ = ["DEFAULT_EXCLUDED", "MAX_ENTRIES", "FileEntry", "Tree", "open_tree"]

DEFAULT_EXCLUDED = (".git", ".gitattributes", ".github", ".gitignore")
"""Left out at the top of a model, and only there (OMS v1.0, section 6.2)."""

MAX_ENTRIES = 1_000_000


class Tree:
    """The files of a model, with its root open; a context manager that closes it.

    Attributes:
        path: as the caller named it.
        single_file: the model is one file.
        entries: its files, in code-point order of their names; at least one.
        excluded: paths that exist and were left out, each with everything below it.
    """

    def __init__(self, path: Path, root: Folder, rules: Rules, *, file: str | None) -> None:
        self.path = path
        self.single_file = file is not None
        self._root: Folder | None = root
        self._rules = rules
        # In its folder a single file may have another name: that of the link's target.
        self._file = file
        listing = self._list()
        self.entries = listing.entries
        self.excluded = listing.excluded
        self._refuse_unwanted()

    def open(self, entry: FileEntry) -> int:
        """Open a file and return its descriptor, for the caller to close.

        No link is followed on the way (or only those that the tree permits), and the file is the
        one that was listed.

        Raises:
            DigestMismatchError: it was changed, replaced or removed since it was listed.
            UnsafeTreeError: it is no longer a regular file, or cannot be read.
        """
        with told(entry.name):
            descriptor = self._opened(entry.name)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                _refuse_kind(entry.name)
            self.unchanged(entry, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def unchanged(self, entry: FileEntry, descriptor: int) -> None:
        """Make sure that an open file is still the one that was listed: call it after reading.

        Raises:
            DigestMismatchError: it was written to in the meantime.
        """
        if identity_of(os.fstat(descriptor)) != entry.identity:
            raise DigestMismatchError(
                f"{shown(entry.name)} was changed while the model was read: nobody may write to it",
                changed=(entry.name,),
            )

    def recheck(self) -> None:
        """List the tree again: nothing may have been added, removed or changed.

        Raises:
            DigestMismatchError: something was.
            UnsafeTreeError: something was added that is refused.
        """
        before = {entry.name: entry.identity for entry in self.entries}
        listing = self._list()
        after = {entry.name: entry.identity for entry in listing.entries}
        added = tuple(sorted(after.keys() - before.keys()))
        missing = tuple(sorted(before.keys() - after.keys()))
        changed = tuple(
            sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
        )
        if added or missing or changed:
            first = shown((*changed, *added, *missing)[0])
            raise DigestMismatchError(
                f"the model changed while it was read ({first}): nobody may write to it",
                added=added,
                missing=missing,
                changed=changed,
            )
        if listing.excluded != self.excluded:
            raise DigestMismatchError(
                "what is left out of the model changed while it was read: nobody may write to it",
                added=tuple(sorted(set(listing.excluded) - set(self.excluded))),
                missing=tuple(sorted(set(self.excluded) - set(listing.excluded))),
            )

    def close(self) -> None:
        """Close the root; closing twice does nothing."""
        if self._root is not None:
            self._root.close()
            self._root = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _folder(self) -> Folder:
        if self._root is None:
            raise ConfigurationError(f"the tree {shown_path(self.path)} is closed")
        return self._root

    def _list(self) -> Listing:
        if self._file is None:
            return Walk(self._folder(), self._rules).run()
        name = self.path.name
        with told(name):
            status = self._folder().status(self._file)
        if not stat.S_ISREG(status.st_mode):
            _refuse_kind(name)
        return Listing((FileEntry(name, status.st_size, identity_of(status)),), ())

    def _opened(self, name: str) -> int:
        root = self._folder()
        if self._file is not None:
            return root.open(self._file)
        if self._rules.links:
            landing = follow(root, name.split("/"), real_root=self._rules.real_root)
            try:
                # A folder is opened as such, and found to be no regular file.
                return landing.folder.open(landing.name or ".")
            finally:
                landing.folder.close()
        *folders, last = name.split("/")
        folder = root
        try:
            for step in folders:
                below = folder.enter(step)
                if folder is not root:
                    folder.close()
                folder = below
            return folder.open(last)
        finally:
            if folder is not root:
                folder.close()

    def _refuse_unwanted(self) -> None:
        if self.excluded and not self._rules.profile.excluded_files:
            raise UnsafeTreeError(
                f"{shown(self.excluded[0])} exists, and no signature would cover it: remove it "
                "from the model, or choose the profile oms, which leaves it out"
            )
        if not self.entries:
            raise UnsafeTreeError(f"the model {shown_path(self.path)} is empty: no file to sign")
        names = [entry.name for entry in self.entries]
        if self._rules.profile.portable_names:
            for one, other in collisions(names):
                raise UnsafeTreeError(
                    f"{shown(one)} and {shown(other)} are one name on systems that fold case or "
                    "Unicode forms: rename one"
                )


def open_tree(  # noqa: PLR0913 - what to open, and options by keyword
    path: str | Path,
    *,
    profile: Profile,
    ignore_paths: Sequence[str] = (),
    bundles: Sequence[str | Path] = (),
    allow_symlinks: bool = False,
    max_entries: int = MAX_ENTRIES,
) -> Tree:
    """List a model, strictly, and hold its root open.

    Args:
        path: a folder, or a single file.
        profile: whether files may be left out, links followed, and which names are refused.
        ignore_paths: exact relative paths to leave out, each with everything below it.
        bundles: signature files; those inside the model are not part of it.
        allow_symlinks: follow links within the model; the profile must permit it.
        max_entries: files and folders before it is refused.

    Raises:
        UnsafeTreeError: the model is empty, or holds what no signature can cover.
        ConfigurationError: it does not exist or cannot be opened, or an argument is wrong.
    """
    where = as_path(path, "model")
    _check_arguments(profile, ignore_paths, max_entries, allow_symlinks=allow_symlinks)
    places = _places(bundles)
    real = _real_path(where, profile)
    try:
        status = os.lstat(real)
        single = not stat.S_ISDIR(status.st_mode)
        if single and not stat.S_ISREG(status.st_mode):
            _refuse_kind(where.name)
        root = open_folder(os.path.dirname(real) if single else real)  # noqa: PTH120 - as text
    except OSError as error:
        raise ConfigurationError(
            f"cannot open the model {shown_path(where)}: {error.strerror}"
        ) from error
    rules = Rules(
        profile=profile,
        excluded=frozenset([*DEFAULT_EXCLUDED, *ignore_paths]),
        bundles=places,
        links=allow_symlinks,
        real_root=real,
        max_entries=max_entries,
    )
    try:
        if single:
            check_name(where.name, profile=profile)
        return Tree(where, root, rules, file=os.path.basename(real) if single else None)  # noqa: PTH119
    except BaseException:
        root.close()
        raise


def _check_arguments(
    profile: object, ignore_paths: object, max_entries: object, *, allow_symlinks: bool
) -> None:
    if not isinstance(profile, Profile):
        raise ConfigurationError(f"profile is a Profile (STRICT or OMS), not {shown(profile)}")
    if isinstance(ignore_paths, str | bytes) or not isinstance(ignore_paths, Sequence):
        raise ConfigurationError(f"ignore_paths is a list of paths, not {shown(ignore_paths)}")
    for path in ignore_paths:
        check_ignore_path(path)
    if not isinstance(max_entries, int) or max_entries < 1:
        raise ConfigurationError(f"max_entries is a positive integer, not {shown(max_entries)}")
    if allow_symlinks and not profile.symlinks:
        raise ConfigurationError(f"the profile {profile.name} follows no links: choose oms")


def _real_path(path: Path, profile: Profile) -> str:
    """Return the path without links; its last component must not be one where none is permitted."""
    try:
        if path.is_symlink():
            if not profile.symlinks:
                raise UnsafeTreeError(
                    f"the model {shown_path(path)} is itself a symbolic link: it can lead "
                    "elsewhere tomorrow. Name what it points to (os.path.realpath)"
                )
            return os.path.realpath(path, strict=True)
        if path.name in {"", ".."}:
            return os.path.realpath(path, strict=True)
        return os.path.join(os.path.realpath(path.parent, strict=True), path.name)  # noqa: PTH118
    except OSError as error:
        raise ConfigurationError(
            f"cannot open the model {shown_path(path)}: {error.strerror}"
        ) from error


def _places(bundles: object) -> frozenset[tuple[int, int, str]]:
    """Return where the bundles lie: device and inode of the folder, and the name in it."""
    if isinstance(bundles, str | bytes) or not isinstance(bundles, Sequence):
        raise ConfigurationError(f"bundles is a list of paths, not {shown(bundles)}")
    places = set()
    for bundle in bundles:
        # Of a link, its own place and not that of its target: that may be a file of the model.
        path = as_path(bundle, "signature")
        try:
            folder = path.parent.stat()
        except OSError:
            continue  # What is nowhere is not in the model either.
        places.add((folder.st_dev, folder.st_ino, path.name))
    return frozenset(places)


def _refuse_kind(name: str) -> Never:
    raise UnsafeTreeError(f"{shown(name)} is no regular file: only files and folders are signed")
