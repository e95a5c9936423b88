"""What is signed: every file of a model, or every range of every file, with its digest."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["sha256", "blake2b", "blake3"]

DIGEST_BYTES: dict[str, int] = {"sha256": 32, "blake2b": 64, "blake3": 32}
"""Digest lengths of the OMS algorithm registry."""

DEFAULT_SHARD_SIZE = 1_000_000_000
"""Bytes in a shard unless told otherwise (OMS v1.0, section 6.3.2)."""

MAX_SHARD_SIZE = 2**63 - 1
"""No file system holds more bytes in a file."""

_TREE_DOMAIN = b"modelsec/tree/v1\x00"


@dataclass(frozen=True, slots=True)
class Resource:
    """One file, or one range of a file, and the digest of its bytes.

    Attributes:
        name: path relative to the model's root, with ``/``; of a single file, its own name.
        digest: raw bytes of the digest.
        start: first byte of the range.
        end: the byte behind the range; None for the whole file.
    """

    name: str
    digest: bytes
    start: int = 0
    end: int | None = None

    @property
    def label(self) -> str:
        """The name as OMS writes it: ``path``, or ``path:start:end`` for a shard."""
        return self.name if self.end is None else f"{self.name}:{self.start}:{self.end}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How files become resources (the ``serialization`` of OMS v1.0, section 5.2.2).

    Attributes:
        algorithm: of every digest.
        shard_size: bytes in a shard; None hashes whole files.
        ignore_paths: relative paths that are left out, each with everything below it.
        allow_symlinks: whether links were followed.
    """

    algorithm: Algorithm = "sha256"
    shard_size: int | None = None
    ignore_paths: tuple[str, ...] = ()
    allow_symlinks: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The resources of one model, in the order in which they were listed.

    Attributes:
        resources: at least one.
        layout: how they were made.
        empty_files: names of files without bytes, where shards leave them out.
        single_file: the model is one file, not a directory.
    """

    resources: tuple[Resource, ...]
    layout: Layout = field(default_factory=Layout)
    empty_files: tuple[str, ...] = ()
    single_file: bool = False

    @property
    def root_digest(self) -> str:
        """SHA-256 over all digests in their order, as hex (OMS v1.0, section 6.5.1).

        It binds neither names nor lengths: use ``tree_digest`` to say which model this is.
        """
        return hashlib.sha256(b"".join(r.digest for r in self.resources)).hexdigest()

    @property
    def tree_digest(self) -> str:
        """SHA-256, as hex, over names, ranges, algorithm and digests in code-point order.

        Every part is prefixed with its length or has a fixed one, so that no two models read the
        same: the domain ``modelsec/tree/v1`` and a zero byte; the algorithm; the shard size (8
        bytes, 0 for whole files); for each empty file of shards 0 and its name; for each resource
        1, its name, its range (8 and 8 bytes, only of shards) and its digest. Numbers and lengths
        are big-endian.
        """
        digest = hashlib.sha256(_TREE_DOMAIN)
        digest.update(_prefixed(self.layout.algorithm.encode()))
        digest.update(_number(self.layout.shard_size or 0))
        for name in sorted(self.empty_files):
            digest.update(b"\x00" + _prefixed(name.encode()))
        for resource in sorted(self.resources, key=lambda r: (r.name, r.start)):
            digest.update(b"\x01" + _prefixed(resource.name.encode()))
            if resource.end is not None:
                digest.update(_number(resource.start) + _number(resource.end))
            digest.update(_prefixed(resource.digest))
        return digest.hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """Every file once, in code-point order."""
        return tuple(sorted({r.name for r in self.resources} | set(self.empty_files)))


def ordered(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return resources as OMS lists them: by code points of their labels."""
    return tuple(sorted(resources, key=lambda resource: resource.label))


def _prefixed(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")
