"""Compare a card that was read with the model that is there: its receipts are only words."""

import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelsec.errors import DigestMismatchError, VerificationError, shown_path
from modelsec.files import as_path
from modelsec.provenance.cards.card_document import CardDocument
from modelsec.provenance.cards.card_rules import receipt_of
from modelsec.provenance.examination import Examination, examine_model

if TYPE_CHECKING:
    from modelsec.scanning import Limits, Policy


def compare_with_model(
    card: CardDocument,
    path: str | os.PathLike[str],
    *,
    scanned: bool = True,
    policy: "Policy | None" = None,
    limits: "Limits | None" = None,
) -> Examination:
    """Make sure that a model is the one of a card, and as safe as the card says.

    Args:
        card: as ``read_card`` returned it.
        path: the model.
        scanned: scan it too: whoever wrote the card's file may have written "safe".
        policy: as for ``make_card``.
        limits: as for ``make_card``.

    Returns:
        What was found.

    Raises:
        DigestMismatchError: it is another model, or a file where the card is about a folder.
        VerificationError: the card says that it was found safe, and this scan does not.
        ConfigurationError: the model cannot be opened, or the card names no digest.
    """
    where = as_path(path, "model")
    expected = card.model_digest
    found = examine_model(
        where, scanned=scanned, bundles=_bundles(card, where), policy=policy, limits=limits
    )
    same = hmac.compare_digest(found.digest, expected)
    if not same or card.model_kind not in {None, found.kind}:
        raise DigestMismatchError(
            f"{shown_path(where)} is not the model of this card: it is a {found.kind} with the "
            f"digest {found.digest}, the card is about a {card.model_kind or 'model'} with "
            f"{expected}",
            changed=(found.name,),
        )
    if found.report is not None and not found.report.safe and _says_safe(card):
        raise VerificationError(
            f"the card says that {shown_path(where)} was found safe; scanned now, its verdict is "
            f"{found.report.verdict}, its coverage {found.report.coverage}: see modelsec scan"
        )
    return found


def _says_safe(card: CardDocument) -> bool:
    receipt = receipt_of(card.content, "scan")
    return receipt is not None and receipt["safe"] is True


def _bundles(card: CardDocument, folder: Path) -> list[Path]:
    """Return the signatures that the card says lie inside; each must still be one."""
    receipt = receipt_of(card.content, "hash")
    listed = None if receipt is None else receipt.get("left_out")
    names = [one.get("name") for one in cast("list[dict[str, object]]", listed or [])]
    return [folder / name for name in names if isinstance(name, str) and name]
