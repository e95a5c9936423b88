"""The engine: every accepted reading of every part, and what nobody claimed.

It is the only place that turns observations into a result, and it fails closed by construction:
bytes that no reader claimed are a finding, a reader that raises is a finding, a limit is a
finding, and each of them makes the result incomplete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from modelsec.errors import (
    ArtifactError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
)
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.part import (
    Identified,
    NotThisFormat,
    Part,
    Permitted,
    Reader,
    Span,
)
from modelsec.scanning.recognise import POLYGLOT, Format, Head, strong, weak
from modelsec.scanning.source import Slice

MALFORMED = Rule(
    "MS-COV-001",
    "the bytes break the rules of their format",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the file again from its source; do not load what cannot be read to its end",
)
UNSUPPORTED = Rule(
    "MS-COV-002",
    "not understood",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="convert the file to a format that can be checked, or pin its digest after review",
)
LIMIT = Rule(
    "MS-COV-003",
    "a resource limit stopped the scan",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="raise the limit if the source is trusted; hostile files are built to exceed limits",
)
PARSER_ERROR = Rule(
    "MS-COV-004",
    "the reader failed",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="treat the file as unsafe and report it to the modelsec project: this is our fault",
)
UNCLAIMED = Rule(
    "MS-COV-005",
    "bytes that belong to no structure",
    Verdict.UNKNOWN,
    remedy="nothing honest leaves bytes behind a model; ask how the file was made",
)
EMPTY = Rule(
    "MS-COV-006",
    "empty",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the file again from its source",
)
EMPTY_TEXT = Rule("MS-COV-007", "empty, as a file of this name may be", Verdict.DATA_ONLY)
_MAY_BE_EMPTY = ("__init__.py", ".gitkeep", ".keep", ".gitignore", ".gitattributes", ".txt", ".md")
"""Names under which no loader looks for a model."""
AMBIGUOUS = Rule(
    "MS-FMT-001",
    "readable as more than one format",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: two loaders would see two different models",
)
PADDING = Rule("MS-FMT-002", "zero bytes after the end", Verdict.DATA_ONLY)

_PADDING = 1 << 20


@dataclass(slots=True)
class Outcome:
    """What was observed of a part and of everything in it."""

    formats: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    permitted: dict[Permitted, None] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    verdict: Verdict = Verdict.DATA_ONLY
    incomplete: bool = False
    unlisted: int = 0

    def add(self, finding: Finding, limit: int) -> None:
        """Count a finding, and keep it if there is room or it is worse than all kept ones."""
        worse = finding.verdict.rank > self.verdict.rank
        self._judge(finding.verdict, incomplete=finding.incomplete)
        if len(self.findings) < limit or worse:
            self.findings.append(finding)
        else:
            self.unlisted += 1

    def permit(self, permitted: Permitted) -> None:
        """Note what a policy permitted."""
        self.permitted[permitted] = None
        self._judge(Verdict.ALLOW_LISTED, incomplete=False)

    def merge(self, other: "Outcome", limit: int) -> None:
        """Take over what was observed of something within this part."""
        for finding in other.findings:
            self.add(finding, limit)
        self.permitted.update(other.permitted)
        self.unlisted += other.unlisted
        self._judge(other.verdict, incomplete=other.incomplete)

    def _judge(self, verdict: Verdict, *, incomplete: bool) -> None:
        if verdict.rank > self.verdict.rank:
            self.verdict = verdict
        self.incomplete = self.incomplete or incomplete


def examine(part: Part) -> Outcome:
    """Return what is to be said of a part and of everything in it."""
    result = Outcome()
    limits = part.budget.limits
    if len(part.path) > limits.depth:
        result.add(
            _finding(part, LIMIT.at(None, f"nested more than {limits.depth} deep")), limits.findings
        )
        return result
    try:
        part.budget.members()
        if part.source.size == 0:
            rule = EMPTY_TEXT if part.name.lower().endswith(_MAY_BE_EMPTY) else EMPTY
            result.add(_finding(part, rule.at(0, "there is not a single byte")), limits.findings)
            result.formats.append("empty")
            return result
        readings = _forced(part) if part.reader else _readings(part)
    except ArtifactError as error:  # the source itself failed, or the budget is gone
        result.add(_finding(part, _rule(error).at(None, str(error))), limits.findings)
        return result
    for format_, reading in readings:
        result.formats.append(reading.formats[-1] if reading.formats else format_)
        result.spans.extend(reading.spans)
        result.merge(reading, limits.findings)
    if len(readings) > 1 and set(result.formats) != {"tflite", "zip"}:
        # (TensorFlow Lite's own tools append a zip of labels, which its runtime ignores.)
        names = " and ".join(result.formats)
        result.add(
            _finding(part, AMBIGUOUS.at(0, f"the bytes are {names} at once")), limits.findings
        )
    try:
        _add_unread(part, result, anything_read=bool(readings))
    except ArtifactError as error:  # the source shrinks, or its server has gone
        result.add(_finding(part, _rule(error).at(None, str(error))), limits.findings)
    return result


def _add_unread(part: Part, result: Outcome, *, anything_read: bool) -> None:
    """Add what is to be said of bytes that no reading has claimed."""
    limits = part.budget.limits
    if anything_read:
        for finding, rest in _unclaimed(part, result.spans):
            if result.incomplete and finding.length == part.source.size:
                continue  # the reason is told already
            result.add(_finding(part, finding), limits.findings)
            if rest is not None:
                result.merge(examine(rest), limits.findings)
    else:
        result.formats.append("unrecognised")
        result.add(
            _finding(
                part,
                UNSUPPORTED.at(
                    0,
                    "the content is of no format that this scanner reads",
                    length=part.source.size,
                    evidence=part.source.read(0, min(16, part.source.size)),
                ),
            ),
            limits.findings,
        )


def _forced(part: Part) -> list[tuple[str, Outcome]]:
    reading = _read(part, part.reader) if part.reader else None
    return [] if reading is None else [("", reading)]


def _readings(part: Part) -> list[tuple[str, Outcome]]:
    """Return every accepted reading, by format."""
    head = Head(part.source)
    found = _accepted(part, strong(head))
    if not any(format_ == "pickle" for format_, _ in found):
        found += _accepted(part, [Format("pickle", bool, POLYGLOT)])
    if found:
        return [reading for reading in found if len(found) == 1 or not _chance(*reading)]
    for format_ in weak(head):
        found = _accepted(part, [format_])
        if found:
            return found
    return []


def _chance(format_: str, reading: Outcome) -> bool:
    """Return whether a pickle's two-byte header was chance: it broke off and had done nothing."""
    idle = not reading.permitted and reading.verdict is Verdict.DATA_ONLY
    return format_ == "pickle" and reading.incomplete and idle


def _accepted(part: Part, formats: "Iterator[Format] | list[Format]") -> list[tuple[str, Outcome]]:
    found = []
    for format_ in formats:
        reading = _read(part, format_.reader())
        if reading is not None:
            found.append((format_.name, reading))
    return found


def _read(part: Part, reader: Reader) -> Outcome | None:
    """Run one reader; None if it says that the bytes are not of its format."""
    result = Outcome()
    limit = part.budget.limits.findings
    try:
        for observed in reader(part):
            if isinstance(observed, Span):
                result.spans.append((observed.start, observed.stop))
            elif isinstance(observed, Finding):
                result.add(_finding(part, observed), limit)
            elif isinstance(observed, Permitted):
                result.permit(observed)
            elif isinstance(observed, Identified):
                result.formats.append(observed.format)
            else:
                result.merge(examine(observed), limit)
    except NotThisFormat:
        return None
    except ArtifactError as error:
        result.add(_finding(part, _rule(error).at(None, str(error))), limit)
    except (RecursionError, MemoryError) as error:
        message = f"the reader ran out of resources ({type(error).__name__})"
        result.add(_finding(part, LIMIT.at(None, message)), limit)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not let a file pass, nor end a run
        message = f"{type(error).__name__}: {error}"
        result.add(_finding(part, PARSER_ERROR.at(None, message)), limit)
    return result


def _unclaimed(part: Part, spans: list[tuple[int, int]]) -> Iterator[tuple[Finding, Part | None]]:
    """Yield a finding, and a part to scan, for each range that no reading claimed."""
    for start, stop in gaps(spans, part.source.size):
        if stop - start <= _PADDING and not part.source.read(start, stop - start).strip(b"\0"):
            yield PADDING.at(start, f"{stop - start} zero bytes", length=stop - start), None
            continue
        message = f"{stop - start} bytes belong to no structure that was read"
        if stop - start == part.source.size:
            # Nothing was claimed: scanning it again would only say the same.
            yield UNCLAIMED.at(start, message, length=stop - start), None
            return
        rest = part.child(Slice(part.source, start, stop - start), f"bytes at {start}")
        yield UNCLAIMED.at(start, message, length=stop - start), rest


def gaps(spans: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of [0, size) that no span covers, in order."""
    position = 0
    for start, stop in sorted(spans):
        if start > position:
            yield position, min(start, size)
        position = max(position, stop)
        if position >= size:
            return
    if position < size:
        yield position, size


def _rule(error: ArtifactError) -> Rule:
    if isinstance(error, ResourceLimitError):
        return LIMIT
    if isinstance(error, MalformedArtifactError):
        return MALFORMED
    if isinstance(error, UnsupportedFormatError):
        return UNSUPPORTED
    return PARSER_ERROR


def _finding(part: Part, finding: Finding) -> Finding:
    return replace(finding, path=part.path) if part.path else finding
