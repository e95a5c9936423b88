"""What the detector says about one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from modelsec.protocols import Signal

Action: TypeAlias = Literal["allow", "degrade", "block"]

REASONS: Mapping[str, str] = {
    "allow": "",
    "degrade": "Possible model extraction: serve outputs of lower fidelity",
    "block": "Suspected model extraction attack",
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """The judgement on one request of one account.

    The score is a weighted sum of hand-set weights, as the policy says; it is not a probability
    and carries no false-positive rate of its own: measure that on your own traffic
    (``modelsec replay``).

    Attributes:
        action: what to do: ``allow``, ``degrade`` (serve less exact outputs) or ``block``.
        extraction_score: weighted sum of the signals' scores, 0 to 1.
        signals: what each signal said, by name.
        weights: what each signal weighs.
        reason: why, in one sentence; empty when allowed.
        requests_seen: requests of the account so far, this one included; 0 if unknown.
        degrade_above: scores above it are degraded.
        block_above: scores above it are blocked.
        incomplete: signals that could not be computed; the score is then what the others (and
            the policy's fallback) give.
    """

    action: Action
    extraction_score: float
    signals: Mapping[str, Signal]
    weights: Mapping[str, float]
    reason: str
    requests_seen: int
    degrade_above: float
    block_above: float
    incomplete: tuple[str, ...] = ()

    @property
    def scores(self) -> dict[str, float]:
        """Suspicion by signal, 0 to 1."""
        return {name: signal.score for name, signal in self.signals.items()}

    @property
    def explanations(self) -> dict[str, str]:
        """One sentence by signal, for the analyst."""
        return {name: signal.explanation for name, signal in self.signals.items()}

    @property
    def top_signal(self) -> str:
        """Name of the signal that contributes most to the score; empty if none does."""
        weighted = {n: s.score * self.weights.get(n, 0.0) for n, s in self.signals.items()}
        name = max(weighted, key=weighted.__getitem__, default="")
        return name if name and weighted[name] > 0 else ""

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {
            "action": self.action,
            "extraction_score": round(self.extraction_score, 3),
            "scores": self.scores,
            "explanations": self.explanations,
            "weights": dict(self.weights),
            "reason": self.reason,
            "requests_seen": self.requests_seen,
            "degrade_above": self.degrade_above,
            "block_above": self.block_above,
            "incomplete": list(self.incomplete),
        }
