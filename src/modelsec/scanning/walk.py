"""The way through a folder: what there is to scan, and what stands in the way.

See ``tree`` for the rules about links and for what is made of the files.
"""

import os
import re
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelsec.errors import printable
from modelsec.scanning.finding import Finding, Rule, Verdict

LEAVES = Rule(
    "MS-DIR-001",
    "a link leaves the folder",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="remove the link; a model's folder holds all of the model",
)
LINK = Rule("MS-DIR-002", "a link", Verdict.DATA_ONLY)
SPECIAL = Rule(
    "MS-DIR-003",
    "neither a file nor a folder",
    Verdict.DANGEROUS,
    incomplete=True,
    capability="resource exhaustion",
    remedy="remove it: a pipe or device under a model's name hangs whoever opens it",
)
UNREADABLE = Rule(
    "MS-DIR-004",
    "cannot be read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="mend the permissions, or get the file again",
)
STOPPED = Rule(
    "MS-DIR-005",
    "not every file was scanned",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="raise the limits, or scan the rest by itself",
)
GIT = Rule("MS-DIR-008", "files that belong to git are not scanned", Verdict.DATA_ONLY)
NOT_GIT = Rule(
    "MS-DIR-011",
    "what git did not put into its folder",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="hidden payload",
    remedy="ask who put it there: a configuration can name it, a scan of models skips it",
)
HOOK = Rule(
    "MS-DIR-009",
    "a hook that git runs",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it before you run git in this folder, or delete .git",
)


_GIT_FOLDERS = frozenset(
    ("branches", "hooks", "info", "lfs", "logs", "modules", "objects", "refs", "rebase-merge")
) | {"rebase-apply", "worktrees", "xet", "annex", "sequencer", "reftable"}
_GIT_FILES = frozenset(
    ("HEAD", "config", "config.worktree", "description", "index", "packed-refs", "shallow")
) | {"FETCH_HEAD", "ORIG_HEAD", "COMMIT_EDITMSG", "MERGE_MSG", "MERGE_HEAD", "gitk.cache", "gc.log"}
_GIT_RUNS = re.compile(
    rb"^\s*+(?:\[[^\]\n]*+\]\s*+)?(?:fsmonitor|hookspath|sshcommand|gitproxy|editor|pager|askpass"
    rb"|clean|smudge|process|textconv|command|cmd|helper|program|external|packobjectshook"
    rb"|templatedir|tool|driver)\s*+=(?!\s*+(?:git-lfs |(?:cache|store|manager|osxkeychain)\s*$"
    rb"|(?:true|false)\s*$))",
    re.IGNORECASE | re.MULTILINE,
)
_GIT_CONFIG = 1 << 20  # bytes of a configuration that are looked at
_DEPTH = 64
_LISTED = 10
_REPOSITORY = ("models--", "datasets--", "spaces--")


@dataclass(frozen=True, slots=True)
class File:
    """A file to scan.

    Attributes:
        name: path within the folder, with ``/``.
        path: of the file itself, links resolved.
        identity: device and inode; equal for all names of one file.
        linked: the name is that of a link.
    """

    name: str
    path: Path
    identity: tuple[int, int]
    linked: bool = False


@dataclass(slots=True)
class Walk:
    """What is found on the way through the folder."""

    root: Path
    blobs: Path | None
    follow: bool
    limit: int
    files: list[File] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    entries: int = 0

    def run(self) -> None:
        """Visit every folder once, without recursion."""
        waiting = [(self.root, "", 0)]
        visited = {_identity(self.root.stat())}
        while waiting:
            folder, prefix, depth = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    # At most what the limit permits is ever held.
                    entries = [
                        entry for entry, _ in zip(found, range(self.limit + 1), strict=False)
                    ]
            except OSError as error:
                self.say(UNREADABLE, prefix or ".", f"a folder: {error.strerror}")
                continue
            for entry in sorted(entries, key=lambda item: item.name):
                self.entries += 1
                if self.entries > self.limit:
                    self.say(STOPPED, prefix or ".", f"more than {self.limit} entries")
                    return
                name = f"{prefix}{_text(entry.name)}"
                folder_within = self._entry(entry, name)
                if folder_within is None:
                    continue
                identity = _identity(folder_within.stat())
                if identity in visited:
                    self.say(LINK, name, "a link to a folder that is scanned in its own place")
                elif depth >= _DEPTH:
                    self.say(STOPPED, name, f"folders are nested more than {_DEPTH} deep")
                else:
                    visited.add(identity)
                    waiting.append((folder_within, f"{name}/", depth + 1))

    def say(self, rule: Rule, name: str, message: str) -> None:
        """Add a finding about a name."""
        self.findings.append(replace(rule.at(None, message), path=(printable(name, 400),)))

    def _entry(self, entry: os.DirEntry[str], name: str) -> Path | None:
        """Note a file or a finding; return a folder that is to be visited."""
        path = Path(entry.path)
        try:
            if entry.is_symlink():
                return self._link(path, name)
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self.say(UNREADABLE, name, error.strerror or "cannot be looked at")
            return None
        if stat.S_ISDIR(status.st_mode):
            if entry.name == ".git":
                self._git(path, name)
                return None
            return path
        self._regular(path, name, status, linked=False)
        return None

    def _regular(self, path: Path, name: str, status: os.stat_result, *, linked: bool) -> None:
        if stat.S_ISREG(status.st_mode):
            self.files.append(File(name, path, _identity(status), linked))
        else:
            self.say(SPECIAL, name, "a pipe, socket or device; it was not opened")

    def _link(self, path: Path, name: str) -> Path | None:
        try:
            target = path.resolve(strict=True)
            status = target.stat()
        except (OSError, RuntimeError):
            self.say(UNREADABLE, name, "a link that leads nowhere")
            return None
        inside = target.is_relative_to(self.root)
        of_the_hub = self.blobs is not None and target.is_relative_to(self.blobs)
        if not inside and not of_the_hub:
            if not self.follow:
                self.say(LEAVES, name, "the link points to something outside the folder")
                return None
            self.say(LINK, name, "followed to something outside the folder, as was asked")
        if stat.S_ISDIR(status.st_mode):
            if not inside and self.follow:
                return target
            self.say(LINK, name, "a link to a folder that is scanned in its own place")
            return None
        self._regular(target, name, status, linked=True)
        return None

    def _git(self, path: Path, name: str) -> None:
        self.say(GIT, name, "git's own files; no loader reads them")
        strange, runs = _of_git(path)
        for found in strange[:_LISTED]:
            self.say(NOT_GIT, f"{name}/{_text(found)}", "git keeps nothing of this name")
        if runs is not None:
            shown = printable(runs.group().strip(), 60)
            self.say(HOOK, f"{name}/config", f"git runs what '{shown}' says")
        try:
            hooks = sorted(entry.name for entry in os.scandir(path / "hooks"))
        except OSError:
            return
        for hook in [hook for hook in hooks if not hook.endswith(".sample")][:_LISTED]:
            self.say(
                HOOK, f"{name}/hooks/{_text(hook)}", "git runs it on commit, checkout or merge"
            )


def _of_git(path: Path) -> tuple[list[str], re.Match[bytes] | None]:
    """Return what git did not write into its folder, and what its configuration makes it run."""
    strange: list[str] = []
    try:
        for entry in os.scandir(path):
            known = _GIT_FOLDERS if entry.is_dir() else _GIT_FILES
            if entry.is_symlink() or entry.name not in known:
                strange.append(entry.name)
        config = path / "config"
        if not stat.S_ISREG(config.lstat().st_mode):
            return sorted(strange), None
        with config.open("rb") as opened:
            return sorted(strange), _GIT_RUNS.search(opened.read(_GIT_CONFIG))
    except OSError:
        return sorted(strange), None


def hub_blobs(folder: Path) -> Path | None:
    """Return the blobs of the Hub repository that the folder is, or is a snapshot of."""
    for candidate in (folder, *folder.parents):
        if candidate.name.startswith(_REPOSITORY):
            blobs = candidate / "blobs"
            plain = blobs.is_dir() and not blobs.is_symlink() and (candidate / "snapshots").is_dir()
            return blobs if plain else None
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _text(name: str) -> str:
    """Return a file's name as text that can be written anywhere."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
