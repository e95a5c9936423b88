"""Verify a model: who signed it, whether that is trusted, and whether every byte is the signed one.

The order is that of OMS v1.0, section 8, with two rules on top: the signature is verified before
the payload is interpreted, and all names are checked before any file is touched.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, shown
from modelsec.signing.authentication import Authentication
from modelsec.signing.claim import Claim, Signatures
from modelsec.signing.differences import changed_files, mismatch, signed_sizes
from modelsec.signing.hashing.survey import survey
from modelsec.signing.profile import STRICT, Profile
from modelsec.signing.receipt import Verification
from modelsec.signing.trees.tree import Tree, open_tree
from modelsec.signing.trust import Trust

if TYPE_CHECKING:
    from modelsec.signing.hashing.digest_cache import DigestCache
    from modelsec.signing.trust_store import ReleaseMemory


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Verifier:
    """Verify models against signers that you trust.

    Args:
        trust: who may sign: ``TrustedKeys``, ``TrustedRoots``, ``TrustedIdentity``, your own
            ``Trust``, or several of them, of which one has to agree.
        profile: ``STRICT`` (default) or ``OMS``, or one that you derive with
            ``dataclasses.replace``.
        name: the model that you mean. Without it, another model of the same signer passes.
        version: the version that you mean.
        releases: remembers the newest release, so that no older one is accepted again.
        threshold: how many different signers must have signed; each bundle holds one signature.
            With a certificate or Sigstore a signer is an issuer's identity, whatever its keys;
            otherwise a key.
        clock: tells the time (aware), against which validity is judged; receipts are as of it.

    Raises:
        ConfigurationError: nobody is trusted, or the threshold is not positive.
    """

    def __init__(  # noqa: PLR0913 - a verifier's policy, all by keyword
        self,
        trust: Trust | Sequence[Trust],
        *,
        profile: Profile = STRICT,
        name: str | None = None,
        version: str | None = None,
        releases: "ReleaseMemory | None" = None,
        threshold: int = 1,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._authentication = Authentication(
            trust,
            profile=profile,
            name=name,
            version=version,
            releases=releases,
            threshold=threshold,
        )
        self._profile = profile
        self._described = f"profile={profile.name!r}, name={shown(name)}, threshold={threshold}"
        if not callable(clock):
            raise ConfigurationError(f"the clock must be a function, not {shown(clock)}")
        self._clock = clock

    def __repr__(self) -> str:
        """Show the policy; who is trusted is told by the trusts."""
        return f"Verifier({self._described})"

    def authenticate(self, path: str | Path, signature: Signatures = None) -> Claim:
        """Return what trusted signers say about a model; none of its bytes is read.

        Args:
            path: a file or a directory.
            signature: the bundle, or several; default: ``<path>.sig``.

        Raises:
            VerificationError: there is no valid signature by a trusted signer for this model.
            ConfigurationError: the model or a bundle cannot be opened.
        """
        return self._authentication.authenticate(path, signature, now=self._clock())

    def verify(  # noqa: PLR0913 - the front door's options, all by keyword
        self,
        path: str | Path,
        signature: Signatures = None,
        *,
        only: Collection[str] | None = None,
        ignore: Sequence[str] = (),
        ignore_unsigned: bool = False,
        workers: int | None = None,
        cache: "DigestCache | None" = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Verification:
        """Return the receipt of a model that is exactly what trusted signers signed.

        Args:
            path: a file or a directory.
            signature: the bundle, or several (one a signer); default: ``<path>.sig``.
            only: verify these files and say nothing about the others.
            ignore: paths that the signer left out without saying so, as before OMS 1.1.0;
                refused by ``STRICT``.
            ignore_unsigned: permit files that nobody signed; the receipt names them.
            workers: threads that hash; default: one a core.
            cache: digests of files that did not change since, on storage that is trusted.
            on_progress: told the bytes that are hashed, and that there are in all; may raise.

        Raises:
            BundleFormatError: a bundle breaks the rules of its format.
            UnsupportedBundleError: a bundle asks for what this profile or trust does not do.
            SignatureMismatchError: a signature does not fit.
            UntrustedSignerError: nobody trusted has signed, or not enough of them.
            StaleModelError: it is another model, an older one, or expired.
            UnsafeTreeError: the tree holds what no signature can cover.
            DigestMismatchError: files were added, removed or changed; its fields say which.
            ConfigurationError: the model or a bundle cannot be opened, or an extra is missing.
        """
        _check_ignore(ignore, self._profile)
        _check_cache(cache)
        claim = self.authenticate(path, signature)
        names = _wanted(claim, only)
        with open_tree(
            claim.path,
            profile=self._profile,
            ignore_paths=(*claim.manifest.layout.ignore_paths, *ignore),
            bundles=claim.bundles,
            allow_symlinks=claim.manifest.layout.allow_symlinks,
        ) as tree:
            unsigned = () if only is not None else _unsigned(claim, tree)
            _compare_names(claim, tree, names, () if ignore_unsigned else unsigned)
            surveyed = survey(
                tree,
                claim.manifest.layout,
                on_progress=on_progress,
                workers=workers,
                cache=cache,
                # A look at the whole tree again, at the end, unless strangers are permitted in it.
                only=None if only is None and not ignore_unsigned else names,
            )
            excluded = tree.excluded
        changed = changed_files(claim.manifest, surveyed.manifest, names)
        if changed:
            raise mismatch(claim.path, changed=changed)
        claim.accept()
        return Verification(
            path=str(path),
            signatories=claim.signatories,
            root_digest=claim.manifest.root_digest,
            tree_digest=claim.manifest.tree_digest,
            algorithm=claim.manifest.layout.algorithm,
            shard_size=claim.manifest.layout.shard_size,
            verified_at=claim.now,
            profile=self._profile.name,
            files=tuple(sorted(names)),
            release=claim.release,
            partial=only is not None,
            cached=surveyed.cached,
            ignored=excluded,
            unsigned=unsigned,
            unchecked=(*claim.unchecked, *_gaps(only, surveyed.cached)),
        )


def _check_cache(cache: object) -> None:
    if cache is None or callable(getattr(cache, "refuse_inside", None)):
        return
    raise ConfigurationError(f"{shown(cache)} is no digest cache: give DigestCache(path)")


def _check_ignore(ignore: object, profile: Profile) -> None:
    if not isinstance(ignore, Sequence) or not _are_texts(ignore):
        raise ConfigurationError(f"ignore={shown(ignore)} must be a list of paths")
    if ignore and not profile.excluded_files:
        raise ConfigurationError(
            f"the profile {profile.name!r} leaves nothing out: remove the files, or use "
            "profile 'oms' to ignore them"
        )


def _are_texts(values: object) -> bool:
    return (
        isinstance(values, Collection)
        and not isinstance(values, str | bytes)
        and all(isinstance(value, str) for value in values)
    )


def _wanted(claim: Claim, only: Collection[str] | None) -> frozenset[str]:
    signed = claim.manifest.names
    if only is None:
        return frozenset(signed)
    if not _are_texts(only) or not only:
        raise ConfigurationError(
            f"only={shown(only)} must name at least one file, in a list; leave it out to verify all"
        )
    unknown = frozenset(only).difference(signed)
    if unknown:
        raise mismatch(claim.path, added=unknown)
    return frozenset(only)


def _unsigned(claim: Claim, tree: Tree) -> tuple[str, ...]:
    """Names that nobody signed, in code-point order."""
    signed = frozenset(claim.manifest.names)
    return tuple(entry.name for entry in tree.entries if entry.name not in signed)


def _compare_names(
    claim: Claim, tree: Tree, names: frozenset[str], unsigned: tuple[str, ...]
) -> None:
    sizes = {entry.name: entry.size for entry in tree.entries}
    if claim.manifest.layout.shard_size and claim.profile.excluded_files:
        # OMS leaves files without bytes out of shards: by its text nobody can sign them there.
        unsigned = tuple(name for name in unsigned if sizes[name])
    missing = names.difference(sizes)
    # Shards tell the size that was signed: what has another one need not be read.
    signed = signed_sizes(claim.manifest)
    changed = [
        name for name in names & sizes.keys() if sizes[name] != signed.get(name, sizes[name])
    ]
    if unsigned or missing or changed:
        raise mismatch(claim.path, added=unsigned, missing=missing, changed=changed)


def _gaps(only: Collection[str] | None, cached: tuple[str, ...]) -> tuple[str, ...]:
    gaps = []
    if only is not None:
        gaps.append("only the named files were verified: the others may be anything")
    if cached:
        gaps.append("digests of unchanged files were taken from a cache, not from their bytes")
    return tuple(gaps)
