"""A deployment approval is a signature by somebody who may decide, over one exact card.

What is signed names the digest of the card; a card that differs in one character has another
digest, and no approval.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    SignatureMismatchError,
    StaleModelError,
    UntrustedSignerError,
    VerificationError,
    shown,
)
from modelsec.provenance.cards.approval_envelope import (
    PAYLOAD_TYPE,
    Approval,
    Decision,
    Statement,
    read_statement,
    words,
)
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.provenance.cards.moments import utc
from modelsec.signing.bundles.bundle import pae
from modelsec.signing.receipt import rfc3339
from modelsec.signing.trust import Signer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from modelsec.signing.keys import PublicKey, TrustedKey, TrustedKeys

Trusted = Union["TrustedKeys", "Iterable[PublicKey | TrustedKey | bytes | str | Path]"]

_SKEW = timedelta(minutes=5)


@runtime_checkable
class Decidable(Protocol):
    """What can be approved: a ``ModelCard``, or a card that was read from a file."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything but the decision, as hex."""
        ...

    @property
    def checks_passed(self) -> bool:
        """The card says that its hash was verified and its format found safe."""
        ...


@dataclass(frozen=True, slots=True)
class Approved:
    """A decision whose signature was verified under a key that the caller trusts.

    Attributes:
        statement: what was signed.
        key_id: of the key that verified it.
        verified_at: the reference time of the verification (aware, UTC).
    """

    statement: Statement
    key_id: str
    verified_at: datetime

    @property
    def approves(self) -> bool:
        """The decision was yes."""
        return self.statement.decision == "approve"


def approve(  # noqa: PLR0913 - what a decision says, by keyword
    card: Decidable,
    signer: Signer,
    *,
    approver: str,
    now: datetime,
    decision: Decision = "approve",
    conditions: str | None = None,
    despite: str | None = None,
    not_after: datetime | None = None,
) -> Approval:
    """Sign a decision about a card.

    Args:
        card: what was read before deciding.
        signer: the private key of somebody who may decide.
        approver: their name.
        now: the time of the decision (aware).
        decision: ``approve`` or ``reject``.
        conditions: under which the model may be deployed.
        despite: needed to approve a card whose hash was not verified or whose format was not
            found safe: why that is acceptable. It is signed and shown.
        not_after: when the decision expires (aware).

    Raises:
        ConfigurationError: an argument is not what it must be, or the card's checks did not pass
            and nobody says why it is approved all the same.
    """
    moment = utc(now)
    if not isinstance(signer, Signer):
        raise ConfigurationError(f"a decision is signed by a PrivateKey, not by {shown(signer)}")
    _check_card(card)
    if decision not in ("approve", "reject"):
        raise ConfigurationError(f"a decision is approve or reject, not {shown(decision)}")
    if decision == "approve" and not card.checks_passed and despite is None:
        raise ConfigurationError(
            "the card does not say that its hash was verified and its format is safe; make it with "
            "the path of the model and its hash, or say despite=... why it is approved all the same"
        )
    expiry = None if not_after is None else utc(not_after)
    if expiry is not None and expiry <= moment:
        raise ConfigurationError("the decision would expire before it is made")
    statement = Statement(
        card=card.digest,
        decision=decision,
        approver=words(approver, "approver"),
        decided_at=moment,
        key_id=signer.key_id,
        conditions=None if conditions is None else words(conditions, "conditions"),
        despite=None if despite is None else words(despite, "despite"),
        not_after=expiry,
    )
    payload = canonical(statement.to_dict())
    return Approval(payload, signer.sign(pae(payload, PAYLOAD_TYPE)), signer.key_id)


def verify_approval(
    card: Decidable, approval: Approval, trusted: Trusted, now: datetime
) -> Approved:
    """Verify a decision: the signature first, then what it says, then that it is about this card.

    Args:
        card: the card that is to be deployed.
        approval: the signed decision.
        trusted: the keys whose holders may decide, with the times in which they may.
        now: the reference time (aware). A decision up to five minutes ahead is accepted: clocks.

    Raises:
        UntrustedSignerError: the key is not trusted, or not now.
        SignatureMismatchError: the signature does not fit.
        DigestMismatchError: the decision is about another card.
        StaleModelError: the decision has expired, or lies in the future.
        VerificationError: it approves failed checks without saying so.
    """
    from modelsec.signing.keys import TrustedKeys  # noqa: PLC0415 - the extra that verifies

    moment = utc(now)
    if not isinstance(approval, Approval):
        raise ConfigurationError(f"an approval is read with from_json, not {shown(approval)}")
    _check_card(card)
    keys = trusted if isinstance(trusted, TrustedKeys) else TrustedKeys(trusted)
    key = next((key for key in keys.keys if key.public.key_id == approval.key_id), None)
    if key is None:
        raise UntrustedSignerError(
            f"the approval names the key {shown(approval.key_id)}, which is not among the trusted "
            "ones"
        )
    if not key.public.verify(pae(approval.payload, PAYLOAD_TYPE), approval.signature):
        raise SignatureMismatchError(
            "the signature of the approval does not fit: it is forged, damaged, or for another use"
        )
    if refusal := key.refusal(moment):
        raise UntrustedSignerError(f"the signature of the approval is right, but {refusal}")
    statement = read_statement(approval.payload)
    _check_statement(statement, card, key.public.key_id, moment)
    return Approved(statement, key.public.key_id, moment)


def _check_card(card: object) -> None:
    if not isinstance(card, Decidable):
        raise ConfigurationError(f"a decision is about a card, not about {shown(card)}")


def _check_statement(statement: Statement, card: Decidable, key_id: str, now: datetime) -> None:
    if statement.key_id != key_id:
        raise VerificationError("the approval was signed with another key than it names")
    if not hmac.compare_digest(statement.card, card.digest):
        raise DigestMismatchError(
            f"the decision is about the card {statement.card[:16]}..., this one is "
            f"{card.digest[:16]}...: it was changed after the decision, or is another card",
            changed=("card",),
        )
    if statement.decided_at > now + _SKEW:
        raise StaleModelError(f"the decision is dated in the future: {statement.decided_at}")
    if statement.not_after is not None and now > statement.not_after:
        raise StaleModelError(f"the decision expired at {rfc3339(statement.not_after)}")
    if statement.decision == "approve" and statement.despite is None and not card.checks_passed:
        raise VerificationError(
            "the card is approved although its checks did not pass, and nobody says why"
        )
