"""What a scan says: verdicts, rules with stable ids, findings.

A verdict is a claim about every byte that was read; coverage says whether every byte was. They are
independent axes, and never one severity score: a file is safe only if nothing worse than a named
policy's permission was met *and* nothing was left unread.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from modelsec.errors import printable


class Verdict(StrEnum):
    """What the bytes that were understood can do, from best to worst."""

    DATA_ONLY = "data_only"
    """Nothing can import, call, or touch an object outside builtin containers and scalars."""
    ALLOW_LISTED = "allow_listed"
    """Every import, call and state change is permitted by a named policy."""
    UNKNOWN = "unknown"
    """Understood, but something is outside the policies."""
    DANGEROUS = "dangerous"
    """A known capability for harm, or an encoding on which readers disagree."""

    @property
    def rank(self) -> int:
        """0 for the best verdict, 3 for the worst."""
        return _RANKS[self]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Coverage(StrEnum):
    """Whether every byte that a loader would interpret was interpreted."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a scan can say.

    Attributes:
        id: stable, ``MS-<FORMAT>-<number>``; never reused for another meaning.
        title: the rule in a few words, the same for every finding.
        verdict: the best verdict that a file with this finding can have; ``DATA_ONLY`` for a note.
        incomplete: the finding means that bytes were not understood.
        capability: what an attacker gains (``code execution``, ``file read`` ...), or "".
        reference: CVE, advisory, paper or specification.
        remedy: what the reader of the report should do.
    """

    id: str
    title: str
    verdict: Verdict
    incomplete: bool = False
    capability: str = ""
    reference: str = ""
    remedy: str = ""

    def at(  # noqa: PLR0913 - what a finding can say, by keyword
        self,
        offset: int | None,
        message: str,
        *,
        length: int = 0,
        operation: str = "",
        subject: str = "",
        evidence: str | bytes = "",
    ) -> "Finding":
        """Return a finding of this rule.

        Args:
            offset: in bytes, within the part that is being read; None for the part as a whole.
            message: what was found, in one sentence without the path.
            length: of the range that is meant, in bytes; 0 if unknown or a point.
            operation: ``import``, ``call``, ``build`` ...
            subject: what the operation is about (``module:name``, an operator, a member).
            evidence: a piece of the file; it is escaped and shortened here.
        """
        return Finding(
            rule=self,
            message=printable(message, 500),
            offset=offset,
            length=length,
            operation=operation,
            subject=printable(subject),
            evidence=printable(evidence),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that matched, and where.

    Attributes:
        rule: what it means.
        message: what was found, in one sentence.
        path: members from the outermost container inwards; empty for the file itself.
        offset: bytes from the start of the innermost member, or None.
        length: bytes of the range that is meant, 0 if unknown.
        operation, subject: as in ``Rule.at``.
        evidence: a short, escaped piece of the file.
    """

    rule: Rule
    message: str
    offset: int | None = None
    length: int = 0
    operation: str = ""
    subject: str = ""
    evidence: str = ""
    path: tuple[str, ...] = field(default=())

    @property
    def id(self) -> str:
        """The rule's stable id."""
        return self.rule.id

    @property
    def verdict(self) -> Verdict:
        """The best verdict that remains possible."""
        return self.rule.verdict

    @property
    def incomplete(self) -> bool:
        """Whether bytes were not understood."""
        return self.rule.incomplete

    @property
    def severity(self) -> str:
        """``error`` (dangerous), ``warning`` (unknown or incomplete) or ``note``, as in SARIF."""
        if self.verdict is Verdict.DANGEROUS:
            return "error"
        return "warning" if self.incomplete or self.verdict is Verdict.UNKNOWN else "note"

    @property
    def member(self) -> str:
        """The path in one string, members separated by ``!/``; "" for the file itself."""
        return "!/".join(self.path)

    def to_dict(self) -> dict[str, object]:
        """Return the finding with its rule's texts, as JSON-ready values."""
        return {
            "id": self.id,
            "title": self.rule.title,
            "severity": self.severity,
            "verdict": str(self.verdict),
            "incomplete": self.incomplete,
            "capability": self.rule.capability,
            "message": self.message,
            "member": self.member,
            "offset": self.offset,
            "length": self.length,
            "operation": self.operation,
            "subject": self.subject,
            "evidence": self.evidence,
            "reference": self.rule.reference,
            "remedy": self.rule.remedy,
        }
