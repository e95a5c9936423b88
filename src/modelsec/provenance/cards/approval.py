"""A deployment approval is a signature by somebody who may decide, over one exact card.

What is signed names the digest of the card; a card that differs in one character has another
digest, and no approval.
"""

import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
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
    words,
)
from modelsec.provenance.cards.approved import Approved
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.signing.bundles.bundle import pae
from modelsec.signing.moments import rfc3339, utc
from modelsec.signing.trust import Signer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from modelsec.signing.keys import PublicKey, TrustedKey, TrustedKeys

__all__ = ["SKEW", "Approved", "Decidable", "Trusted", "approve", "verify_approval"]

Trusted = Union["TrustedKeys", "Iterable[PublicKey | TrustedKey | bytes | str | Path]"]

SKEW = timedelta(minutes=5)
"""How far clocks may differ."""

_MOST = 100


@runtime_checkable
class Decidable(Protocol):
    """What can be approved: a ``ModelCard``, or a card that was read from a file."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything but the decision, as hex."""
        ...

    @property
    def checks_passed(self) -> bool:
        """The model was found safe, and is the one that its maker claims or somebody signed."""
        ...


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
    environment: str | None = None,
) -> Approval:
    """Sign a decision about a card.

    A card that was read from a file is believed: compare it with the model before
    (``compare_with_model``).

    Args:
        card: what was read before deciding.
        signer: the private key of somebody who may decide.
        approver: their name.
        now: the time of the decision (aware).
        decision: ``approve`` or ``reject``.
        conditions: under which the model may be deployed.
        despite: needed to approve a card whose checks did not pass (``checks_passed``): why that
            is acceptable. It is signed and shown.
        not_after: when the decision expires (aware).
        environment: the only one that the decision is about; None: any.

    Raises:
        ConfigurationError: an argument is not what it must be, or the card's checks did not pass
            and nobody says why it is approved all the same.
    """
    moment = _seconds(now, "the time of the decision")
    if not isinstance(signer, Signer):
        raise ConfigurationError(f"a decision is signed by a PrivateKey, not by {shown(signer)}")
    _check_card(card)
    if decision not in ("approve", "reject"):
        raise ConfigurationError(f"a decision is approve or reject, not {shown(decision)}")
    if decision == "approve" and not card.checks_passed and despite is None:
        raise ConfigurationError(
            "the card's checks did not pass: the scan must have found the model safe, and it must "
            "have the claimed hash or a verified signature. Make the card with the path of the "
            "model and with its hash or signature, or say despite=... why it is approved all the "
            "same"
        )
    expiry = None if not_after is None else _seconds(not_after, "not_after")
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
        environment=None if environment is None else words(environment, "environment"),
    )
    payload = canonical(statement.to_dict())
    return Approval(payload, signer.sign(pae(payload, PAYLOAD_TYPE)), signer.key_id)


def verify_approval(
    card: Decidable,
    approval: Approval | Sequence[Approval],
    trusted: Trusted,
    now: datetime,
    *,
    environment: str | None = None,
) -> Approved:
    """Verify one or several decisions: the signature first, then what it says of this card.

    Of several, the latest one that holds decides, whether yes or no; of two at the same second the
    no. Decisions that do not apply (about another card, expired, by a key that is not trusted, for
    another environment) do not count as long as another does. One that is *broken* refuses all:
    it might have been the no.

    Args:
        card: the card that is to be deployed.
        approval: the signed decision, or all that there are.
        trusted: the keys whose holders may decide, with the times in which they may.
        now: the reference time (aware). A decision up to five minutes ahead is accepted: clocks.
        environment: where it is to be deployed. A decision that names one holds only there.

    Raises:
        UntrustedSignerError: the key is not trusted, or not now.
        SignatureMismatchError: a signature does not fit.
        DigestMismatchError: the decision is about another card.
        StaleModelError: the decision has expired, or lies in the future.
        VerificationError: it approves failed checks without saying so, or is for another
            environment.
    """
    from modelsec.signing.keys import TrustedKeys  # noqa: PLC0415 - the extra that verifies

    moment = _seconds(now, "the reference time")
    given = [approval] if isinstance(approval, Approval) else approval
    if not isinstance(given, list | tuple) or not 0 < len(given) <= _MOST:
        raise ConfigurationError(f"give 1 to {_MOST} approvals, not {shown(approval)}")
    if not all(isinstance(one, Approval) for one in given):
        raise ConfigurationError("an approval is read with Approval.from_json")
    place = None if environment is None else words(environment, "environment")
    _check_card(card)
    keys = trusted if isinstance(trusted, TrustedKeys) else TrustedKeys(trusted)
    held: list[Approved] = []
    refusals: list[VerificationError] = []
    for one in given:
        try:
            decided = _authentic(one, keys, moment)
            _check_applies(decided.statement, card, moment, place)
        except (UntrustedSignerError, DigestMismatchError, StaleModelError) as error:
            refusals.append(error)
        else:
            held.append(decided)
    if not held:
        raise refusals[0]
    latest = max(held, key=lambda one: (one.statement.decided_at, not one.approves))
    statement = latest.statement
    if latest.approves and statement.despite is None and not card.checks_passed:
        raise VerificationError(
            "the card is approved although its checks did not pass, and nobody says why"
        )
    return latest


def _authentic(approval: Approval, keys: "TrustedKeys", now: datetime) -> Approved:
    key = next((key for key in keys.keys if key.public.key_id == approval.key_id), None)
    if key is None:
        raise UntrustedSignerError(
            f"the approval names the key {shown(approval.key_id)}, which is not among the trusted "
            "ones"
        )
    decided = Approved(approval, key.public, now, key.label or "")
    if refusal := key.refusal(now):
        raise UntrustedSignerError(f"the signature of the approval is right, but {refusal}")
    return decided


def _seconds(value: object, what: str) -> datetime:
    return utc(value, what).replace(microsecond=0)


def _check_card(card: object) -> None:
    if not isinstance(card, Decidable):
        raise ConfigurationError(f"a decision is about a card, not about {shown(card)}")
    digest: object = card.digest
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ConfigurationError(f"a card has a SHA-256 in hex as its digest, not {shown(digest)}")


def _check_applies(
    statement: Statement, card: Decidable, now: datetime, environment: str | None
) -> None:
    if not hmac.compare_digest(statement.card, card.digest):
        raise DigestMismatchError(
            f"the decision is about the card {statement.card[:16]}..., this one is "
            f"{card.digest[:16]}...: it was changed after the decision, or is another card",
            changed=("card",),
        )
    if statement.decided_at > now + SKEW:
        raise StaleModelError(f"the decision is dated in the future: {statement.decided_at}")
    if statement.not_after is not None and now > statement.not_after:
        raise StaleModelError(f"the decision expired at {rfc3339(statement.not_after)}")
    if statement.environment not in {None, environment}:
        asked = "none was named" if environment is None else f"asked was {shown(environment)}"
        raise UntrustedSignerError(
            f"the decision is for the environment {shown(statement.environment)}, {asked}"
        )
