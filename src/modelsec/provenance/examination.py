"""Look at a model once: the digest, and what a scan says about the very bytes that have it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self, cast

from modelsec.errors import (
    ArtifactError,
    ConfigurationError,
    DigestMismatchError,
    UnsafeArtifactError,
    shown,
)
from modelsec.files import as_path, regular_file
from modelsec.provenance.hashed_file import HashedFile
from modelsec.provenance.integrity import Kind, is_folder
from modelsec.provenance.left_out import LeftOut, left_out
from modelsec.scanning import Limits, Policy, ScanReport, TreeReport, scan, scan_tree
from modelsec.scanning.source import SeekableSource, Source
from modelsec.scanning.walk import STOPPED
from modelsec.signing.manifest import Manifest, Resource, ordered
from modelsec.signing.profile import STRICT
from modelsec.signing.trees.folders import Identity, identity_of
from modelsec.signing.trees.tree import FileEntry, Tree, open_tree

Advance = Callable[[int], None] | None


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about a model by reading it.

    Attributes:
        name: of the file or folder, without where it lies.
        kind: ``file`` or ``tree``.
        digest: hex; SHA-256 of a file's bytes, or the tree digest of a folder.
        manifest: every file with its SHA-256.
        report: of the scan of exactly these bytes; None if none was asked for.
        left_out: signature bundles inside the folder, which are no part of the model.
    """

    name: str
    kind: Kind
    digest: str
    manifest: Manifest
    report: ScanReport | TreeReport | None
    left_out: tuple[LeftOut, ...] = ()


def examine_model(  # noqa: PLR0913 - options by keyword, each with a default
    path: str | os.PathLike[str],
    *,
    scanned: bool = True,
    bundles: Sequence[str | os.PathLike[str]] = (),
    policy: Policy | None = None,
    limits: Limits | None = None,
    advance: Advance = None,
) -> Examination:
    """Hash a model, and scan the bytes that were hashed.

    A file is opened once. The scan gets no byte that is not the one that was hashed, whatever is
    written to the file meanwhile. Of a folder, the findings about the folder itself (code beside
    weights, missing shards) come from a walk of its own, by name. It counts only if that walk met
    the same names with the same digests.

    Args:
        path: a file, or a folder, which must hold nothing but plain files and folders.
        scanned: scan it too.
        bundles: signature bundles that lie inside the folder and are no part of the model. Each
            must be one: whatever else is left out could be loaded, unseen.
        policy: what model files may do; default: all shipped layers.
        limits: what the scan of one file may cost.
        advance: told the bytes of each block that was hashed.

    Raises:
        ConfigurationError: it cannot be opened, or an argument is wrong.
        BundleFormatError: a file among ``bundles`` is no signature bundle.
        DigestMismatchError: it changed meanwhile.
        UnsafeTreeError: the folder holds what no digest can cover.
    """
    where = as_path(path, "model")
    if not isinstance(bundles, list | tuple):
        raise ConfigurationError(f"bundles is a list of paths, not {shown(bundles)}")
    if not isinstance(policy, Policy | None) or not isinstance(limits, Limits | None):
        raise ConfigurationError("policy is a Policy, and limits are Limits, or None")
    if advance is not None and not callable(advance):
        raise ConfigurationError(f"advance is a function, not {shown(advance)}")
    beside = tuple(as_path(bundle, "signature") for bundle in bundles)
    look = _Look(scanned, beside, policy, limits, advance)
    name = where.name or where.resolve().name
    return look.folder(where, name) if is_folder(where) else look.file(where, name)


@dataclass(frozen=True, slots=True)
class _Look:
    scanned: bool
    bundles: tuple[Path, ...]
    policy: Policy | None
    limits: Limits | None
    advance: Advance

    def file(self, path: Path, name: str) -> Examination:
        with regular_file(path) as descriptor:
            before = identity_of(os.fstat(descriptor))
            with _hashed(descriptor, name, self.advance) as file:
                # Without siblings: what lies beside the file is not covered by its digest.
                report = self._scan(file, name, None) if self.scanned else None
                _unchanged(file, descriptor, before, name)
            digest = bytes.fromhex(file.sha256)
        manifest = Manifest((Resource(name, digest),), single_file=True)
        return Examination(name, "file", digest.hex(), manifest, report)

    def folder(self, path: Path, name: str) -> Examination:
        resources: list[Resource] = []
        reports: list[ScanReport] = []
        read_beside: dict[str, str] = {}
        excluded = left_out(path, self.bundles)
        with open_tree(path, profile=STRICT, bundles=self.bundles) as tree:
            entries = {entry.name: entry for entry in tree.entries}
            for entry in tree.entries:
                with _entry(tree, entry, self.advance) as file:
                    resources.append(Resource(entry.name, bytes.fromhex(file.sha256)))
                    if self.scanned:
                        with _Siblings(tree, entries, entry.name, read_beside) as siblings:
                            reports.append(self._scan(file, entry.name, siblings))
            # With digests: what was walked by name must be what was opened.
            about = (
                scan_tree(path, policy=self.policy, limits=self.limits, digest=True)
                if self.scanned
                else None
            )
            tree.recheck()
        if left_out(path, self.bundles) != excluded:
            raise _changed(name)
        manifest = Manifest(ordered(resources))
        for resource in resources:
            if read_beside.get(resource.name, resource.digest.hex()) != resource.digest.hex():
                raise _changed(resource.name)
        report = None
        if about is not None:
            _check_walk(about, reports, resources, excluded)
            report = TreeReport(name, tuple(reports), about.findings)
        return Examination(name, "tree", manifest.tree_digest, manifest, report, excluded)

    def _scan(self, file: HashedFile, name: str, siblings: "_Siblings | None") -> ScanReport:
        report = scan(
            cast("BinaryIO", file),
            policy=self.policy,
            limits=self.limits,
            name=name,
            siblings=siblings,
            digest=False,
        )
        beside = None if siblings is None else siblings.changed
        if file.changed or beside:
            raise _changed(beside or name)
        return report


def _check_walk(
    about: TreeReport,
    reports: list[ScanReport],
    resources: list[Resource],
    excluded: tuple[LeftOut, ...],
) -> None:
    """Refuse the findings of a walk that met other files than those that were hashed."""
    # Reports show names in a printable form; ours and those of the walk have the same.
    own = {
        report.name: resource.digest.hex()
        for report, resource in zip(reports, resources, strict=True)
    }
    beside = {one.name: one.sha256 for one in excluded}
    met = {report.name: report.sha256 for report in about.files}
    stopped = any(finding.id == STOPPED.id for finding in about.findings)
    for name in own.keys() - met.keys():
        # What the limits leave out is a finding, and not safe. What is git's the walk only notes.
        if not stopped and ".git" not in PurePosixPath(name).parts:
            raise _changed(name)
    for name, digest in met.items():
        if (own | beside).get(name) != digest:
            raise _changed(name)


class _Siblings:
    """The other files of the tree, as they are when they are hashed."""

    def __init__(
        self, tree: Tree, entries: dict[str, FileEntry], name: str, digests: dict[str, str]
    ) -> None:
        self._tree = tree
        self._entries = entries
        self._digests = digests
        self._files: dict[str, HashedFile] = {}
        self._conflict: str | None = None
        self._folder = PurePosixPath(name).parent
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(self, name: str) -> Source | None:
        """Return the file of this plain relative name, or None if there is none."""
        pieces = name.split("/")
        if not all(pieces) or ".." in pieces or "\\" in name or "\0" in name:
            raise UnsafeArtifactError(f"the name leaves the folder: {shown(name)}")
        entry = self._entries.get(str(self._folder / name))
        if entry is None:
            return None
        if entry.name not in self._files:
            file = self._open.enter_context(_entry(self._tree, entry, None))
            self._files[entry.name] = file
            if self._digests.setdefault(entry.name, file.sha256) != file.sha256:
                self._conflict = entry.name
        return SeekableSource(cast("BinaryIO", self._files[entry.name]))

    @property
    def changed(self) -> str | None:
        """A file that is not what it was when it was hashed, here or for another scan."""
        later = (name for name, file in self._files.items() if file.changed)
        return self._conflict or next(later, None)


@contextmanager
def _entry(tree: Tree, entry: FileEntry, advance: Advance) -> Iterator[HashedFile]:
    descriptor = tree.open(entry)
    try:
        with _hashed(descriptor, entry.name, advance) as file:
            yield file
            tree.unchanged(entry, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _hashed(descriptor: int, name: str, advance: Advance) -> Iterator[HashedFile]:
    try:
        file = HashedFile(descriptor, advance=advance)
    except ArtifactError as error:
        raise ConfigurationError(f"cannot read {shown(name)}: {error}") from error
    with file:
        yield file


def _unchanged(file: HashedFile, descriptor: int, before: Identity, name: str) -> None:
    if file.changed or identity_of(os.fstat(descriptor)) != before:
        raise _changed(name)


def _changed(name: str) -> DigestMismatchError:
    return DigestMismatchError(
        f"{shown(name)} changed while it was examined: nothing is said about it", changed=(name,)
    )
