"""Survey a tree: the digest of every file, or of every range of every file, as a manifest.

What is hashed is what was listed: each file is compared with the listing when it is opened and
again when it was read, and at the end the whole tree is listed once more (OMS v1.0, section 6.3).
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    UnsafeTreeError,
    UnsupportedBundleError,
    shown,
)
from modelsec.signing.hashing.digests import BUFFER_BYTES, check_end, hash_descriptor, new_hasher
from modelsec.signing.manifest import MAX_SHARD_SIZE, Layout, Manifest, Resource, ordered
from modelsec.signing.trees.tree import FileEntry, Tree

if TYPE_CHECKING:
    from modelsec.signing.hashing.digest_cache import DigestCache

MAX_RANGES = 1_000_000
"""Ranges of one model: the size of shards can be a bundle's choice, so it can be hostile."""

_MAX_WORKERS = 64
_SERIAL_BYTES = 4_194_304
_STEP_BYTES = 1_048_576
_STEPS = 256


@dataclass(frozen=True, slots=True)
class Survey:
    """What a tree holds.

    Attributes:
        manifest: its resources, as OMS orders them.
        cached: files of which no byte was read: their digests came from the cache.
    """

    manifest: Manifest
    cached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes to hash: a file, or a part of one."""

    entry: FileEntry
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


def survey(  # noqa: PLR0913 - what to hash, and options by keyword
    tree: Tree,
    layout: Layout,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    cache: "DigestCache | None" = None,
    only: Collection[str] | None = None,
) -> Survey:
    """Hash the files of a tree.

    Args:
        tree: open.
        layout: algorithm, and whether files are cut into shards.
        on_progress: called in this thread with the bytes that are done and the bytes in all, now
            and then and at the end. An exception from it ends the survey.
        workers: threads; None: one for each core that this process may use.
        cache: digests of files that did not change since they were hashed, see ``DigestCache``.
        only: names of the files to hash; the others may be anything.

    Raises:
        DigestMismatchError: the tree changed meanwhile, or a name of ``only`` is missing.
        UnsafeTreeError: a file cannot be read, or shards leave nothing to sign.
        UnsupportedBundleError: the shards are so small that there are too many of them.
        ConfigurationError: an argument is wrong, or BLAKE3 is not installed.
    """
    if not isinstance(layout, Layout):
        raise ConfigurationError(f"layout is a Layout, not {shown(layout)}")
    if on_progress is not None and not callable(on_progress):
        raise ConfigurationError(f"on_progress must be a function, not {shown(on_progress)}")
    new_hasher(layout.algorithm)
    threads = _threads(workers)
    entries = _wanted(tree, only)
    ranges = _ranges(entries, layout)
    if not ranges and only is None:
        raise UnsafeTreeError("all files are empty, and shards leave empty files out: sign files")
    known = {} if cache is None else _known(cache, tree, ranges, layout.algorithm)
    unknown = [part for part in ranges if part not in known]
    started = None if cache is None else cache.now()
    progress = _Progress(on_progress, ranges, unknown)
    found = _hash(tree, layout.algorithm, unknown, threads, progress.advance)
    progress.finish()
    if only is None:
        tree.recheck()
    else:
        for entry in entries:
            os.close(tree.open(entry))
    if cache is not None and started is not None and found:
        for part, digest in found.items():
            cache.put(part.entry.identity, layout.algorithm, part.start, part.end, digest, started)
        cache.save()
    return _result(tree, layout, entries, known, found)


def _threads(workers: object) -> int:
    if workers is None:
        return min(_usable_cores(), _MAX_WORKERS)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigurationError(f"workers is a positive integer, not {shown(workers)}")
    return min(workers, _MAX_WORKERS)


def _usable_cores() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _wanted(tree: Tree, only: Collection[str] | None) -> tuple[FileEntry, ...]:
    if only is None:
        return tree.entries
    if isinstance(only, str | bytes) or not isinstance(only, Collection) or not only:
        raise ConfigurationError(f"only names at least one file, in a list, not {shown(only)}")
    if not all(isinstance(name, str) for name in only):
        raise ConfigurationError("only names files: a list of str")
    wanted = frozenset(only)
    missing = wanted.difference(entry.name for entry in tree.entries)
    if missing:
        names = tuple(sorted(missing))
        raise DigestMismatchError(f"the model has no file {shown(names[0])}", missing=names)
    return tuple(entry for entry in tree.entries if entry.name in wanted)


def _ranges(entries: Sequence[FileEntry], layout: Layout) -> list[Range]:
    size = layout.shard_size
    if size is None:
        return [Range(entry, 0, entry.size) for entry in entries]
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_SHARD_SIZE:
        raise ConfigurationError(
            f"shard_size is a number of bytes from 1 to 2^63 - 1, not {shown(size)}"
        )
    count = sum(-(-entry.size // size) for entry in entries)
    if count > MAX_RANGES:
        raise UnsupportedBundleError(
            f"shards of {size:,} bytes make {count:,} ranges of this model, more than "
            f"{MAX_RANGES:,}: sign it with larger shards"
        )
    return [
        Range(entry, start, min(start + size, entry.size))
        for entry in entries
        for start in range(0, entry.size, size)
    ]


def _known(
    cache: "DigestCache", tree: Tree, ranges: Sequence[Range], algorithm: str
) -> dict[Range, bytes]:
    cache.refuse_inside(tree.path)
    found = (
        (part, cache.get(part.entry.identity, algorithm, part.start, part.end)) for part in ranges
    )
    return {part: digest for part, digest in found if digest is not None}


def _hash(
    tree: Tree,
    algorithm: str,
    ranges: Sequence[Range],
    threads: int,
    advance: Callable[[int], None],
) -> dict[Range, bytes]:
    def work(part: Range, buffer: bytearray, tell: Callable[[int], None]) -> bytes:
        return hash_range(tree, part, algorithm, buffer, tell)

    # The largest first: no thread begins with it when the others are done.
    jobs = sorted(ranges, key=lambda part: -part.size)
    threads = min(threads, len(jobs))
    if threads <= 1 or sum(part.size for part in jobs) < _SERIAL_BYTES:
        buffer = bytearray(BUFFER_BYTES)
        return {part: work(part, buffer, advance) for part in jobs}
    from modelsec.signing.hashing.parallel import run  # noqa: PLC0415 - a small model starts at once

    return dict(zip(jobs, run(jobs, work, threads=threads, advance=advance), strict=True))


def hash_range(
    tree: Tree,
    part: Range,
    algorithm: str,
    buffer: bytearray,
    advance: Callable[[int], None],
) -> bytes:
    """Return the digest of a range of a file that is, before and after, the one that was listed.

    Raises:
        DigestMismatchError: the file changed.
        UnsafeTreeError: it cannot be read.
    """
    name = part.entry.name
    descriptor = tree.open(part.entry)
    try:
        digest = hash_descriptor(
            descriptor, part.start, part.end, new_hasher(algorithm), buffer, advance
        )
        if part.end == part.entry.size:
            check_end(descriptor, part.end)
        tree.unchanged(part.entry, descriptor)
    except DigestMismatchError as error:
        if error.changed:
            raise
        raise DigestMismatchError(f"{shown(name)}: {error}", changed=(name,)) from error
    except UnsafeTreeError as error:
        raise UnsafeTreeError(f"{shown(name)}: {error}") from error
    finally:
        os.close(descriptor)
    return digest


def _result(
    tree: Tree,
    layout: Layout,
    entries: Sequence[FileEntry],
    known: dict[Range, bytes],
    found: dict[Range, bytes],
) -> Survey:
    sharded = layout.shard_size is not None
    read = {part.entry.name for part in found}
    return Survey(
        Manifest(
            resources=ordered(
                Resource(part.entry.name, digest, part.start, part.end if sharded else None)
                for part, digest in (known | found).items()
            ),
            layout=layout,
            empty_files=tuple(e.name for e in entries if sharded and not e.size),
            single_file=tree.single_file,
        ),
        cached=tuple(sorted({part.entry.name for part in known} - read)),
    )


class _Progress:
    """Adds up what is done, and tells it a few hundred times at most."""

    def __init__(
        self,
        on_progress: Callable[[int, int], None] | None,
        ranges: Sequence[Range],
        unknown: Sequence[Range],
    ) -> None:
        self._tell = on_progress
        self._total = sum(part.size for part in ranges)
        self._done = self._total - sum(part.size for part in unknown)
        self._step = max(_STEP_BYTES, self._total // _STEPS)
        self._told = -1 if self._done == self._total else self._done

    def advance(self, count: int) -> None:
        self._done += count
        if self._done - self._told >= self._step:
            self._report()

    def finish(self) -> None:
        if self._told != self._done:
            self._report()

    def _report(self) -> None:
        self._told = self._done
        if self._tell is not None:
            self._tell(self._done, self._total)
