"""Log-probabilities asked for.

An attacker learns far more from a distribution than from a label: top log-probabilities are the
raw material of distillation and of the recovery of a model's output layer (Carlini et al. 2024,
arXiv:2403.06634). The score is 0.8 when any are asked for: ``logprobs`` or ``top_logprobs``, or
``prompt_logprobs`` as vLLM has it.

Limits: honest evaluation and classification jobs ask for them, too.
"""

from dataclasses import dataclass

from modelsec.protocols import Feature, Signal, Window

ASKED = Signal(0.8, "log-probabilities requested")
NOT_ASKED = Signal(0.0, "no log-probabilities requested")


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Whether this request asks for log-probabilities."""

    name: str = "logprobs"
    remembers: tuple[Feature, ...] = ()

    def score(self, window: Window) -> Signal:
        """Score 0.8 if it does."""
        return ASKED if window.request.wants_logprobs else NOT_ASKED
