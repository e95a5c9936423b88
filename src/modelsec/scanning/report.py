"""What a scan returns."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.scanning.finding import Coverage, Finding, Verdict
from modelsec.scanning.part import Permitted


@dataclass(frozen=True, slots=True)
class ScanReport:
    """One file, and what can be claimed about it.

    Attributes:
        name: path, URL or name of what was scanned.
        size: bytes.
        sha256: hex digest of the content, or None if it was not asked for and the file is large.
        format: found by content, e.g. ``torch``; several are joined by a plus sign.
        verdict: what the bytes that were understood can do.
        coverage: whether all were.
        findings: worst first.
        unlisted: findings beyond the limit, counted into the verdict but not listed.
        permitted: what the policy allowed, in order of appearance.
        policy: names of the policy's layers.
        policy_digest: SHA-256 (hex) of the policy.
        accepted: findings that a baseline accepted; they do not count.
    """

    name: str
    size: int
    sha256: str | None
    format: str
    verdict: Verdict
    coverage: Coverage
    findings: tuple[Finding, ...]
    unlisted: int
    permitted: tuple[Permitted, ...]
    policy: tuple[str, ...]
    policy_digest: str
    accepted: tuple[Finding, ...] = ()

    @property
    def safe(self) -> bool:
        """True only if all of the file was understood and nothing is outside the policy."""
        good = self.verdict in {Verdict.DATA_ONLY, Verdict.ALLOW_LISTED}
        return good and self.coverage is Coverage.COMPLETE

    @property
    def gaps(self) -> tuple[Finding, ...]:
        """The findings that say what was not understood, with byte ranges and members."""
        return tuple(finding for finding in self.findings if finding.incomplete)

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON-ready values."""
        return {
            "name": self.name,
            "safe": self.safe,
            "verdict": str(self.verdict),
            "coverage": str(self.coverage),
            "format": self.format,
            "size": self.size,
            "sha256": self.sha256,
            "findings": [finding.to_dict() for finding in self.findings],
            "unlisted": self.unlisted,
            "permitted": [
                {"policy": item.policy, "operation": item.operation, "subject": item.subject}
                for item in self.permitted
            ],
            "policy": list(self.policy),
            "policy_digest": self.policy_digest,
            "accepted": [finding.to_dict() for finding in self.accepted],
        }


@dataclass(frozen=True, slots=True)
class TreeReport:
    """A folder: a report a file, and one verdict.

    Attributes:
        name: the folder.
        files: one report for each file, by path within the folder.
        findings: about the folder as a whole (links that leave it, code beside weights).
    """

    name: str
    files: tuple[ScanReport, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all files and of the folder."""
        verdicts = [*(f.verdict for f in self.files), *(f.verdict for f in self.findings)]
        return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.DATA_ONLY)

    @property
    def coverage(self) -> Coverage:
        """Complete if every file is, and there was a file."""
        whole = (
            bool(self.files)
            and all(report.coverage is Coverage.COMPLETE for report in self.files)
            and not any(finding.incomplete for finding in self.findings)
        )
        return Coverage.COMPLETE if whole else Coverage.INCOMPLETE

    @property
    def safe(self) -> bool:
        """True only if every file is safe and nothing speaks against the folder."""
        good = self.verdict in {Verdict.DATA_ONLY, Verdict.ALLOW_LISTED}
        return good and self.coverage is Coverage.COMPLETE

    def __iter__(self) -> Iterator[ScanReport]:
        """Iterate over the files' reports."""
        return iter(self.files)

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON-ready values."""
        return {
            "name": self.name,
            "safe": self.safe,
            "verdict": str(self.verdict),
            "coverage": str(self.coverage),
            "files": [report.to_dict() for report in self.files],
            "findings": [finding.to_dict() for finding in self.findings],
        }
