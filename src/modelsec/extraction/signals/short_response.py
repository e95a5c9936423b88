"""Short answers asked for.

Queries that harvest labels or next-token distributions need few tokens. The score is 0.6 when
the smallest token limit given (``max_tokens``, ``max_completion_tokens``, ``max_output_tokens``)
is below 50.

Limits: so do classifiers, monitors and autocompletion.
"""

from dataclasses import dataclass

from modelsec.protocols import Feature, Signal, Window

SHORT_TOKENS = 50
NOT_SHORT = Signal(0.0, "no short token limit")


@dataclass(frozen=True, slots=True)
class ShortResponse:
    """Whether this request asks for fewer than 50 tokens."""

    name: str = "short_response"
    remembers: tuple[Feature, ...] = ()

    def score(self, window: Window) -> Signal:
        """Score 0.6 if it does."""
        limit = window.request.max_tokens
        if limit is not None and limit < SHORT_TOKENS:
            return Signal(0.6, f"at most {limit:g} tokens")
        return NOT_SHORT
