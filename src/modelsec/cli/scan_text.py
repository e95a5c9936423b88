"""What ``modelsec scan`` prints: plain text, made without any terminal library.

Importing one would cost more than scanning a file. File and member names come from whoever made
the files: they are printed so that they cannot command a terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from modelsec.scanning import Coverage, Finding, ScanReport, TreeReport, Verdict

SHOWN = 20
"""Findings of one file that are printed; JSON and SARIF have them all."""


def inert(text: str) -> str:
    """Return text that cannot command a terminal: control and bidi characters are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def files_of(report: ScanReport | TreeReport) -> tuple[ScanReport, ...]:
    """Return the reports of files; those of a folder are named from outside of it."""
    if not isinstance(report, TreeReport):
        return (report,)
    return tuple(replace(file, name=str(Path(report.name, file.name))) for file in report.files)


def as_text(reports: Sequence[ScanReport | TreeReport], problems: Sequence[str]) -> Iterator[str]:
    """Yield a block for each file that is not safe, then a summary of all."""
    files: list[ScanReport] = []
    for report in reports:
        if isinstance(report, TreeReport):
            yield from _folder(report)
        files += files_of(report)
    for file in files:
        if not file.safe:
            yield from _block(file)
    yield _summary(files, reports, problems)


def _folder(tree: TreeReport) -> Iterator[str]:
    if not tree.files:
        yield f"{inert(tree.name)}: not understood\n  there is no file in this folder\n\n"
    if tree.findings:
        yield f"{inert(tree.name)}: the folder as a whole\n"
        yield from _findings(tree.findings, 0)
        yield "\n"


def _block(file: ScanReport) -> Iterator[str]:
    size = f"{file.size:,} byte{'s' * (file.size != 1)}"
    yield f"{inert(file.name)}: {_word(file)}\n"
    yield f"  {_claim(file)}; {inert(file.format)}, {size}"
    yield f", sha256 {file.sha256}\n" if file.sha256 else "\n"
    yield from _findings(file.findings, file.unlisted)
    if file.accepted:
        yield f"  {_count(len(file.accepted), 'finding')} accepted by the baseline\n"
    yield "\n"


def _findings(findings: Sequence[Finding], unlisted: int) -> Iterator[str]:
    explained = set()
    for finding in findings[:SHOWN]:
        where = f"{inert(finding.member)}: " if finding.path else ""
        offset = f" (at {finding.offset:,})" if finding.offset is not None else ""
        text = finding.message or finding.rule.title
        yield f"  {finding.severity:<8} {finding.id}  {where}{inert(text)}{offset}\n"
        if finding.rule not in explained:
            explained.add(finding.rule)
            yield from _explanation(finding)
    rest = len(findings) - SHOWN + unlisted if len(findings) > SHOWN else unlisted
    if rest:
        listed = f", {unlisted:,} of them beyond the limit" if unlisted else ""
        yield f"  ... and {_count(rest, 'more finding')}{listed}\n"


def _explanation(finding: Finding) -> Iterator[str]:
    rule = finding.rule
    pieces = (rule.title, rule.capability, rule.reference)
    told = "; ".join(piece for piece in pieces if piece and piece != finding.message)
    if told:
        yield f"{'':11}{inert(told)}\n"
    if rule.remedy:
        yield f"{'':11}-> {inert(rule.remedy)}\n"


def _word(file: ScanReport) -> str:
    if file.verdict in {Verdict.DANGEROUS, Verdict.UNKNOWN}:
        return str(file.verdict)
    return "safe" if file.safe else "not understood"


def _claim(file: ScanReport) -> str:
    if file.coverage is Coverage.COMPLETE:
        return "every byte was understood"
    return "not every byte was understood"


def _summary(
    files: Sequence[ScanReport],
    reports: Sequence[ScanReport | TreeReport],
    problems: Sequence[str],
) -> str:
    words = [_word(file) for file in files]
    kinds = ("safe", "dangerous", "unknown", "not understood")
    counted = [f"{words.count(kind):,} {kind}" for kind in kinds if kind in words]
    pieces = [f"{_count(len(files), 'file')}: {', '.join(counted)}" if files else "no files"]
    trees = [report for report in reports if isinstance(report, TreeReport)]
    about = sum(len(tree.findings) for tree in trees)
    if about:
        pieces.append(f"{_count(about, 'finding')} about folders")
    accepted = sum(len(file.accepted) for file in files)
    if accepted:
        pieces.append(f"{_count(accepted, 'finding')} accepted by the baseline")
    if problems:
        pieces.append(f"{_count(len(problems), 'path')} not opened")
    return "; ".join(pieces) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
