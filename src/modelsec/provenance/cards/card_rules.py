"""What must hold in a card that is read: no word about a check without the receipt of it."""

from typing import TYPE_CHECKING, cast

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.cards.card_content import CARD_FORMAT
from modelsec.provenance.integrity import full_digest

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo

_KEYS = frozenset(
    (
        *("card_format", "model_name", "version", "sha256", "sha256_claimed", "sha256_computed"),
        *("sha256_of", "format", "source", "training_date", "training_data", "known_limitations"),
        *("evaluation_metrics", "details", "security_review", "receipts", "created_at", "library"),
    )
)
_REVIEW = frozenset(
    (
        *("reviewed_by", "review_date", "format_safe", "format_safe_because", "hash_verified"),
        *("hash_verified_because", "vulnerability_scan", "reported_by_caller"),
    )
)
_CHECKS = ("hash", "scan", "signature", "pinned digest")
_TABLES = ("details", "security_review", "evaluation_metrics")


def check_content(content: dict[str, object]) -> "CardInfo":
    """Check a card's content, and return what its maker says.

    Raises:
        ConfigurationError: it is no card that this library wrote.
    """
    if content.get("card_format") != CARD_FORMAT:
        raise _no_card(f"it must be JSON that says card_format {CARD_FORMAT}")
    if content.keys() != _KEYS:
        odd = sorted(content.keys() ^ _KEYS)
        raise _no_card(f"its keys are not those of a card: {shown(odd[0])} is missing or unknown")
    if not all(isinstance(content[name], dict) for name in _TABLES):
        raise _no_card(f"{', '.join(_TABLES)} must be objects")
    review = cast("dict[str, object]", content["security_review"])
    if review.keys() != _REVIEW:
        raise _no_card("its security_review has other keys")
    _check_receipts(content)
    _check_words(content, review)
    return _information(content, review)


def receipt_of(content: dict[str, object], check: str) -> dict[str, object] | None:
    """Return the receipt of a check, if there is one."""
    receipts = cast("list[dict[str, object]]", content["receipts"])
    return next((one for one in receipts if one["check"] == check), None)


def _check_receipts(content: dict[str, object]) -> None:
    receipts = content["receipts"]
    if not isinstance(receipts, list) or not all(isinstance(one, dict) for one in receipts):
        raise _no_card("receipts must be a list of objects")
    checks = [one.get("check") for one in receipts]
    if not all(check in _CHECKS and checks.count(check) == 1 for check in checks):
        raise _no_card("a receipt is of an unknown check, or there are two of one check")
    hashed = receipt_of(content, "hash")
    if hashed is None:
        if receipts:
            raise _no_card("it has receipts of checks, and none of hashing the model")
        return
    digest, tree = _digest(hashed, "digest"), _digest(hashed, "tree_digest")
    if hashed.get("kind") not in {"file", "tree"}:
        raise _no_card("its hash receipt does not say whether of a file or a tree")
    listed = hashed.get("left_out")
    if not isinstance(listed, list) or not all(_is_left_out(one) for one in listed):
        raise _no_card("its hash receipt does not list what was left out")
    for check, key, meant in (
        ("scan", "digest", digest),
        ("signature", "tree_digest", tree),
        ("pinned digest", "tree_digest", tree),
    ):
        receipt = receipt_of(content, check)
        if receipt is not None and _digest(receipt, key) != meant:
            raise _no_card(f"its {check} receipt is of another model than its hash receipt")
    signed = receipt_of(content, "signature")
    if signed is not None and not _signed(signed.get("signatories")):
        raise _no_card("its signature receipt names nobody who signed")


def _is_left_out(one: object) -> bool:
    return isinstance(one, dict) and one.keys() == {"name", "sha256"} and _is_name(one["name"])


def _is_name(name: object) -> bool:
    from modelsec.signing.profile import STRICT  # noqa: PLC0415 - only who reads needs it
    from modelsec.signing.trees.names import name_fault  # noqa: PLC0415 - idem

    return name_fault(name, profile=STRICT) is None


def _signed(signatories: object) -> bool:
    return isinstance(signatories, list) and any(
        isinstance(one, dict) and isinstance(one.get("method"), str) and one["method"] != "digest"
        for one in signatories
    )


def _check_words(content: dict[str, object], review: dict[str, object]) -> None:
    """Compare what the card says with what can be concluded from its receipts."""
    hashed, scanned = receipt_of(content, "hash"), receipt_of(content, "scan")
    claimed = content["sha256_claimed"]
    computed = None if hashed is None else hashed["digest"]
    verified = None if None in {claimed, computed} else claimed == computed
    found = None if scanned is None else scanned.get("safe")
    if scanned is not None and not isinstance(found, bool):
        raise _no_card("its scan receipt does not say whether the model is safe")
    expected = {
        "sha256": (content["sha256"], claimed or computed),
        "sha256_computed": (content["sha256_computed"], computed),
        "sha256_of": (content["sha256_of"], None if hashed is None else hashed["kind"]),
        "hash_verified": (review["hash_verified"], verified),
        "format_safe": (review["format_safe"], None if verified is False else found),
    }
    for name, (said, concluded) in expected.items():
        # By type too: 1 is no True.
        if type(said) is not type(concluded) or said != concluded:
            raise _no_card(f"it says {name} {shown(said)}, but by its receipts it is {concluded}")


def _information(content: dict[str, object], review: dict[str, object]) -> "CardInfo":
    from modelsec.provenance.cards.card_info import CardInfo  # noqa: PLC0415 - pydantic, for cards only

    reported = review["vulnerability_scan"]
    if not isinstance(reported, dict):
        raise _no_card("its vulnerability_scan is no object")
    told = reported.get("reported_by_caller")
    details = cast("dict[str, object]", content["details"])
    given = {
        "name": content["model_name"],
        "version": content["version"],
        "hash": content["sha256_claimed"],
        "format": content["format"],
        "source": content["source"],
        "training_date": content["training_date"],
        "training_data_description": content["training_data"],
        "metrics": content["evaluation_metrics"],
        "limitations": content["known_limitations"],
        "reviewer": review["reviewed_by"],
        "review_date": review["review_date"],
        "vuln_scan_result": None if told == "pending" else told,
    }
    if twice := given.keys() & details.keys():
        raise _no_card(f"its details name {min(twice)} a second time")
    try:
        return CardInfo.read(given | details)
    except ConfigurationError as error:
        if "pip install" in str(error):
            raise
        raise _no_card(str(error)) from error


def _digest(receipt: dict[str, object], key: str) -> str:
    try:
        return full_digest(receipt.get(key))
    except ConfigurationError as error:
        raise _no_card(f"a receipt has no {key}: {error}") from error


def _no_card(reason: str) -> ConfigurationError:
    return ConfigurationError(f"this is no card that modelsec wrote: {reason}")
