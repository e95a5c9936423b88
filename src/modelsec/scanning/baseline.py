"""Findings that somebody has looked at and accepts, for one exact file, with a reason.

An entry is pinned to the SHA-256 of a file: another content has nothing accepted. It names the
finding's id and, to be narrower, the member and the subject; it needs a reason and may expire.

    version = 1

    [[accept]]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    id = "MS-PKL-001"
    member = "archive/data.pkl"
    subject = "ours.models:Net"
    reason = "our own class, reviewed 2026-11-02 by A. B."
    expires = 2027-06-30
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType

from modelsec.errors import ConfigurationError, printable, shown
from modelsec.files import atomic_text
from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
from modelsec.scanning.report import ScanReport, TreeReport

EXPIRED = Rule(
    "MS-BAS-001",
    "an acceptance in the baseline has expired",
    Verdict.DATA_ONLY,
    remedy="look at the finding again, then renew the entry or drop the file",
)
UNPINNED = Rule(
    "MS-BAS-002",
    "the baseline was not applied",
    Verdict.DATA_ONLY,
    remedy="scan with a digest, and with a higher limit of findings if some were not listed",
)

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = frozenset({"sha256", "id", "member", "subject", "reason", "expires", "file", "message"})


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One accepted finding of one file.

    Attributes:
        sha256: hex digest of the file's content.
        id: of the finding's rule.
        reason: why it is accepted.
        member: where it is, as in reports; None for anywhere in the file.
        subject: what it is about; None for anything.
        expires: the last day on which it holds; None for ever.
    """

    sha256: str
    id: str
    reason: str
    member: str | None = None
    subject: str | None = None
    expires: date | None = None

    def covers(self, finding: Finding) -> bool:
        """Say whether this is the finding that was accepted, whatever the day."""
        return (
            finding.id == self.id
            and self.member in {None, _writable(finding.member)}
            and self.subject in {None, finding.subject}
        )

    def holds(self, today: date) -> bool:
        """Say whether it has not expired."""
        return self.expires is None or today <= self.expires


@dataclass(frozen=True, slots=True)
class Baseline:
    """Acceptances by file digest."""

    entries: Mapping[str, tuple[Acceptance, ...]]

    @classmethod
    def of(cls, acceptances: Iterable[Acceptance]) -> "Baseline":
        """Return the baseline of these entries."""
        by_digest: dict[str, list[Acceptance]] = {}
        for entry in acceptances:
            by_digest.setdefault(entry.sha256, []).append(entry)
        return cls(MappingProxyType({key: tuple(held) for key, held in by_digest.items()}))

    @classmethod
    def load(cls, path: str | Path) -> "Baseline":
        """Read a baseline, TOML or (by the ending) JSON.

        Raises:
            ConfigurationError: it cannot be read, is not of the form above, or an entry has no
                reason.
        """
        path = Path(path)
        try:
            text = path.read_text("utf-8")
            is_json = path.suffix.lower() == ".json"
            document = json.loads(text) if is_json else tomllib.loads(text)
        except OSError as error:
            raise ConfigurationError(f"cannot read baseline {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"baseline {path} is not valid: {error}") from error
        return cls.of(_entries(document, f"baseline {path}"))

    def reason(self, report: ScanReport, finding: Finding) -> str:
        """Return why a finding of a report is accepted; "" if no entry covers it."""
        entries = self.entries.get(report.sha256 or "", ())
        return next((entry.reason for entry in entries if entry.covers(finding)), "")


def apply(report: ScanReport, baseline: Baseline, today: date) -> ScanReport:
    """Return the report with its accepted findings set aside, and judged by the others.

    Nothing is accepted of a report without a digest. If findings were too many to be listed, the
    verdict stays: nobody has seen what would be accepted. What was accepted, the file is at best
    ``allow_listed``.
    """
    if report.sha256 is None and baseline.entries and not report.safe:
        note = UNPINNED.at(None, "the report has no SHA-256: acceptances are pinned to one")
        return replace(report, findings=(*report.findings, note))
    entries = baseline.entries.get(report.sha256 or "", ())
    if not entries:
        return report
    accepted, left, notes = [], [], []
    for finding in report.findings:
        covering = [entry for entry in entries if entry.covers(finding)]
        if any(entry.holds(today) for entry in covering):
            accepted.append(finding)
            continue
        left.append(finding)
        notes += [_expired(entry, finding) for entry in covering[:1]]
    if not accepted:
        return replace(report, findings=(*left, *notes))
    if report.unlisted:
        notes.append(UNPINNED.at(None, f"{report.unlisted} findings are not listed"))
        return replace(report, findings=(*report.findings, *notes))
    return replace(
        report,
        findings=(*left, *notes),
        accepted=(*report.accepted, *accepted),
        verdict=_verdict(report, left, accepted),
        coverage=_coverage(report, left),
    )


def apply_to_tree(tree: TreeReport, baseline: Baseline, today: date) -> TreeReport:
    """Return the folder's report with the baseline applied to each file.

    Findings about the folder as a whole stay: no digest pins a folder.
    """
    return replace(tree, files=tuple(apply(file, baseline, today) for file in tree.files))


def write(path: str | Path, reports: Iterable[ScanReport]) -> int:
    """Write the findings of these reports as a baseline whose reasons are to be filled in.

    Notes are left out: they do not count. Findings of files without a digest, too.

    Returns:
        The number of entries.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    path = Path(path)
    entries = list(_drafts(reports))
    with atomic_text(path) as target:
        if path.suffix.lower() == ".json":
            json.dump({"version": 1, "accept": entries}, target, indent=1)
            target.write("\n")
        else:
            target.write("# Fill in every reason: an entry without one is refused.\nversion = 1\n")
            for entry in entries:
                lines = (f"{key} = {toml_string(value)}\n" for key, value in entry.items())
                target.write("\n[[accept]]\n" + "".join(lines))
    return len(entries)


def toml_string(text: str) -> str:
    """Return text as a TOML basic string."""
    # JSON's escapes are TOML's; DEL is the one character that only TOML wants escaped.
    return json.dumps(_writable(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _drafts(reports: Iterable[ScanReport]) -> Iterator[dict[str, str]]:
    seen = set()
    for report in reports:
        for finding in report.findings:
            key = (report.sha256, finding.id, finding.member, finding.subject)
            if report.sha256 is None or not _counts(finding) or key in seen:
                continue
            seen.add(key)
            yield {
                "sha256": report.sha256,
                "id": finding.id,
                "member": _writable(finding.member),
                "subject": finding.subject,
                "file": printable(report.name, 300),
                "message": finding.message,
                "reason": "",
            }


def _verdict(report: ScanReport, left: list[Finding], accepted: list[Finding]) -> Verdict:
    """Return the worst of what is left; as it was if the findings do not explain it."""
    start = Verdict.ALLOW_LISTED if report.permitted else Verdict.DATA_ONLY
    if report.verdict.rank > _worst(start, report.findings).rank:
        return report.verdict
    if any(_counts(finding) for finding in accepted):
        start = Verdict.ALLOW_LISTED  # "nothing can act" is no longer what is claimed
    return _worst(start, left)


def _counts(finding: Finding) -> bool:
    return finding.incomplete or finding.verdict is not Verdict.DATA_ONLY


def _worst(start: Verdict, findings: Iterable[Finding]) -> Verdict:
    verdicts = [start, *(finding.verdict for finding in findings)]
    return max(verdicts, key=lambda verdict: verdict.rank)


def _coverage(report: ScanReport, left: Iterable[Finding]) -> Coverage:
    explained = any(finding.incomplete for finding in report.findings)
    if report.coverage is Coverage.INCOMPLETE and not explained:
        return Coverage.INCOMPLETE
    gap = any(finding.incomplete for finding in left)
    return Coverage.INCOMPLETE if gap else Coverage.COMPLETE


def _expired(entry: Acceptance, finding: Finding) -> Finding:
    message = f"the acceptance of {finding.id} ended on {entry.expires}: {entry.reason}"
    return replace(EXPIRED.at(finding.offset, message), path=finding.path)


def _writable(text: str) -> str:
    """Return text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _entries(document: object, where: str) -> Iterator[Acceptance]:
    if not isinstance(document, dict) or document.get("version") != 1:
        raise ConfigurationError(f"{where} needs: version = 1")
    unknown = document.keys() - {"version", "accept"}
    entries = document.get("accept", [])
    if unknown or not isinstance(entries, list):
        raise ConfigurationError(f"{where} holds version and [[accept]] tables, nothing else")
    for number, entry in enumerate(entries, 1):
        yield _entry(entry, f"{where}, accept number {number}")


def _entry(entry: object, where: str) -> Acceptance:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} must be a table")
    unknown = entry.keys() - _KEYS
    if unknown:
        raise ConfigurationError(f"{where} has unknown keys: {', '.join(sorted(unknown))}")
    texts = {key: value for key, value in entry.items() if key != "expires"}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}: {key} must be a string, not {shown(value)}")
    if not _SHA256.fullmatch(texts.get("sha256", "")):
        raise ConfigurationError(f"{where} needs sha256: 64 lower-case hex digits")
    if not texts.get("id"):
        raise ConfigurationError(f"{where} needs the id of a finding")
    if not texts.get("reason", "").strip():
        raise ConfigurationError(f"{where} ({texts['id']}) has no reason: say why it is accepted")
    return Acceptance(
        sha256=texts["sha256"],
        id=texts["id"],
        reason=texts["reason"],
        member=texts.get("member"),
        subject=texts.get("subject"),
        expires=_day(entry.get("expires"), where),
    )


def _day(value: object, where: str) -> date | None:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ConfigurationError(f"{where}: expires must be a day, YYYY-MM-DD") from None
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ConfigurationError(f"{where}: expires must be a day, YYYY-MM-DD, not {shown(value)}")
