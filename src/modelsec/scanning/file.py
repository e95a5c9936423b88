"""The front door: scan a file, bytes, or a folder."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from modelsec.errors import (
    ConfigurationError,
    MalformedArtifactError,
    UnsafeArtifactError,
    printable,
    shown,
)
from modelsec.files import regular_file
from modelsec.scanning.engine import MALFORMED, Outcome, examine
from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
from modelsec.scanning.limits import MIB, Budget, Limits
from modelsec.scanning.part import Part, Siblings
from modelsec.scanning.policy import Policy, default_policy
from modelsec.scanning.recognise import ENDINGS
from modelsec.scanning.report import ScanReport
from modelsec.scanning.source import BytesSource, DescriptorSource, SeekableSource, Source

DIGEST_LIMIT = 64 * MIB
"""Larger files are hashed only on request: reading a checkpoint whole is what a scan avoids."""

ENDING = Rule(
    "MS-FMT-003",
    "the content is not what the name says",
    Verdict.DATA_ONLY,
    remedy="a loader that goes by the name would read this file differently",
)
CHANGED = Rule(
    "MS-FMT-004",
    "the file changed during the scan",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="time of check to time of use",
    remedy="scan a private copy, and load that copy",
)


def scan(  # noqa: PLR0913 - the front door's options, all by keyword
    what: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    name: str | None = None,
    siblings: Siblings | None = None,
    digest: bool | None = None,
    clock: Callable[[], float] = time.thread_time,
) -> ScanReport:
    """Say what a model file can do when it is loaded, without loading it.

    Args:
        what: a path, a URL (``https://``, ``hf://``, ``s3://`` ...; only as ``str``), the content,
            or a seekable binary file object. Of a URL only the ranges that matter are fetched;
            memory is copied unless it is read-only.
        policy: what is permitted; default: all shipped layers.
        limits: what the scan may cost.
        name: for the report, if ``what`` is not a path.
        siblings: the files beside it; default: those of its folder.
        digest: compute the SHA-256 of the content; None: only up to 64 MiB, and not of a URL.
        clock: CPU seconds, for the limit of time.

    Returns:
        The report. A file that is hostile, broken or unsupported is a result, not an exception.

    Raises:
        ConfigurationError: ``what`` cannot be opened, is a folder or is not a regular file.
    """
    with open_source(what) as opened:
        source = opened.source
        label = name or opened.label
        part = Part(
            source=source,
            name=Path(label).name,
            policy=policy or default_policy(),
            budget=Budget(limits or Limits(), clock),
            siblings=siblings or (FolderSiblings(opened.folder) if opened.folder else None),
        )
        outcome = examine(part)
        found = " + ".join(dict.fromkeys(outcome.formats))
        limit = part.budget.limits.findings
        for finding in _about_name(part.name, outcome.formats):
            outcome.add(finding, limit)
        sha256 = None
        if digest or (digest is None and source.size <= opened.digest_limit):
            try:
                sha256 = _digest(source)
            except MalformedArtifactError as error:
                outcome.add(MALFORMED.at(None, str(error)), limit)
        for finding in opened.afterwards():
            outcome.add(finding, limit)
        return _report(label, part, sha256, found, outcome)


def _report(name: str, part: Part, sha256: str | None, found: str, outcome: Outcome) -> ScanReport:
    worst_first = sorted(
        outcome.findings, key=lambda f: (-f.verdict.rank, not f.incomplete, f.path, f.offset or 0)
    )
    return ScanReport(
        name=name,
        size=part.source.size,
        sha256=sha256,
        format=found,
        verdict=outcome.verdict,
        coverage=Coverage.INCOMPLETE if outcome.incomplete else Coverage.COMPLETE,
        findings=tuple(worst_first),
        unlisted=outcome.unlisted,
        permitted=tuple(outcome.permitted),
        policy=part.policy.layers,
        policy_digest=part.policy.digest,
    )


def _about_name(name: str, formats: list[str]) -> Iterator[Finding]:
    ending = Path(name).suffix.lower()
    promised = ENDINGS.get(ending)
    if promised is not None and not any(format_ in promised for format_ in formats):
        message = f"a name in {ending} promises {promised[0]}, the content is {' + '.join(formats)}"
        yield ENDING.at(None, message)


def _digest(source: Source) -> str:
    digest = hashlib.sha256()
    for offset in range(0, source.size, MIB):
        digest.update(source.read(offset, min(MIB, source.size - offset)))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open file: its bytes, its name, and what is known of it only after the scan."""

    source: Source
    label: str
    folder: Path | None = None
    afterwards: Callable[[], Iterable[Finding]] = tuple
    digest_limit: int = DIGEST_LIMIT


@contextmanager
def open_source(what: object) -> Iterator[_Opened]:
    """Open once; everything that is said is about this descriptor."""
    if isinstance(what, memoryview) and what.readonly and what.c_contiguous and what.nbytes:
        # Not copied. Writable memory is: it could change while it is scanned.
        with what.cast("B") as view:
            yield _Opened(BytesSource(view), "bytes")
    elif isinstance(what, bytes | bytearray | memoryview):
        yield _Opened(BytesSource(bytes(what)), "bytes")
    elif isinstance(what, str) and "://" in what:
        from modelsec.scanning import remote  # noqa: PLC0415 - an HTTP client, for URLs only

        with remote.opened(what) as far:
            yield _Opened(far.source, far.label, None, far.afterwards, digest_limit=0)
    elif isinstance(what, str | os.PathLike):
        path = Path(what)
        with regular_file(path) as descriptor:
            before = os.fstat(descriptor)

            def changes() -> Iterator[Finding]:
                after = os.fstat(descriptor)
                if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                    yield CHANGED.at(None, "its size or time of change is not what it was")

            yield _Opened(DescriptorSource(descriptor), str(path), path.parent, changes)
    elif callable(getattr(what, "read", None)) and callable(getattr(what, "seek", None)):
        file = cast("BinaryIO", what)
        try:
            if not isinstance(file.read(0), bytes):
                raise ConfigurationError("the file object is in text mode: open it with 'rb'")
            source = SeekableSource(file)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"the file object cannot seek: {error}") from error
        yield _Opened(source, str(getattr(what, "name", "") or "bytes"))
    else:
        raise ConfigurationError(
            f"scan() takes a path, bytes or a seekable binary file, not {shown(what)}"
        )


class FolderSiblings:
    """Files beside the one that is scanned; links and ways out are refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> Source | None:
        """Return the sibling's content, or None if there is none.

        Raises:
            UnsafeArtifactError: the name is not a plain relative one, or is or passes a link.
        """
        pieces = name.replace("\\", "/").split("/")
        if (
            not name
            or name.startswith(("/", "\\"))
            or ".." in pieces
            or ":" in name
            or "\0" in name
        ):
            raise UnsafeArtifactError(f"the name leaves the folder: {printable(name)}")
        path = self._folder
        for piece in pieces:
            path = path / piece
            if path.is_symlink():
                raise UnsafeArtifactError(f"the name passes a link: {printable(name)}")
        if not path.is_file():
            return None
        return FileSource(path)


class FileSource:
    """A file by path, opened for each read: siblings are many and rarely read."""

    __slots__ = ("_path", "_size")
    far = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size

    @property
    def size(self) -> int:
        """Number of bytes when the source was made."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        with regular_file(self._path) as descriptor:
            return DescriptorSource(descriptor).read(offset, length)
