"""A model card in which every claim says whose it is: its maker's, or a check's.

Nothing in a card says "verified", "safe" or "approved" unless the call that made the card did it:
the hash of the file, the scan of the very bytes that were hashed, a signature that was verified
over the same tree, an approval that was verified over this very card. Each leaves a receipt.
"""

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    StaleModelError,
    VerificationError,
    shown,
)
from modelsec.provenance.cards.approval import SKEW, Approved, Trusted, verify_approval
from modelsec.provenance.cards.approval_envelope import Approval
from modelsec.provenance.cards.canonical_json import canonical, digest_of
from modelsec.provenance.cards.card_content import content_of, decision_of
from modelsec.signing.moments import rfc3339, utc
from modelsec.signing.receipt import Verification

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo
    from modelsec.provenance.examination import Examination
    from modelsec.scanning import Limits, Policy

_LARGEST = 4 << 20  # bytes of canonical JSON: written with escapes and indented, it can be read


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is said about a model, and what of it was checked.

    Attributes:
        info: what its maker says.
        created_at: when the card was made and every check of it (aware, UTC).
        examination: what was found by reading the model; None if no path was given.
        verification: the receipt of a verification of the same files; None if none was given.
        approval: a person's signed decision over this very card; see ``with_approval``.
    """

    info: "CardInfo"
    created_at: datetime
    examination: "Examination | None" = None
    verification: Verification | None = None
    approval: Approved | None = None

    @property
    def hash_verified(self) -> bool | None:
        """Whether the model has the hash that ``info`` claims; None if that was not checked."""
        if self.examination is None or self.info.hash is None:
            return None
        return hmac.compare_digest(self.examination.digest, self.info.hash)

    @property
    def format_safe(self) -> bool | None:
        """Whether the scan found the model safe; None without a scan of the model that is meant.

        A scan of a file whose hash is not the claimed one says nothing about the claimed model.
        """
        if self.examination is None or self.examination.report is None:
            return None
        return None if self.hash_verified is False else self.examination.report.safe

    @property
    def signed(self) -> bool:
        """Somebody trusted signed these files: with a key, a certificate or a shared secret.

        A digest that the caller pinned is no signature, though a verifier accepts it.
        """
        receipt = self.verification
        return receipt is not None and any(who.method != "digest" for who in receipt.signatories)

    @property
    def checks_passed(self) -> bool:
        """The model was found safe, and it is known whose it is.

        Known means that it has the claimed hash, or that somebody trusted signed it. A digest that
        was computed and compared with nothing tells nothing about where the model comes from.
        """
        known = self.hash_verified is True or (self.signed and self.hash_verified is None)
        return known and self.format_safe is True

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of everything but the approval, as hex."""
        return digest_of(self.content())

    @property
    def approved(self) -> bool:
        """A verified approval says yes, to exactly this card."""
        decided = self.decided
        return decided is not None and decided.approves

    @property
    def decided(self) -> Approved | None:
        """The decision about exactly this card, if there is one."""
        found = self.approval
        # A card that was changed after the decision is another card.
        fits = found is not None and hmac.compare_digest(found.statement.card, self.digest)
        return found if fits else None

    def content(self) -> dict[str, object]:
        """Return everything but the approval as JSON-ready values: what an approval is over."""
        return content_of(self)

    def to_dict(self) -> dict[str, object]:
        """Return the card as JSON-ready values, with at least the keys of the lesson."""
        content = self.content()
        return {**content, "deployment_approval": decision_of(self.decided, digest_of(content))}

    def with_approval(
        self,
        approval: Approval | Sequence[Approval],
        trusted: Trusted,
        now: datetime,
        *,
        environment: str | None = None,
    ) -> "ModelCard":
        """Return this card with a decision whose signature was verified.

        Args:
            approval: as ``approve`` returned it, or ``Approval.from_json``; or several, of which
                the latest decides.
            trusted: the keys whose holders may decide.
            now: the reference time (aware).
            environment: where the model is to be deployed.

        Raises:
            VerificationError: the signature is not right or not by a trusted key, or the decision
                is about another card, or is not yet or no longer valid.
        """
        decided = verify_approval(self, approval, trusted, now, environment=environment)
        return replace(self, approval=decided)


def make_card(  # noqa: PLR0913 - options by keyword, each with a default
    info: "Mapping[str, object] | CardInfo",
    *,
    now: datetime,
    path: str | os.PathLike[str] | None = None,
    scan: bool = True,
    verification: Verification | None = None,
    bundles: Sequence[str | os.PathLike[str]] = (),
    policy: "Policy | None" = None,
    limits: "Limits | None" = None,
    advance: Callable[[int], None] | None = None,
) -> ModelCard:
    """Make a card. What is not given is not checked, and the card says so.

    Args:
        info: what the model's maker says; ``hash`` is a claim until ``path`` is hashed.
        now: the time of the checks (aware).
        path: the model, a file or a folder; it is hashed.
        scan: scan the bytes that were hashed.
        verification: the receipt of a verified signature over this model. It must be of the whole
            model, with SHA-256 over whole files, so that it can be compared with what is there,
            of a release of this name and version, and still hold.
        bundles: signature bundles that lie inside the folder and are no part of the model; the
            card lists them.
        policy: what model files may do; default: all shipped layers.
        limits: what the scan of one file may cost.
        advance: told the bytes of each block that was hashed.

    Raises:
        ConfigurationError: the information is not what it has to be (every fault is listed) or
            too long, the model cannot be opened, or the receipt cannot be compared.
        DigestMismatchError: the model changed meanwhile, or the receipt is of another model.
        UnsafeTreeError: the folder holds what no digest can cover.
        StaleModelError: the receipt is of later than ``now``, or its release has expired.
        VerificationError: the receipt is of a release of another name or version, or ``bundles``
            names what is no signature.
    """
    from modelsec.provenance.cards.card_info import CardInfo  # noqa: PLC0415 - pydantic, for cards only

    moment = utc(now, "the time of the checks").replace(microsecond=0)
    read = CardInfo.read(info)
    examination = None
    if path is not None:
        from modelsec.provenance.examination import examine_model  # noqa: PLC0415 - idem: scanning

        examination = examine_model(
            path, scanned=scan, bundles=bundles, policy=policy, limits=limits, advance=advance
        )
    if verification is not None:
        _check_receipt(verification, examination)
        _check_validity(verification, read, moment)
    card = ModelCard(read, moment, examination, verification)
    if (size := len(canonical(card.content()))) > _LARGEST:
        raise ConfigurationError(
            f"the card would have {size:,} bytes, more than {_LARGEST >> 20} MiB: link to what is "
            "long instead of copying it"
        )
    return card


def _check_validity(verification: Verification, info: "CardInfo", now: datetime) -> None:
    """Refuse a receipt that does not hold now, or that is for another release."""
    if utc(verification.verified_at, "the time of the verification") > now + SKEW:
        raise StaleModelError(
            f"the verification is dated {rfc3339(verification.verified_at)}, which is later than "
            "the card"
        )
    release = verification.release
    if release is None:
        return
    if release.not_after is not None and now > release.not_after:
        raise StaleModelError(f"the signed release expired at {rfc3339(release.not_after)}")
    if release.name != info.name or release.version not in {None, info.version}:
        signed = f"{shown(release.name)} {release.version or ''}".strip()
        raise VerificationError(
            f"the signature is for {signed}, the card is for {shown(info.name)} {info.version}: "
            "correct the information, or sign the model under this name and version"
        )


def _check_receipt(verification: object, examination: "Examination | None") -> None:
    """Refuse a receipt that is not of the model that was just read."""
    if not isinstance(verification, Verification):
        raise ConfigurationError(
            f"verification must be a Verification that verify() returned, not {shown(verification)}"
        )
    if examination is None:
        raise ConfigurationError(
            "a verification can enter a card only together with the path of the model: the receipt "
            "is compared with what is there now"
        )
    if verification.partial or verification.algorithm != "sha256":
        raise ConfigurationError(
            "a card takes only a verification of all files with SHA-256 over whole files; this one "
            f"is {'partial' if verification.partial else f'over {verification.algorithm}'}. Verify "
            "all files, or sign the model once more with sha256 for its card (the other signature "
            "stays valid)"
        )
    if not hmac.compare_digest(verification.tree_digest, examination.manifest.tree_digest):
        raise DigestMismatchError(
            f"the verification is of another model than {shown(examination.name)}, or the model "
            "has changed since: verify it again, then make the card. If it was signed in shards, "
            "sign it once more as whole files (sha256, no shards) for its card",
            changed=(PurePath(verification.path).name,),
        )
