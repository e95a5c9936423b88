"""Follow symbolic links inside a tree, step by step, and never out of it.

Each component is looked up in a folder that is open, as the kernel does it, so that nothing can
be exchanged between looking and following. ``..`` is compared with the folder that was left.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from modelsec.errors import UnsafeTreeError, shown
from modelsec.signing.trees.folders import Folder

MAX_LINKS = 40
"""Links in one resolution, as in Linux; a cycle ends here."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a path leads to.

    Attributes:
        folder: open, to be closed by the caller: the target itself, or what holds it.
        name: of the target in ``folder``; None if it is the folder.
        status: of the target when it is not a folder, else None.
        place: folders from the root to ``folder``.
    """

    folder: Folder
    name: str | None
    status: os.stat_result | None
    place: tuple[str, ...]


def follow(
    root: Folder, path: Iterable[str], *, start: tuple[str, ...] = (), real_root: str
) -> Landing:
    """Resolve a path from a folder of the tree, following links within the tree.

    Args:
        root: of the tree; stays open.
        path: its components.
        start: folders, none of them a link, from the root to where the path starts.
        real_root: absolute path of the root without links, for links that are absolute.

    Raises:
        UnsafeTreeError: it leaves the tree, or follows too many links.
        OSError: something on the way is not there, or is not to be read.
    """
    trail = _Trail(root)
    try:
        for name in start:
            trail.enter(name)
        return _resolve(trail, list(path), real_root)
    except BaseException:
        trail.folder.close()
        raise


def _resolve(trail: "_Trail", path: list[str], real_root: str) -> Landing:
    pending = path[::-1]
    links = 0
    while pending:
        step = pending.pop()
        if step in {"", "."}:
            continue
        if step == "..":
            trail.leave()
            continue
        status = trail.folder.status(step)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MAX_LINKS:
                raise UnsafeTreeError(f"more than {MAX_LINKS} links lead to each other")
            target = trail.folder.target(step)
            if target.startswith("/"):
                target = _within(target, real_root)
                trail.restart()
            pending += target.split("/")[::-1]
        elif stat.S_ISDIR(status.st_mode):
            trail.enter(step)
        elif any(rest not in {"", "."} for rest in pending):
            raise NotADirectoryError(20, f"{shown(step)} is no folder")
        else:
            return Landing(trail.folder, step, status, trail.place)
    return Landing(trail.folder, None, None, trail.place)


def _within(target: str, real_root: str) -> str:
    top = real_root.rstrip("/") + "/"
    if not (target + "/").startswith(top):
        raise UnsafeTreeError(f"a link points out of the model, to {shown(target)}")
    return target[len(top) :]


class _Trail:
    """The open folder, and the way back from it to the root."""

    def __init__(self, root: Folder) -> None:
        self._root = root
        self.folder = root.again()
        self._steps: list[tuple[str, tuple[int, int]]] = []

    @property
    def place(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._steps)

    def enter(self, name: str) -> None:
        above = self.folder.identity
        self._move(self.folder.enter(name))
        self._steps.append((name, above))

    def leave(self) -> None:
        if not self._steps:
            raise UnsafeTreeError("a link points out of the model, above its root")
        _, above = self._steps.pop()
        self._move(self.folder.leave())
        if self.folder.identity != above:
            raise UnsafeTreeError("a folder was moved while the tree was read")

    def restart(self) -> None:
        self._move(self._root.again())
        self._steps.clear()

    def _move(self, folder: Folder) -> None:
        self.folder.close()
        self.folder = folder
