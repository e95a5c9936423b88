"""The front door of provenance: may this file be loaded?"""

import os
from dataclasses import dataclass

from modelsec.scanning import Coverage, Limits, Policy, ScanReport, Verdict, scan

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
    """Verify a model before it is deployed.

    Args:
        policy: what model files may do; default: all shipped layers.
        limits: what a check may cost.
    """

    def __init__(self, *, policy: Policy | None = None, limits: Limits | None = None) -> None:
        self._policy = policy
        self._limits = limits

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
