"""Trust in one digest: whoever wrote it down vouches for the model, and nobody signs."""

import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from modelsec.errors import ConfigurationError, DigestMismatchError, shown
from modelsec.signing.claim import Claim
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import DIGEST_BYTES, Algorithm, Layout, Manifest, Resource
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
        self._algorithm = algorithm
        self._profile = profile
        self._clock = clock

    def authenticate(self, path: str | Path, signature: str | Path | None = None) -> Claim:
        """Return the claim that the model has the pinned digest.

        A file is not read: its one digest is the pinned one. A directory is hashed here, to learn
        what its files have to be, and each file is compared again when it is loaded.

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
        now = self._clock()
        if now.tzinfo is None:
            raise ConfigurationError("the verification time needs a time zone, e.g. datetime.UTC")
        with open_tree(path, profile=self._profile) as tree:
            manifest = self._file(tree) if tree.single_file else self._directory(tree)
        return Claim(
            path=Path(path),
            manifest=manifest,
            signatories=(
                Signatory(method="digest", key_id=self._expected, algorithm=self._algorithm),
            ),
            bundles=(),
            profile=self._profile,
            now=now,
            unchecked=(_UNCHECKED,),
        )

    def _file(self, tree: Tree) -> Manifest:
        self._check_length(2 * DIGEST_BYTES[self._algorithm], f"a file's {self._algorithm}")
        resource = Resource(tree.entries[0].name, bytes.fromhex(self._expected))
        return Manifest((resource,), Layout(self._algorithm), single_file=True)

    def _directory(self, tree: Tree) -> Manifest:
        self._check_length(_TREE_DIGITS, "a directory's tree digest")
        manifest = survey(tree, Layout(self._algorithm)).manifest
        if not hmac.compare_digest(manifest.tree_digest, self._expected):
            raise DigestMismatchError(
                f"{shown(str(tree.path))} has the tree digest {manifest.tree_digest}, not the "
                f"pinned {self._expected}: it is another model, or was changed"
            )
        return manifest

    def _check_length(self, digits: int, what: str) -> None:
        if len(self._expected) != digits:
            raise ConfigurationError(
                f"{what} has {digits} hex digits, the pinned one {len(self._expected)}"
            )
