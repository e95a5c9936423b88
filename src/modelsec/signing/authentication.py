"""From bundles to a claim: signatures, trust, threshold, and which model it is."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    StaleModelError,
    UnsupportedBundleError,
    UntrustedSignerError,
    VerificationError,
    shown,
    shown_path,
)
from modelsec.signing.bundles.bundle import Bundle, parse_bundle, read_bundle
from modelsec.signing.bundles.statement import parse_statement
from modelsec.signing.claim import Claim, Signatures, nothing
from modelsec.signing.moments import rfc3339, utc
from modelsec.signing.parties import ask, trusted_parties, unchecked_by
from modelsec.signing.places import bundle_path, model_path
from modelsec.signing.profile import Profile
from modelsec.signing.quorum import Authentic, agree, agreed, signers
from modelsec.signing.receipt import Release
from modelsec.signing.trust import Signatory, Trust

if TYPE_CHECKING:
    from modelsec.signing.trust_store import ReleaseMemory

_LOCATED = (
    BundleFormatError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    VerificationError,
)
_TELLING = (SignatureMismatchError, UntrustedSignerError, UnsupportedBundleError)
"""Of the refusals of several trusts, the first of these says most about what is wrong."""


class Authentication:
    """A verifier's policy about signers; see ``Verifier`` for the arguments."""

    def __init__(  # noqa: PLR0913 - as Verifier
        self,
        trust: Trust | Sequence[Trust],
        *,
        profile: Profile,
        name: str | None,
        version: str | None,
        releases: "ReleaseMemory | None",
        threshold: int,
    ) -> None:
        trusts = trusted_parties(trust)
        if type(threshold) is not int or threshold < 1:
            raise ConfigurationError(f"the threshold must be 1 or more, not {shown(threshold)}")
        if not isinstance(profile, Profile):
            raise ConfigurationError(f"{shown(profile)} is not a Profile: give STRICT or OMS")
        for what, value in (("name", name), ("version", version)):
            if not isinstance(value, str | None):
                raise ConfigurationError(f"the {what} must be text, not {shown(value)}")
        if releases is not None and not hasattr(releases, "admit"):
            raise ConfigurationError(f"{shown(releases)} remembers no releases: give a TrustStore")
        self._trusts = trusts
        self._profile = profile
        self._name = name
        self._version = version
        self._releases = releases
        self._threshold = threshold

    def authenticate(
        self, path: str | Path, signature: Signatures = None, *, now: datetime
    ) -> Claim:
        """Return what trusted signers say about the model at ``path``; see ``Verifier``."""
        now = utc(now, "the time of a verification")
        model = model_path(path)
        authentic, refusals = self._authentic(model, _bundles(model, signature), now)
        agree(authentic)
        release = authentic[0].statement.release
        manifest = agreed(authentic)
        self._check_release(release, manifest.tree_digest, now)
        return Claim(
            path=model,
            manifest=manifest,
            signatories=signers(authentic),
            bundles=tuple(each.bundle for each in authentic),
            profile=self._profile,
            now=now,
            release=release,
            unchecked=(
                *dict.fromkeys(gap for each in authentic for gap in each.unchecked),
                *self._gaps(release, signed_name=any(each.statement.named for each in authentic)),
                *refusals,
            ),
            accept=self._remembering(release, manifest.tree_digest),
        )

    def _authentic(
        self, model: Path, bundles: tuple[Path, ...], now: datetime
    ) -> tuple[list[Authentic], list[str]]:
        """Return the good bundles, of enough signers, and sentences about the others."""
        authentic: list[Authentic] = []
        refusals: list[VerificationError] = []
        notes = []
        for path in dict.fromkeys(bundles):
            try:
                authentic.append(self._one(model, path, now))
            except VerificationError as error:
                refusals.append(_located(error, path))
                notes.append(f"the signature {shown_path(path.name)} was refused: {error}")
        count = len(signers(authentic))
        if count >= self._threshold:
            return authentic, notes
        if refusals:
            raise refusals[0]
        raise UntrustedSignerError(
            f"{self._threshold} different keys must have signed, or identities where there are "
            f"certificates, but only {count} did: give one bundle of each signer"
        )

    def _one(self, model: Path, path: Path, now: datetime) -> Authentic:
        bundle = parse_bundle(read_bundle(path))
        signatory, trust = self._trusted(bundle, now)
        statement = parse_statement(
            bundle.payload,
            profile=self._profile,
            single_file_name=None if os.path.isdir(model) else model.name,  # noqa: PTH112 - no error
        )
        if signatory.compatibility and not statement.legacy:
            raise SignatureMismatchError(
                "the signature fits only the encoding of OMS 0.2.0, which its statement is not of"
            )
        return Authentic(path, signatory, statement, unchecked_by(trust))

    def _trusted(self, bundle: Bundle, now: datetime) -> tuple[Signatory, Trust]:
        refusals = []
        for trust in self._trusts:
            try:
                signatory = ask(trust, bundle, now=now, profile=self._profile)
            except VerificationError as error:
                refusals.append(error)
            else:
                return signatory, trust
        raise min(refusals, key=_rank)

    def _check_release(self, release: Release | None, tree_digest: str, now: datetime) -> None:
        if release is None:
            if self._name is None and self._version is None and self._releases is None:
                return
            raise StaleModelError(
                "the signature does not say which model or release it is for: have it signed "
                "with a release, or do not ask for a name, a version or a trust store"
            )
        for what, wanted, found in (
            ("model", self._name, release.name),
            ("version", self._version, release.version),
        ):
            if wanted is not None and wanted != found:
                raise StaleModelError(
                    f"signed as {what} {shown(found)}, but {shown(wanted)} was expected: "
                    "it was put in the place of the one that is meant"
                )
        if release.not_after is not None and now > release.not_after:
            raise StaleModelError(
                f"the signature of {shown(release.name)} expired at {rfc3339(release.not_after)}; "
                f"it is {rfc3339(now)}. Get a newer release"
            )
        if self._releases is not None:
            if release.serial is None:
                raise StaleModelError(
                    f"the release of {shown(release.name)} has no serial, which the trust store "
                    "needs: have it signed with one"
                )
            self._releases.admit(release.name, release.serial, tree_digest)

    def _remembering(self, release: Release | None, digest: str) -> Callable[[], None]:
        """Return what remembers the release: last of all, for a refusal must leave no trace."""
        memory = self._releases
        if memory is None or release is None or release.serial is None:
            return nothing
        return partial(memory.remember, release.name, release.serial, digest)

    def _gaps(self, release: Release | None, *, signed_name: bool) -> list[str]:
        gaps = []
        if not signed_name:
            gaps.append("the name of the file is not signed: it would pass under any other")
        if self._name is None:
            gaps.append("no model name was expected: another model of this signer would pass")
        if self._releases is None and (self._version is None or release is None):
            gaps.append("no trust store was given: an older release would pass")
        return gaps


def _located(error: VerificationError, bundle: Path) -> VerificationError:
    """Say which file is refused; a refusal of a foreign kind stays as it is."""
    if type(error) not in _LOCATED:
        return error
    located = type(error)(f"{shown_path(bundle)}: {error}")
    located.__cause__ = error.__cause__
    return located


def _rank(error: VerificationError) -> int:
    return next(
        (place for place, kind in enumerate(_TELLING) if isinstance(error, kind)), len(_TELLING)
    )


def _bundles(model: Path, signature: Signatures) -> tuple[Path, ...]:
    if signature is None or isinstance(signature, str | Path):
        return (bundle_path(model, signature),)
    if not isinstance(signature, Sequence) or not signature:
        raise ConfigurationError(
            f"signature={shown(signature)} must be a path, or a list of at least one"
        )
    return tuple(bundle_path(model, each) for each in signature)
