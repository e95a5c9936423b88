"""A policy layer out of files that are trusted: what they need beyond the policies in force.

The result is a draft for review. It holds single operations on single names, never what is
dangerous, never anything of a file in which something dangerous was found.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from modelsec.errors import printable
from modelsec.scanning.baseline import toml_string
from modelsec.scanning.finding import Verdict
from modelsec.scanning.policy import OPERATIONS, Policy, default_policy, parse_layer
from modelsec.scanning.report import ScanReport

_SUBJECT = re.compile(r"([A-Za-z_][\w.:-]*):([A-Za-z_][\w.]*)", re.ASCII)
_FILES = 3


@dataclass(slots=True)
class _Need:
    """What was done with one thing, and in which files."""

    operations: set[str] = field(default_factory=set)
    seen: dict[str, None] = field(default_factory=dict)


def learn(
    reports: Iterable[ScanReport], *, policy: Policy | None = None, layer: str = "learned"
) -> str:
    """Return the text of the smallest policy layer that permits what is unknown in these files.

    Args:
        reports: of files that are trusted.
        policy: the one they were scanned with; default: the default policy.
        layer: name of the new layer.

    Returns:
        TOML for ``Policy.load``. What could not be learnt is in its comments, with the reason.
    """
    rules = policy or default_policy()
    needs: dict[tuple[str, str], _Need] = {}
    refused: dict[str, None] = {}
    reports = list(reports)
    never = {f.subject for r in reports for f in r.findings if f.verdict is Verdict.DANGEROUS}
    for report in reports:
        name = printable(report.name, 200)
        if report.verdict is Verdict.DANGEROUS:
            refused[f"{name}: the file is dangerous"] = None
            continue
        for finding in report.findings:
            if finding.verdict is not Verdict.UNKNOWN:
                continue
            matched = _SUBJECT.fullmatch(finding.subject)
            problem = _problem(rules, finding.operation, finding.subject, matched, never)
            if matched is None or problem:
                refused[f"{name}: {finding.id} {finding.subject}: {problem}"] = None
                continue
            need = needs.setdefault((matched[1], matched[2]), _Need())
            need.operations.add(finding.operation)
            need.seen[f"{name}, sha256 {report.sha256 or 'unknown'}"] = None
        if report.unlisted:
            refused[f"{name}: {report.unlisted} findings are not listed"] = None
    return "\n".join(_lines(layer, needs, sorted(refused))) + "\n"


def _problem(
    policy: Policy, operation: str, subject: str, matched: "re.Match[str] | None", never: set[str]
) -> str:
    """Return why a permission cannot be learnt, or ""."""
    if operation not in OPERATIONS:
        return "not an operation that a policy can permit"
    if matched is None or subject.endswith("..."):
        return "not a plain name"
    if subject in never:
        return "dangerous elsewhere"
    held = policy.allowance(matched[1], matched[2])
    if held is not None and held.arguments:
        # A new entry would replace the rule for its arguments by none.
        return f"its arguments have a rule ({held.arguments}) in the layer {held.layer}"
    if held is not None and operation in held.operations:
        return f"{operation} is permitted; what it is done with is not"
    return ""


def _lines(
    layer: str, needs: dict[tuple[str, str], _Need], refused: Iterable[str]
) -> Iterator[str]:
    yield f"layer = {toml_string(layer)}"
    yield "# Review every entry, sign it after the colon, and delete what you do not know."
    for line in refused:
        yield f"# not learnt: {line}"
    groups: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for (module, name), need in sorted(needs.items()):
        files = list(need.seen)
        more = f" and {len(files) - _FILES} more" if len(files) > _FILES else ""
        because = f"seen in {'; '.join(files[:_FILES])}{more}; reviewed by: "
        groups.setdefault((module, tuple(sorted(need.operations)), because), []).append(name)
    for (module, operations, because), names in groups.items():
        yield ""
        yield "[[allow]]"
        yield f"module = {toml_string(module)}"
        yield f"names = [{', '.join(toml_string(name) for name in names)}]"
        yield f"operations = [{', '.join(toml_string(operation) for operation in operations)}]"
        yield f"because = {toml_string(because)}"


def diff(before: str, after: str) -> list[str]:
    """Return what the second layer permits more (``+``) and less (``-``) than the first.

    Raises:
        ConfigurationError: one of them is not a layer.
    """
    old, new = _permissions(before), _permissions(after)
    changes = [(line, "+") for line in new - old] + [(line, "-") for line in old - new]
    return [f"{sign} {line}" for line, sign in sorted(changes)]


def _permissions(text: str) -> set[str]:
    _, table = parse_layer(text.encode(), "to be compared")
    return {
        f"{module}:{name} {operation}" + (f" if {held.arguments}" if held.arguments else "")
        for (module, name), held in table.items()
        for operation in held.operations
    }
