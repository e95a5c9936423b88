"""A card as it lies in a file: what an approver reads, and what an approval is over."""

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from modelsec.errors import BundleFormatError, ConfigurationError, shown
from modelsec.provenance.cards.approval import Approved, Trusted, verify_approval
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.provenance.cards.card_content import decision_of
from modelsec.provenance.cards.card_rules import check_content, receipt_of
from modelsec.provenance.integrity import Kind, full_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelsec.provenance.cards.approval_envelope import Approval
    from modelsec.provenance.cards.card_info import CardInfo

LIMIT = 16 << 20
"""Bytes of a card's file; no card that can be made needs as many."""

_DECISION = "deployment_approval"


@dataclass(frozen=True, slots=True)
class CardDocument:
    """A card that was read. Its receipts fit each other; whether they are true its model tells.

    It holds one text that nobody can change: the digest, and every answer, is about that text.

    Attributes:
        text: canonical JSON of everything but the decision.
        approval: a person's signed decision over this very card; see ``with_approval``.
        claimed_approval: the file that was read said that the card is approved. That counts for
            nothing: only a signature does.

    Raises:
        ConfigurationError: the text is no card that this library wrote.
    """

    text: bytes
    approval: Approved | None = None
    claimed_approval: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.text, bytes):
            raise ConfigurationError(f"a card is read with read_card, not from {shown(self.text)}")
        content = _loaded(self.text)
        if canonical(content) != self.text:
            raise ConfigurationError("the text of a card must be canonical JSON: use read_card")
        check_content(content)

    @property
    def content(self) -> dict[str, object]:
        """Everything but the decision: a copy, whose changes change nothing here."""
        return cast("dict[str, object]", json.loads(self.text))

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the content, as hex; the same as the card's."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def info(self) -> "CardInfo":
        """What the model's maker says."""
        return check_content(self.content)

    @property
    def checks_passed(self) -> bool:
        """As ``ModelCard.checks_passed``, on the word of the receipts in the file."""
        content = self.content
        review = cast("dict[str, object]", content["security_review"])
        known = review["hash_verified"] is True or receipt_of(content, "signature") is not None
        return known and review["format_safe"] is True and review["hash_verified"] is not False

    @property
    def model_digest(self) -> str:
        """The digest of the model that the card is about.

        It is the one that was computed when the card was made, or else the claimed one.

        Raises:
            ConfigurationError: the card names none.
        """
        content = self.content
        return full_digest(content["sha256_computed"] or content["sha256_claimed"])

    @property
    def model_kind(self) -> Kind | None:
        """What the model's digest is of; None if nobody looked."""
        return cast("Kind | None", self.content["sha256_of"])

    @property
    def approved(self) -> bool:
        """A verified approval says yes, to exactly this card."""
        decided = self.decided
        return decided is not None and decided.approves

    @property
    def decided(self) -> Approved | None:
        """The decision about exactly this card, if there is one."""
        found = self.approval
        fits = found is not None and hmac.compare_digest(found.statement.card, self.digest)
        return found if fits else None

    def to_dict(self) -> dict[str, object]:
        """Return the card as JSON-ready values."""
        return {**self.content, _DECISION: decision_of(self.decided, self.digest)}

    def with_approval(
        self,
        approval: "Approval | Sequence[Approval]",
        trusted: Trusted,
        now: datetime,
        *,
        environment: str | None = None,
    ) -> "CardDocument":
        """As ``ModelCard.with_approval``."""
        decided = verify_approval(self, approval, trusted, now, environment=environment)
        return replace(self, approval=decided)


def read_card(raw: bytes) -> CardDocument:
    """Read the JSON of a card. A decision in it is dropped: only a signature can be one.

    All of it is checked: the keys, the maker's information by the same rules as when a card is
    made, and that what the card says of checks is what its receipts say.

    Raises:
        ConfigurationError: it is no card that this library wrote.
    """
    if not isinstance(raw, bytes):
        raise ConfigurationError(f"a card is read from bytes, not from {shown(raw)}")
    content = _loaded(raw)
    decision = content.pop(_DECISION, None)
    said = isinstance(decision, dict) and decision.get("approved") is not False
    return CardDocument(canonical(content), claimed_approval=said)


def _loaded(raw: bytes) -> dict[str, object]:
    from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only who reads needs it

    try:
        value = loads(raw, limit=LIMIT)
    except BundleFormatError as error:
        raise ConfigurationError(f"the card cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError("this is no card: it must be a JSON object")
    return cast("dict[str, object]", value)
