"""Typed events, and the sink that logs them.

An event carries what OWASP AISVS C11.5.2 asks of an alert (the principal, its volume, statistics
of its inputs) and nothing that would leak: no prompt text, no keys, and of a plug-in's exception
only its type and place, because its message may quote a prompt.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from modelsec.protocols import Event, Signal

logger = logging.getLogger("modelsec")
logger.addHandler(logging.NullHandler())

_LEVELS = {"allow": logging.DEBUG, "degrade": logging.INFO, "block": logging.WARNING}


@dataclass(frozen=True, slots=True)
class DecisionTaken:
    """A request was judged.

    Attributes:
        user_id: whose request, as the caller named the account.
        action: ``allow``, ``degrade`` or ``block``.
        extraction_score: weighted suspicion, 0 to 1.
        signals: what each signal said.
        requests_seen: requests of the account so far; 0 where the store did not answer.
        incomplete: signals that could not be computed.
    """

    user_id: str
    action: str
    extraction_score: float
    signals: Mapping[str, Signal]
    requests_seen: int
    incomplete: tuple[str, ...]
    name: ClassVar[str] = "decision_taken"

    @property
    def level(self) -> int:
        """Severity as a logging level."""
        return _LEVELS[self.action]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {
            "event": self.name,
            "user_id": self.user_id,
            "action": self.action,
            "extraction_score": round(self.extraction_score, 3),
            "scores": {name: round(signal.score, 3) for name, signal in self.signals.items()},
            "requests_seen": self.requests_seen,
            "incomplete": list(self.incomplete),
        }


@dataclass(frozen=True, slots=True)
class ScorerFailed:
    """A signal scorer raised, or returned no score; its fallback was used.

    Attributes:
        user_id: whose request met the failure.
        signal: name of the scorer.
        stage: ``remember`` or ``score``.
        error: type of the exception, and file and line where it was raised.
        fallback: score used instead.
    """

    user_id: str
    signal: str
    stage: str
    error: str
    fallback: float
    name: ClassVar[str] = "scorer_failed"
    level: ClassVar[int] = logging.ERROR

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {"event": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The store did not serve a request.

    Attributes:
        user_id: whose request it was.
        error: what the store said.
        action: what was done with the request: ``raise``, ``allow`` or ``block``.
    """

    user_id: str
    error: str
    action: str
    name: ClassVar[str] = "store_failed"
    level: ClassVar[int] = logging.ERROR

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {"event": self.name, **asdict(self)}


class LoggingSink:
    """Writes events to the ``modelsec`` logger, one JSON object a line.

    Allowed requests are logged at DEBUG, degraded ones at INFO, blocked ones at WARNING,
    failures at ERROR. JSON escapes control characters, so a hostile account name cannot forge a
    log line.
    """

    def emit(self, event: Event) -> None:
        """Log one event."""
        level = getattr(event, "level", logging.INFO)
        if logger.isEnabledFor(level):
            logger.log(level, "%s", _AsJson(event))


class _AsJson:
    """An event that is rendered only if a handler writes it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __str__(self) -> str:
        return json.dumps(self._event.to_dict(), default=str)
