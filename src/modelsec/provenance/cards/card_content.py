"""The card as JSON: the lesson's keys, what else its maker says, and the receipts."""

from collections import Counter
from typing import TYPE_CHECKING

from modelsec.provenance.cards.approved import Approved
from modelsec.signing.moments import rfc3339
from modelsec.version import __version__

if TYPE_CHECKING:
    from modelsec.provenance.cards.card import ModelCard
    from modelsec.provenance.cards.card_info import CardInfo
    from modelsec.provenance.examination import Examination
    from modelsec.scanning import ScanReport

CARD_FORMAT = "modelsec-card-v1"
LIBRARY = f"modelsec {__version__}"

_TOP = frozenset(
    ("name", "version", "hash", "format", "source", "training_date", "metrics", "limitations")
) | {"training_data_description", "reviewer", "review_date", "vuln_scan_result"}
_NO_APPROVAL = (
    "none yet: somebody who may decide signs the digest of this card, and whoever deploys "
    "verifies that signature"
)


def content_of(card: "ModelCard") -> dict[str, object]:
    """Return everything in a card but the decision about it."""
    info = card.info
    examination = card.examination
    measured = None if examination is None else examination.digest
    return {
        "card_format": CARD_FORMAT,
        "model_name": info.name,
        "version": info.version,
        "sha256": info.hash or measured,
        "sha256_claimed": info.hash,
        "sha256_computed": measured,
        "sha256_of": None if examination is None else examination.kind,
        "format": info.format,
        "source": info.source,
        "training_date": info.training_date,
        "training_data": info.training_data_description,
        "evaluation_metrics": metrics_of(info),
        "known_limitations": list(info.limitations),
        "details": details_of(info),
        "security_review": _review(card),
        "receipts": receipts_of(card),
        "created_at": rfc3339(card.created_at),
        "library": LIBRARY,
    }


def metrics_of(info: "CardInfo") -> dict[str, object]:
    """Return metrics by name: bare values where there is no more to say."""
    answer: dict[str, object] = {}
    for name, metric in info.metrics.items():
        told = metric.model_dump(mode="json", exclude_none=True)
        answer[name] = told if len(told) > 1 else metric.value
    return answer


def details_of(info: "CardInfo") -> dict[str, object]:
    """Return what else its maker says, as far as something was said."""
    told = info.model_dump(mode="json", exclude=set(_TOP), exclude_none=True)
    return {key: value for key, value in told.items() if value not in ([], {})}


def _review(card: "ModelCard") -> dict[str, object]:
    info = card.info
    report = None if card.examination is None else card.examination.report
    return {
        "reviewed_by": info.reviewer,
        "review_date": info.review_date,
        "format_safe": card.format_safe,
        "format_safe_because": _why_safe(card),
        "hash_verified": card.hash_verified,
        "hash_verified_because": _why_verified(card),
        "vulnerability_scan": {
            "reported_by_caller": info.vuln_scan_result or "pending",
            "scanned_here": None if report is None else str(report.verdict),
        },
        "reported_by_caller": ["reviewed_by", "review_date"],
    }


def _why_verified(card: "ModelCard") -> str:
    if card.examination is None:
        return "not checked: the model was not given, its hash is what its maker claims"
    if card.info.hash is None:
        return "not checked: no hash was claimed, the one in this card was computed"
    what = "SHA-256 of its bytes"
    if card.examination.kind == "tree":
        what = "tree digest over its names and files"
    if card.hash_verified:
        return f"the {what} was computed and is the claimed one"
    return f"the {what} is another: {card.examination.digest}"


def _why_safe(card: "ModelCard") -> str:
    if card.examination is None:
        return "not checked: the model was not given"
    report = card.examination.report
    if report is None:
        return "not checked: no scan was asked for"
    if card.hash_verified is False:
        return "not known: what was scanned is not the model with the claimed hash"
    return f"the scan's verdict is {report.verdict}, its coverage {report.coverage}"


def receipts_of(card: "ModelCard") -> list[dict[str, object]]:
    """Return one entry for each check that the call made."""
    examination = card.examination
    if examination is None:
        return []
    common: dict[str, object] = {"time": rfc3339(card.created_at), "library": LIBRARY}
    receipts: list[dict[str, object]] = [
        {
            "check": "hash",
            "model": examination.name,
            "kind": examination.kind,
            "digest": examination.digest,
            "tree_digest": examination.manifest.tree_digest,
            "files": len(examination.manifest.names),
            "left_out": [one.to_dict() for one in examination.left_out],
            **common,
        }
    ]
    if examination.report is not None:
        receipts.append({**_scanned(examination), **common})
    signature = card.verification
    if signature is not None:
        receipts.append(
            {
                "check": "signature" if card.signed else "pinned digest",
                "tree_digest": signature.tree_digest,
                "signatories": signature.to_dict()["signatories"],
                "profile": signature.profile,
                "release": None if signature.release is None else signature.release.to_dict(),
                "unchecked": list(signature.unchecked),
                "time": rfc3339(signature.verified_at),
                "library": signature.library,
            }
        )
    return receipts


def _scanned(examination: "Examination") -> dict[str, object]:
    report = examination.report
    files = _reports(examination)
    findings = [finding for file in files for finding in file.findings]
    findings += () if report is None or report in files else report.findings
    return {
        "check": "scan",
        "digest": examination.digest,
        "safe": report is not None and report.safe,
        "verdict": None if report is None else str(report.verdict),
        "coverage": None if report is None else str(report.coverage),
        "formats": sorted({file.format for file in files}),
        "findings": dict(sorted(Counter(finding.id for finding in findings).items())),
        "policy": list(files[0].policy) if files else [],
        "policy_digest": files[0].policy_digest if files else None,
    }


def _reports(examination: "Examination") -> "tuple[ScanReport, ...]":
    from modelsec.scanning import TreeReport  # noqa: PLC0415 - only a card with a scan needs it

    report = examination.report
    if report is None:
        return ()
    return report.files if isinstance(report, TreeReport) else (report,)


def decision_of(approval: Approved | None, digest: str) -> dict[str, object]:
    """Return the decision as JSON-ready values: never more than a verified signature says."""
    if approval is None:
        return {
            "approved": False,
            "approver": None,
            "conditions": _NO_APPROVAL,
            "card_digest": digest,
        }
    statement = approval.statement
    # Whose key it is, as the verifier calls it, before what the signer calls themselves.
    label = {"key_label": approval.label} if approval.label else {}
    where = {"environment": statement.environment} if statement.environment else {}
    return {
        "approved": approval.approves,
        **label,
        "approver": statement.approver,
        "conditions": statement.conditions,
        "card_digest": digest,
        "decision": statement.decision,
        "decided_at": rfc3339(statement.decided_at),
        "not_after": None if statement.not_after is None else rfc3339(statement.not_after),
        "despite": statement.despite,
        **where,
        "key_id": approval.key_id,
        "signature_verified_at": rfc3339(approval.verified_at),
    }
