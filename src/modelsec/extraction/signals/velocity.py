"""Requests per minute, over a window that truly slides.

Extraction needs many answers. The score is the number of requests in the last 60 seconds, this
one included, divided by ``per_minute`` (100), at most 1.

Remembers the last ``per_minute - 1`` gaps between requests (2 bytes each, to the millisecond), so
that a burst across the boundary of two minutes counts in full.

Limits: an attacker who is patient, or spreads over accounts, stays below any rate; and honest
batch jobs do not.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

from modelsec.errors import ConfigurationError, shown
from modelsec.protocols import Gaps, Signal, Window

WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Velocity:
    """Requests in the last minute, relative to ``per_minute``."""

    per_minute: int = 100
    name: str = "velocity"
    remembers: tuple[Gaps, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.per_minute, int) or self.per_minute < 1:
            raise ConfigurationError(
                f"per_minute must be a positive whole number, not {shown(self.per_minute)}"
            )
        # With this request itself that makes per_minute: more would not raise the score.
        gaps = Gaps("gaps", length=max(1, self.per_minute - 1))
        object.__setattr__(self, "remembers", (gaps,))

    def score(self, window: Window) -> Signal:
        """Count the requests younger than a minute."""
        gaps_ms = window[self.remembers[0]]
        # The gap before a request is the age of its predecessor.
        requests = 1 + len(gaps_ms)
        if sum(gaps_ms) >= WINDOW_MS:
            requests = 1 + bisect_left(list(accumulate(reversed(gaps_ms))), WINDOW_MS)
        if requests < self.per_minute:
            return Signal(requests / self.per_minute, f"{requests} requests in 60 s")
        return Signal(1.0, f"at least {self.per_minute} requests in 60 s")
