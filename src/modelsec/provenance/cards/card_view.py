"""What can be shown of a card: the same of one that was just made and of one that was read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.cards.approved import Approved
from modelsec.provenance.cards.canonical_json import digest_of
from modelsec.provenance.cards.card import ModelCard
from modelsec.provenance.cards.card_document import CardDocument
from modelsec.provenance.cards.card_rules import receipt_of

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo
    from modelsec.signing.manifest import Resource

ShownCard = ModelCard | CardDocument
"""A card that can be shown as Markdown, as a bill of materials, or under Annex IV."""


@dataclass(frozen=True, slots=True)
class CardView:
    """A card, ready to be shown: every word about a check comes from what is signed.

    Attributes:
        info: what the model's maker says.
        content: everything but the decision.
        digest: over the content.
        decided: the verified decision about this very card, if there is one.
        files: of a folder, each with its SHA-256; a card that was read does not list them.
    """

    info: "CardInfo"
    content: dict[str, object]
    digest: str
    decided: Approved | None
    files: "tuple[Resource, ...]"

    @property
    def review(self) -> dict[str, object]:
        """What the checks say."""
        return cast("dict[str, object]", self.content["security_review"])

    @property
    def receipts(self) -> list[dict[str, object]]:
        """One entry for each check that was made."""
        return cast("list[dict[str, object]]", self.content["receipts"])

    def receipt(self, check: str) -> dict[str, object] | None:
        """Return the receipt of a check, if there is one."""
        return receipt_of(self.content, check)


def view_of(card: ShownCard) -> CardView:
    """Return what can be shown of a card.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(card, CardDocument):
        return CardView(card.info, card.content, card.digest, card.decided, ())
    if not isinstance(card, ModelCard):
        raise ConfigurationError(f"a card comes from make_card or read_card, this is {shown(card)}")
    examined = card.examination
    listed = examined is not None and examined.kind == "tree"
    content = card.content()
    files = examined.manifest.resources if examined is not None and listed else ()
    return CardView(card.info, content, digest_of(content), card.decided, tuple(files))
