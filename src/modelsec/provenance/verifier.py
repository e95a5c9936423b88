"""The front door of provenance: is it this model, may it be loaded, and what is known of it?"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelsec.scanning import Coverage, Limits, Policy, ScanReport, Verdict, scan

if TYPE_CHECKING:
    from modelsec.provenance.cards.card import ModelCard
    from modelsec.provenance.integrity import IntegrityCheck, Kind
    from modelsec.signing.receipt import Verification

_NOTES = {
    Verdict.DATA_ONLY: "data only: nothing in it can import, call or open anything",
    Verdict.ALLOW_LISTED: "everything it does is permitted by the policy",
    Verdict.UNKNOWN: "it does something that no policy lists",
    Verdict.DANGEROUS: "it can do harm when it is loaded",
}


@dataclass(frozen=True, slots=True)
class FormatCheck:
    """Whether a model file is safe to load, decided by its content.

    Attributes:
        safe: the file was understood to its last byte, and does nothing outside the policy.
        format: found by content, e.g. ``torch`` or ``safetensors``.
        note: why, in one sentence.
        recommendation: what to do; "" if the file is safe.
        report: the whole scan.
    """

    safe: bool
    format: str
    note: str
    recommendation: str
    report: ScanReport

    def to_dict(self) -> dict[str, object]:
        """Return the check as JSON-ready values; ``recommendation`` only if there is one."""
        answer: dict[str, object] = {"safe": self.safe, "format": self.format, "note": self.note}
        if self.recommendation:
            answer["recommendation"] = self.recommendation
        answer["verdict"] = str(self.report.verdict)
        answer["coverage"] = str(self.report.coverage)
        answer["findings"] = [finding.to_dict() for finding in self.report.findings]
        return answer


class ModelProvenanceVerifier:
    """Verify a model before it is deployed: its digest, its format, and what its card may say.

    It verifies no signatures: that is ``modelsec.signing.Verifier``, whose receipt
    ``generate_model_card`` takes. To load a model only if it is verified: ``open_verified``.

    Args:
        policy: what model files may do; default: all shipped layers.
        limits: what a check may cost.
        clock: tells the time of a card's checks (aware).
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._clock = clock

    def verify_model_integrity(
        self,
        model_path: str | os.PathLike[str],
        expected_hash: str,
        *,
        kind: "Kind | None" = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "IntegrityCheck":
        """Compare a model with a digest that somebody wrote down; another one is a result.

        Args:
            model_path: a file, whose digest is the SHA-256 of its bytes; or a directory, whose
                digest is the tree digest (``modelsec digest``), which binds all names.
            expected_hash: all 64 hex digits, of either case, and nothing around them.
            kind: ``file`` or ``tree``: what the digest is of; None: of whatever lies there.
            on_progress: told the bytes that are hashed, and that there are in all; may raise.

        Raises:
            ConfigurationError: the digest is none, or the model cannot be opened.
            VerificationError: the directory holds what no digest can cover, or changed meanwhile.
        """
        from modelsec.provenance.integrity import check_integrity  # noqa: PLC0415 - on use

        return check_integrity(model_path, expected_hash, kind=kind, on_progress=on_progress)

    def generate_model_card(
        self,
        model_info: Mapping[str, object],
        *,
        path: str | os.PathLike[str] | None = None,
        scan: bool = True,
        verification: "Verification | None" = None,
        bundles: Sequence[str | os.PathLike[str]] = (),
    ) -> "ModelCard":
        """Make a model card that says "verified" of nothing that this call did not verify.

        Args:
            model_info: what the model's maker says: ``name``, ``version``, ``hash``, ``format``,
                ``source``, ``training_date``, ``training_data_description``, ``metrics``,
                ``limitations`` and more (``CardInfo``).
            path: the model. Without it nothing is checked, and the card says so.
            scan: also scan it; with the policy and the limits of this verifier.
            verification: the receipt of its verified signature; compared with what is there.
            bundles: signature bundles that lie inside the model; the card lists them.

        Raises:
            ConfigurationError: the information is not what it has to be, or the model cannot be
                opened.
            VerificationError: the receipt is of another model, or the model changed meanwhile.
        """
        from modelsec.provenance.cards.card import make_card  # noqa: PLC0415 - on use

        return make_card(
            model_info,
            now=self._clock(),
            path=path,
            scan=scan,
            verification=verification,
            bundles=bundles,
            policy=self._policy,
            limits=self._limits,
        )

    def check_model_format(self, model_path: str | os.PathLike[str]) -> FormatCheck:
        """Say whether a model file is safe to load. The content decides, never the name.

        Raises:
            ConfigurationError: the file cannot be opened, or is not a regular file.
        """
        report = scan(model_path, policy=self._policy, limits=self._limits)
        worst = next((finding for finding in report.findings if finding.severity != "note"), None)
        note = _NOTES[report.verdict]
        if report.coverage is Coverage.INCOMPLETE:
            note = f"not all of it was understood; of what was: {note}"
        if worst is not None:
            note = f"{note} ({worst.id}: {worst.message})"
        remedy = "" if worst is None else worst.rule.remedy
        return FormatCheck(
            safe=report.safe,
            format=report.format,
            note=note,
            recommendation="" if report.safe else _recommendation(report, remedy),
            report=report,
        )


def _recommendation(report: ScanReport, remedy: str) -> str:
    if report.format.startswith(("torch", "pickle")) and report.verdict is not Verdict.DANGEROUS:
        return "Convert to SafeTensors format (modelsec convert); " + (remedy or "review the file")
    return remedy or "Do not load the file"
