"""Which digests each file of a claim has to have, and whether bytes in memory have them."""

import hmac
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError
from modelsec.provenance.conversion.transfer import CHUNK
from modelsec.signing.claim import Claim
from modelsec.signing.differences import mismatch
from modelsec.signing.hashing.digests import new_hasher
from modelsec.signing.manifest import Algorithm, Manifest, Resource
from modelsec.signing.trees.tree import FileEntry, Tree

Fill = Callable[[memoryview], None]
"""Read the next bytes of a file into a piece of memory, all of it."""

Advance = Callable[[int], None]
"""Told the number of bytes that were hashed since it was last told."""

_LARGE = 1 << 26  # bytes; holes in smaller files do no harm


@dataclass(frozen=True, slots=True)
class SignedFile:
    """What one file has to be.

    Attributes:
        name: as signed.
        algorithm: of the digests.
        ranges: one for the whole file, or several in order of their start; none if it is empty.
    """

    name: str
    algorithm: Algorithm
    ranges: tuple[Resource, ...]

    def fits(self, size: int) -> bool:
        """Return whether the ranges cover a file of this size: every byte, each of them once."""
        if len(self.ranges) == 1 and self.ranges[0].end is None:
            return self.ranges[0].start == 0
        position = 0
        for resource in self.ranges:
            if resource.start != position or resource.end is None or resource.end < position:
                return False
            position = resource.end
        return position == size

    def matches(self, memory: memoryview, advance: Advance, fill: Fill | None = None) -> bool:
        """Return whether bytes have the digests that were signed.

        Args:
            memory: of the whole file.
            advance: told how many bytes were hashed; may raise, to cancel.
            fill: reads each chunk just before it is hashed, while it stays in the processor's
                cache; None if the bytes are there already.
        """
        return self._compare(len(memory), lambda at, end: memory[at:end], advance, fill)

    def matches_stream(self, size: int, advance: Advance, fill: Fill) -> bool:
        """Return whether a file has the digests that were signed; see ``matches``. Keep nothing."""
        with memoryview(bytearray(min(size, CHUNK))) as scratch:
            return self._compare(size, lambda at, end: scratch[: end - at], advance, fill)

    def _compare(
        self,
        size: int,
        piece_of: Callable[[int, int], memoryview],
        advance: Advance,
        fill: Fill | None,
    ) -> bool:
        if not self.fits(size):
            return False
        for resource in self.ranges:
            hasher = new_hasher(self.algorithm)
            end = size if resource.end is None else resource.end
            for start in range(resource.start, end, CHUNK):
                with piece_of(start, min(start + CHUNK, end)) as piece:
                    if fill is not None:
                        fill(piece)
                    hasher.update(piece)
                    advance(len(piece))
            if not hmac.compare_digest(hasher.digest(), resource.digest):
                return False
        return True


def signed_files(manifest: Manifest) -> dict[str, SignedFile]:
    """Return what each file has to be, by name."""
    ranges: dict[str, list[Resource]] = {name: [] for name in manifest.empty_files}
    for resource in manifest.resources:
        ranges.setdefault(resource.name, []).append(resource)
    return {
        name: SignedFile(
            name, manifest.layout.algorithm, tuple(sorted(found, key=lambda each: each.start))
        )
        for name, found in ranges.items()
    }


def in_order(descriptor: int) -> Fill:
    """Return what reads an open file from its start; it raises MalformedArtifactError at its end.

    Reading in order works everywhere; not every system can read at an offset.
    """
    file = io.FileIO(descriptor, "rb", closefd=False)

    def fill(piece: memoryview) -> None:
        done = 0
        while done < len(piece):
            with piece[done:] as rest:
                count = file.readinto(rest)
            if not count:
                raise MalformedArtifactError("the file was cut while it was read")
            done += count

    return fill


def is_hollow(file: SignedFile, descriptor: int, size: int, advance: Advance) -> bool:
    """Return whether a file is all size and no content: it has holes, and is not what was signed.

    To say so takes no memory but one chunk. A file without holes fills as much of a disk as it
    would of memory; it is not read here. The position is the start afterwards.
    """
    if not _has_holes(descriptor, size):
        return False
    try:
        return not file.matches_stream(size, advance, in_order(descriptor))
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


def _has_holes(descriptor: int, size: int) -> bool:
    """``SEEK_HOLE`` of POSIX.1-2024; where a system does not know, there are no holes."""
    if size < _LARGE or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < size
    except OSError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


@dataclass(frozen=True, slots=True)
class Match:
    """A tree that holds the files that were signed; none of them was read.

    Attributes:
        entries: the signed files, by name.
        unsigned: names that exist and that nobody signed, where that is permitted.
    """

    entries: dict[str, FileEntry]
    unsigned: tuple[str, ...]


def match_names(
    claim: Claim, signed: dict[str, SignedFile], tree: Tree, *, ignore_unsigned: bool
) -> Match:
    """Compare names, and the sizes that are signed, before anything is read.

    Raises:
        DigestMismatchError: files are missing, added, or cannot have the signed digests.
    """
    found = {entry.name: entry for entry in tree.entries}
    unsigned = tuple(name for name in found if name not in signed)
    added: Iterable[str] = () if ignore_unsigned else unsigned
    if claim.manifest.layout.shard_size and claim.profile.excluded_files:
        # OMS leaves files without bytes out of shards: by its text nobody can sign them there.
        added = tuple(name for name in added if found[name].size)
    missing = signed.keys() - found.keys()
    changed = [
        name for name, file in signed.items() if name in found and not file.fits(found[name].size)
    ]
    if added or missing or changed:
        raise mismatch(claim.path, added=added, missing=missing, changed=changed)
    return Match({name: found[name] for name in sorted(signed)}, unsigned)
