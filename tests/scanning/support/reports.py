"""Reports made by hand: what a scan could say, without a file."""

from modelsec.scanning import Coverage, Finding, Rule, ScanReport, Verdict
from modelsec.scanning.part import Permitted

DIGEST = "ab" * 32

NOTE = Rule("MS-TST-001", "a note", Verdict.DATA_ONLY)
UNKNOWN = Rule(
    "MS-TST-002", "a call outside the policies", Verdict.UNKNOWN, remedy="look at the class"
)
DANGER = Rule(
    "MS-TST-003",
    "a capability for harm",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="https://example.org/advisory?id=1",
    remedy="do not load it",
)
GAP = Rule("MS-TST-004", "not read", Verdict.DATA_ONLY, incomplete=True, reference="CVE-0000-0000")

PERMITTED = Permitted("core", "import", "collections:OrderedDict")


def report(
    *findings: Finding,
    name: str = "models/model.pt",
    sha256: str | None = DIGEST,
    permitted: tuple[Permitted, ...] = (),
    unlisted: int = 0,
) -> ScanReport:
    """Return the report that the engine would make of these findings."""
    verdicts = [finding.verdict for finding in findings]
    verdicts.append(Verdict.ALLOW_LISTED if permitted else Verdict.DATA_ONLY)
    gap = any(finding.incomplete for finding in findings)
    return ScanReport(
        name=name,
        size=1000,
        sha256=sha256,
        format="torch",
        verdict=max(verdicts, key=lambda verdict: verdict.rank),
        coverage=Coverage.INCOMPLETE if gap else Coverage.COMPLETE,
        findings=findings,
        unlisted=unlisted,
        permitted=permitted,
        policy=("core",),
        policy_digest="00" * 32,
    )
