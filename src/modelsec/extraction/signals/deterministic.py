"""Greedy decoding asked for.

Copying a model is easier when its answers do not vary. The score is 1 for a temperature of at
most 0.01 (engines treat it as greedy, so 0.0001 is no way around 0), ``top_k`` of 1, or a
``top_p`` of at most 0.01.

Limits: reproducible honest work (evaluation, classification, code) is greedy by habit.
"""

from dataclasses import dataclass

from modelsec.protocols import Feature, Signal, Window

NEARLY_ZERO = 0.01
RANDOM = Signal(0.0, "sampling with randomness")


@dataclass(frozen=True, slots=True)
class Deterministic:
    """Whether this request asks for (nearly) deterministic sampling."""

    name: str = "deterministic"
    remembers: tuple[Feature, ...] = ()

    def score(self, window: Window) -> Signal:
        """Score 1 if it does."""
        request = window.request
        if request.temperature is not None and request.temperature <= NEARLY_ZERO:
            return Signal(1.0, f"temperature {request.temperature:g}")
        if request.top_k == 1:
            return Signal(1.0, "top_k 1")
        if request.top_p is not None and request.top_p <= NEARLY_ZERO:
            return Signal(1.0, f"top_p {request.top_p:g}")
        return RANDOM
