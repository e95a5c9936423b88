"""A card as it lies in a file: what an approver reads, and what an approval is over."""

from dataclasses import dataclass
from typing import cast

from modelsec.errors import BundleFormatError, ConfigurationError
from modelsec.provenance.cards.canonical_json import digest_of
from modelsec.provenance.cards.card_content import CARD_FORMAT
from modelsec.provenance.integrity import full_digest

_LIMIT = 16 << 20
_DECISION = "deployment_approval"


@dataclass(frozen=True, slots=True)
class CardDocument:
    """A card that was read. What it says of checks is what its maker wrote: sign with care.

    Attributes:
        content: everything but the decision.
        digest: SHA-256 over the canonical JSON of the content, as hex; the same as the card's.
    """

    content: dict[str, object]
    digest: str

    @property
    def checks_passed(self) -> bool:
        """The card says that its hash was verified and its format found safe."""
        review = self.content.get("security_review")
        return (
            isinstance(review, dict)
            and review.get("hash_verified") is True
            and review.get("format_safe") is True
        )

    @property
    def model_digest(self) -> str:
        """The digest of the model that the card is about.

        It is the one that was computed when the card was made, or else the claimed one.

        Raises:
            ConfigurationError: the card names none.
        """
        receipts = self.content.get("receipts")
        for receipt in receipts if isinstance(receipts, list) else []:
            if isinstance(receipt, dict) and receipt.get("check") == "hash":
                return full_digest(receipt.get("digest"))
        return full_digest(self.content.get("sha256"))


def read_card(raw: bytes) -> CardDocument:
    """Read the JSON of a card. A decision in it is dropped: only a signature can be one.

    Raises:
        ConfigurationError: it is no card that this library wrote.
    """
    from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only who reads needs it

    try:
        value = loads(raw, limit=_LIMIT)
    except BundleFormatError as error:
        raise ConfigurationError(f"the card cannot be read: {error}") from error
    if not isinstance(value, dict) or value.get("card_format") != CARD_FORMAT:
        raise ConfigurationError(
            f"this is no card: it must be JSON that says card_format {CARD_FORMAT}"
        )
    read = cast("dict[str, object]", value)
    content = {key: found for key, found in read.items() if key != _DECISION}
    return CardDocument(content, digest_of(content))
