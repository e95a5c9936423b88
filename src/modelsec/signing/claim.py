"""What trusted signers say about a model, before a byte of the model is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from modelsec.signing.manifest import Manifest
from modelsec.signing.profile import Profile
from modelsec.signing.receipt import Release
from modelsec.signing.trust import Signatory

Signatures: TypeAlias = str | Path | Sequence[str | Path] | None
"""The bundle of a model, or several, one a signer; None: ``<path>.sig`` beside it."""


def nothing() -> None:
    """Where no releases are remembered."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A manifest with a signature that was verified and trusted.

    Attributes:
        path: the model.
        manifest: what its files have to be. All names were checked: relative, canonical, unique.
        signatories: who says so; at least one.
        bundles: the signature files that count: verified, trusted, and of one mind. They are not
            part of the model when they lie inside it; one that was refused is an unsigned file.
        profile: how strict to be.
        now: the reference time of this verification (aware, UTC).
        release: which model it is, if the signer said so.
        unchecked: what was not asked for, one sentence each.
        accept: to be called as soon as bytes of the model were verified and before they are used:
            remembers the release, where releases are remembered. May raise ``StaleModelError``.
    """

    path: Path
    manifest: Manifest
    signatories: tuple[Signatory, ...]
    bundles: tuple[Path, ...]
    profile: Profile
    now: datetime
    release: Release | None = None
    unchecked: tuple[str, ...] = ()
    accept: Callable[[], None] = field(default=nothing, repr=False, compare=False)


class Authenticator(Protocol):
    """Say what a model has to be, on somebody's authority."""

    def authenticate(self, path: str | Path, signature: Signatures = None) -> Claim:
        """Return what trusted signers say about the model at ``path``.

        Args:
            path: a file or a directory.
            signature: the bundle, or several; None: ``<path>.sig`` beside it. Refuse what you do
                not verify.

        Raises:
            VerificationError: there is no valid signature by a trusted signer.
            ConfigurationError: the model or the bundle cannot be opened.
        """
        ...
