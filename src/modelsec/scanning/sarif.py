"""Reports as SARIF 2.1.0, the format that code hosts and editors read.

The same reports give the same document: there is no time and no random identifier in it. Offsets
are given as byte regions where they count from the start of the file; within a member they are a
property of the result, and the member is a logical location.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelsec.scanning.baseline import Baseline
from modelsec.scanning.finding import Coverage, Finding, Rule
from modelsec.scanning.report import ScanReport, TreeReport

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_IN_PATHS = "/-._~!$&'()*+,;=@"
_IN_URLS = _IN_PATHS + ":[]%"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A finding, where it belongs, and whether it counts."""

    artifact: int
    finding: Finding
    uri: str
    accepted: bool = False
    reason: str = ""


def to_sarif(
    reports: Iterable[ScanReport | TreeReport],
    *,
    root: Path | None = None,
    baseline: Baseline | None = None,
    problems: Iterable[str] = (),
    version: str = "",
) -> dict[str, Any]:
    """Return one SARIF log with one run.

    Args:
        reports: of files and folders.
        root: file names within this folder are given relative to it; others stay as they are if
            they are relative, and become ``file:`` URIs if they are absolute.
        baseline: for the reasons of accepted findings.
        problems: what could not be opened at all, one sentence each.
        version: of this package.
    """
    reports = list(reports)
    problems = list(problems)
    files = [file for report in reports for file in _files(report)]
    artifacts = [_artifact(file, root) for file in files]
    entries = list(_entries(reports, artifacts, root, baseline))
    rules = sorted(
        {entry.finding.rule for entry in entries}, key=lambda rule: (rule.id, rule.title)
    )
    index = {rule: number for number, rule in enumerate(rules)}
    whole = all(file.coverage is Coverage.COMPLETE for file in files)
    run = {
        "tool": {
            "driver": {
                "name": "modelsec",
                **({"semanticVersion": version} if version else {}),
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": whole and not problems,
                "toolExecutionNotifications": [
                    *({"level": "error", "message": {"text": text}} for text in problems),
                    *(_notification(e, index) for e in entries if _is_gap(e)),
                ],
            }
        ],
        "artifacts": artifacts,
        "results": _results(entries, index),
        "properties": {
            "policies": sorted({f"{'+'.join(f.policy)}@{f.policy_digest}" for f in files})
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def to_uri(name: str, root: Path | None = None) -> str:
    """Return the percent-encoded URI (reference) of a report's name."""
    if "://" in name:
        return quote(name, safe=_IN_URLS, errors="surrogateescape")
    path = Path(name)
    if path.is_absolute():
        if root is None or not path.is_relative_to(root):
            return "file://" + quote(os.fsencode(path), safe=_IN_PATHS)
        path = path.relative_to(root)
    return quote(os.fsencode(path.as_posix()), safe=_IN_PATHS)


def _files(report: ScanReport | TreeReport) -> tuple[ScanReport, ...]:
    """Return the reports of files; those of a folder are named from outside of it."""
    if not isinstance(report, TreeReport):
        return (report,)
    return tuple(replace(file, name=_within(report, file.name)) for file in report.files)


def _within(tree: TreeReport, name: str) -> str:
    return str(Path(tree.name, name))


def _entries(
    reports: list[ScanReport | TreeReport],
    artifacts: list[dict[str, Any]],
    root: Path | None,
    baseline: Baseline | None,
) -> Iterator[_Entry]:
    number = 0
    for report in reports:
        if isinstance(report, TreeReport):
            for finding in report.findings:
                # The path of such a finding is that of a file in the folder.
                name = _within(report, finding.path[0]) if finding.path else report.name
                uri = to_uri(name, root) + ("" if finding.path else "/")
                yield _Entry(-1, finding, uri)
        for file in _files(report):
            uri = artifacts[number]["location"]["uri"]
            yield from (_Entry(number, finding, uri) for finding in file.findings)
            for finding in file.accepted:
                reason = baseline.reason(file, finding) if baseline else ""
                yield _Entry(number, finding, uri, accepted=True, reason=reason)
            number += 1


def _artifact(report: ScanReport, root: Path | None) -> dict[str, Any]:
    artifact: dict[str, Any] = {
        "location": {"uri": to_uri(report.name, root)},
        "length": report.size,
        "roles": ["analysisTarget"],
        "properties": {
            "verdict": str(report.verdict),
            "coverage": str(report.coverage),
            "format": report.format,
        },
    }
    if report.sha256:
        artifact["hashes"] = {"sha-256": report.sha256}
    return artifact


def _rule(rule: Rule) -> dict[str, Any]:
    remedy = rule.remedy or "see the message of the result"
    text = f"{rule.title}: {remedy}." + (f" Reference: {rule.reference}." if rule.reference else "")
    described: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": text},
        "defaultConfiguration": {"level": rule.at(None, "").severity},
        "properties": {
            "tags": ["security", *([rule.capability] if rule.capability else [])],
            "verdict": str(rule.verdict),
            "incomplete": rule.incomplete,
        },
    }
    if rule.capability:
        described["fullDescription"] = {"text": f"{rule.title} ({rule.capability})"}
    if rule.reference.startswith("https://"):
        described["helpUri"] = quote(rule.reference, safe=_IN_URLS + "?#")
    return described


def _results(entries: list[_Entry], index: dict[Rule, int]) -> list[dict[str, Any]]:
    times: dict[tuple[str, ...], int] = {}
    results = []
    for entry in entries:
        finding = entry.finding
        kind = (entry.uri, finding.id, finding.member, finding.operation, finding.subject)
        times[kind] = times.get(kind, 0) + 1
        results.append(_result(entry, index, times[kind]))
    return results


def _result(entry: _Entry, index: dict[Rule, int], ordinal: int) -> dict[str, Any]:
    finding = entry.finding
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": index[finding.rule],
        "level": finding.severity,
        "message": {"text": finding.message or finding.rule.title},
        "locations": [_location(entry)],
        "partialFingerprints": {"modelsecFinding/v1": _fingerprint(finding, ordinal)},
    }
    details = {
        "operation": finding.operation,
        "subject": finding.subject,
        "evidence": finding.evidence,
        "memberOffset": finding.offset if finding.path else None,
    }
    properties = {key: value for key, value in details.items() if value not in {"", None}}
    if properties:
        result["properties"] = properties
    if entry.accepted:
        suppression = {"kind": "external", "status": "accepted"}
        if entry.reason:
            suppression["justification"] = entry.reason
        result["suppressions"] = [suppression]
    return result


def _location(entry: _Entry) -> dict[str, Any]:
    finding = entry.finding
    physical: dict[str, Any] = {"artifactLocation": {"uri": entry.uri}}
    if entry.artifact >= 0:
        physical["artifactLocation"]["index"] = entry.artifact
    if finding.offset is not None and finding.offset >= 0 and not finding.path:
        physical["region"] = {"byteOffset": finding.offset}
        if finding.length:
            physical["region"]["byteLength"] = finding.length
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.path:
        location["logicalLocations"] = [
            {
                "name": _text(finding.path[-1]),
                "fullyQualifiedName": _text(finding.member),
                "kind": "resource",
            }
        ]
    return location


def _is_gap(entry: _Entry) -> bool:
    return entry.finding.incomplete and not entry.accepted


def _notification(entry: _Entry, index: dict[Rule, int]) -> dict[str, Any]:
    finding = entry.finding
    where = f" in {_text(finding.member)}" if finding.path else ""
    return {
        "level": "error",
        "message": {"text": f"not understood{where}: {finding.message or finding.rule.title}"},
        "locations": [_location(entry)],
        "associatedRule": {"id": finding.id, "index": index[finding.rule]},
    }


def _fingerprint(finding: Finding, ordinal: int) -> str:
    """Return what stays the same when the file is renamed or moved, or offsets shift."""
    pieces = (finding.id, *finding.path, "", finding.operation, finding.subject, str(ordinal))
    return hashlib.sha256("\0".join(_text(piece) for piece in pieces).encode()).hexdigest()


def _text(text: str) -> str:
    """Return text that any JSON reader accepts: no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
