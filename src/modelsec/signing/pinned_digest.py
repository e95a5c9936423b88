"""Trust in one digest: whoever wrote it down vouches for the model, and nobody signs."""

import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from modelsec.errors import ConfigurationError, DigestMismatchError, shown, shown_path
from modelsec.signing.claim import Claim, Signatures
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import (
    DIGEST_BYTES,
    MAX_SHARD_SIZE,
    Algorithm,
    Layout,
    Manifest,
    Resource,
)
from modelsec.signing.moments import utc
from modelsec.signing.profile import STRICT, Profile
from modelsec.signing.trees.tree import Tree, open_tree
from modelsec.signing.trust import Signatory

_HEX = re.compile(r"[0-9a-fA-F]+")
_TREE_DIGITS = 64
_UNCHECKED = "nobody signed: the digest was given by the caller"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PinnedDigest:
    """An ``Authenticator`` for a model whose digest is known from elsewhere.

    Args:
        expected: lowercase or uppercase hex. Of a file, the plain digest of its content, as
            ``sha256sum`` prints it; of a directory, the tree digest (``Manifest.tree_digest``),
            which always has 64 digits.
        algorithm: by which contents are hashed: ``sha256``, ``blake2b`` or ``blake3`` (extra).
        shard_size: bytes, if the tree digest is over ranges of files; None: over whole files. Of a
            file in shards, the digest is its tree digest, too.
        profile: which trees are accepted.
        clock: tells the time (aware) for receipts.

    Raises:
        ConfigurationError: it cannot be a digest of this algorithm.
    """

    def __init__(
        self,
        expected: str,
        *,
        algorithm: Algorithm = "sha256",
        shard_size: int | None = None,
        profile: Profile = STRICT,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        if algorithm not in get_args(Algorithm):
            known = ", ".join(get_args(Algorithm))
            raise ConfigurationError(f"the algorithm is one of {known}, not {shown(algorithm)}")
        digits = {_TREE_DIGITS, 2 * DIGEST_BYTES[algorithm]}
        if (
            not isinstance(expected, str)
            or not _HEX.fullmatch(expected)
            or len(expected) not in digits
        ):
            lengths = " or ".join(map(str, sorted(digits)))
            raise ConfigurationError(
                f"the digest must be {lengths} hex digits, not {shown(expected)}"
            )
        if not isinstance(profile, Profile):
            raise ConfigurationError(f"{shown(profile)} is not a Profile: give STRICT or OMS")
        self._expected = expected.lower()
        if shard_size is not None and (
            type(shard_size) is not int or not 0 < shard_size <= MAX_SHARD_SIZE
        ):
            raise ConfigurationError(
                f"shard_size is a number of bytes from 1 to 2^63 - 1, not {shown(shard_size)}"
            )
        self._layout = Layout(algorithm, shard_size)
        self._profile = profile
        self._clock = clock

    def authenticate(self, path: str | Path, signature: Signatures = None) -> Claim:
        """Return the claim that the model has the pinned digest.

        A file is not read: its one digest is the pinned one. A directory, or a file in shards, is
        hashed here, to learn what its files have to be, and each is compared again when loaded.

        Raises:
            DigestMismatchError: the tree digest is another.
            UnsafeTreeError: the tree holds what no digest can cover.
            ConfigurationError: the model cannot be opened, the digest is not of the length that it
                must have, or a signature was given, which nobody would verify.
        """
        if signature is not None:
            raise ConfigurationError(
                "a pinned digest verifies no signature: leave it out, or use a Verifier"
            )
        now = utc(self._clock(), "the verification time")
        with open_tree(path, profile=self._profile) as tree:
            whole = tree.single_file and self._layout.shard_size is None
            manifest = self._file(tree) if whole else self._surveyed(tree)
        return Claim(
            path=Path(path),
            manifest=manifest,
            signatories=(
                Signatory(method="digest", key_id=self._expected, algorithm=self._layout.algorithm),
            ),
            bundles=(),
            profile=self._profile,
            now=now,
            unchecked=(_UNCHECKED,),
        )

    def _file(self, tree: Tree) -> Manifest:
        algorithm = self._layout.algorithm
        self._check_length(2 * DIGEST_BYTES[algorithm], f"a file's {algorithm}")
        resource = Resource(tree.entries[0].name, bytes.fromhex(self._expected))
        return Manifest((resource,), self._layout, single_file=True)

    def _surveyed(self, tree: Tree) -> Manifest:
        self._check_length(_TREE_DIGITS, "a tree digest")
        manifest = survey(tree, self._layout).manifest
        if not hmac.compare_digest(manifest.tree_digest, self._expected):
            raise DigestMismatchError(
                f"{shown_path(tree.path)} has the tree digest {manifest.tree_digest} over "
                f"{self._over()}, not the pinned {self._expected}: it is another model, it was "
                "changed, or the pinned digest is over another layout"
            )
        return manifest

    def _over(self) -> str:
        size = self._layout.shard_size
        parts = "whole files" if size is None else f"shards of {size:,} bytes"
        return f"{self._layout.algorithm} digests of {parts}"

    def _check_length(self, digits: int, what: str) -> None:
        if len(self._expected) != digits:
            raise ConfigurationError(
                f"{what} has {digits} hex digits, the pinned one {len(self._expected)}"
            )
